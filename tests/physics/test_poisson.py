"""Poisson's equation: linearity, symmetries, the maximum principle, what has no mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.simulation import InvalidInput
from simulations.systems.poisson import BOUNDARIES, Poisson

SEEDS = st.integers(0, 2**32)
NDIM = st.integers(1, 3)
SIZES = st.integers(4, 13)
ANY = st.sampled_from(BOUNDARIES)


def run(simulation, f):
    return simulation.solve({"f": f})["u"][0]


def noise(simulation, seed):
    return np.random.default_rng(seed).standard_normal(simulation.grid.shape)


@given(seed=SEEDS, n=SIZES, ndim=NDIM, boundary=ANY)
def test_superposition_and_units(seed, n, ndim, boundary):
    """u is linear in f; doubling all lengths makes it four times as large."""
    simulation = Poisson(ndim=ndim, n=n, boundary=boundary)
    f, g = noise(simulation, seed), noise(simulation, seed + 1)
    u, v = run(simulation, f), run(simulation, g)
    size = np.abs(u).max() + np.abs(v).max()
    assert np.abs(run(simulation, 2 * f - 3 * g) - 2 * u + 3 * v).max() < 1e-12 * size
    larger = Poisson(ndim=ndim, n=n, boundary=boundary, length=2.0)
    assert np.abs(run(larger, f) - 4 * u).max() < 1e-12 * size


@given(seed=SEEDS, n=SIZES, ndim=NDIM, boundary=ANY)
def test_reflections_and_transposition(seed, n, ndim, boundary):
    simulation = Poisson(ndim=ndim, n=n, boundary=boundary)
    f = noise(simulation, seed)
    u = run(simulation, f)
    for transform in (np.transpose, *(lambda a, d=d: np.flip(a, d) for d in range(ndim))):
        assert np.abs(run(simulation, transform(f)) - transform(u)).max() < 1e-13


@given(seed=SEEDS, n=SIZES, ndim=NDIM)
def test_periodic_shifts(seed, n, ndim):
    simulation = Poisson(ndim=ndim, n=n, boundary="periodic")
    f = noise(simulation, seed)
    u = run(simulation, f)
    assert np.abs(run(simulation, np.roll(f, 3, 0)) - np.roll(u, 3, 0)).max() < 1e-13


@given(seed=SEEDS, n=SIZES, ndim=NDIM)
def test_maximum_principle(seed, n, ndim):
    """Charges of one sign make a potential of that sign, zero on the walls."""
    simulation = Poisson(ndim=ndim, n=n)
    f = np.maximum(noise(simulation, seed) - 1.0, 0.0)
    f.flat[f.size // 2] += 1.0
    u = run(simulation, f)
    inner = (slice(1, -1),) * ndim
    assert np.abs(u).sum() == pytest.approx(u[inner].sum())
    assert u.min() >= -1e-15


@given(seed=SEEDS, n=SIZES, ndim=NDIM, boundary=st.sampled_from(["neumann", "periodic"]))
def test_a_mean_of_the_charge_is_ignored(seed, n, ndim, boundary):
    simulation = Poisson(ndim=ndim, n=n, boundary=boundary)
    f = noise(simulation, seed)
    u = run(simulation, f)
    assert np.abs(run(simulation, f + 7.0) - u).max() < 1e-13
    assert abs(simulation.diagnostics({"u": u[None]})["mean"][0]) < 1e-14


def test_an_unknown_boundary_is_refused():
    with pytest.raises(InvalidInput, match="boundary='robin': must be one of"):
        Poisson(boundary="robin")
