"""Derivatives of stored fields: what the terms of an equation are made of.

One set of operators for arrays of NumPy and for tensors of whatever namespace has its functions
(``torch``), which keep their gradients. Axes are counted from the end, ``(…, time, *space)``, so
that any number of batch axes may come first.
"""

import math
from collections.abc import Mapping
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np

from simulations.grid import Array, Grid

#: Points of the formulas for derivatives between which nothing is known but values: order six
STENCIL = 7

#: Mean squares of terms that count as zero
SMALLEST = float(np.finfo(np.float32).tiny)

#: The terms of each equation by name. They add up to zero.
Equations = Mapping[str, Mapping[str, Any]]


class Derivatives:
    """Derivatives of fields on a grid and at stored times.

    Along a periodic axis those of the trigonometric interpolant, along others and in time those of
    the polynomial through the seven nearest points: of sixth order in the middle, one-sided at the
    ends. The difference from what `less_accurate` gives says how much they can be relied on.

    Args:
        grid: where the fields live.
        times: of the stored frames.
        namespace: module with the functions of the arrays, NumPy's or one that has the same.
        fewer: points that the polynomials are given fewer.
    """

    def __init__(
        self, grid: Grid, times: Array, namespace: ModuleType = np, fewer: int = 0
    ) -> None:
        self.grid = grid
        self.times = np.asarray(times, dtype=np.float64)
        self.namespace = namespace
        self._fewer = fewer

    def less_accurate(self) -> "Derivatives":
        """The same with two points fewer in each polynomial: two orders less."""
        return Derivatives(self.grid, self.times, self.namespace, self._fewer + 2)

    def constant(self, values: np.ndarray, like: Any) -> Any:
        """Numbers as an array of the kind, the precision and the device of another."""
        return self.namespace.asarray(values, dtype=like.dtype, device=like.device)

    def time(self, u: Any) -> Any:
        """``∂u/∂t`` of ``(…, time, *space)``; of ``(…, time)`` where the grid has no axes."""
        return self._by_stencil(u, self.times, -1 - self.grid.ndim, 1)

    def from_other_times(self, u: Any) -> Any:
        """What the neighbouring frames say that each frame is: u, if they are close enough."""
        size = min(STENCIL, self.times.size) - self._fewer
        indices, _ = stencils(self.times, size, 0)
        others = indices != np.arange(self.times.size)[:, None]
        indices = indices[others].reshape(-1, size - 1)
        return self._weighted(u, indices, _weights(self.times, indices, 0), -1 - self.grid.ndim)

    def along(self, u: Any, axis: int, order: int = 1) -> Any:
        """Derivative along one axis of the grid.

        Args:
            u: values ``(…, *space)``.
            axis: position among the axes of the grid.
            order: of the derivative.

        Raises:
            ValueError: the axis is one of individuals, with nothing between them.
        """
        along = self.grid.axes[axis]
        position = axis - self.grid.ndim
        if along.interpolation == "none":
            raise ValueError(f"axis {along.name}: there is nothing between its points")
        if not along.is_periodic:
            return self._by_stencil(u, along.points, position, order)
        fft = self.namespace.fft
        spectrum = fft.rfft(u, None, position)
        k = _half_wavenumbers(along.points.size, along.bounds[1] - along.bounds[0])
        symbol = (1j * k) ** order
        if order % 2 and along.points.size % 2 == 0:
            symbol[-1] = 0.0  # the grid cannot tell this wave from the one that runs backwards
        symbol = symbol.reshape([-1 if a == position else 1 for a in range(-self.grid.ndim, 0)])
        return fft.irfft(spectrum * self.constant(symbol, spectrum), along.points.size, position)

    def gradient(self, u: Any) -> list[Any]:
        """``∂u/∂x`` for each axis x of the grid."""
        return [self.along(u, axis) for axis in range(self.grid.ndim)]

    def laplacian(self, u: Any) -> Any:
        """``Δu``"""
        return sum(self.along(u, axis, 2) for axis in range(self.grid.ndim))

    def inverse_laplacian(self, u: Any) -> Any:
        """The ψ of mean zero with ``Δψ = u``, less the mean of u, in a periodic box."""
        if not all(self.grid.periodic):
            raise ValueError("inverse_laplacian: the grid must be periodic along all axes")
        ndim, fft = self.grid.ndim, self.namespace.fft
        squared = np.zeros(())
        for position, axis in enumerate(self.grid.axes):
            n, length = axis.points.size, axis.bounds[1] - axis.bounds[0]
            k = _half_wavenumbers(n, length)
            if position < ndim - 1:  # all wavenumbers, positive ones first
                k = np.concatenate([k, -k[1 : (n + 1) // 2][::-1]])
            squared = np.add.outer(squared, k**2)
        inverse = np.divide(-1.0, squared, out=np.zeros(squared.shape), where=squared > 0)
        axes = tuple(range(-ndim, 0))
        spectrum = fft.rfftn(u, None, axes)
        return fft.irfftn(spectrum * self.constant(inverse, spectrum), self.grid.shape, axes)

    def away_from_ends(self, like: Any) -> Any:
        """1 where the formulas along all axes are central, 0 nearer to an end that is not periodic.

        For equations whose solutions have corners that no polynomial follows.
        """
        mask = np.ones(())
        for axis in self.grid.axes:
            inner = np.ones(axis.points.size)
            if not axis.is_periodic:
                inner[: STENCIL // 2] = inner[-(STENCIL // 2) :] = 0.0
            mask = np.multiply.outer(mask, inner)
        return self.constant(mask, like)

    def _by_stencil(self, u: Any, points: Array, position: int, order: int) -> Any:
        size = min(STENCIL, points.size) - self._fewer
        if size <= order:
            raise ValueError(f"{points.size} points are too few for a derivative of order {order}")
        return self._weighted(u, *stencils(points, size, order), position)

    def _weighted(self, u: Any, indices: np.ndarray, weights: Array, position: int) -> Any:
        behind = (slice(None),) * (-1 - position)
        total: Any = 0.0
        for at, weight in zip(indices.T, weights.T, strict=True):
            factor = self.constant(weight.reshape(-1, *(1,) * len(behind)), u)
            total = total + factor * u[(..., at, *behind)]
        return total


def _half_wavenumbers(n: int, length: float) -> Array:
    return 2 * np.pi / length * np.arange(n // 2 + 1)


def stencils(points: Array, size: int, order: int) -> tuple[np.ndarray, Array]:
    """Derivative at each point of the polynomial through the nearest ones.

    Args:
        points: ascending, shape ``(n,)``.
        size: number of points of each polynomial.
        order: of the derivative.

    Returns:
        Which points, and by what their values are multiplied, both ``(n, size)``.
    """
    n = points.size
    first = np.clip(np.arange(n) - (size - 1) // 2, 0, n - size)
    indices = first[:, None] + np.arange(size)
    return indices, _weights(points, indices, order)


def _weights(points: Array, indices: np.ndarray, order: int) -> Array:
    n, size = indices.shape
    apart = points[indices] - points[:, None]
    scale = np.abs(apart).max(axis=1)
    # Row m: the weighted sum of (x − xᵢ)^m is its derivative at xᵢ, order! for m = order and else 0
    powers = (apart / scale[:, None])[:, None, :] ** np.arange(size)[:, None]
    derivative = np.zeros((n, size, 1))
    derivative[:, order, 0] = math.factorial(order) / scale**order
    weights: Array = np.linalg.solve(powers, derivative)[..., 0]
    return weights


def relative_defects(equations: Equations, d: Derivatives) -> dict[str, Any]:
    """Sum of the terms of each equation, relative to the size of the largest.

    The size of a term is its root mean square over time and space.

    Args:
        equations: terms ``(…, time, *space)``, or what broadcasts to that.
        d: what they were made with.

    Returns:
        By equation, ``(…, time, *space)``.
    """
    xp, axes = d.namespace, tuple(range(-1 - d.grid.ndim, 0))
    defects = {}
    for name, terms in equations.items():
        total: Any = sum(terms.values())
        squares = [xp.mean((term + 0.0 * total) ** 2, axes) for term in terms.values()]
        largest = reduce(xp.maximum, squares)[(..., *(None,) * len(axes))]
        defects[name] = total / xp.clip(largest, SMALLEST, None) ** 0.5
    return defects
