"""Fourier transforms of real fields as small real matrix products, and convolutions by them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from surrogate.networks.geometry import positions, quadrature, representable
from surrogate.networks.network import Placement, Signature, default_placement

Transforms = list[tuple[Tensor, Tensor]]
"""For each axis the matrix to Fourier coefficients and the matrix back to grid values."""


def fourier_transforms(
    grid: Sequence[int],
    modes: Sequence[int],
    periodic: Sequence[bool],
    padding: float = 0.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    placement: Sequence[Placement] | None = None,
) -> Transforms:
    """Matrices of the Fourier transform of real fields, truncated to ``|k| < modes`` on each axis.

    A field of period ``P`` has the coefficients ``c_k = (1/P) ∫ u(x) exp(-2πi k x / P) dx``. On a
    periodic axis ``P = 1`` and the matrices are those of the FFT with ``norm="forward"``. On any
    other axis the integral runs over the domain only and ``P = 1 + padding``: the field is extended
    by zero, at no cost. The points are where they are, each weighted by what it stands for. The
    coefficients do not depend on the resolution; frequencies that a grid cannot represent are left
    out on that grid.

    Complex numbers are pairs of real ones: for the last axis the coefficients are stored as
    ``(2, k)`` for ``k = 0 … modes-1``; for the others ``k = 1-modes … modes-1``, and values are
    stored as ``(n, 2)`` and coefficients as ``(2, k)``. This order makes every step of
    :class:`SpectralConv` a product of contiguous arrays.

    Args:
        grid: number of points along each axis.
        modes: number of frequencies ``0 … modes-1`` along each axis.
        periodic: whether each axis is periodic.
        padding: length of the extension by zero of the other axes, as a fraction of the domain.
        dtype: of the matrices; they are computed in float64.
        device: of the matrices.
        placement: of the points of each axis, as in `Signature` and with its default.

    Returns:
        Pairs of matrices: on the last axis ``(2k, n)`` and ``(n, 2k)``, before it ``(2k, 2n)`` and
        ``(2n, 2k)``.
    """
    if placement is None:
        placement = default_placement(periodic)
    transforms = []
    for axis, (n, kept, wraps, place) in enumerate(
        zip(grid, modes, periodic, placement, strict=True)
    ):
        last = axis == len(grid) - 1
        period = 1.0 if wraps else 1.0 + padding
        x = positions(n, wraps, place)
        k = torch.arange(0 if last else 1 - kept, kept, dtype=torch.float64)
        phase = 2 * math.pi * torch.outer(x, k) / period
        cos, sin = phase.cos(), phase.sin()
        share = quadrature(n, wraps, place)[:, None] / period
        weight = share * (k.abs() < representable(n, wraps, place) * period)
        if last:
            # c_-k is the conjugate of c_k: both halves of the sum are in the factor 2.
            halves = 2.0 - (k == 0).double()
            analysis = torch.cat([cos * weight, -sin * weight], dim=1).T
            synthesis = torch.cat([cos * halves, -sin * halves], dim=1)
        else:
            turn = torch.stack([cos, sin, -sin, cos]).reshape(2, 2, n, 2 * kept - 1)
            analysis = (turn * weight).permute(0, 3, 2, 1).reshape(2 * len(k), 2 * n)
            synthesis = turn.permute(2, 1, 0, 3).reshape(2 * n, 2 * len(k))
        transforms.append(
            (
                analysis.contiguous().to(device, dtype),
                synthesis.contiguous().to(device, dtype),
            )
        )
    return transforms


def kept_modes(signature: Signature, modes: int | Sequence[int], padding: float) -> list[int]:
    """Of the frequencies asked for, how many the grid of a signature can represent on each axis.

    Raises:
        ValueError: ``modes`` has not one number for each axis.
    """
    grid = signature.grid
    modes = [modes] * len(grid) if isinstance(modes, int) else modes
    if len(modes) != len(grid):
        raise ValueError(f"modes={modes}: one number for each axis of grid={grid} is needed")
    axes = zip(grid, signature.periodic, signature.placement, strict=True)
    # k < limit stays clear of the Nyquist frequency, whose sine vanishes on the grid.
    limits = [representable(*axis) * (1.0 if axis[1] else 1.0 + padding) for axis in axes]
    return [max(1, min(k, math.ceil(limit))) for k, limit in zip(modes, limits, strict=True)]


class SpectralConv(nn.Module):
    """Convolution with a band-limited kernel, ``v(x) = Re Σ_k exp(2πi k·x) W_k c_k(u)``.

    Args:
        in_channels: channels of ``u``.
        out_channels: channels of ``v``.
        modes: number of frequencies ``0 … modes-1`` along each axis.

    Attributes:
        weight: ``W``, shape ``(2, frequencies, in_channels, out_channels)``: real and imaginary
            part; the frequencies of all axes flattened in the order of :func:`fourier_transforms`.
    """

    def __init__(self, in_channels: int, out_channels: int, modes: Sequence[int]) -> None:
        super().__init__()
        frequencies = math.prod(2 * k - 1 for k in modes[:-1]) * modes[-1]
        self.weight = spectral_weight(frequencies, in_channels, out_channels)

    def forward(self, u: Tensor, transforms: Transforms, onto: Tensor | None = None) -> Tensor:
        """Convolve ``u`` of shape ``(batch, *grid, in_channels)``; the grid is kept.

        Adding the result to ``onto`` here saves a pass over memory.
        """
        return convolved(u, self.weight, transforms, onto)


def spectral_weight(frequencies: int, in_channels: int, out_channels: int) -> nn.Parameter:
    """A random weight of :class:`SpectralConv`."""
    # By Parseval a standard deviation of 1 / sqrt(2 in_channels) would preserve the variance of a
    # band-limited field. A tenth of it starts a network as a nearly local map, from which it trains
    # to a lower error.
    weight = torch.empty(2, frequencies, in_channels, out_channels)
    return nn.Parameter(nn.init.normal_(weight, std=0.1 / math.sqrt(2 * in_channels)))


def convolved(
    u: Tensor, weight: Tensor, transforms: Transforms, onto: Tensor | None = None
) -> Tensor:
    """What :class:`SpectralConv` does, with these weights."""
    batch, *grid, _ = u.shape
    _, frequencies, in_channels, out_channels = weight.shape
    c = u
    for axis in reversed(range(len(grid))):
        analysis, _ = transforms[axis]
        c = analysis @ c.reshape(batch * math.prod(grid[:axis]), analysis.shape[1], -1)
    c = c.reshape(batch, 2, frequencies, in_channels).permute(2, 1, 0, 3)
    real, imag = multiplied(c.reshape(frequencies, 2 * batch, in_channels), weight)
    v = torch.stack([real.transpose(0, 1), imag.transpose(0, 1)], dim=1)
    for axis, (_, synthesis) in enumerate(transforms):
        lines = batch * math.prod(grid[:axis])
        v = v.reshape(lines, synthesis.shape[1], -1)
        if onto is not None and axis == len(grid) - 1:
            onto = onto.reshape(lines, synthesis.shape[0], out_channels)
            v = torch.baddbmm(onto, synthesis.expand(lines, -1, -1), v)
        else:
            v = synthesis @ v
    return v.reshape(batch, *grid, out_channels)


def multiplied(c: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Complex products of coefficients and weights, frequency by frequency, as real ones.

    Args:
        c: ``(frequencies, 2 · rows, in_channels)``, all real parts before all imaginary ones.
        weight: ``(2, frequencies, in_channels, out_channels)``.

    Returns:
        Real and imaginary parts, ``(frequencies, rows, out_channels)``.
    """
    rows = c.shape[1] // 2
    # (re + i im) (W_re + i W_im) in two products, without the (2C, 2C) real form of W.
    by_real, by_imag = torch.bmm(c, weight[0]), torch.bmm(c, weight[1])
    return by_real[:, :rows] - by_imag[:, rows:], by_real[:, rows:] + by_imag[:, :rows]


def check_padding(padding: float) -> None:
    """Raise ValueError unless it is a share of the domain."""
    if not 0 <= padding <= 1:
        raise ValueError(f"padding={padding}: must lie in [0, 1]")
