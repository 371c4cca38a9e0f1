"""Radiative layer: positivity, symmetries and the limits of cooling for random inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.grid import Axis, Grid
from simulations.systems.radiative_layer import Interface, RadiativeLayer

SEEDS = st.integers(0, 2**32)
COOLING_TIMES = st.sampled_from([1e-4, 0.03, 1.0, 1e9])


@given(seed=SEEDS, t_cool=COOLING_TIMES, contrast=st.sampled_from([10.0, 100.0, 1e4]))
@settings(max_examples=12)
def test_positive_and_losing_energy(seed, t_cool, contrast):
    simulation = RadiativeLayer(n=12, t_end=0.4, n_times=3, contrast=contrast, speed=3.0)
    inputs = {**simulation.sample(np.random.default_rng(seed)), "t_cool": t_cool}
    found = simulation.run(inputs)
    assert found["density"].min() > 0.0
    assert found["pressure"].min() > 0.0
    balance = simulation.diagnostics(found)
    assert (np.diff(balance["energy"]) < 1e-7 * balance["energy"][0]).all()


@given(seed=SEEDS, shift=st.integers(1, 11), t_cool=COOLING_TIMES)
@settings(max_examples=6)
def test_shifts_and_reflections(seed, shift, t_cool):
    simulation = RadiativeLayer(n=12, t_end=0.3, n_times=2)
    inputs = {**simulation.sample(np.random.default_rng(seed)), "t_cool": t_cool}
    density = simulation.run(inputs)["density"][-1]
    shifted = {name: np.roll(inputs[name], shift, 0) for name in simulation.field_inputs}
    moved = np.roll(simulation.run({**inputs, **shifted})["density"][-1], -shift, 0)
    assert np.abs(moved - density).max() < 1e-9
    flipped = {
        "density0": inputs["density0"][::-1].copy(),
        "velocity0": inputs["velocity0"][::-1] * [-1.0, 1.0],
    }
    mirrored = simulation.run({**inputs, **flipped})["density"][-1][::-1]
    assert np.abs(mirrored - density).max() < 1e-9


@given(temperature=st.floats(1e-3, 10.0), t_cool=COOLING_TIMES)
@settings(max_examples=15)
def test_gas_cools_down_to_the_cold_gas_and_no_farther(temperature, t_cool):
    simulation = RadiativeLayer(n=8, t_end=1.0, n_times=3)
    density = np.full(simulation.grid.shape, 1 / temperature)
    still = np.zeros((*simulation.grid.shape, 2))
    found = simulation.run({"t_cool": t_cool, "density0": density, "velocity0": still})
    reached = found["pressure"][-1] * temperature
    if 0.01 < temperature < 1.0:
        assert reached.min() >= 0.01 * (1 - 1e-12)
        assert reached.max() < temperature
    else:
        assert reached == pytest.approx(temperature, rel=1e-12)


def test_an_interface_is_the_same_function_on_every_grid():
    x = [Axis.cells("x", n, (-0.5, 0.5), boundary=("periodic",) * 2) for n in (16, 48)]
    y = [Axis.cells("y", 3 * n, (-1.0, 2.0), boundary=("open",) * 2) for n in (16, 48)]
    coarse, fine = (
        Interface().sample(np.random.default_rng(3), Grid(axes)) for axes in zip(x, y, strict=True)
    )
    assert np.abs(fine[1::3, 1::3] - coarse).max() < 1e-10
    assert coarse[:, 0] == pytest.approx(100.0)
    assert coarse[:, -1] == pytest.approx(1.0)
    assert np.ptp(coarse, axis=0).max() > 1.0


@pytest.mark.parametrize(
    "arguments", [{"below": "1"}, {"thickness": 0.0}, {"displacement": -1.0}, {"highest": 0}]
)
def test_an_interface_that_is_none_is_refused(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}=.*: must be"):
        Interface(**arguments)
