"""Convolutions over neighbouring points, channels last, that know what bounds each axis."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Module):
    """``v_i = Σ_δ (W_δ u_{i + d δ} + m_δ [i + d δ is a point])`` with the dilation ``d``.

    Periodic axes wrap around. Beyond the ends of the others ``u`` is 0 and so is the indicator in
    brackets, which is how the map knows where the domain ends; on a fully periodic grid ``Σ m_δ``
    is a bias.

    Args:
        in_channels: of ``u``.
        out_channels: of ``v``.
        kernel: number of ``δ`` along each axis, odd.
        periodic: whether each axis is periodic.
        dilation: distance of neighbours that are combined, in points.
        depthwise: each channel by itself; ``in_channels`` and ``out_channels`` agree.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        periodic: Sequence[bool],
        dilation: int = 1,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.periodic, self.dilation = tuple(periodic), dilation
        self.groups = in_channels if depthwise else 1
        taps = (kernel,) * len(self.periodic)
        fan_in = in_channels // self.groups * math.prod(taps)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // self.groups, *taps))
        ends = (1,) * len(taps) if all(self.periodic) else taps
        self.inside = nn.Parameter(torch.zeros(out_channels, 1, *ends))
        nn.init.normal_(self.weight, std=1 / math.sqrt(fan_in))

    def forward(self, u: Tensor) -> Tensor:
        """Convolve ``(batch, *grid, in_channels)``; the grid is kept."""
        reach = self.dilation * (self.weight.shape[2] // 2)
        grid = u.shape[1:-1]
        for axis, wraps in enumerate(self.periodic):
            if wraps:
                u = _wrapped(u, axis + 1, reach)
        if all(self.periodic):
            return self._convolve(u, self.weight, self.inside.flatten(), self.groups)
        mask = u.new_ones(1, *u.shape[1:-1], 1)
        border = self._convolve(mask, self.inside, None, 1)
        return self._convolve(u, self.weight, None, self.groups) + border.expand(-1, *grid, -1)

    def _convolve(self, u: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        # One axis is taken as an image one point wide: only images and volumes come channels last
        axes = len(self.periodic)
        padding = [
            0 if wraps else self.dilation * (taps // 2)
            for wraps, taps in zip(self.periodic, weight.shape[2:], strict=True)
        ]
        if axes == 1:
            u, weight, padding = u[:, :, None], weight[..., None], [*padding, 0]
        convolve = F.conv3d if axes == 3 else F.conv2d
        v = convolve(
            u.movedim(-1, 1), weight, bias, padding=padding, dilation=self.dilation, groups=groups
        ).movedim(1, -1)
        return v[:, :, 0] if axes == 1 else v


def _wrapped(u: Tensor, axis: int, reach: int) -> Tensor:
    """``u`` continued periodically by ``reach`` points on both sides."""
    n = u.shape[axis]
    if reach <= n:
        first, last = u.narrow(axis, 0, reach), u.narrow(axis, n - reach, reach)
        return torch.cat([last, u, first], dim=axis)
    return u.index_select(axis, torch.arange(-reach, n + reach, device=u.device) % n)


def check_kernel(kernel: int) -> None:
    """Raise ValueError unless a kernel has a point in the middle."""
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel={kernel}: must be odd and at least 1")
