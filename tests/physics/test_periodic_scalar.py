"""Equations of one field in a periodic box: symmetries, positivity, conservation, resolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.simulation import InvalidInput
from simulations.systems import (
    AllenCahn,
    Burgers,
    CahnHilliard,
    FisherKPP,
    KuramotoSivashinsky,
    SwiftHohenberg,
)

SEEDS = st.integers(0, 2**32)
#: Small squares, and a time in which much happens
SQUARES = [
    AllenCahn(ndim=2, n=32, t_end=3.0, n_times=3, tolerance=1e-6),
    CahnHilliard(ndim=2, n=32, length=40.0, t_end=10.0, n_times=3, tolerance=1e-6),
    FisherKPP(ndim=2, n=32, t_end=0.5, n_times=3, tolerance=1e-6),
    KuramotoSivashinsky(ndim=2, n=32, length=30.0, t_end=5.0, n_times=3, tolerance=1e-6),
    SwiftHohenberg(ndim=2, n=32, length=30.0, t_end=5.0, n_times=3, tolerance=1e-6),
]


@pytest.mark.parametrize("square", SQUARES, ids=lambda s: type(s).__name__)
@settings(max_examples=5)
@given(seed=SEEDS, shift=st.tuples(st.integers(0, 31), st.integers(0, 31)))
def test_symmetries_of_the_square(square, seed, shift):
    inputs = square.sample(np.random.default_rng(seed))
    u0 = np.asarray(inputs["u0"])
    u = square.solve(inputs)["u"]
    moves = (
        lambda f: np.roll(f, shift, axis=(-2, -1)),
        lambda f: f[..., ::-1, :],
        lambda f: np.swapaxes(f, -2, -1),
    )
    for move in moves:
        moved = square.solve(inputs | {"u0": np.ascontiguousarray(move(u0))})["u"]
        assert np.abs(moved - move(u)).max() < 1e-4 * np.abs(u).max()


@settings(max_examples=5)
@given(seed=SEEDS, ndim=st.sampled_from([1, 2, 3]))
def test_densities_stay_between_nothing_and_full(seed, ndim):
    simulation = FisherKPP(ndim=ndim, n=32 if ndim < 3 else 16, t_end=1.0, n_times=5)
    inputs = simulation.sample(np.random.default_rng(seed)) | {"diffusivity": 0.02}
    u = simulation.solve(inputs)["u"]
    assert u[1:].min() > -1e-3
    assert u[1:].max() < 1 + 1e-3


@settings(max_examples=5)
@given(seed=SEEDS, ndim=st.sampled_from([1, 2, 3]), mean=st.floats(-0.5, 0.5))
def test_mass_of_a_mixture_is_conserved(seed, ndim, mean):
    simulation = CahnHilliard(
        ndim=ndim, n=32 if ndim < 3 else 16, length=30.0, t_end=5.0, n_times=3, tolerance=1e-3
    )
    inputs = simulation.sample(np.random.default_rng(seed))
    solution = simulation.solve(inputs | {"u0": np.asarray(inputs["u0"]) + mean})
    mass = simulation.diagnostics(solution)["mass"]
    assert np.ptp(mass) < 1e-12 * simulation.length**ndim


@pytest.mark.parametrize("system", [AllenCahn, FisherKPP])
def test_a_field_that_has_come_to_rest_stays_there(system):
    """Growing modes of the linear part feed on rounding, unless it is removed."""
    simulation = system(ndim=2, n=16, t_end=300.0, n_times=3, tolerance=1e-6)
    inputs = simulation.sample(np.random.default_rng(0))
    u0 = np.full((16, 16), 0.9) + 0.05 * np.asarray(inputs["u0"]) / np.abs(inputs["u0"]).max()
    u = simulation.solve(inputs | {"u0": u0})["u"]
    assert np.abs(u[-1] - 1).max() < 1e-5


def test_a_grid_that_misses_growing_waves_is_refused():
    with pytest.raises(InvalidInput, match=r"n=32: must be at least 45, to keep all waves"):
        KuramotoSivashinsky(n=32)
    KuramotoSivashinsky(n=45)
    assert all(rung.n >= 45 for rung in KuramotoSivashinsky().coarsened())


def test_fno_data_are_draws_of_the_unit_interval_stretched():
    """Coefficients √2·25/((2πm)² + 25) of cosines and sines, m waves in the interval."""
    simulation = Burgers.preset("fno_paper", n=64)
    draws = [simulation.sample(np.random.default_rng(seed))["u0"] for seed in range(2000)]
    spectra = np.fft.rfft(draws, axis=1, norm="forward")[:, 1:6]
    found = np.sqrt((2 * np.abs(spectra) ** 2).mean(axis=0))
    expected = np.sqrt(2) * 25 / ((2 * np.pi * np.arange(1, 6)) ** 2 + 25)
    np.testing.assert_allclose(found, expected, rtol=0.06)
