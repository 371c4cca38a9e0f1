"""Symmetries of the FitzHugh–Nagumo model for random inputs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.systems.fitzhugh_nagumo import FitzHughNagumo

SMALL = FitzHughNagumo(n=16, t_end=1.0, n_times=2, tolerance=1e-8)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=5)
@given(seeds)
def test_a_mirror_image_stays_one(seed):
    inputs = SMALL.sample(np.random.default_rng(seed))
    flipped = inputs | {n: np.ascontiguousarray(inputs[n][::-1].T) for n in ("u0", "v0")}
    solution, mirrored = SMALL.run(inputs), SMALL.run(flipped)
    for name in "uv":
        expected = solution[name][-1][::-1].T
        np.testing.assert_allclose(mirrored[name][-1], expected, atol=1e-9)


@settings(max_examples=5)
@given(seeds)
def test_opposite_signs_give_the_opposite(seed):
    inputs = SMALL.sample(np.random.default_rng(seed))
    opposite = inputs | {n: -inputs[n] for n in ("u0", "v0", "k")}
    solution, negative = SMALL.run(inputs), SMALL.run(opposite)
    for name in "uv":
        np.testing.assert_allclose(negative[name], -solution[name], atol=1e-11)


@settings(max_examples=3)
@given(seeds)
def test_nothing_depends_on_a_direction_in_which_nothing_varies(seed):
    line = FitzHughNagumo(ndim=1, n=16, t_end=1.0, n_times=2, tolerance=1e-8)
    inputs = line.sample(np.random.default_rng(seed))
    spread = {n: np.repeat(inputs[n][:, None], 16, axis=1) for n in ("u0", "v0")}
    alone, plane = line.run(inputs), SMALL.run(inputs | spread)
    for name in "uv":
        expected = np.repeat(alone[name][-1][:, None], 16, axis=1)
        np.testing.assert_allclose(plane[name][-1], expected, atol=1e-6)
