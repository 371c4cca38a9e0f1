"""GMRES: the solution, the residual it claims, and its optimality."""

import numpy as np
import pytest

from simulations.numerics.krylov import gmres

RNG = np.random.default_rng(0)
MATRIX = np.eye(30) + 0.5 * RNG.standard_normal((30, 30)) / np.sqrt(30)
RIGHT = RNG.standard_normal(30)


def test_solves_to_the_tolerance():
    for tolerance in (1e-2, 1e-6, 1e-12):
        x, residual, products = gmres(lambda v: MATRIX @ v, RIGHT, tolerance, 30)
        true_residual = np.linalg.norm(RIGHT - MATRIX @ x) / np.linalg.norm(RIGHT)
        assert residual <= tolerance
        assert true_residual == pytest.approx(residual, rel=1e-2, abs=1e-14)
        assert products <= 30


def test_minimises_the_residual_over_the_krylov_space():
    _, residual, products = gmres(lambda v: MATRIX @ v, RIGHT, 0.0, 6)
    powers = [np.linalg.matrix_power(MATRIX, k) @ RIGHT for k in range(1, 7)]
    best = np.linalg.lstsq(np.array(powers).T, RIGHT, rcond=None)[0]
    least = np.linalg.norm(RIGHT - best @ powers) / np.linalg.norm(RIGHT)
    assert products == 6
    assert residual == pytest.approx(least, rel=1e-8)


def test_few_distinct_eigenvalues_need_few_products():
    diagonal = np.repeat([1.0, 2.0, 5.0], 10)
    x, _, products = gmres(lambda v: diagonal * v, RIGHT, 1e-12, 30)
    assert products == 3
    assert x == pytest.approx(RIGHT / diagonal)


def test_no_right_hand_side_no_work():
    x, residual, products = gmres(lambda v: MATRIX @ v, np.zeros(30), 1e-6, 30)
    assert not x.any()
    assert (residual, products) == (0.0, 0)


def test_a_value_that_is_not_finite_comes_back_as_such():
    x, residual, _ = gmres(lambda v: np.nan * v, RIGHT, 1e-6, 30)
    assert np.isnan(x).any()
    assert np.isnan(residual)
