"""Legendre–Galerkin method on the unit square for fields that are clamped at its sides.

A clamped field vanishes with its normal derivative, as the streamfunction of a fluid at rest on all
walls. It is ``Σ c_kl b_k(x) b_l(y)`` in the basis of `legendre.clamped_basis`. Integrals against
derivatives of the modes take Gauss's rule, which does not mind a weak singularity in a corner as
collocation does.
"""

import math
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from simulations.numerics.legendre import Matrix, clamped_basis, gauss


class Derivatives(NamedTuple):
    """First derivatives and Laplacian of a field."""

    x: Matrix
    y: Matrix
    laplacian: Matrix


class ClampedSquare:
    """Derivatives of clamped fields at Gauss points, integrals against their modes, inverses.

    Coefficients have shape ``(modes, modes)``, values ``(points, points)``.

    Args:
        modes: basis functions along either axis. Products of three fields are integrated exactly.
    """

    def __init__(self, modes: int) -> None:
        self.modes = modes
        self.points, weights = gauss(math.ceil(1.5 * modes) + 6)
        self.weights = np.outer(weights, weights)
        self.basis = b, b1, b2 = clamped_basis(modes, self.points)
        self._mass, self._stiffness = (b.T * weights) @ b, (b1.T * weights) @ b1
        # Stacked, so that one product gives all derivatives along an axis
        self._along_x, self._along_y = np.concatenate([b, b1, b2]), np.hstack([b1.T, b2.T])

    def derivatives(self, field: Matrix) -> Derivatives:
        """First derivatives and Laplacian at the points."""
        n = self.points.size
        tall = self._along_x @ field
        x, xx = (tall[n:] @ self.basis[0].T).reshape(2, n, n)
        y, yy = np.hsplit(tall[:n] @ self._along_y, 2)
        return Derivatives(x, y, xx + yy)

    def against_gradient(self, x: Matrix, y: Matrix) -> Matrix:
        """``∫ (x ∂v/∂x + y ∂v/∂y)`` for every mode v."""
        b, b1, _ = self.basis
        return b1.T @ (self.weights * x) @ b + b.T @ (self.weights * y) @ b1

    def against_laplacian(self, values: Matrix) -> Matrix:
        """``∫ values Δv`` for every mode v."""
        b, _, b2 = self.basis
        weighted = self.weights * values
        return b2.T @ weighted @ b + b.T @ weighted @ b2

    def biharmonic(self, field: Matrix) -> Matrix:
        """``∫ Δψ Δv`` for every mode v."""
        mixed = self._stiffness @ field @ self._stiffness
        return self._mass @ field + field @ self._mass + 2 * mixed

    def solve_biharmonic(self, right: Matrix) -> Matrix:
        """The field with these values of `biharmonic`."""
        field = np.empty_like(right)
        for (i, j), inverse in self._inverses.items():
            part = right[i::2, j::2]
            field[i::2, j::2] = (inverse @ part.ravel()).reshape(part.shape)
        return field

    @cached_property
    def _inverses(self) -> dict[tuple[int, int], Matrix]:
        """Even and odd modes do not couple: four matrices, by the parities along x and y."""
        inverses = {}
        for i in (0, 1):
            for j in (0, 1):
                masses = [self._mass[p::2, p::2] for p in (i, j)]
                stiffness = np.kron(*(self._stiffness[p::2, p::2] for p in (i, j)))
                ones = [np.eye(len(mass)) for mass in masses]
                matrix = np.kron(masses[0], ones[1]) + np.kron(ones[0], masses[1]) + 2 * stiffness
                inverses[i, j] = np.linalg.inv(matrix)
        return inverses

    @cached_property
    def operators(self) -> tuple[Derivatives, Matrix]:
        """`derivatives` and `biharmonic` as matrices: n⁴ numbers each, so for few modes only."""
        b, b1, b2 = self.basis
        one = np.eye(self.modes)
        derivatives = Derivatives(np.kron(b1, b), np.kron(b, b1), np.kron(b2, b) + np.kron(b, b2))
        mixed = np.kron(self._stiffness, self._stiffness)
        return derivatives, np.kron(self._mass, one) + np.kron(one, self._mass) + 2 * mixed


@cache
def clamped_square(modes: int) -> ClampedSquare:
    """The square with so many modes along each axis, prepared once in a process."""
    return ClampedSquare(modes)


def with_modes(field: Matrix, modes: int) -> Matrix:
    """The same field with more modes, or its leading ones."""
    kept = field[:modes, :modes]
    missing = modes - len(kept)
    return np.pad(kept, ((0, missing), (0, missing)))
