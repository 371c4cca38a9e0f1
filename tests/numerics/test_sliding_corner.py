"""Flow in a corner with a sliding wall: walls, equations, and the polynomial that confines it."""

import numpy as np
import pytest

from simulations.numerics.sliding_corner import confined, corner_flow, mirrored

H = 2e-3
X, Y = np.meshgrid(0.3 + H * np.arange(-3, 4), 0.6 + H * np.arange(-3, 4), indexing="ij")


def along_x(values):
    return (values[2:, 1:-1] - values[:-2, 1:-1]) / (2 * H)


def along_y(values):
    return (values[1:-1, 2:] - values[1:-1, :-2]) / (2 * H)


def laplacian(values):
    centre = values[1:-1, 1:-1]
    sides = values[2:, 1:-1] + values[:-2, 1:-1] + values[1:-1, 2:] + values[1:-1, :-2]
    return (sides - 4 * centre) / H**2


@pytest.mark.parametrize("term", [1, 2])
@pytest.mark.parametrize("is_confined", [False, True])
def test_derivatives(term, is_confined):
    flow = corner_flow(term, X, Y)
    if is_confined:
        flow = confined(flow, X, Y)
    inner = np.s_[1:-1, 1:-1]
    assert along_x(flow.psi) == pytest.approx(flow.x[inner], abs=2e-4)
    assert along_y(flow.psi) == pytest.approx(flow.y[inner], abs=2e-4)
    assert laplacian(flow.psi) == pytest.approx(flow.laplacian[inner], abs=2e-3)


def test_equations():
    first, second = corner_flow(1, X, Y), corner_flow(2, X, Y)
    assert laplacian(first.laplacian) == pytest.approx(0.0, abs=2e-3)
    inner = np.s_[1:-1, 1:-1]
    transport = first.y[inner] * along_x(first.laplacian) - first.x[inner] * along_y(
        first.laplacian
    )
    assert np.abs(transport).min() > 0.1
    assert laplacian(second.laplacian) == pytest.approx(transport, rel=1e-3)


@pytest.mark.parametrize(("term", "speed"), [(1, 1.0), (2, 0.0)])
def test_walls(term, speed):
    """No flow through the walls of the corner, no slip but at the lid; confined, at all walls."""
    s = np.linspace(0.01, 0.99, 9)
    one, zero = np.ones_like(s), np.zeros_like(s)
    lid, side = corner_flow(term, s, one), corner_flow(term, zero, s)
    for values in (lid.psi, lid.x, side.psi, side.x, side.y):
        assert values == pytest.approx(0.0, abs=1e-14)
    assert lid.y == pytest.approx(speed)
    for x, y in ((one, s), (s, zero)):
        far = confined(corner_flow(term, x, y), x, y)
        for values in (far.psi, far.x, far.y):
            assert values == pytest.approx(0.0, abs=1e-14)
    left = confined(corner_flow(term, s, one), s, one)
    right = mirrored(confined(corner_flow(term, 1 - s, one), 1 - s, one), 1)
    assert left.y + right.y == pytest.approx(speed)
