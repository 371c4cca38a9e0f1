"""What holds for the concentration in any soil."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.systems.diffusion_sorption import DiffusionSorption

SMALL = DiffusionSorption(n=64, n_times=6)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_concentrations_stay_between_the_extremes(seed):
    inputs = SMALL.sample(np.random.default_rng(seed))
    u = SMALL.run(inputs)["u"]
    assert u.min() >= -1e-12
    assert u.max() <= 1.0 + 1e-5
    assert (np.diff(u[1:], axis=1) <= 1e-5).all()  # from the inlet to the outlet it falls


@settings(max_examples=5)
@given(st.floats(0.3, 1.5), st.floats(1.0, 8.0))
def test_a_faster_clock_is_a_greater_diffusivity(exponent, factor):
    """D and t only occur as their product, except at the outlet, which nothing reaches here."""
    inputs = SMALL.sample(np.random.default_rng(0)) | {
        "exponent": exponent,
        "diffusivity": 1e-5,
        "u0": np.full(64, 0.1),
    }
    slow = DiffusionSorption(n=64, t_end=100.0 * factor, n_times=2).run(inputs)
    fast = DiffusionSorption(n=64, t_end=100.0, n_times=2).run(
        inputs | {"diffusivity": 1e-5 * factor}
    )
    np.testing.assert_allclose(slow["u"][-1, :32], fast["u"][-1, :32], atol=1e-5)
