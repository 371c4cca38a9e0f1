"""Helmholtz equation: superposition, symmetries, units; resonances and sources."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.grid import Axis, Grid
from simulations.simulation import InvalidInput, SimulationDiverged
from simulations.systems.helmholtz import BOUNDARIES, GaussianSource, Helmholtz

SEEDS = st.integers(0, 2**32)
FREQUENCIES = st.floats(0.3, 3.0)
ANY = st.sampled_from(BOUNDARIES)


def run(simulation, inputs):
    solution = simulation.solve(inputs)
    return solution["pressure_re"][0] + 1j * solution["pressure_im"][0]


def draw(simulation, seed, frequency):
    return {**simulation.sample(np.random.default_rng(seed)), "frequency": frequency}


@settings(max_examples=10)
@given(seed=SEEDS, frequency=FREQUENCIES, boundary=ANY)
def test_superposition_and_symmetries(seed, frequency, boundary):
    simulation = Helmholtz(n=16, boundary=boundary)
    inputs = draw(simulation, seed, frequency)
    p = run(simulation, inputs)
    other = draw(simulation, seed + 1, frequency)["s"]
    q = run(simulation, {**inputs, "s": other})
    size = 1e-8 * (np.abs(p).max() + np.abs(q).max())
    both = run(simulation, {**inputs, "s": 2 * inputs["s"] - other})
    assert np.abs(both - 2 * p + q).max() < size
    for transform in (np.transpose, np.flipud, np.fliplr):
        moved = {name: transform(values) for name, values in inputs.items() if name != "frequency"}
        assert np.abs(run(simulation, {**inputs, **moved}) - transform(p)).max() < size


@settings(max_examples=10)
@given(seed=SEEDS, frequency=FREQUENCIES, boundary=ANY, factor=st.floats(0.01, 100.0))
def test_units(seed, frequency, boundary, factor):
    """Faster media and higher frequencies cancel; p = L² × a function of fL/c."""
    simulation = Helmholtz(n=16, boundary=boundary)
    inputs = draw(simulation, seed, frequency)
    p = run(simulation, inputs)
    faster = {**inputs, "frequency": factor * frequency, "c": factor * inputs["c"]}
    assert run(simulation, faster) == pytest.approx(p, abs=1e-7 * np.abs(p).max())
    larger = Helmholtz(n=16, boundary=boundary, length=factor)
    found = run(larger, {**inputs, "c": factor * inputs["c"]})
    assert found == pytest.approx(factor**2 * p, abs=1e-7 * factor**2 * np.abs(p).max())


@settings(max_examples=10)
@given(seed=SEEDS, frequency=FREQUENCIES)
def test_closed_cavities_absorb_nothing_and_open_ones_radiate(seed, frequency):
    for boundary in BOUNDARIES:
        simulation = Helmholtz(n=16, boundary=boundary)
        inputs = draw(simulation, seed, frequency)
        work = np.sum(simulation.grid.weights * inputs["s"] * run(simulation, inputs).imag)
        assert work > 0 if boundary == "absorbing" else work == 0


def test_resonance_is_said():
    simulation = Helmholtz(n=16, boundary="rigid")
    inputs = {"frequency": 1e-3, "c": np.full((17, 17), 1e6), "s": np.ones((17, 17))}
    with pytest.raises(SimulationDiverged, match="the frequency is that of a resonance"):
        simulation.solve(inputs)


def test_frequencies_beyond_reach_are_refused():
    simulation = Helmholtz(n=16)
    with pytest.raises(SimulationDiverged, match="nodes a side; at most"):
        simulation.solve({**draw(simulation, 0, 1e5)})


def test_an_unknown_boundary_is_refused():
    with pytest.raises(InvalidInput, match="boundary='open': must be one of"):
        Helmholtz(boundary="open")


@given(seed=SEEDS, width=st.floats(0.1, 0.3))
def test_a_source_is_one_function_of_integral_one(seed, width):
    field = GaussianSource(width, margin=0.5)
    for n in (32, 64):
        points = np.linspace(0.0, 4.0, n + 1)
        grid = Grid(tuple(Axis(name, points, (0.0, 4.0)) for name in "xy"))
        values = field.sample(np.random.default_rng(seed), grid)
        assert values.sum() * (4.0 / n) ** 2 == pytest.approx(1.0, rel=0.2 if n == 32 else 1e-3)
        assert values.max() == values[n // 2, n // 2]


@pytest.mark.parametrize("wrong", [{"width": 0.0}, {"width": float("nan")}, {"margin": 0.6}])
def test_an_impossible_source_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        GaussianSource(**wrong)
