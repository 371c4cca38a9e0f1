"""Proper orthogonal decomposition: fields as a few coefficients of a basis learnt from data.

References:
    Hesthaven, Ubbiali, Non-intrusive reduced order modeling of nonlinear problems using neural
    networks, Journal of Computational Physics 363 (2018) 55.
"""

import itertools
import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from surrogate.networks.convolutional_branch import ConvolutionalBranch
from surrogate.networks.network import Network, Signature


class PODDecoder(Network):
    """Base of networks that answer with coefficients of an orthonormal basis of each output field.

    A basis is made of the principal directions of the training fields, each divided by its own
    norm: it is relative errors that count, and the weak fields of a set count as much as the strong
    ones.
    """

    modes: int

    def create_layers(self, signature: Signature) -> None:
        points = math.prod(signature.grid)
        self.ranks = []
        for i, channels in enumerate(signature.field_channels):
            self.ranks.append(min(self.modes, points * channels))
            self.register_buffer(f"basis_{i}", torch.zeros(self.ranks[-1], points * channels))
        # The scalar outputs follow the coefficients of the fields
        self.ranks.append(signature.out_scalars)

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        assert self.signature is not None
        targets, weights = [], []
        channels = out_fields.double().split(list(self.signature.field_channels), dim=-1)
        for i, field in enumerate(channels):
            snapshots = field.flatten(1)
            weight = 1 / snapshots.norm(dim=1, keepdim=True).clamp_min(1e-12)
            basis = getattr(self, f"basis_{i}")
            vectors = principal_directions(weight * snapshots, len(basis))
            basis[: len(vectors)] = vectors
            targets.append(snapshots @ basis.double().T)
            weights.append(weight)
        for value in out_scalars.double().unbind(dim=1):
            targets.append(value[:, None])
            weights.append(1 / value[:, None].abs().clamp_min(1e-12))
        self.fit(fields, scalars, targets, weights)

    @abstractmethod
    def fit(
        self, fields: Tensor, scalars: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> None:
        """Look at the coefficients that training data have.

        Args:
            fields: inputs ``(samples, *grid, in_channels)``.
            scalars: inputs ``(samples, in_scalars)``.
            targets: for each field its coefficients ``(samples, rank)``, then one ``(samples, 1)``
                for each scalar output, in float64.
            weights: for each of these the inverse size of the samples, ``(samples, 1)``.
        """

    def decode(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Fields and scalars from ``(batch, sum of ranks)``."""
        assert self.signature is not None
        *latent, scalars = coefficients.split(self.ranks, dim=1)
        shape = (coefficients.shape[0], *self.signature.grid)
        parts = [
            (z @ getattr(self, f"basis_{i}")).reshape(*shape, channels)
            for i, (z, channels) in enumerate(
                zip(latent, self.signature.field_channels, strict=True)
            )
        ]
        fields = torch.cat(parts, dim=-1) if parts else coefficients.new_empty(*shape, 0)
        return fields, scalars


class PODInputs(nn.Module):
    """Scalars and whitened POD coefficients of the field inputs, ``(batch, size)``.

    Args:
        signature: sizes of the problem.
        modes: coefficients of all field inputs together, at most.
    """

    basis: Tensor

    def __init__(self, signature: Signature, modes: int) -> None:
        super().__init__()
        values = math.prod(signature.grid) * signature.in_channels
        rank = min(modes, values)
        self.register_buffer("basis", torch.zeros(values, rank))
        self.size = signature.in_scalars + rank

    def fit(self, fields: Tensor) -> None:
        """Take the basis from training inputs ``(samples, *grid, in_channels)``."""
        if fields.shape[-1]:
            snapshots = fields.double().flatten(1)
            vectors = principal_directions(snapshots, self.basis.shape[1])
            spread = (snapshots @ vectors.T).std(dim=0).clamp_min(1e-12)
            self.basis[:, : len(vectors)] = (vectors / spread[:, None]).T

    def forward(self, fields: Tensor, scalars: Tensor) -> Tensor:
        if not fields.shape[-1]:
            return scalars
        return torch.cat([scalars, fields.flatten(1) @ self.basis], dim=1)


class PODNet(PODDecoder):
    """POD coefficients of the outputs by a multilayer perceptron.

        y(x) = Σ_k Φ_k(x) (m_k + σ_k b_k(inputs))

    with the mean m and the deviation σ of the training coefficients. The perceptron b takes the
    scalars and, where there are field inputs, their whitened POD coefficients or what a
    convolutional branch makes of them. That is POD-DeepONet (Lu et al. 2022, section 3.1.3), whose
    trunk is the POD basis: it has no class of its own here.

    Args:
        modes: basis vectors for each output field and each field input, at most.
        width: of the hidden layers.
        layers: hidden layers.
        branch: how fields go in: ``"pod"`` or ``"convolution"``, see `ConvolutionalBranch`.

    References:
        Lu et al., A comprehensive and fair comparison of two neural operators (with practical
        extensions) based on FAIR data, Computer Methods in Applied Mechanics and Engineering 393
        (2022) 114778.
    """

    mean: Tensor
    deviation: Tensor

    recipe: ClassVar[dict[str, Any]] = {"epochs": 300, "batch_size": 32, "learning_rate": 3e-3}

    def __init__(
        self, modes: int = 48, width: int = 128, layers: int = 3, branch: str = "pod"
    ) -> None:
        super().__init__(modes=modes, width=width, layers=layers, branch=branch)
        self._check_at_least_one("modes", "width", "layers")
        if branch not in ("pod", "convolution"):
            raise ValueError(f"branch={branch!r}: must be 'pod' or 'convolution'")
        self.modes, self.width, self.layers = modes, width, layers

    def create_layers(self, signature: Signature) -> None:
        super().create_layers(signature)
        self.inputs: PODInputs | ConvolutionalBranch
        if self.config["branch"] == "convolution":
            self.inputs = ConvolutionalBranch(signature)
        else:
            self.inputs = PODInputs(signature, self.modes * signature.in_channels)
        outputs = sum(self.ranks)
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("deviation", torch.ones(outputs))
        sizes = [self.inputs.size, *[self.width] * self.layers]
        hidden: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            hidden += [nn.Linear(before, after), nn.GELU()]
        self.perceptron = nn.Sequential(*hidden, nn.Linear(self.width, outputs))

    def fit(
        self, fields: Tensor, scalars: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> None:
        coefficients = torch.cat(targets, dim=1)
        self.mean.copy_(coefficients.mean(dim=0))
        self.deviation.copy_(coefficients.std(dim=0).clamp_min(1e-12))
        if isinstance(self.inputs, PODInputs):
            self.inputs.fit(fields)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        whitened = self.perceptron(self.inputs(fields, scalars))
        return self.decode(torch.addcmul(self.mean, self.deviation, whitened))


def principal_directions(snapshots: Tensor, count: int) -> Tensor:
    """The first principal directions ``(≤ count, features)`` of ``(samples, features)``.

    By the eigenvectors of the smaller of the two Gram matrices, which squares the singular values:
    those below a millionth of the largest are noise and left out.
    """
    if len(snapshots) < snapshots.shape[1]:
        values, vectors = torch.linalg.eigh(snapshots @ snapshots.T)
        directions = vectors.T @ snapshots / values.clamp_min(1e-300).sqrt()[:, None]
    else:
        values, vectors = torch.linalg.eigh(snapshots.T @ snapshots)
        directions = vectors.T
    significant = int((values > 1e-12 * values[-1]).sum())
    return directions.flip(0)[: min(count, significant)]
