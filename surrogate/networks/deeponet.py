"""The deep operator network: coefficients from the inputs, basis functions from the coordinates.

References:
    Lu, Jin, Pang, Zhang, Karniadakis, Learning nonlinear operators via DeepONet based on the
    universal approximation theorem of operators, Nature Machine Intelligence 3 (2021) 218.
    Lu et al., A comprehensive and fair comparison of two neural operators (with practical
    extensions) based on FAIR data, Computer Methods in Applied Mechanics and Engineering 393 (2022)
    114778: several outputs, features of periodic coordinates.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from surrogate.networks.convolutional_branch import ConvolutionalBranch
from surrogate.networks.geometry import coordinates
from surrogate.networks.network import Network, Signature
from surrogate.networks.perceptron import Perceptron, joined_size


class DeepONet(Network):
    """Products of a branch network of the inputs and a trunk network of the coordinates.

        y_fc(x) = p^(−1/2) Σ_k b_fk(inputs) t_fck(x) + c_fc,    k = 1 … p

    for the channel c, a stored time or component, of the field f. All channels of a field share the
    coefficients of the branch and have basis functions of their own: a basis function is one of
    space and time. The trunk takes ``sin 2πjx, cos 2πjx`` on periodic axes and ``2x − 1, cos πjx``
    on others, j up to ``frequencies``. Scalar outputs are further outputs of the branch.

    The sensors of the branch are the points of the grid, which is therefore fixed.

    Args:
        basis: number p of basis functions for each field.
        width: of the hidden layers of both networks.
        layers: residual blocks of the branch.
        trunk_layers: residual blocks of the trunk.
        frequencies: of the coordinates.
        branch: how fields go in: ``"dense"`` or ``"convolution"``, see `ConvolutionalBranch`.

    Raises:
        ValueError: if a setting is out of range, or there is no grid or too large a one.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 200, "batch_size": 32, "learning_rate": 2e-3}
    position: Tensor

    def __init__(
        self,
        basis: int = 64,
        width: int = 128,
        layers: int = 3,
        trunk_layers: int = 2,
        frequencies: int = 8,
        branch: str = "dense",
    ) -> None:
        super().__init__(
            basis=basis,
            width=width,
            layers=layers,
            trunk_layers=trunk_layers,
            frequencies=frequencies,
            branch=branch,
        )
        self._check_at_least_one("basis", "width", "layers", "trunk_layers", "frequencies")
        if branch not in ("dense", "convolution"):
            raise ValueError(f"branch={branch!r}: must be 'dense' or 'convolution'")

    def create_layers(self, signature: Signature) -> None:
        grid, channels = signature.grid, signature.out_channels
        if not grid or not channels:
            raise ValueError(
                f"grid={grid}, out_channels={channels}: DeepONet gives fields; MLP gives scalars"
            )
        basis, width = self.config["basis"], self.config["width"]
        self.convolutions = None
        if self.config["branch"] == "convolution":
            self.convolutions = ConvolutionalBranch(signature)
            sensors = self.convolutions.size
        else:
            sensors = joined_size(math.prod(grid), signature.in_channels, signature.in_scalars)
        self.coefficients = basis * len(signature.field_channels)
        self.branch = Perceptron(
            sensors, width, self.config["layers"], self.coefficients + signature.out_scalars
        )
        position = coordinates(
            grid,
            signature.periodic,
            signature.placement,
            [True] * len(grid),
            self.config["frequencies"],
        ).flatten(0, -2)
        self.register_buffer("position", position.float(), persistent=False)
        self.trunk = Perceptron(
            position.shape[1], width, self.config["trunk_layers"], channels * basis
        )
        self.bias = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        assert self.signature is not None
        basis, batch = self.config["basis"], fields.shape[0]
        if self.convolutions is None:
            sensors = torch.cat([fields.flatten(1), scalars], dim=1)
        else:
            sensors = self.convolutions(fields, scalars)
        b = self.branch(sensors)
        b, out_scalars = b.split([self.coefficients, self.signature.out_scalars], dim=1)
        t = self.trunk(self.position).reshape(len(self.position), -1, basis) / math.sqrt(basis)
        parts = [
            (by_field @ functions.flatten(0, 1).T).reshape(batch, len(self.position), -1)
            for by_field, functions in zip(
                b.split(basis, dim=1), t.split(list(self.signature.field_channels), 1), strict=True
            )
        ]
        y = torch.cat(parts, dim=-1) + self.bias
        return y.reshape(batch, *self.signature.grid, -1), out_scalars
