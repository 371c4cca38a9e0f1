"""Legendre–Galerkin method on the square: derivatives, integrals, inverses."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from simulations.numerics.legendre import clamped_basis, gauss
from simulations.numerics.legendre_square import clamped_square, with_modes

RNG = np.random.default_rng(0)
CLAMPED = Polynomial([0, 0, 1, -2, 1])
FACTORS = CLAMPED * Polynomial([0.3, 1.0, -0.5]), CLAMPED * Polynomial([1.0, -2.0, 0.0, 0.7])


def coefficients(polynomial, modes):
    """Of a clamped polynomial in the basis: curvatures are orthonormal."""
    points, weights = gauss(40)
    return clamped_basis(modes, points)[2].T @ (weights * polynomial.deriv(2)(points))


def test_derivatives_and_integrals_against_modes():
    space = clamped_square(10)
    f, g = FACTORS
    c = np.outer(coefficients(f, 10), coefficients(g, 10))
    x = space.points
    product = np.multiply.outer
    exact_x, exact_y = product(f.deriv()(x), g(x)), product(f(x), g.deriv()(x))
    laplacian = product(f.deriv(2)(x), g(x)) + product(f(x), g.deriv(2)(x))
    for found, exact in zip(space.derivatives(c), (exact_x, exact_y, laplacian), strict=True):
        assert found == pytest.approx(exact, abs=1e-13)
    biharmonic = space.biharmonic(c)
    assert space.against_laplacian(laplacian) == pytest.approx(biharmonic, abs=1e-12)
    assert space.solve_biharmonic(biharmonic) == pytest.approx(c, abs=1e-12)
    poisson = space.against_gradient(exact_x, exact_y)
    minus_values = space.against_laplacian(-product(f(x), g(x)))
    assert poisson == pytest.approx(minus_values, abs=1e-13)


def test_matrices_are_the_same_operators():
    space, field = clamped_square(8), RNG.standard_normal((8, 8))
    derivatives, biharmonic = space.operators
    for matrix, found in zip(derivatives, space.derivatives(field), strict=True):
        assert matrix @ field.ravel() == pytest.approx(found.ravel(), abs=1e-12)
    assert biharmonic @ field.ravel() == pytest.approx(space.biharmonic(field).ravel(), abs=1e-12)


def test_more_modes_leave_the_field_alone():
    field = RNG.standard_normal((6, 6))
    x = np.linspace(0, 1, 5)
    few, many = clamped_basis(6, x)[0], clamped_basis(9, x)[0]
    padded = with_modes(field, 9)
    assert many @ padded @ many.T == pytest.approx(few @ field @ few.T)
    assert np.array_equal(with_modes(padded, 6), field)
