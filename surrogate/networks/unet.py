"""U-Net of ConvNeXt blocks, with sizes that need not be powers of two.

References:
    O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for biomedical image
    segmentation", MICCAI 2015, arXiv:1505.04597.
    Z. Liu et al., "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545 (the blocks).
    J. Gupta, J. Brandstetter, "Towards multi-spatiotemporal-scale generalized PDE modeling",
    TMLR 2023, arXiv:2209.15616 (U-Nets as surrogates, conditioning on parameters).
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from surrogate.networks.convolution import Convolution, check_kernel
from surrogate.networks.geometry import resampling
from surrogate.networks.grid_network import Geometry, GridNetwork, modulated
from surrogate.networks.network import Signature
from surrogate.networks.pointwise import Pointwise, mlp

Resamplings = list[list[tuple[Tensor, Tensor] | None]]
"""For each step down, for each axis, the matrices there and back; None where it keeps its size."""


class ConvNeXtBlock(nn.Module):
    """``x + g ⊙ MLP((1 + γ) ⊙ GroupNorm(C x) + β)`` with a depthwise convolution ``C``."""

    def __init__(
        self, width: int, kernel: int, groups: int, expansion: float, periodic: Sequence[bool]
    ) -> None:
        super().__init__()
        self.neighbours = Convolution(width, width, kernel, periodic, depthwise=True)
        self.norm = nn.GroupNorm(math.gcd(groups, width), width)
        self.mix = mlp(width, round(expansion * width), width)
        self.gate = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor, modulation: Tensor | None) -> Tensor:
        y = self.norm(self.neighbours(x).movedim(-1, 1)).movedim(1, -1)
        return torch.addcmul(x, self.gate, self.mix(modulated(y, modulation)))


class UNet(GridNetwork):
    """U-Net on 1-D, 2-D and 3-D grids, channels last.

    On the way down, at each level ``s``, ConvNeXt blocks are followed by averages over about twice
    as large cells and a linear map to twice the channels; on the way up by a linear map to half the
    channels, linear interpolation and the sum with what the level had before:

        block(x)  = x + g ⊙ MLP((1 + γ) ⊙ GroupNorm(C x) + β)
        x_{s+1}   = D_s blocks(x_s) A_s
        x_s'      = blocks(x_s + U_s x_{s+1}' B_s)

    with depthwise `Convolution` ``C``; for the lift, the projection, ``γ``, ``β`` and scalar
    outputs see `GridNetwork`. The averages ``D_s`` and interpolations ``U_s`` are matrices for each
    axis between ``n`` and ``⌈n/2⌉`` cells over the same domain, wrapped around where it is
    periodic: an odd axis is neither padded nor cropped, and has no seam. Axes of less than four
    points keep their size.

    On a fully periodic grid without coordinates the map commutes with translations by
    ``2^levels`` points if these divide the grid. Its reach is counted in points: it belongs to the
    grid it was trained on.

    Args:
        width: channels at the finest level; they double at each coarser one.
        levels: steps down.
        blocks: ConvNeXt blocks at each level, once on the way down and once on the way up.
        kernel: points along each axis that a convolution combines, odd.
        expansion: ratio of hidden to outer width in a block.
        groups: of channels that are normalised together, at most.
        projection: hidden width of the output MLPs.
        coordinates: append coordinates of periodic axes too.

    Raises:
        ValueError: if a setting is out of range.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 100, "batch_size": 8, "learning_rate": 4e-3}

    def __init__(
        self,
        width: int = 32,
        levels: int = 3,
        blocks: int = 1,
        kernel: int = 5,
        expansion: float = 2.0,
        groups: int = 4,
        projection: int = 128,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            width=width,
            levels=levels,
            blocks=blocks,
            kernel=kernel,
            expansion=expansion,
            groups=groups,
            projection=projection,
            coordinates=coordinates,
        )
        self._check_at_least_one("levels", "blocks", "groups")
        check_kernel(kernel)
        if round(expansion * width) < 1:
            raise ValueError(f"expansion={expansion}: leaves no channel of width={width}")

    def create_blocks(self, signature: Signature) -> list[int]:
        config = self.config
        self.levels = len(_sizes(signature.grid, config["levels"])) - 1
        widths = [config["width"] * 2**level for level in range(self.levels + 1)]
        down = widths[:-1] + widths[-1:]
        up = widths[-2::-1]
        self.blocks = nn.ModuleList()
        channels = []
        for width in [*down, *up]:
            for _ in range(config["blocks"]):
                self.blocks.append(
                    ConvNeXtBlock(
                        width,
                        config["kernel"],
                        config["groups"],
                        config["expansion"],
                        signature.periodic,
                    )
                )
                channels.append(width)
        self.widen = nn.ModuleList(Pointwise(n, 2 * n) for n in widths[:-1])
        self.narrow = nn.ModuleList(Pointwise(2 * n, n) for n in widths[:-1])
        return channels

    def create_operators(self, grid: tuple[int, ...], like: Tensor) -> Resamplings:
        assert self.signature is not None
        sizes = _sizes(grid, self.levels)
        return [
            [
                None if n == m else _to(resampling(n, m, wraps), like)
                for n, m, wraps in zip(fine, coarse, self.signature.periodic, strict=True)
            ]
            for fine, coarse in itertools.pairwise(sizes)
        ]

    def transform(self, x: Tensor, here: Geometry, modulations: Sequence[Tensor | None]) -> Tensor:
        count = self.config["blocks"]
        steps = iter(zip(self.blocks, modulations, strict=True))

        def blocks(x: Tensor) -> Tensor:
            for _ in range(count):
                block, modulation = next(steps)
                x = block(x, modulation)
            return x

        skipped = []
        for resample, widen in zip(here.operators, self.widen, strict=True):
            x = blocks(x)
            skipped.append(x)
            x = widen(_resampled(x, resample, 0))
        x = blocks(x)
        for level in reversed(range(self.levels)):
            x = skipped[level] + _resampled(self.narrow[level](x), here.operators[level], 1)
            x = blocks(x)
        return x


def _sizes(grid: Sequence[int], levels: int) -> list[tuple[int, ...]]:
    """The grids of all levels, from the finest: as many as there is something to halve."""
    sizes = [tuple(grid)]
    while len(sizes) <= levels and max(sizes[-1]) >= 4:
        sizes.append(tuple((n + 1) // 2 if n >= 4 else n for n in sizes[-1]))
    return sizes


def _to(matrices: tuple[Tensor, Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    return matrices[0].to(like), matrices[1].to(like)


def _resampled(x: Tensor, matrices: list[tuple[Tensor, Tensor] | None], way: int) -> Tensor:
    """Apply a matrix along each axis of ``(batch, *grid, channels)``."""
    batch, *grid, channels = x.shape
    for axis, pair in enumerate(matrices):
        if pair is not None:
            matrix = pair[way]
            x = matrix @ x.reshape(batch * math.prod(grid[:axis]), grid[axis], -1)
            grid[axis] = matrix.shape[0]
    return x.reshape(batch, *grid, channels)
