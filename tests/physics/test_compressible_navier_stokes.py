"""Viscous gas: symmetries, balances and positivity for random admissible inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.grid import Axis, Grid
from simulations.inputs import RiemannStates
from simulations.systems.compressible_navier_stokes import CompressibleNavierStokes, PerturbedState

SEEDS = st.integers(0, 2**32)
VISCOSITIES = st.sampled_from([0.0, 1e-8, 1e-3, 0.1])
BOUNDARIES = st.sampled_from(["periodic", "open", "wall"])


def rough(seed, ndim=2, **options):
    """Blocks of gas whose density and pressure differ by up to four decades, at Mach number 2."""
    simulation = CompressibleNavierStokes(
        ndim=ndim,
        n={1: 64, 2: 20, 3: 10}[ndim],
        n_times=3,
        t_end=0.1,
        mach=2.0,
        density=RiemannStates(1e-2, 1.0, 4, log=True),
        temperature=RiemannStates(1e-2, 1.0, 4, log=True),
        velocity=RiemannStates(-1.0, 1.0, 4),
        **options,
    )
    return simulation, simulation.sample(np.random.default_rng(seed))


@given(seed=SEEDS, eta=VISCOSITIES, zeta=VISCOSITIES, boundary=BOUNDARIES, ndim=st.integers(1, 3))
@settings(max_examples=25)
def test_what_is_conserved_and_positive(seed, eta, zeta, boundary, ndim):
    simulation, inputs = rough(seed, ndim, boundary=boundary)
    found = simulation.run({**inputs, "eta": eta, "zeta": zeta})
    assert found["density"].min() > 0.0
    assert found["pressure"].min() > 0.0
    balance = simulation.diagnostics(found)
    conserved = {
        "periodic": [*balance],
        "wall": ["mass", "energy"],
        "open": [],
    }[boundary]
    for name in conserved:
        size = max(balance["mass"][0], balance["energy"][0])
        assert np.ptp(balance[name]) < 1e-12 * size, name


@given(seed=SEEDS, boundary=BOUNDARIES)
@settings(max_examples=8)
def test_reflection_and_exchange_of_axes(seed, boundary):
    simulation = CompressibleNavierStokes(n=20, n_times=2, boundary=boundary)
    inputs = simulation.sample(np.random.default_rng(seed))
    density = simulation.run(inputs)["density"][-1]
    scalars = ("density0", "pressure0")
    flipped = {name: inputs[name][::-1].copy() for name in scalars}
    flipped["velocity0"] = inputs["velocity0"][::-1] * [-1.0, 1.0]
    assert (
        np.abs(simulation.run({**inputs, **flipped})["density"][-1] - density[::-1]).max() < 1e-11
    )
    exchanged = {name: inputs[name].T.copy() for name in scalars}
    exchanged["velocity0"] = np.swapaxes(inputs["velocity0"], 0, 1)[..., ::-1].copy()
    turned = simulation.run({**inputs, **exchanged})["density"][-1].T
    assert np.abs(turned - density).max() < 1e-11


@given(seed=SEEDS, ndim=st.integers(1, 3))
@settings(max_examples=8)
def test_uniform_motion_has_no_stress(seed, ndim):
    simulation = CompressibleNavierStokes(ndim=ndim, n=8, n_times=2)
    inputs = simulation.sample(np.random.default_rng(seed))
    uniform = {name: np.full_like(inputs[name], 0.7) for name in simulation.field_inputs}
    found = simulation.run({**inputs, **uniform, "eta": 100.0})
    for values in found.values():
        assert np.abs(values - 0.7).max() < 1e-12


@given(seed=SEEDS, mach=st.floats(0.01, 3.0))
@settings(max_examples=10)
def test_draws_have_the_mach_number(seed, mach):
    simulation = CompressibleNavierStokes.preset("pdebench_2d", n=32, mach=mach)
    drawn = simulation.sample(np.random.default_rng(seed))
    speed = np.sqrt((drawn["velocity0"] ** 2).sum(axis=-1).mean())
    sound = np.sqrt(5 / 3 * drawn["pressure0"].mean() / drawn["density0"].mean())
    assert speed / sound == pytest.approx(mach)
    assert drawn["eta"] == drawn["zeta"]
    finer = simulation.rescaled(2.0).sample(np.random.default_rng(seed))
    for name in simulation.field_inputs:
        averaged = (
            finer[name].reshape(32, 2, 32, 2, -1).mean(axis=(1, 3)).reshape(drawn[name].shape)
        )
        assert np.abs(averaged - drawn[name]).max() < 0.1 * np.abs(drawn[name]).max()


def test_a_gas_at_rest_can_be_drawn():
    simulation = CompressibleNavierStokes(n=8, velocity=RiemannStates(0.0, 0.0))
    assert not simulation.sample(np.random.default_rng(0))["velocity0"].any()


@pytest.mark.parametrize(
    "arguments",
    [{"low": -1.0}, {"high": 0.01}, {"weakest": "1"}, {"strongest": 0.0}, {"highest": 0}],
)
def test_a_state_that_is_none_is_refused(arguments):
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]}=.*: must be"):
        PerturbedState(**arguments)


def test_a_perturbed_state_is_the_same_function_on_every_grid():
    grids = [Grid((Axis.cells("x", n, (0.0, 2.0)),)) for n in (32, 96)]
    coarse, fine = (PerturbedState().sample(np.random.default_rng(5), grid) for grid in grids)
    assert np.abs(fine[1::3] - coarse).max() < 1e-12
