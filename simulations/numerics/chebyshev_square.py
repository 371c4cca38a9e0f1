"""Chebyshev collocation on the unit square for fields that a half turn maps to ± themselves.

Two kinds of field live here. A *clamped* field vanishes with its normal derivative on all four
sides and is even under (x, y) → (1−x, 1−y), as a streamfunction between no-slip walls. A *held*
field vanishes at x = 0 and x = 1, has zero normal derivative at y = 0 and y = 1 and is odd, as the
deviation of a temperature between two heated and two insulated walls. Both are known by their
values at the inner Gauss-Lobatto nodes of the half x < 1/2, shape ``(half, inner)``.
"""

from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from simulations.numerics import chebyshev
from simulations.numerics.chebyshev import Matrix

EVEN, ODD = 1, -1


class ClampedGradients(NamedTuple):
    """First derivatives of a clamped field and of its Laplacian."""

    x: Matrix
    y: Matrix
    laplacian_x: Matrix
    laplacian_y: Matrix


class HeldGradients(NamedTuple):
    """First derivatives of a held field."""

    x: Matrix
    y: Matrix


class Operators(NamedTuple):
    """The same derivatives as matrices that act on flattened fields, for direct solvers."""

    clamped: ClampedGradients
    biharmonic: Matrix
    held: HeldGradients
    laplacian: Matrix


def whole(half: Matrix, parity: int) -> Matrix:
    """The field on all inner nodes, shape ``(inner, inner)``, from its left half."""
    return np.concatenate([half, parity * half[::-1, ::-1]])


class HalfSquare:
    """Derivatives of half-turn symmetric fields and inverses of their elliptic operators.

    Args:
        n: nodes along each axis, walls included; even, so that no node is its own image.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.inner = n - 2
        self.half = half = self.inner // 2
        self.shape = (half, self.inner)
        self.neumann = chebyshev.neumann_extension(n)
        first = chebyshev.differentiation(n)
        second = first @ first
        rows = slice(1, -1)
        self._clamped = d1, d2, d3, d4 = chebyshev.clamped_derivatives(n)
        self._held_x, self._held_xx = first[rows, rows], second[rows, rows]
        self._held_y, self._held_yy = (first @ self.neumann)[rows], (second @ self.neumann)[rows]
        # Stacked, so that one product gives all derivatives along an axis.
        self._clamped_along_x = np.concatenate([d1[:half], d2[:half], d3[:half]])
        self._clamped_along_y = np.concatenate([d1.T, d2.T, d3.T], axis=1)
        self._biharmonic_inverses = [
            np.linalg.inv(_biharmonic(_folded(d2, parity), _folded(d4, parity)))
            for parity in (EVEN, ODD)
        ]
        x_values, self._x_modes = np.linalg.eig(self._held_xx)
        y_values, y_modes = np.linalg.eig(self._held_yy)
        self._to_x_modes = np.linalg.inv(self._x_modes)
        self._y_modes, self._to_y_modes = y_modes.T.copy(), np.linalg.inv(y_modes).T.copy()
        self._laplacian_inverse = 1.0 / (x_values[:, None] + y_values)

    def clamped_gradients(self, field: Matrix) -> ClampedGradients:
        """Derivatives of a clamped field on the left half."""
        half, inner = self.half, self.inner
        d1, d2, *_ = self._clamped
        x, xx, xxx = (self._clamped_along_x @ whole(field, EVEN)).reshape(3, half, inner)
        along_y = field @ self._clamped_along_y
        y, yyy = along_y[:, :inner], along_y[:, 2 * inner :]
        return ClampedGradients(x, y, xxx + x @ d2.T, xx @ d1.T + yyy)

    def clamped_velocity(self, field: Matrix) -> Matrix:
        """The two first derivatives of a clamped field, shape ``(2, half, inner)``."""
        d1 = self._clamped[0]
        return np.stack([d1[: self.half] @ whole(field, EVEN), field @ d1.T])

    def held_gradients(self, field: Matrix) -> HeldGradients:
        """Derivatives of a held field on the left half."""
        return HeldGradients(self.held_x(field), field @ self._held_y.T)

    def held_x(self, field: Matrix) -> Matrix:
        """Derivative of a held field across the square."""
        return self._held_x[: self.half] @ whole(field, ODD)

    def solve_biharmonic(self, right: Matrix) -> Matrix:
        """The clamped field with ``Δ²ψ = right``.

        An even field is the sum of one that is even and one that is odd in both x and y. The two
        do not couple and each lives on a quarter of the square, where the inverse is small enough
        to be kept as a matrix.
        """
        half = self.half
        lower, upper = right[:, :half], right[:, : half - 1 : -1]
        even, odd = (
            (inverse @ part.ravel()).reshape(half, half)
            for inverse, part in zip(
                self._biharmonic_inverses, (lower + upper, lower - upper), strict=True
            )
        )
        return 0.5 * np.concatenate([even + odd, (even - odd)[:, ::-1]], axis=1)

    def solve_laplace(self, right: Matrix) -> Matrix:
        """The held field with ``Δθ = right``, by diagonalisation along both axes."""
        modes = self._to_x_modes @ whole(right, ODD) @ self._to_y_modes
        return self._x_modes[: self.half] @ (self._laplacian_inverse * modes) @ self._y_modes

    @cached_property
    def operators(self) -> Operators:
        """Matrices ``(half·inner, half·inner)``; they cost n⁴ numbers each, so for small n only."""
        one = np.eye(self.inner)
        d1, d2, d3, d4 = self._clamped
        pairs = [(d1, one), (one, d1)]
        x, y = (_folded(np.kron(*pair), EVEN) for pair in pairs)
        laplacian_x = _folded(np.kron(d3, one) + np.kron(d1, d2), EVEN)
        laplacian_y = _folded(np.kron(d2, d1) + np.kron(one, d3), EVEN)
        held = HeldGradients(
            _folded(np.kron(self._held_x, one), ODD), _folded(np.kron(one, self._held_y), ODD)
        )
        laplacian = np.kron(self._held_xx, one) + np.kron(one, self._held_yy)
        return Operators(
            ClampedGradients(x, y, laplacian_x, laplacian_y),
            _folded(_biharmonic(d2, d4), EVEN),
            held,
            _folded(laplacian, ODD),
        )


@cache
def half_square(n: int) -> HalfSquare:
    """The square with ``n`` nodes along each axis, prepared once in a process."""
    return HalfSquare(n)


@cache
def _transfers(n: int, target: int) -> tuple[Matrix, Matrix, Matrix]:
    points = chebyshev.nodes(target)[1:-1]
    clamped, _ = chebyshev.clamped_interpolation(n, points)
    values = chebyshev.interpolation(n, points)
    return clamped, values[:, 1:-1], values @ half_square(n).neumann


def transfer(clamped: Matrix, held: Matrix, target: int) -> tuple[Matrix, Matrix]:
    """A clamped and a held field, evaluated at the nodes of the square with ``target`` nodes."""
    n = clamped.shape[1] + 2
    if n == target:
        return clamped, held
    half = target // 2 - 1
    clamped_1d, held_x, held_y = _transfers(n, target)
    return (
        clamped_1d[:half] @ whole(clamped, EVEN) @ clamped_1d.T,
        held_x[:half] @ whole(held, ODD) @ held_y.T,
    )


@cache
def _evaluations(n: int, target: int) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    points = chebyshev.nodes(target)
    clamped, clamped_slope = chebyshev.clamped_interpolation(n, points)
    values = chebyshev.interpolation(n, points)
    return clamped, clamped_slope, values[:, 1:-1], values @ half_square(n).neumann


def evaluate(clamped: Matrix, held: Matrix, target: int) -> tuple[Matrix, Matrix, Matrix]:
    """Both derivatives of a clamped field and the values of a held one on the whole square.

    Returns:
        Three arrays ``(target, target)``, walls included.
    """
    value, slope, held_x, held_y = _evaluations(clamped.shape[1] + 2, target)
    even, odd = whole(clamped, EVEN), whole(held, ODD)
    return slope @ even @ value.T, value @ even @ slope.T, held_x @ odd @ held_y.T


def _folded(matrix: Matrix, parity: int) -> Matrix:
    """The upper half of a matrix acting on a vector whose second half mirrors its first."""
    half = matrix.shape[0] // 2
    return matrix[:half, :half] + parity * matrix[:half, : half - 1 : -1]


def _biharmonic(second: Matrix, fourth: Matrix) -> Matrix:
    one = np.eye(second.shape[0])
    return np.kron(fourth, one) + 2 * np.kron(second, second) + np.kron(one, fourth)
