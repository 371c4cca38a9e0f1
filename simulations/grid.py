"""Grids: where the numbers of a field live, what bounds them, how to change resolution."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BarycentricInterpolator, make_interp_spline

Array = NDArray[np.floating]
Boundary = Literal["periodic", "wall", "open"]
Interpolation = Literal["fourier", "spline", "polynomial", "none"]


@dataclass(frozen=True, eq=False)
class Axis:
    """One coordinate axis of a grid.

    Args:
        name: dimension name, such as ``"x"``.
        points: coordinates of the values, ascending, shape ``(n,)``, in ``unit``.
        bounds: where the domain begins and ends (cell centres lie inside, nodes on it).
        unit: unit of the coordinate.
        boundary: condition at the lower and the upper side: ``periodic``, ``wall`` or ``open``.
        interpolation: the interpolant through the values that has the accuracy of the
            discretisation: ``fourier``, ``spline`` (cubic) or ``polynomial`` (Chebyshev nodes);
            ``none`` where the points are individuals with nothing between them.
    """

    name: str
    points: Array
    bounds: tuple[float, float]
    unit: str = "1"
    boundary: tuple[Boundary, Boundary] = ("wall", "wall")
    interpolation: Interpolation = "spline"

    @classmethod
    def periodic(cls, name: str, n: int, length: float = 1.0, unit: str = "1") -> "Axis":
        """``n`` equidistant points on ``[0, length)``; point ``n`` would be point 0 again.

        >>> print(Axis.periodic("x", 4).points)
        [0.   0.25 0.5  0.75]
        """
        points = np.arange(n) * (length / n)
        return cls(name, points, (0.0, length), unit, ("periodic", "periodic"), "fourier")

    @classmethod
    def cells(
        cls,
        name: str,
        n: int,
        bounds: tuple[float, float] = (0.0, 1.0),
        unit: str = "1",
        boundary: tuple[Boundary, Boundary] = ("wall", "wall"),
    ) -> "Axis":
        """The centres of ``n`` equal cells between ``bounds``.

        >>> print(Axis.cells("x", 4).points)
        [0.125 0.375 0.625 0.875]
        """
        spacing = (bounds[1] - bounds[0]) / n
        return cls(name, bounds[0] + (np.arange(n) + 0.5) * spacing, bounds, unit, boundary)

    @classmethod
    def members(cls, name: str, n: int) -> "Axis":
        """``n`` individuals, such as particles or lattice sites: not a discretisation of anything.

        Their number belongs to the problem, and rescaling leaves it alone.
        """
        return cls(name, np.arange(n) + 0.5, (0.0, n), "1", ("open", "open"), "none")

    @property
    def is_periodic(self) -> bool:
        return self.boundary[0] == "periodic"

    @cached_property
    def weights(self) -> Array:
        """Length that each point stands for: from halfway to one neighbour to halfway to the other.

        On a periodic axis all are equal; at a wall the last one ends at the wall.
        """
        low, high = self.bounds
        if self.is_periodic:
            return np.full(self.points.size, (high - low) / self.points.size)
        halfway = 0.5 * (self.points[1:] + self.points[:-1])
        return np.diff(np.concatenate([[low], halfway, [high]]))

    def interpolation_matrix(self, points: Array) -> Array:
        """Matrix ``(len(points), n)`` that evaluates this axis's interpolant at ``points``."""
        length = self.bounds[1] - self.bounds[0]
        if self.points.shape == points.shape and np.allclose(
            self.points, points, rtol=0.0, atol=1e-12 * length
        ):
            return np.eye(points.size)
        if self.interpolation == "none":
            raise ValueError(f"axis {self.name}: there is nothing between its {len(self.points)}")
        identity = np.eye(self.points.size)
        if self.interpolation == "fourier":
            return _fourier_matrix(self.points, length, points)
        if self.interpolation == "polynomial":
            weights = _barycentric_weights(self.points)
            return BarycentricInterpolator(self.points, identity, wi=weights)(points)
        degree = min(3, self.points.size - 1)
        return make_interp_spline(self.points, identity, k=degree)(points)

    def averaging_matrix(self, target: "Axis") -> Array:
        """Matrix that averages piecewise constant cell values over the cells of ``target``."""
        ours = np.linspace(*self.bounds, self.points.size + 1)
        theirs = np.linspace(*target.bounds, target.points.size + 1)
        lower = np.maximum(theirs[:-1, None], ours[None, :-1])
        upper = np.minimum(theirs[1:, None], ours[None, 1:])
        return np.maximum(upper - lower, 0.0) / (theirs[1] - theirs[0])


def _barycentric_weights(points: Array) -> Array:
    """``Π_(k≠j) 1/(x_j − x_k)`` up to a factor; SciPy's own vary by rounding from call to call."""
    difference = points[:, None] - points[None, :] + np.eye(points.size)
    size = -np.log(np.abs(difference)).sum(axis=1)
    return np.sign(difference).prod(axis=1) * np.exp(size - size.max())


def _fourier_matrix(points: Array, length: float, targets: Array) -> Array:
    """Trigonometric interpolation from equidistant points: rows are Dirichlet kernels."""
    n = points.size
    distance = (targets[:, None] - points[None, :]) / length
    # To the nearest image: beside a multiple of π, sin(nφ)/sin(φ) would lose all digits
    phase = np.pi * (distance - np.round(distance))
    sine = np.sin(phase)
    coincide = np.abs(sine) < 1e-13
    divisor = np.where(coincide, 1.0, np.tan(phase) if n % 2 == 0 else sine)
    return np.where(coincide, 1.0, np.sin(n * phase) / (n * divisor))


@dataclass(frozen=True, eq=False)
class Grid:
    """A tensor product of axes. A system without space (an ODE) has no axes at all."""

    axes: tuple[Axis, ...] = ()

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.points.size for axis in self.axes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @cached_property
    def periodic(self) -> tuple[bool, ...]:
        return tuple(axis.is_periodic for axis in self.axes)

    @cached_property
    def weights(self) -> Array:
        """Quadrature weights of the points, shape ``self.shape``, normalised to a sum of 1."""
        product = np.ones(())
        for axis in self.axes:
            product = np.multiply.outer(product, axis.weights)
        return product / product.sum()

    def interpolate(self, values: Array, target: "Grid", first_axis: int = 0) -> Array:
        """Evaluate a field given on this grid at the points of ``target``.

        Args:
            values: shape ``(..., *self.shape, ...)``.
            target: a grid over the same domain with the same axes.
            first_axis: position of the first spatial axis in ``values``.

        Returns:
            Array with ``self.shape`` replaced by ``target.shape``.
        """
        matrices = [
            axis.interpolation_matrix(other.points)
            for axis, other in zip(self.axes, target.axes, strict=True)
        ]
        return _apply_along_axes(matrices, values, first_axis)

    def average(self, values: Array, target: "Grid") -> Array:
        """Transfer piecewise constant cell values ``(*self.shape)`` to the cells of ``target``."""
        matrices = [
            axis.averaging_matrix(other) for axis, other in zip(self.axes, target.axes, strict=True)
        ]
        return _apply_along_axes(matrices, values, 0)


def _apply_along_axes(matrices: list[Array], values: Array, first_axis: int) -> Array:
    result = np.asarray(values, dtype=np.float64)
    for offset, matrix in enumerate(matrices):
        axis = first_axis + offset
        result = np.moveaxis(np.tensordot(matrix, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result)
