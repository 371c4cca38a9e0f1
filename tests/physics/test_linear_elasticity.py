"""Plate with a hole: linearity, symmetries, monotony for random holes and materials."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.systems.linear_elasticity import LinearElasticity

SIMULATION = LinearElasticity(n=8, degree=6)
RADII = st.floats(0.05, 0.8)
RATIOS = st.floats(0.0, 0.5)
LOADS = st.floats(-1.0, 1.0)


def run(simulation, radius, ratio, load):
    return simulation.solve({"radius": radius, "poisson_ratio": ratio, "biaxiality": load})


@settings(max_examples=10)
@given(radius=RADII, ratio=RATIOS, load=LOADS)
def test_loads_superpose(radius, ratio, load):
    along_x, both, found = (run(SIMULATION, radius, ratio, b) for b in (0.0, 1.0, load))
    for name in ("displacement", "stress"):
        expected = (1 - load) * along_x[name] + load * both[name]
        assert np.abs(found[name] - expected).max() < 1e-9 * np.abs(both[name]).max()


@settings(max_examples=10)
@given(radius=RADII, ratio=RATIOS)
def test_the_diagonal_is_a_mirror_of_a_square_under_equal_tension(radius, ratio):
    """Also of one under opposite tension, which changes sign."""
    for load in (1.0, -1.0):
        solution = run(SIMULATION, radius, ratio, load)
        stress = solution["stress"][0]
        mirrored = load * stress[:, ::-1] * np.array([[1, -1], [-1, 1]])
        # The corner lies between two elements, whose stresses differ by the error
        away = np.arange(9) != 4
        difference = np.abs(mirrored - stress)[:, away].max()
        assert difference < 1e-9 * np.abs(stress).max()


@settings(max_examples=10)
@given(radius=RADII, ratio=RATIOS, load=LOADS, factor=st.floats(0.01, 100.0))
def test_units(radius, ratio, load, factor):
    one = run(SIMULATION, radius, ratio, load)
    pulled = run(replace(SIMULATION, tension=factor), radius, ratio, load)
    stiffer = run(replace(SIMULATION, modulus=factor), radius, ratio, load)
    for name, power in (("displacement", 1), ("stress", 1), ("concentration", 0), ("energy", 2)):
        assert pulled[name] == pytest.approx(factor**power * one[name], rel=1e-10, abs=1e-14)
    for name, power in (("displacement", -1), ("stress", 0), ("energy", -1)):
        assert stiffer[name] == pytest.approx(factor**power * one[name], rel=1e-10, abs=1e-14)


@settings(max_examples=10)
@given(radius=st.floats(0.05, 0.7), ratio=RATIOS, load=LOADS)
def test_larger_holes_yield_more(radius, ratio, load):
    small, large = (run(SIMULATION, r, ratio, load) for r in (radius, radius + 0.1))
    assert large["energy"] > small["energy"] > 0
    assert large["von_mises"].min() >= 0


def test_positions_reach_from_the_rim_to_the_sides():
    simulation = LinearElasticity(n=12, aspect=2.0)
    x, y = simulation.positions(0.3)
    assert np.hypot(x[0], y[0]) == pytest.approx(np.full(13, 0.3))
    assert np.maximum(x[-1] / 2, y[-1]) == pytest.approx(np.ones(13))
    assert np.abs(y[:, 0]).max() == 0
    assert np.abs(x[:, -1]).max() < 1e-15
