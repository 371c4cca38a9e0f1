"""Trivial rivals: what a surrogate has to beat before anybody speaks of learning.

They are fitted in closed form and have the ``forward`` of a network, so that `Surrogate` makes the
same use of them: the same inputs, conversions and clock.
"""

import numpy as np
import torch
from torch import Tensor, nn

from simulations.datasets import Dataset, Trajectories, layout
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoded, Encoding
from surrogate.networks import Climatology
from surrogate.training import evaluate

# What is loaded of a large train split
LIMIT_BYTES = 1024**3

RIDGE_STRENGTHS = tuple(10.0**exponent for exponent in range(-9, 2))
INPUT_MODES = (8, 24, 64)
OUTPUT_MODES = 256
# Samples from which the modes are computed
SNAPSHOTS = 2000


class NearestNeighbour(nn.Module):
    """The outputs of the training sample with the closest inputs.

    Closeness is Euclidean; every parameter and every field input (by its L2 norm) counts with the
    variance it has in the training data.
    """

    def __init__(self, train: Encoded, weights: Tensor) -> None:
        super().__init__()
        self.fields, self.scalars = train.fields_out, train.scalars_out
        self.root_weights = weights.sqrt()
        spread = train.scalars_in.std(0)
        self.spread = torch.where(spread > 0, spread, 1.0)
        self.known = self._coordinates(train.fields_in, train.scalars_in)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        nearest = torch.cdist(self._coordinates(fields, scalars), self.known).argmin(1)
        return self.fields[nearest], self.scalars[nearest]

    def _coordinates(self, fields: Tensor, scalars: Tensor) -> Tensor:
        # Standardised fields have a mean square of 1 over space and samples
        return torch.cat([(fields * self.root_weights).flatten(1), scalars / self.spread], 1)


class PODRidge(nn.Module):
    """Ridge regression from inputs to the POD coefficients of the outputs.

    The features are the parameters, their squares and products, the leading POD coefficients of the
    field inputs, and the products of those with the parameters.

    Args:
        train: encoded training samples.
        weights: quadrature weights of the grid with a trailing axis.
        input_basis: POD modes of the field inputs, as columns.
        output_basis: POD modes of the deviations of the outputs from their mean.
        strength: penalty on the standardised coefficients, relative to the number of samples.
    """

    def __init__(
        self,
        train: Encoded,
        weights: Tensor,
        input_basis: Tensor,
        output_basis: Tensor,
        strength: float,
    ) -> None:
        super().__init__()
        self.root_weights = weights.sqrt()
        self.input_basis, self.output_basis = input_basis, output_basis
        self.grid = train.fields_out.shape[1:]
        outputs = flat_outputs(train, weights)
        self.mean = outputs.mean(0)
        features = self._features(train.fields_in, train.scalars_in)
        self.centre = features.mean(0)
        spread = features.std(0, correction=0)
        self.spread = torch.where(spread > 1e-6, spread, 1.0)
        standardised = ((features - self.centre) / self.spread).double()
        target = ((outputs - self.mean) @ output_basis).double()
        u, s, vt = torch.linalg.svd(standardised, full_matrices=False)
        shrunk = s / (s**2 + strength * len(features))
        self.coefficients = (vt.T @ (shrunk[:, None] * (u.T @ target))).float()

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        features = (self._features(fields, scalars) - self.centre) / self.spread
        outputs = self.mean + features @ self.coefficients @ self.output_basis.T
        size = int(np.prod(self.grid))
        flat = outputs[:, :size].reshape(len(outputs), *self.grid)
        return flat / self.root_weights, outputs[:, size:]

    def _features(self, fields: Tensor, scalars: Tensor) -> Tensor:
        modes = (fields * self.root_weights).flatten(1) @ self.input_basis
        upper = torch.triu_indices(scalars.shape[1], scalars.shape[1])
        squares = scalars[:, upper[0]] * scalars[:, upper[1]]
        products = (scalars[:, :, None] * modes[:, None, :]).flatten(1)
        return torch.cat([scalars, squares, modes, products], 1)


def flat_outputs(samples: Encoded, weights: Tensor) -> Tensor:
    """All outputs of a sample as one row, scaled so that its squares sum to an integral."""
    return torch.cat([(samples.fields_out * weights.sqrt()).flatten(1), samples.scalars_out], 1)


def pod_basis(snapshots: Tensor, modes: int) -> Tensor:
    """Orthonormal basis ``(size, modes)`` of snapshots ``(sample, size)``, best in L2."""
    modes = min(modes, *snapshots.shape)
    if modes == 0:
        return snapshots.new_zeros(snapshots.shape[1], 0)
    exact = snapshots.double()
    if exact.shape[0] > exact.shape[1]:
        _, vectors = torch.linalg.eigh(exact.T @ exact)
        return vectors.flip(1)[:, :modes].float()
    values, vectors = torch.linalg.eigh(exact @ exact.T)
    values, vectors = values.flip(0)[:modes], vectors.flip(1)[:, :modes]
    kept = values > 1e-14 * values[0]  # smaller ones are rounding of the Gram matrix
    return (exact.T @ vectors[:, kept] / values[kept].sqrt()).float()


def trivial_rivals(dataset: Dataset) -> dict[str, Surrogate]:
    """Fit the trivial rivals on a dataset's train split; the ridge is chosen on the valid split.

    Raises:
        DatasetError: the train or the valid split is empty or incomplete.
    """
    encoding = Encoding.of_dataset(dataset)
    train, weights = encoding.encode(_load_train(dataset)), encoding.weights

    def rival(module: nn.Module) -> Surrogate:
        return Surrogate(dataset.simulation, module, encoding)

    def valid_error(candidate: Surrogate) -> float:
        return float(np.mean(list(evaluate(candidate, dataset, "valid").values())))

    snapshots = Encoded(*(tensor[:SNAPSHOTS] for tensor in train))
    outputs = flat_outputs(snapshots, weights)
    output_basis = pod_basis(outputs - outputs.mean(0), OUTPUT_MODES)
    input_basis = pod_basis((snapshots.fields_in * weights.sqrt()).flatten(1), max(INPUT_MODES))
    ridges = (
        rival(PODRidge(train, weights, input_basis[:, :modes], output_basis, strength))
        for modes in sorted({min(modes, input_basis.shape[1]) for modes in INPUT_MODES})
        for strength in RIDGE_STRENGTHS
    )
    mean = Climatology().build(encoding.signature)
    mean.prepare(*train)
    return {
        "training mean": rival(mean),
        "nearest neighbour": rival(NearestNeighbour(train, weights)),
        "POD ridge regression": min(ridges, key=valid_error),
    }


def _load_train(dataset: Dataset) -> Trajectories:
    """The train split, or as many of its shards as fit into `LIMIT_BYTES`."""
    paths = dataset.shards("train")
    sizes = np.cumsum([path.stat().st_size for path in paths])
    if len(paths) < 2 or sizes[-1] <= LIMIT_BYTES:
        return dataset.load("train")
    fitting = max(1, int(np.searchsorted(sizes, LIMIT_BYTES, side="right")))
    return Trajectories.join(
        [layout.read_shard(path, dataset.simulation) for path in paths[:fitting]]
    )
