"""Symmetries of bodies and atoms for random inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.simulation import InvalidInput
from simulations.systems.lennard_jones import LennardJones
from simulations.systems.n_body import POSITIONS, VELOCITIES, NBody

BODIES = NBody(n=4, t_end=0.5, n_times=3, tolerance=1e-11)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=5)
@given(seeds)
def test_a_moving_observer_sees_the_same_bodies(seed):
    inputs = BODIES.sample(np.random.default_rng(seed))
    moving = inputs | {"x0": inputs["x0"] + 3.0, "vy0": inputs["vy0"] - 0.7}
    solution, seen = BODIES.run(inputs), BODIES.run(moving)
    np.testing.assert_allclose(seen["x"], solution["x"] + 3.0, atol=1e-8)
    drift = -0.7 * BODIES.times[:, None]
    np.testing.assert_allclose(seen["y"], solution["y"] + drift, atol=1e-8)


@settings(max_examples=5)
@given(seeds)
def test_bodies_return_when_velocities_are_reversed(seed):
    inputs = BODIES.sample(np.random.default_rng(seed))
    end = {name: values[-1] for name, values in BODIES.run(inputs).items() if name != "energy"}
    back = {f"{name}0": end[name] for name in POSITIONS}
    back |= {f"{name}0": -end[name] for name in VELOCITIES}
    returned = BODIES.run(inputs | back)
    for name in POSITIONS:
        np.testing.assert_allclose(returned[name][-1], inputs[f"{name}0"], atol=1e-7)


@settings(max_examples=3)
@given(seeds)
def test_the_order_of_bodies_does_not_matter(seed):
    inputs = BODIES.sample(np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(4)
    shuffled = {n: v[order] if np.ndim(v) else v for n, v in inputs.items()}
    solution, other = BODIES.run(inputs), BODIES.run(shuffled)
    for name in POSITIONS:
        np.testing.assert_allclose(other[name], solution[name][:, order], atol=1e-8)


def test_axes_of_the_fluid_are_alike():
    simulation = LennardJones(cells=3, t_end=0.2, n_times=3, cutoff=1.7)
    inputs = simulation.sample(np.random.default_rng(0))
    turned = inputs | {"kick_x": inputs["kick_y"], "kick_y": inputs["kick_x"]}
    solution, other = simulation.run(inputs), simulation.run(turned)
    # The lattice is its own mirror image, with other numbers for the atoms
    for name in ("potential", "kinetic_temperature", "pressure"):
        assert solution[name][0] == pytest.approx(other[name][0], abs=1e-10)


def test_a_box_must_hold_the_cutoff():
    simulation = LennardJones(cells=2)
    with pytest.raises(InvalidInput, match=r"density=0\.9: a box of 32 atoms is"):
        simulation.run(simulation.sample(np.random.default_rng(0)) | {"density": 0.9})
