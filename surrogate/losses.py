"""Training losses on torch tensors, one formula a function: ``(prediction, target, weights)``.

`combined` makes one of several, by name, as a recipe asks for them.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from simulations.grid import Grid

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Of each sample the error of a prediction, ``(batch,)``."""

NAMES = ("relative_l2", "h1", "spectral_power")
#: Blind to part of an error, so that nothing can be learnt from them alone
COMPANIONS = ("spectral_power",)


def combined(terms: Mapping[str, float], grid: Grid) -> Loss:
    """The sum of losses, each times its weight.

    The length of `h1` is that of the shortest axis over 2π: both of its terms weigh the same for
    the longest wave, in whatever unit axes are.

    Args:
        terms: of each loss, one of `NAMES`, its weight.
        grid: where the values live.

    Raises:
        ValueError: there is no such loss, or the grid has not what it needs.
    """
    parts: list[tuple[float, Loss]] = []
    for name, weight in terms.items():
        if name == "relative_l2":
            parts.append((weight, relative_l2))
        elif name == "h1":
            parts.append((weight, _h1_on(grid)))
        elif name == "spectral_power":
            if not any(grid.periodic):
                raise ValueError(f"loss='{name}': needs a periodic axis, of {grid.names} none is")
            parts.append((weight, partial(spectral_power, grid=grid)))
        else:
            raise ValueError(f"loss={name!r}: must be one of {list(NAMES)}")

    def loss(prediction: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
        return sum(
            (weight * part(prediction, target, weights) for weight, part in parts),
            start=target.new_zeros(len(target)),
        )

    return loss


def _h1_on(grid: Grid) -> Loss:
    if not grid.ndim:
        raise ValueError("loss='h1': needs an axis of space, there is none")
    for axis in grid.axes:
        if axis.interpolation == "none":
            raise ValueError(
                f"loss='h1': there is no slope along {axis.name}, whose points are individuals"
            )
        if not axis.is_periodic and axis.points.size < 3:
            raise ValueError(f"loss='h1': axis {axis.name} needs 3 points")
    shortest = min(axis.bounds[1] - axis.bounds[0] for axis in grid.axes)
    return partial(h1, grid=grid, length=shortest / (2 * math.pi))


def relative_l2(prediction: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Relative L2 error of each sample, ``‖p − y‖ / ‖y‖``, shape ``(batch,)``.

    Args:
        prediction: ``(batch, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against the batch; equal weights by default.
    """
    difference = (prediction - target) ** 2
    size = target**2
    if weights is not None:
        difference, size = weights * difference, weights * size
    error, norm = difference.flatten(1).sum(1), size.flatten(1).sum(1)
    # The gradient of a root is infinite at 0, where a perfect prediction would put it, and where
    # one of zeros does: what is learnt there has no direction
    error = error + 1e-24 * norm
    perfect = error == 0
    root = torch.sqrt(error.masked_fill(perfect, 1.0)).masked_fill(perfect, 0.0)
    return root / torch.sqrt(norm + torch.finfo(norm.dtype).tiny)


def h1(
    prediction: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    *,
    grid: Grid,
    length: float = 1.0,
) -> Tensor:
    """Relative error of each sample in the Sobolev norm of H¹, values and gradient.

    ``‖p − y‖ / ‖y‖`` with ``‖u‖² = Σ w (u² + ℓ² |∇u|²)``. Derivatives along periodic axes are those
    of the Fourier interpolant (of the wave of Nyquist it is 0 at the points); along the others
    central differences of second order with the spacing of the points, one-sided at the ends.

    Args:
        prediction: ``(batch, *grid.shape, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against the batch; equal weights by default.
        grid: where the values live; an axis that is not periodic has at least 3 points.
        length: ``ℓ`` in the unit of the axes, the scale at which both terms weigh the same.

    Returns:
        ``(batch,)``.

    References:
        Czarnecki et al., Sobolev training for neural networks (2017).
        Li et al., Learning dissipative dynamics in chaotic systems (2022).
    """
    w = target.new_ones(()) if weights is None else weights
    terms = [(prediction, target, w)]
    for axis in range(grid.ndim):
        slopes = _derivative(prediction, grid, axis), _derivative(target, grid, axis)
        terms.append((*slopes, length**2 * w))
    predictions, targets, factors = zip(*terms, strict=True)
    return relative_l2(
        torch.stack(predictions, -1), torch.stack(targets, -1), torch.stack(factors, -1)
    )


def spectral_power(
    prediction: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    *,
    grid: Grid,
) -> Tensor:
    """Relative error of the power spectrum of each sample, each scale with the same weight.

    ``⟨(1 − (E_p(k) + ε) / (E_y(k) + ε))²⟩`` over shells and channels, with the energy
    ``E(k) = Σ w |F u|²`` of the waves along the periodic axes with ``⌊|κ|⌋ = k``, ``κ`` in units of
    the longest wave, up to the last whole shell; along the other axes the energies are summed.
    ``ε = 1e-7 Σ_k E_y`` keeps scales without energy from deciding. Blind to the phase: add it to
    another loss.

    Args:
        prediction: ``(batch, *grid.shape, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against the batch; equal weights by default.
        grid: where the values live, with a periodic axis.

    Returns:
        ``(batch,)``.

    Raises:
        ValueError: no axis of ``grid`` is periodic.

    References:
        Chakraborty, Mohan and Maulik, Binned spectral power loss for improved prediction of
        chaotic systems (2025), arXiv:2502.00472; here with a relative ``ε``.
    """
    if not any(grid.periodic):
        raise ValueError(f"grid: a spectrum needs a periodic axis, of {grid.names} none is")
    shells = _shells(grid)
    ours = _energies(prediction, weights, grid, shells)
    truth = _energies(target, weights, grid, shells)
    floor = 1e-7 * truth.sum(1, keepdim=True) + torch.finfo(truth.dtype).tiny
    return ((1 - (ours + floor) / (truth + floor)) ** 2).flatten(1).mean(1)


def _derivative(u: Tensor, grid: Grid, axis: int) -> Tensor:
    along, dim = grid.axes[axis], 1 + axis
    n = along.points.size
    if not along.is_periodic:
        points = torch.as_tensor(along.points, dtype=u.dtype, device=u.device)
        return torch.gradient(u, spacing=(points,), dim=dim, edge_order=2)[0]
    longest = 2 * math.pi / (along.bounds[1] - along.bounds[0])
    k = longest * torch.arange(n // 2 + 1, dtype=torch.float64)
    if n % 2 == 0:
        k[-1] = 0.0
    k = k.to(u).reshape(-1, *(1,) * (u.ndim - dim - 1))
    return torch.fft.irfft(1j * k * torch.fft.rfft(u, dim=dim), n=n, dim=dim)


def _shells(grid: Grid) -> Tensor:
    """Number of the shell of each wave of the periodic axes, shape ``grid.shape``."""
    waves = [axis for axis in grid.axes if axis.is_periodic]
    longest = max(axis.bounds[1] - axis.bounds[0] for axis in waves)
    squares = torch.zeros(grid.shape, dtype=torch.float64)
    for position, axis in enumerate(grid.axes):
        if axis.is_periodic:
            n, ratio = axis.points.size, longest / (axis.bounds[1] - axis.bounds[0])
            k = ratio * n * torch.fft.fftfreq(n, dtype=torch.float64)
            squares = squares + (k**2).reshape(-1, *(1,) * (grid.ndim - position - 1))
    # A hair above, so that whole numbers are not rounded into the shell below
    return torch.floor(torch.sqrt(squares) + 1e-9).long()


def _energies(u: Tensor, weights: Tensor | None, grid: Grid, shells: Tensor) -> Tensor:
    """Energy in each whole shell, ``(batch, shell, channel)``."""
    dims = [1 + i for i, periodic in enumerate(grid.periodic) if periodic]
    # Not abs: its derivative at 0 is none
    waves = torch.view_as_real(torch.fft.fftn(u, dim=dims, norm="forward"))
    power = (waves**2).sum(-1)
    if weights is not None:
        power = weights * power
    power = power.reshape(u.shape[0], shells.numel(), -1)
    whole = min(int(shells.select(d - 1, u.shape[d] // 2).min()) for d in dims)
    sums = power.new_zeros(u.shape[0], int(shells.max()) + 1, power.shape[2])
    return sums.index_add(1, shells.flatten().to(u.device), power)[:, : whole + 1]
