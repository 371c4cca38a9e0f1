"""Waves, sound and light: symmetries and conservation for random media; random mazes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulations
from simulations.grid import Axis, Grid
from simulations.systems.acoustics import Acoustics, Maze, Patchwork, PressureRings, SmoothNoise

SEEDS = st.integers(0, 2**32)
CLOSED = [
    simulations.Wave(n=24, n_times=4, boundary="wall"),
    simulations.Wave(n=24, n_times=4, boundary="fixed", order=2),
    simulations.Wave(n=24, n_times=4),
    Acoustics(n=24, n_times=4, medium=Patchwork(most=10)),
    Acoustics(n=24, n_times=4, lower="periodic", upper="periodic"),
    simulations.Maxwell(n=24, n_times=4, boundary="wall"),
    simulations.Maxwell(n=24, n_times=4, boundary="periodic"),
]


def name(simulation):
    described = simulation.settings
    return f"{type(simulation).__name__}-{described.get('boundary', described.get('lower'))}"


def draw(simulation, seed):
    return simulation.sample(np.random.default_rng(seed))


@pytest.mark.parametrize("simulation", CLOSED, ids=name)
@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_energy_is_conserved_to_round_off(simulation, seed):
    energy = simulation.run(draw(simulation, seed))["energy"]
    assert np.ptp(energy) <= 1e-11 * energy[0]


@pytest.mark.parametrize("simulation", CLOSED, ids=name)
@given(seed=SEEDS, factor=st.floats(-3.0, 3.0))
@settings(max_examples=5, deadline=None)
def test_solutions_superpose(simulation, seed, factor):
    one, other = draw(simulation, seed), draw(simulation, seed + 1)
    initial = [n for n, i in simulation.field_inputs.items() if i.initial_of]
    other = one | {n: other[n] for n in initial}
    both = one | {n: one[n] + factor * other[n] for n in initial}
    found = [simulation.run(inputs) for inputs in (one, other, both)]
    for field, declared in simulation.fields.items():
        if declared.spatial:
            expected = found[0][field] + factor * found[1][field]
            assert (
                np.abs(found[2][field] - expected).max() <= 1e-10 * np.abs(expected).max() + 1e-10
            )


@pytest.mark.parametrize("system", ["Wave", "Acoustics", "Maxwell"])
@given(seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_mirrored_inputs_give_the_mirrored_solution(system, seed):
    simulation = {
        "Wave": simulations.Wave(n=24, n_times=3, boundary="open"),
        "Acoustics": Acoustics(n=24, n_times=3, lower="open", upper="open"),
        "Maxwell": simulations.Maxwell(n=24, n_times=3),
    }[system]
    inputs = draw(simulation, seed)
    mirrored = {n: np.ascontiguousarray(np.asarray(v)[::-1]) for n, v in inputs.items()}
    one, other = simulation.run(inputs), simulation.run(mirrored)
    first = next(iter(simulation.fields))
    np.testing.assert_allclose(other[first], one[first][:, ::-1], rtol=0, atol=1e-11)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_nothing_outruns_the_fastest_wave(seed):
    """Beyond the distance that a wave has travelled there is silence, but for the scheme's own."""
    simulation = Acoustics(1, 200, t_end=0.3, n_times=2)
    x = simulation.grid.axes[0].points
    inputs = draw(simulation, seed) | {"pressure0": np.exp(-0.5 * (x / 0.05) ** 2)}
    found = simulation.run(inputs)["pressure"][-1]
    speed = np.sqrt(np.max(inputs["bulk_modulus"]) / np.min(inputs["density"]))
    assert np.abs(found[np.abs(x) > 0.3 * speed + 0.35]).max(initial=0.0) < 1e-6


def cells(n, ndim=2):
    return Grid(tuple(Axis.cells(axis, n, (-1.0, 1.0)) for axis in "xyz"[:ndim]))


@pytest.mark.parametrize(
    "distribution", [PressureRings(), Patchwork(most=8), SmoothNoise(), Maze()]
)
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_draw_is_the_same_function_on_every_grid(distribution, ndim):
    n = 15
    for seed in range(4):
        coarse = distribution.sample(np.random.default_rng(seed), cells(n, ndim))
        fine = distribution.sample(np.random.default_rng(seed), cells(3 * n, ndim))
        np.testing.assert_allclose(fine[(slice(1, None, 3),) * ndim], coarse, rtol=1e-9, atol=1e-9)


@given(seed=SEEDS, size=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_a_maze_has_one_way_between_any_two_places(seed, size):
    """The ways form a tree: connected, with one passage less than places."""
    maze = Maze(size, size, 1.0, 2.0)
    field = maze.sample(np.random.default_rng(seed), cells(2 * size + 1))
    open_cells = {tuple(int(i) for i in cell) for cell in np.argwhere(field == 1.0)}
    assert {(1, 0), (2 * size - 1, 2 * size)} <= open_cells
    assert len(open_cells) == 2 * size**2 - 1 + 2
    reached, waiting = set(), [(1, 0)]
    while waiting:
        i, j = waiting.pop()
        reached.add((i, j))
        near = {(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)}
        waiting += list((near & open_cells) - reached)
    assert reached == open_cells


@pytest.mark.parametrize("preset", ["the_well_inclusions", "the_well_maze"])
def test_dense_places_are_silent_at_the_start(preset):
    simulation = Acoustics.preset(preset, n=64)
    for seed in range(6):
        drawn = draw(simulation, seed)
        assert not drawn["pressure0"][drawn["density"] > simulation.silent_above].any()
        np.testing.assert_array_equal(drawn["bulk_modulus"], 4.0)


def test_the_presets_store_what_the_data_sets_do():
    for preset, frames, end in (
        ("discontinuous", 102, 2.0),
        ("inclusions", 102, 2.0),
        ("maze", 202, 4.0),
    ):
        simulation = Acoustics.preset(f"the_well_{preset}")
        assert (simulation.times.size, simulation.times[-1]) == (frames, end)
        assert simulation.grid.shape == (256, 256)
        for axis in simulation.grid.axes:
            assert (axis.bounds, axis.boundary) == ((-1.0, 1.0), ("wall", "open"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: PressureRings(most=0),
        lambda: PressureRings(width=(0.2, 0.1)),
        lambda: Patchwork(low=-1.0),
        lambda: Patchwork(log_low=2.0, log_high=1.0),
        lambda: SmoothNoise(length=0.0),
        lambda: Maze(fewest=0),
        lambda: Maze(most=2),
        lambda: Maze(wall=float("nan")),
    ],
)
def test_impossible_distributions_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
