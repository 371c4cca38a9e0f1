"""Stabilised steps: order, stability, and the mean that they are written in."""

import numpy as np
import pytest

from simulations.numerics.runge_kutta_legendre import coefficients, stages


def step(y, eigenvalue, duration, count=None):
    """One step of y' = −eigenvalue · y, for an array of eigenvalues."""
    count = stages(duration * float(np.max(eigenvalue))) if count is None else count
    mean, earlier = np.zeros_like(y), np.zeros_like(y)
    for stage in range(1, count + 1):
        mu, nu, alpha, beta = coefficients(stage, count)
        new = mu * mean + nu * earlier + alpha * y - beta * duration * eigenvalue * mean
        mean, earlier = new, mean
    return y - duration * eigenvalue * mean


@pytest.mark.parametrize("count", [2, 3, 5, 9, 21])
def test_second_order(count):
    durations = [0.4, 0.2, 0.1, 0.05]
    errors = []
    for duration in durations:
        y = np.ones(1)
        for _ in range(round(2 / duration)):
            y = step(y, np.ones(1), duration, count)
        errors.append(abs(y[0] - np.exp(-2.0)))
    assert np.polyfit(np.log(durations), np.log(errors), 1)[0] > 1.9


@pytest.mark.parametrize("largest", [0.1, 0.99, 1.01, 5.0, 77.0, 1e3, 1e6])
def test_all_modes_are_damped(largest):
    eigenvalue = np.linspace(0.0, largest, 4001)
    factor = step(np.ones_like(eigenvalue), eigenvalue, 1.0)
    assert factor[0] == 1.0
    assert np.abs(factor[1:]).max() < 1.0
    assert np.abs(factor[eigenvalue > 0.5 * largest]).max() < 0.99


def test_stages_grow_with_the_root():
    assert [stages(rate) for rate in (0.0, 1.0, 1.1, 5.0, 5.1)] == [2, 2, 3, 3, 5]
    assert stages(1e6) == pytest.approx(np.sqrt(2e6), rel=2e-3)
