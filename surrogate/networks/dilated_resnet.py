"""Residual network of dilated convolutions.

References:
    K. Stachenfeld et al., "Learned coarse models for efficient turbulence simulation", ICLR 2022,
    arXiv:2112.15275 (Dil-ResNet).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.convolution import Convolution, check_kernel
from surrogate.networks.grid_network import Geometry, GridNetwork, modulated
from surrogate.networks.network import Signature


class DilatedBlock(nn.Module):
    """One block of :class:`DilatedResNet`: its convolutions and the residual around them."""

    def __init__(
        self, width: int, kernel: int, dilations: Sequence[int], periodic: Sequence[bool]
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            Convolution(width, width, kernel, periodic, dilation) for dilation in dilations
        )

    def forward(self, x: Tensor, here: Geometry, modulation: Tensor | None) -> Tensor:
        first, *others = self.convolutions
        y = modulated(first(x), modulation)
        for convolution in others:
            y = convolution(F.relu(y))
        return x + F.relu(y)


class DilatedResNet(GridNetwork):
    """Dil-ResNet: large receptive fields at full resolution, on 1-D, 2-D and 3-D grids.

        y       = (1 + γ_l) ⊙ C_{d_1} x_l + β_l
        y       ← C_{d_j} ReLU(y),   j = 2 … J
        x_{l+1} = x_l + ReLU(y)

    with `Convolution` ``C_d`` of dilation ``d``; for the lift, the projection, ``γ_l``, ``β_l`` and
    scalar outputs see `GridNetwork`. A dilation that would wrap around a periodic axis is halved
    until it does not.

    On a fully periodic grid without coordinates the map commutes with translations. Its reach is
    counted in points: it belongs to the grid it was trained on.

    Args:
        width: channels of the hidden fields; 48 in the paper.
        layers: number of blocks.
        dilations: of the convolutions of each block.
        kernel: points along each axis that a convolution combines, odd.
        projection: hidden width of the output MLPs.
        coordinates: append coordinates of periodic axes too.

    Raises:
        ValueError: if a setting is out of range.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 100, "batch_size": 8, "learning_rate": 3e-3}

    def __init__(
        self,
        width: int = 32,
        layers: int = 4,
        dilations: Sequence[int] = (1, 2, 4, 8, 4, 2, 1),
        kernel: int = 3,
        projection: int = 128,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            width=width,
            layers=layers,
            dilations=list(dilations),
            kernel=kernel,
            projection=projection,
            coordinates=coordinates,
        )
        self._check_at_least_one("layers", "dilations")
        check_kernel(kernel)

    def create_blocks(self, signature: Signature) -> list[int]:
        width, kernel = self.config["width"], self.config["kernel"]
        shortest = min(
            (n for n, wraps in zip(signature.grid, signature.periodic, strict=True) if wraps),
            default=None,
        )
        dilations = []
        for dilation in self.config["dilations"]:
            while shortest is not None and dilation > 1 and dilation * (kernel - 1) >= shortest:
                dilation //= 2
            dilations.append(dilation)
        self.blocks = nn.ModuleList(
            DilatedBlock(width, kernel, dilations, signature.periodic)
            for _ in range(self.config["layers"])
        )
        return [width] * self.config["layers"]
