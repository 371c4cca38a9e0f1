"""Implicit Runge–Kutta integration: linear algebra, order, stiffness, dense output."""

import numpy as np
import pytest

from simulations.numerics import radau, runge_kutta


@runge_kutta.slope
def chasing(t, y, parameters, rate):
    """Prothero and Robinson's problem: y follows sin t at a rate of parameters[0]."""
    rate[0] = parameters[0] * (np.sin(t) - y[0]) + np.cos(t)


@radau.jacobian
def chasing_derivatives(t, y, parameters, matrix):
    matrix[0, 0] = -parameters[0]


@runge_kutta.slope
def rotation(t, y, parameters, rate):
    rate[0] = y[1] * y[0]
    rate[1] = -y[0] * y[0]


@radau.jacobian
def rotation_derivatives(t, y, parameters, matrix):
    matrix[0, 0], matrix[0, 1] = y[1], y[0]
    matrix[1, 0], matrix[1, 1] = -2 * y[0], 0.0


def follow(rate, tolerance, n_times=2):
    times = np.linspace(0.0, 6.0, n_times)
    frames = np.empty((n_times, 1))
    status, reached, steps = radau.integrate(
        chasing,
        chasing_derivatives,
        np.array([0.0]),
        np.array([rate]),
        times,
        tolerance,
        np.ones(1),
        frames,
    )
    assert (status, reached) == (radau.COMPLETED, 6.0)
    return np.abs(frames[:, 0] - np.sin(times)).max(), steps


def swing(tolerance):
    """y = (sech t, −tanh t), an orbit of unit length."""
    frames = np.empty((2, 2))
    _, _, steps = radau.integrate(
        rotation,
        rotation_derivatives,
        np.array([1.0, 0.0]),
        np.empty(0),
        np.array([0.0, 3.0]),
        tolerance,
        np.ones(2),
        frames,
    )
    return np.abs(frames[1] - [1 / np.cosh(3.0), -np.tanh(3.0)]).max(), steps


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_factors_solve_the_system(n):
    rng = np.random.default_rng(n)
    for _ in range(5):
        matrix, vector = rng.standard_normal((n, n)), rng.standard_normal(n)
        expected = np.linalg.solve(matrix, vector)
        pivots = np.empty(n, np.int64)
        radau.factorise(matrix, pivots)
        radau.substitute(matrix, pivots, vector)
        np.testing.assert_allclose(vector, expected, rtol=1e-9, atol=1e-12)


def test_order_five():
    (coarse, few), (fine, many) = swing(1e-5), swing(1e-9)
    assert np.log(coarse / fine) / np.log(many / few) > 4.5


def test_stiffness_costs_no_steps():
    mild, steps = follow(1.0, 1e-6)
    stiff, stiff_steps = follow(1e8, 1e-6)
    assert mild < 1e-6
    assert stiff < 1e-6
    assert stiff_steps < 2 * steps


def test_frames_between_steps_are_as_accurate():
    error, steps = follow(1.0, 1e-7, n_times=301)
    assert steps < 100
    assert error < 3e-6


def test_impossible_equations_are_given_up():
    frames = np.empty((2, 1))
    status, reached, _ = radau.integrate(
        chasing,
        chasing_derivatives,
        np.array([0.0]),
        np.array([np.nan]),
        np.array([0.0, 1.0]),
        1e-6,
        np.ones(1),
        frames,
    )
    assert status == radau.STEP_UNDERFLOW
    assert reached == 0.0
