"""Ideal magnetohydrodynamics: symmetries, conservation and positivity for random inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations import MHD
from simulations.simulation import InvalidInput

SEEDS = st.integers(0, 2**32 - 1)
SMALL = MHD(n=16, t_end=0.2, n_times=2)


def drawn(seed, mean=(0.2, -0.1)):
    inputs = SMALL.sample(np.random.default_rng(seed))
    return {**inputs, "magnetic_field0": inputs["magnetic_field0"] + np.array(mean)}


def moved(inputs, change):
    """The inputs with every field changed."""
    return {name: change(name, value) for name, value in inputs.items() if name != "gamma"} | {
        "gamma": inputs["gamma"]
    }


def largest_difference(found, expected):
    return max(np.abs(found[f"{name}0"] - values[-1]).max() for name, values in expected.items())


def last(solution):
    return {f"{name}0": values[-1] for name, values in solution.items()} | {"gamma": 0.0}


@settings(max_examples=8)
@given(SEEDS, st.integers(0, 15), st.integers(0, 15))
def test_translation(seed, i, j):
    inputs = drawn(seed)

    def shift(_, values):
        return np.ascontiguousarray(np.roll(values, (i, j), axis=(0, 1)))

    found = SMALL.run(moved(inputs, shift))
    assert largest_difference(moved(last(SMALL.run(inputs)), shift), found) < 1e-11


@settings(max_examples=8)
@given(SEEDS)
def test_exchange_of_axes(seed):
    """The magnetic field is a pseudovector: exchanging x and y turns it round once more."""
    inputs = drawn(seed)

    def exchange(name, values):
        values = np.swapaxes(values, 0, 1)
        if values.ndim == 3:
            values = values[..., ::-1]
        return np.ascontiguousarray(-values if name.startswith("magnetic") else values)

    found = SMALL.run(moved(inputs, exchange))
    assert largest_difference(moved(last(SMALL.run(inputs)), exchange), found) < 1e-11


@settings(max_examples=8)
@given(SEEDS)
def test_reversed_field(seed):
    """Only products of the field with itself act on the gas."""
    inputs = drawn(seed)

    def turn(name, values):
        return -values if name.startswith("magnetic") else values

    found = SMALL.run(moved(inputs, turn))
    assert largest_difference(moved(last(SMALL.run(inputs)), turn), found) < 1e-11


@settings(max_examples=8)
@given(SEEDS, st.floats(0.2, 3.0))
def test_conservation_and_positivity(seed, strength):
    inputs = drawn(seed, mean=(strength, 0.5 * strength))
    solution = SMALL.run(inputs)
    assert solution["density"].min() > 0.0
    assert solution["pressure"].min() > 0.0
    for name, values in SMALL.diagnostics(solution).items():
        assert np.ptp(values) < 1e-12, name


def test_strong_field_stays_positive():
    """A blast in a field with fifty times the pressure of the gas (Londrillo, Del Zanna 2000)."""
    n = 48
    simulation = MHD(n=n, t_end=0.01, n_times=2)
    x, y = np.meshgrid(*(axis.points - 0.5 for axis in simulation.grid.axes), indexing="ij")
    nothing, one = np.zeros((n, n)), np.ones((n, n))
    solution = simulation.run(
        {
            "gamma": 1.4,
            "density0": one,
            "pressure0": np.where(np.hypot(x, y) < 0.125, 100.0, 1.0),
            "velocity0": np.zeros((n, n, 2)),
            "velocity_z0": nothing,
            "magnetic_field0": np.full((n, n, 2), 10 / np.sqrt(2)),
            "magnetic_field_z0": nothing,
        }
    )
    assert solution["pressure"].min() > 0.0
    assert solution["density"].max() > 1.5
    assert simulation.diagnostics(solution)["divergence"].max() < 1e-13


def test_a_field_with_divergence_is_refused():
    inputs = drawn(0)
    x = SMALL.grid.axes[0].points
    spread = np.stack([np.sin(2 * np.pi * x)[:, None] * np.ones(16), np.zeros((16, 16))], axis=-1)
    with pytest.raises(InvalidInput, match=r"magnetic_field0: .* are not the curl of a potential"):
        SMALL.run({**inputs, "magnetic_field0": spread})
