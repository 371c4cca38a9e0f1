"""From fields on a grid to one vector, by convolutions that halve the grid."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.network import Signature

COARSEST = 4
CONVOLUTIONS: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class ConvolutionalBranch(nn.Module):
    """Strided convolutions down to a few points, flattened and joined with the scalars.

    Kernels have three points and a stride of two along axes that are still longer than four
    points; they wrap around on periodic axes and see zeros beyond walls.

    Args:
        signature: sizes of the problem.
        width: channels after the first convolution; they double with each, up to four times that.

    Attributes:
        size: entries of the vector.

    Raises:
        ValueError: if there are fields, but not on a grid of one to three axes.
    """

    def __init__(self, signature: Signature, width: int = 16) -> None:
        super().__init__()
        self.periodic = signature.periodic
        self.levels = nn.ModuleList()
        grid, channels = list(signature.grid), signature.in_channels
        if channels and len(grid) not in CONVOLUTIONS:
            raise ValueError(f"grid={signature.grid}: convolutions need one, two or three axes")
        while channels and (not self.levels or max(grid) > COARSEST):
            stride = tuple(2 if n > COARSEST else 1 for n in grid)
            wider = min(4 * width, width * 2 ** len(self.levels))
            self.levels.append(CONVOLUTIONS[len(grid)](channels, wider, 3, stride=stride))
            grid = [-(-n // s) for n, s in zip(grid, stride, strict=True)]
            channels = wider
        self.size = signature.in_scalars + math.prod(grid) * channels

    def forward(self, fields: Tensor, scalars: Tensor) -> Tensor:
        if not self.levels:
            return scalars
        x = fields.movedim(-1, 1)
        for level in self.levels:
            for axis, wraps in enumerate(self.periodic):
                x = _extended(x, 2 + axis, wraps)
            x = F.gelu(level(x))
        return torch.cat([scalars, x.flatten(1)], dim=1)


def _extended(x: Tensor, axis: int, periodic: bool) -> Tensor:
    """One point more at each end of an axis."""
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
    ends = (last, first) if periodic else (torch.zeros_like(first), torch.zeros_like(last))
    return torch.cat([ends[0], x, ends[1]], dim=axis)
