"""What a network must beat: the mean, the first frame, and linear regression.

They are fitted by `prepare` and have nothing to learn afterwards.
"""

import torch
from torch import Tensor

from surrogate.networks.network import Network, Signature
from surrogate.networks.pod import PODDecoder, PODInputs
from surrogate.networks.regression import ridge_regression


class Climatology(Network):
    """The mean of the training outputs, whatever the inputs."""

    mean_fields: Tensor
    mean_scalars: Tensor

    def __init__(self) -> None:
        super().__init__()

    def create_layers(self, signature: Signature) -> None:
        shape = (*signature.grid, signature.out_channels)
        self.register_buffer("mean_fields", torch.zeros(shape))
        self.register_buffer("mean_scalars", torch.zeros(signature.out_scalars))

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        self.mean_fields.copy_(out_fields.double().mean(dim=0))
        self.mean_scalars.copy_(out_scalars.double().mean(dim=0))

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        batch = fields.shape[0]
        mean_fields = self.mean_fields.expand(batch, *self.mean_fields.shape)
        return mean_fields.clone(), self.mean_scalars.expand(batch, -1).clone()


class Persistence(Climatology):
    """The first frame at all stored times; the training mean of what has no given first frame.

    Raises:
        ValueError: if no field has a given first frame.
    """

    adds_first_frames = True
    first_frames: Tensor

    def create_layers(self, signature: Signature) -> None:
        if max(signature.initial, default=-1) < 0:
            raise ValueError(
                f"initial={signature.initial}: Persistence needs a field whose first frame is given"
            )
        super().create_layers(signature)
        sources = torch.tensor(signature.first_frames, dtype=torch.long)
        self.register_buffer("first_frames", sources, persistent=False)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        mean_fields, mean_scalars = super().forward(fields, scalars)
        known = fields.index_select(-1, self.first_frames.clamp_min(0))
        return torch.where(self.first_frames >= 0, known, mean_fields), mean_scalars


class PODLinear(PODDecoder):
    """POD coefficients of the outputs as linear functions of the inputs.

        y = Φ (A [1, parameters, POD coefficients of the field inputs])

    Ridge regression; the penalty of the smallest leave-one-out error, for each field.

    Args:
        modes: basis vectors for each output field, at most.
        input_modes: basis vectors for each channel of the field inputs, at most.
    """

    coefficients: Tensor

    def __init__(self, modes: int = 64, input_modes: int = 64) -> None:
        super().__init__(modes=modes, input_modes=input_modes)
        self._check_at_least_one("modes", "input_modes")
        self.modes = modes

    def create_layers(self, signature: Signature) -> None:
        super().create_layers(signature)
        self.inputs = PODInputs(signature, self.config["input_modes"] * signature.in_channels)
        self.register_buffer("coefficients", torch.zeros(1 + self.inputs.size, sum(self.ranks)))

    def fit(
        self, fields: Tensor, scalars: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> None:
        self.inputs.fit(fields)
        terms = self.terms(fields, scalars).double()
        penalties = [
            torch.full((terms.shape[1],), 10.0**k, dtype=torch.float64) for k in range(-8, 3)
        ]
        fitted = []
        count = len(self.ranks) - 1
        for target, weight in zip(targets[:count], weights[:count], strict=True):
            fitted.append(ridge_regression(terms, target, weight, penalties))
        if targets[count:]:
            # Scalars may be the many frames of a trajectory, and zero at some: they weigh the same
            equal = torch.ones(len(terms), 1, dtype=torch.float64)
            together = torch.cat(targets[count:], dim=1)
            fitted.append(ridge_regression(terms, together, equal, penalties))
        self.coefficients.copy_(torch.cat(fitted, dim=1))

    def terms(self, fields: Tensor, scalars: Tensor) -> Tensor:
        inputs = self.inputs(fields, scalars)
        return torch.cat([torch.ones_like(inputs[:, :1]), inputs], dim=1)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        return self.decode(self.terms(fields, scalars) @ self.coefficients)
