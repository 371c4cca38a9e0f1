"""Adaptive Runge–Kutta integration: orders, dense output, tolerance, failure."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from simulations.numerics import runge_kutta

START = np.array([1.0, 0.0, 0.0, 1.2])


@runge_kutta.slope
def kepler(t, state, parameters, rate):
    x, y, u, v = state
    pull = -parameters[0] / (x * x + y * y) ** 1.5
    rate[0], rate[1] = u, v
    rate[2], rate[3] = pull * x, pull * y


@runge_kutta.slope
def driven(t, state, parameters, rate):
    rate[0] = np.cos(t) * parameters[0] + 0.0 * state[0]


@runge_kutta.slope
def explosion(t, state, parameters, rate):
    rate[0] = state[0] ** 2


def orbit(tolerance, scheme=None, times=None):
    times = np.linspace(0.0, 10.0, 101) if times is None else times
    frames = np.empty((times.size, 4))
    status, _, steps = runge_kutta.integrate(
        kepler, START, np.ones(1), times, tolerance, frames, scheme=scheme
    )
    assert status == runge_kutta.COMPLETED
    return frames, steps


@pytest.fixture(scope="module")
def truth():
    def rates(t, s):
        pull = -((s[0] ** 2 + s[1] ** 2) ** -1.5)
        return [s[2], s[3], pull * s[0], pull * s[1]]

    times = np.linspace(0.0, 10.0, 101)
    return solve_ivp(rates, (0, 10), START, "DOP853", times, rtol=1e-13, atol=1e-13).y.T


@pytest.mark.parametrize(
    ("scheme", "tolerances"),
    [
        (runge_kutta.ORDER_8, 10.0 ** -np.arange(5, 12)),
        (runge_kutta.ORDER_5, 10.0 ** -np.arange(3, 10)),
    ],
    ids=["8", "5"],
)
def test_the_end_converges_with_the_order_of_the_scheme(truth, scheme, tolerances):
    found = [orbit(tolerance, scheme) for tolerance in tolerances]
    errors = [np.abs(frames[-1] - truth[-1]).max() for frames, _ in found]
    slope = np.polyfit(np.log([steps for _, steps in found]), np.log(errors), 1)[0]
    assert -slope > scheme.order - 1.0
    assert -slope < scheme.order + 2.0


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7, 1e-10])
def test_every_stored_time_is_as_accurate_as_the_steps(truth, tolerance):
    frames, steps = orbit(tolerance)
    errors = np.abs(frames - truth).max(axis=1)
    assert errors.max() < 100 * tolerance
    assert tolerance < 1e-9 or steps < 100  # most stored times lie inside of steps


def test_stored_times_do_not_change_the_steps():
    few, steps = orbit(1e-7, times=np.array([0.0, 10.0]))
    many, same = orbit(1e-7)
    assert steps == same
    assert np.array_equal(few[-1], many[-1])


def test_time_and_parameters_reach_the_right_hand_side():
    times, frames = np.linspace(1.0, 4.0, 7), np.empty((7, 1))
    runge_kutta.integrate(driven, np.zeros(1), np.array([2.0]), times, 1e-11, frames)
    np.testing.assert_allclose(frames[:, 0], 2 * (np.sin(times) - np.sin(1.0)), atol=1e-9)


def test_a_singularity_is_reported_with_its_time():
    frames = np.empty((2, 1))
    status, reached, _ = runge_kutta.integrate(
        explosion, np.ones(1), np.zeros(1), np.array([0.0, 2.0]), 1e-8, frames
    )
    assert status == runge_kutta.STEP_UNDERFLOW
    assert reached == pytest.approx(1.0, abs=1e-3)
