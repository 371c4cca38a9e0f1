"""Shallow water: symmetries, conservation and a positive depth for random admissible inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.grid import Axis, Grid
from simulations.inputs import RandomWaves, RiemannStates
from simulations.systems.shallow_water import RadialDam, ShallowWater

SEEDS = st.integers(0, 2**32)
BOUNDARIES = st.sampled_from(["periodic", "open", "wall"])


def rough(seed, n=24, deepest=1.0, **options):
    """Depths over six decades in blocks that move against each other."""
    simulation = ShallowWater(
        n=n,
        n_times=3,
        depth=RiemannStates(1e-6 * deepest, deepest, 4, log=True),
        velocity=RiemannStates(-2.0, 2.0, 4),
        **options,
    )
    return simulation, simulation.sample(np.random.default_rng(seed))


@given(seed=SEEDS, boundary=BOUNDARIES)
@settings(max_examples=15)
def test_the_depth_stays_positive_down_to_nearly_dry_beds(seed, boundary):
    simulation, inputs = rough(seed, boundary=boundary)
    found = simulation.run(inputs)
    assert found["depth"].min() > 0.0
    if boundary != "open":
        volume = simulation.diagnostics(found)["volume"]
        assert np.ptp(volume) < 1e-13 * volume[0]
    if boundary == "periodic":
        for axis in "xy":
            momentum = simulation.diagnostics(found)[f"momentum_{axis}"]
            assert np.ptp(momentum) < 1e-12 * volume[0]


@given(seed=SEEDS, boundary=BOUNDARIES)
@settings(max_examples=15)
def test_energy_is_never_gained(seed, boundary):
    simulation, inputs = rough(seed, boundary=boundary, t_end=0.5)
    if boundary == "open":  # through which energy may come in
        return
    found = simulation.run(inputs)
    speed = (found["velocity"] ** 2).sum(axis=-1)
    energy = (found["depth"] * (speed + inputs["gravity"] * found["depth"])).sum(axis=(1, 2))
    assert (np.diff(energy) <= 1e-12 * energy[0]).all()


@given(seed=SEEDS, boundary=BOUNDARIES)
@settings(max_examples=10)
def test_reflection_and_exchange_of_axes(seed, boundary):
    simulation = ShallowWater(
        n=20,
        n_times=2,
        boundary=boundary,
        depth=RandomWaves(deviation=0.3),
        velocity=RandomWaves(0.0, 0.0, 0.5, positive=False),
    )
    inputs = simulation.sample(np.random.default_rng(seed))
    depth = simulation.run(inputs)["depth"][-1]
    flipped = {
        **inputs,
        "depth0": inputs["depth0"][::-1].copy(),
        "velocity0": inputs["velocity0"][::-1] * [-1.0, 1.0],
    }
    assert np.abs(simulation.run(flipped)["depth"][-1] - depth[::-1]).max() < 1e-11
    exchanged = {
        **inputs,
        "depth0": inputs["depth0"].T.copy(),
        "velocity0": np.swapaxes(inputs["velocity0"], 0, 1)[..., ::-1].copy(),
    }
    assert np.abs(simulation.run(exchanged)["depth"][-1] - depth.T).max() < 1e-11


@given(seed=SEEDS, factor=st.floats(0.1, 10.0))
@settings(max_examples=10)
def test_depths_and_gravity_scale(seed, factor):
    """Only gh counts: twice the depth under half the gravity moves the same."""
    simulation, inputs = rough(seed)
    scaled = {
        **inputs,
        "gravity": inputs["gravity"] / factor,
        "depth0": inputs["depth0"] * factor,
    }
    if scaled["depth0"].min() < 1e-6:
        return
    found, other = simulation.solve(inputs), simulation.solve(scaled)
    assert np.abs(other["depth"] / factor - found["depth"]).max() < 1e-9
    assert np.isfinite(other["velocity"]).all()


@given(seed=SEEDS)
@settings(max_examples=10)
def test_a_lake_at_rest_stays_at_rest(seed):
    simulation = ShallowWater(n=16, n_times=2, boundary="wall")
    inputs = simulation.sample(np.random.default_rng(seed))
    still = {**inputs, "depth0": np.full((16, 16), 0.37), "velocity0": np.zeros((16, 16, 2))}
    found = simulation.run(still)
    assert np.abs(found["depth"] - 0.37).max() < 1e-14
    assert np.abs(found["velocity"]).max() < 1e-14


@given(seed=SEEDS)
def test_a_dam_is_the_same_on_every_grid(seed):
    grids = [Grid(tuple(Axis.cells(name, n, (-2.5, 2.5)) for name in "xy")) for n in (32, 64, 96)]
    coarse, fine, other = (RadialDam().sample(np.random.default_rng(seed), grid) for grid in grids)
    assert np.array_equal(coarse, coarse.T)
    assert np.array_equal(coarse, coarse[::-1])
    assert {coarse.min(), coarse.max()} == {1.0, 2.0}
    averaged = fine.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(averaged - coarse).max() < 0.15
    # The smallest disc holds some 740 of the coarse grid's samples, give or take two in a hundred
    for field in (coarse, fine, other):
        assert (field - 1).mean() * 25 == pytest.approx((fine - 1).mean() * 25, rel=0.03)


def test_the_radius_is_drawn_from_its_range():
    grid = Grid((Axis.cells("x", 1000, (-1.0, 1.0)),))
    radii = [
        (RadialDam(0.2, 0.4).sample(np.random.default_rng(seed), grid) - 1).sum() / 1000
        for seed in range(200)
    ]
    assert min(radii) == pytest.approx(0.2, abs=0.01)
    assert max(radii) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    "arguments",
    [{"smallest": -1.0}, {"smallest": 0.5, "largest": 0.4}, {"inside": "2"}, {"samples": 0}],
)
def test_a_dam_that_is_none_is_refused(arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]}=.*: must be"):
        RadialDam(**arguments)
