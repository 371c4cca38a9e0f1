"""Chebyshev collocation: exact for polynomials, on the interval and on the half-turn square."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from simulations.numerics import chebyshev
from simulations.numerics.chebyshev_square import EVEN, ODD, evaluate, half_square, transfer, whole

WIGGLY = Polynomial([0.3, -1.0, 2.0, 0.5, -0.7, 0.2])


@pytest.mark.parametrize("n", [8, 9, 16])
def test_exact_for_polynomials(n):
    x, points = chebyshev.nodes(n), np.array([0.0, 0.123, 0.5, 1.0])
    assert x[[0, -1]] == pytest.approx([0.0, 1.0], abs=1e-15)
    assert chebyshev.differentiation(n) @ WIGGLY(x) == pytest.approx(WIGGLY.deriv()(x), abs=1e-11)
    primitive = WIGGLY.integ()
    assert chebyshev.quadrature(n) @ WIGGLY(x) == pytest.approx(primitive(1) - primitive(0))
    assert chebyshev.interpolation(n, points) @ WIGGLY(x) == pytest.approx(WIGGLY(points))
    assert chebyshev.interpolation(n, x) == pytest.approx(np.eye(n))


def test_clamped_derivatives():
    clamped = Polynomial([0, 0, 1, -2, 1]) * WIGGLY
    n = 14
    x, points = chebyshev.nodes(n)[1:-1], np.linspace(0, 1, 7)
    for order, matrix in enumerate(chebyshev.clamped_derivatives(n), 1):
        exact = clamped.deriv(order)(x)
        assert matrix @ clamped(x) == pytest.approx(exact, abs=1e-8 * np.abs(exact).max())
    value, slope = chebyshev.clamped_interpolation(n, points)
    assert value @ clamped(x) == pytest.approx(clamped(points))
    assert slope @ clamped(x) == pytest.approx(clamped.deriv()(points))


def test_neumann_extension():
    flat = Polynomial([0, 0, 3, -2])  # slope 6x(1−x)
    x = chebyshev.nodes(10)
    assert chebyshev.neumann_extension(10) @ flat(x[1:-1]) == pytest.approx(flat(x))


class TestHalfSquare:
    """ψ = X(x) Y(y) with clamped factors of equal parity, θ with those of its own conditions."""

    odd_about_centre = Polynomial([-0.5, 1.0])
    clamped_even = Polynomial([0, 0, 1, -2, 1])
    clamped_odd = clamped_even * odd_about_centre
    held_x = Polynomial([0, 1, -1])
    held_y = Polynomial([-0.5, 0, 3, -2])

    def psi(self, dx=0, dy=0):
        pairs = [(self.clamped_even, self.clamped_even), (self.clamped_odd, self.clamped_odd)]
        return lambda x, y: sum(np.multiply.outer(f.deriv(dx)(x), g.deriv(dy)(y)) for f, g in pairs)

    def theta(self, dx=0, dy=0):
        return lambda x, y: np.multiply.outer(self.held_x.deriv(dx)(x), self.held_y.deriv(dy)(y))

    @staticmethod
    def half(function, n=16):
        x = chebyshev.nodes(n)[1:-1]
        return function(x[: x.size // 2], x)

    def test_whole_is_the_field_on_all_nodes(self):
        x = chebyshev.nodes(16)[1:-1]
        assert whole(self.half(self.psi()), EVEN) == pytest.approx(self.psi()(x, x), abs=1e-14)
        assert whole(self.half(self.theta()), ODD) == pytest.approx(self.theta()(x, x), abs=1e-14)

    def test_gradients(self):
        space = half_square(16)
        psi, theta = self.half(self.psi()), self.half(self.theta())
        x, y = self.half(self.psi(1, 0)), self.half(self.psi(0, 1))
        laplacian_x = self.half(self.psi(3, 0)) + self.half(self.psi(1, 2))
        laplacian_y = self.half(self.psi(2, 1)) + self.half(self.psi(0, 3))
        for found, exact in zip(
            space.clamped_gradients(psi), (x, y, laplacian_x, laplacian_y), strict=True
        ):
            assert found == pytest.approx(exact, abs=1e-9)
        assert space.clamped_velocity(psi) == pytest.approx(np.stack([x, y]), abs=1e-11)
        held = space.held_gradients(theta)
        assert held.x == pytest.approx(self.half(self.theta(1, 0)), abs=1e-11)
        assert held.y == pytest.approx(self.half(self.theta(0, 1)), abs=1e-11)

    def test_inverses(self):
        space = half_square(16)
        biharmonic = sum(
            factor * self.half(self.psi(4 - k, k)) for k, factor in ((0, 1), (2, 2), (4, 1))
        )
        laplacian = self.half(self.theta(2, 0)) + self.half(self.theta(0, 2))
        assert space.solve_biharmonic(biharmonic) == pytest.approx(self.half(self.psi()), abs=1e-13)
        assert space.solve_laplace(laplacian) == pytest.approx(self.half(self.theta()), abs=1e-13)

    def test_matrices_are_the_same_operators(self):
        space = half_square(12)
        rng = np.random.default_rng(0)
        field = rng.standard_normal(space.shape)
        operators = space.operators
        for matrix, found in zip(
            (*operators.clamped, *operators.held),
            (*space.clamped_gradients(field), *space.held_gradients(field)),
            strict=True,
        ):
            scale = np.abs(found).max()
            assert matrix @ field.ravel() == pytest.approx(found.ravel(), abs=1e-11 * scale)
        for matrix, solve in (
            (operators.biharmonic, space.solve_biharmonic),
            (operators.laplacian, space.solve_laplace),
        ):
            assert matrix @ solve(field).ravel() == pytest.approx(field.ravel(), abs=1e-9)

    def test_transfer_and_evaluation(self):
        psi, theta = transfer(self.half(self.psi()), self.half(self.theta()), 22)
        assert psi == pytest.approx(self.half(self.psi(), 22), abs=1e-14)
        assert theta == pytest.approx(self.half(self.theta(), 22), abs=1e-14)
        x = chebyshev.nodes(11)
        exact = (self.psi(1, 0)(x, x), self.psi(0, 1)(x, x), self.theta()(x, x))
        for found, wanted in zip(evaluate(psi, theta, 11), exact, strict=True):
            assert found == pytest.approx(wanted, abs=1e-12)
