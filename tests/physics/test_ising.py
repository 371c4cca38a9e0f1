"""What holds for spins at any temperature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.simulation import InvalidInput
from simulations.systems.ising import Ising

SMALL = Ising(n=8, sweeps=3, n_times=5)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_spins_are_spins_and_scalars_are_their_means(seed):
    inputs = SMALL.sample(np.random.default_rng(seed))
    solution = SMALL.run(inputs)
    assert set(np.unique(solution["spin"])) <= {-1.0, 1.0}
    for frame, spin in enumerate(solution["spin"]):
        assert solution["magnetisation"][frame] == spin.mean()
        pairs = sum((spin * np.roll(spin, 1, axis)).sum() for axis in (0, 1)) / spin.size
        energy = -pairs - inputs["field"] * spin.mean()
        assert solution["energy"][frame] == pytest.approx(energy, abs=1e-14)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_turning_field_and_spins_over_turns_the_run_over(seed):
    inputs = SMALL.sample(np.random.default_rng(seed))
    turned = inputs | {"field": -inputs["field"], "spin0": -inputs["spin0"]}
    assert np.array_equal(SMALL.run(inputs)["spin"], -SMALL.run(turned)["spin"])


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_at_rest_the_energy_only_falls(seed):
    inputs = SMALL.sample(np.random.default_rng(seed)) | {"temperature": 1e-3, "field": 0.0}
    assert (np.diff(SMALL.run(inputs)["energy"]) <= 1e-12).all()


def test_other_streams_are_other_runs():
    inputs = SMALL.sample(np.random.default_rng(0)) | {"temperature": 3.0}
    first, second = (SMALL.run(inputs | {"stream": stream}) for stream in (1.0, 2.0))
    assert not np.array_equal(first["spin"], second["spin"])


def test_a_spin_is_up_or_down():
    inputs = SMALL.sample(np.random.default_rng(0))
    inputs["spin0"][2, 3] = 0.5
    with pytest.raises(InvalidInput, match="spin0: every initial spin must be −1 or 1"):
        SMALL.run(inputs)


def test_a_chessboard_has_even_sides():
    with pytest.raises(InvalidInput, match="n=7: must be even"):
        Ising(n=7)
