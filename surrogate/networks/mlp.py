"""The multilayer perceptron: all inputs in one vector, all outputs in one vector.

References:
    He et al., Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from surrogate.networks.network import Network, Signature
from surrogate.networks.perceptron import Perceptron, joined_size


class MLP(Network):
    """Residual multilayer perceptron, see `Perceptron` for its equation.

    The natural choice where outputs are scalars, such as the trajectory of an ordinary differential
    equation, or small fields. A field is flattened: neighbours mean nothing to it.

    Args:
        width: of the hidden layers.
        layers: residual blocks.

    Raises:
        ValueError: if a setting is out of range, or a problem has too many values.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 400, "batch_size": 32, "learning_rate": 2e-3}

    def __init__(self, width: int = 256, layers: int = 3) -> None:
        super().__init__(width=width, layers=layers)
        self._check_at_least_one("width", "layers")

    def create_layers(self, signature: Signature) -> None:
        points = math.prod(signature.grid)
        inputs = joined_size(points, signature.in_channels, signature.in_scalars)
        outputs = joined_size(points, signature.out_channels, signature.out_scalars)
        self.perceptron = Perceptron(inputs, self.config["width"], self.config["layers"], outputs)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        assert self.signature is not None
        grid, channels = self.signature.grid, self.signature.out_channels
        y = self.perceptron(torch.cat([fields.flatten(1), scalars], dim=1))
        split = [y.shape[1] - self.signature.out_scalars, self.signature.out_scalars]
        flat, out_scalars = y.split(split, dim=1)
        return flat.reshape(y.shape[0], *grid, channels), out_scalars
