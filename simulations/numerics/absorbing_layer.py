"""Absorbing layers on uniform grids: coordinates stretched into the complex plane (PML).

In a layer, the derivative along its axis becomes

    ∂f/∂x + ψ,    ∂ψ/∂t = −σ (∂f/∂x + ψ) − α ψ

so that a wave decays on its way through without being reflected on the way in. σ grows with the
depth; α, which shrinks, keeps what hardly oscillates from growing without bound. The equation of ψ
is solved implicitly, centred at the instant of ∂f/∂x: other centrings are not stable.

References:
    Bérenger, Journal of Computational Physics 114 (1994) 185: the idea.
    Komatitsch and Martin, Geophysics 72 (2007) SM155: as convolutions in time, with α.
"""

import math

import numpy as np

from simulations.compilation import kernel

# Growth of the damping with the depth in an absorbing layer, and minus the logarithm of the share
# of a wave that comes back through it at a right angle
EXPONENT, REDUCTION = 2, 12.0

# α at the inside, where it is largest: the lowest frequency that the layer is meant for, in units
# of the speed over the length of the axis
SLOWEST = 4.0

# Fewest cells of a layer, and the least share of an axis; initial fields fade out over this share
CELLS, SHARE = 12, 0.05


def depth_for(n):
    """Cells of the layer at an end of an axis of n cells."""
    return max(CELLS, math.ceil(SHARE * n))


def fading(n):
    """Factors of an initial field in that layer, from the inside; the same for any n."""
    return np.cos(0.5 * np.pi * np.minimum((np.arange(depth_for(n)) + 0.5) / (SHARE * n), 1.0)) ** 2


def profile(depth, n, spacing, step, speed):
    """½ σ Δt and ½ α Δt at the faces and cells of a layer in turn, from the outside.

    Args:
        depth: cells of the layer.
        n: cells of the axis without it.
        spacing: Δx.
        step: Δt.
        speed: largest speed of waves.

    Returns:
        Array ``(2, 2 depth + 1)``.
    """
    slowest = SLOWEST * speed / (n * spacing)
    inward = 1.0 - 0.5 * np.arange(2 * depth + 1) / max(depth, 1)
    peak = 0.5 * (EXPONENT + 1) * speed * REDUCTION / (max(depth, 1) * spacing)
    return 0.5 * step * np.stack([peak * inward**EXPONENT, slowest * (1.0 - inward)])


@kernel
def position(axis, ndim):
    """Which axis of the array an axis of the grid is."""
    return axis if ndim == 3 else 2 * (axis + 2 - ndim)


@kernel
def plane(array, axis, m):
    """The values at one place along an axis of the array."""
    if axis == 0:
        return array[m]
    return array[:, m] if axis == 1 else array[:, :, m]
