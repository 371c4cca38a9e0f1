"""Flow and scalar in a channel: norms, conservation, diffusion, and pressure as a projection."""

import numpy as np
import pytest

from simulations.numerics import chebyshev
from simulations.numerics.channel import channel

SPACE = channel(16, 12, 3.0)


@pytest.fixture
def state():
    rng = np.random.default_rng(0)
    waves = SPACE.k.size
    state = rng.standard_normal((2, 10, waves)) + 1j * rng.standard_normal((2, 10, waves))
    state[:, :, 0] = state[:, :, 0].real
    state[0, -2:, 1:] = 0.0
    return state


def inner(a, b):
    """Sum over all waves of both signs."""
    products = (np.conj(a) * b).real.sum(axis=0)
    return 2 * products.sum() - products[0]


def mean(values):
    return SPACE.weights @ values.mean(axis=1)


def test_coefficients_are_normalised(state):
    flow = SPACE.at_quadrature(state)
    assert mean(flow.u**2 + flow.v**2) == pytest.approx(inner(state[0], state[0]))
    assert mean(flow.theta**2) == pytest.approx(inner(state[1], state[1]))


def test_advection_conserves(state):
    u, v, vorticity, theta = SPACE.at_quadrature(state)
    rate = SPACE.project(np.stack([v, -u]) * vorticity, np.stack([u, v]) * theta)
    for a, change in zip(state, rate, strict=True):
        size = np.sqrt(inner(a, a) * inner(change, change))
        assert abs(inner(a, change)) < 1e-12 * size


def test_a_gradient_moves_nothing(state):
    x = np.arange(SPACE.x_points) * 3.0 / SPACE.x_points
    k = SPACE.k[2]
    profile, slope = SPACE.y**3 - SPACE.y, 3 * SPACE.y**2 - 1
    along, across = -k * np.outer(profile, np.sin(k * x)), np.outer(slope, np.cos(k * x))
    gradient = np.stack([along, across])
    rate = SPACE.project(gradient, np.zeros_like(gradient))
    assert np.abs(rate).max() < 1e-12
    # and all of it is pressure
    still = np.zeros_like(state)
    nodes = chebyshev.nodes(12)
    wave = np.cos(k * np.arange(16) * 3.0 / 16)
    expected = np.outer(nodes**3 - nodes, wave)
    assert SPACE.pressure(still, gradient, 0.1) == pytest.approx(expected, abs=1e-12)


def test_diffusion_by_plain_derivatives():
    """Enstrophy and the squared gradient of the scalar are what diffusion takes away."""
    space = channel(8, 16, 3.0)
    rng = np.random.default_rng(1)
    state = np.zeros((2, 14, space.k.size), complex)
    state[:, :3] = rng.standard_normal((2, 3, space.k.size))
    rates = space.diffusion(0.3, 0.7)
    flow = space.at_quadrature(state)
    weights = space.weights
    spent = 0.3 * weights @ (flow.vorticity**2).mean(axis=1)
    products = (np.abs(state[0]) ** 2 * -rates[0]).sum(axis=0)
    assert 2 * products.sum() - products[0] == pytest.approx(spent)
    on_grid = space.on_grid(state).theta
    d = chebyshev.differentiation(16)
    spectrum = np.fft.rfft(on_grid, axis=1)
    spectrum *= 2j * np.pi / 3.0 * np.arange(spectrum.shape[1])
    along, across = np.fft.irfft(spectrum, 8, axis=1), d @ on_grid
    spent = 0.7 * chebyshev.quadrature(16) @ (along**2 + across**2).mean(axis=1)
    products = (np.abs(state[1]) ** 2 * -rates[1]).sum(axis=0)
    assert 2 * products.sum() - products[0] == pytest.approx(spent, rel=1e-3)


def test_start_is_the_closest_scalar():
    x = np.arange(16) * 3.0 / 16
    y = chebyshev.nodes(12)
    theta = np.outer(y**2 * (1 - y), np.cos(SPACE.k[3] * x)) + (y * (1 - y) ** 3)[:, None]
    flow = SPACE.on_grid(SPACE.start(theta))
    assert flow.theta == pytest.approx(theta, abs=1e-13)
    assert not flow.u.any()
    assert not flow.v.any()
