"""Exponential time differencing with any nonlinear part."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from simulations.numerics import exponential

TIMES = np.array([0.0, 0.3, 1.0, 2.0])
START = np.array([[0.5, 1.5], [0.2, 1.0]], dtype=complex)


def logistic(start, t, rate):
    return start * np.exp(rate * t) / (1 + start * np.expm1(rate * t))


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("split", [0.0, 0.4, 1.0])
def test_logistic_growth_however_it_is_split(tolerance, split):
    """v' = λv − λv², with any part of the linear term among the nonlinear ones."""
    rate = np.array([[3.0, 1.0], [0.5, 2.0]])

    def nonlinear(v):
        return (1 - split) * rate * v - rate * v**2

    found = exponential.march(START, split * rate, nonlinear, TIMES, tolerance)
    for t, v in zip(TIMES[1:], found, strict=True):
        exact = logistic(START, t, rate)
        assert np.linalg.norm(v - exact) < 20 * tolerance * np.linalg.norm(exact)


def test_steps_pass_over_stored_times():
    """At 300 uneven instants about as accurate as at few, for fewer evaluations than instants."""
    times = np.concatenate([[0.0], np.sort(np.random.default_rng(0).uniform(0, 2, 300))])
    rate, tolerance, calls = np.array([[3.0, 1.0], [0.5, 2.0]]), 1e-5, 0

    def nonlinear(v):
        nonlocal calls
        calls += 1
        return rate * v - rate * v**2

    linear = np.zeros((2, 2))
    found = exponential.march(START, linear, nonlinear, times, tolerance, pass_over=True)
    for t, v in zip(times[1:], found, strict=True):
        exact = logistic(START, t, rate)
        assert np.linalg.norm(v - exact) < 20 * tolerance * np.linalg.norm(exact)
    assert calls < 200


def test_order_four_between_stored_times():
    """The largest error at instants inside steps against the evaluations that they cost."""
    times, rate = np.linspace(0.0, 2.0, 2001), np.array([[3.0, 1.0], [0.5, 2.0]])
    errors, counts = [], []
    for tolerance in 10.0 ** -np.arange(3, 9):
        calls = 0

        def nonlinear(v):
            nonlocal calls
            calls += 1
            return rate * v - rate * v**2

        found = exponential.march(
            START, np.zeros((2, 2)), nonlinear, times, tolerance, pass_over=True
        )
        worst = [
            np.linalg.norm(v - logistic(START, t, rate))
            for t, v in zip(times[1:], found, strict=True)
        ]
        errors.append(max(worst))
        counts.append(calls)
    assert -np.polyfit(np.log(counts), np.log(errors), 1)[0] > 3.7


def test_what_decays_at_once_is_right_between_steps():
    times, rate = np.linspace(0.0, 1.0, 201), np.array([-1.0, -300.0])

    def nonlinear(v):
        return np.array([0.1 * v[0] ** 2, v[0]])

    exact = solve_ivp(
        lambda t, v: rate * v + nonlinear(v), (0, 1), [1, 1], "LSODA", times, rtol=1e-11, atol=1e-12
    ).y.T
    found = exponential.march(np.ones(2), rate, nonlinear, times, 1e-6, pass_over=True)
    for v, expected in zip(found, exact[1:], strict=True):
        np.testing.assert_allclose(v, expected, atol=1e-5)


def test_a_linear_problem_is_exact():
    rate = np.array([[1j, -5.0], [2j - 1, 0.0]])
    found = exponential.march(START, rate, np.zeros_like, TIMES, 1e-3)
    for t, v in zip(TIMES[1:], found, strict=True):
        np.testing.assert_allclose(v, START * np.exp(rate * t), rtol=1e-13)


def test_order_five():
    """Errors at the end against the number of evaluations that the tolerance costs."""
    errors, calls = [], []
    for tolerance in 10.0 ** -np.arange(4, 10):
        count = 0

        def nonlinear(v):
            nonlocal count
            count += 1
            return 2j * v**2 / (1 + np.abs(v)) - 0.3 * v**3

        *_, end = exponential.march(START, -1.0 * np.ones((2, 2)), nonlinear, TIMES, tolerance)
        errors.append(end.copy())
        calls.append(count)
    *_, truth = exponential.march(START, -1.0 * np.ones((2, 2)), nonlinear, TIMES, 1e-13)
    distance = [np.linalg.norm(end - truth) for end in errors]
    assert -np.polyfit(np.log(calls), np.log(distance), 1)[0] > 4.3


def test_a_singularity_is_reported_with_its_time():
    with pytest.raises(exponential.StepUnderflow) as caught:
        list(exponential.march(np.ones(3), np.zeros(3), lambda v: v**2, TIMES, 1e-8))
    assert caught.value.time == pytest.approx(1.0, abs=0.01)
