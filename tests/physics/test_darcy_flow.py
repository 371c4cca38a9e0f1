"""Darcy flow: exact solutions, published values, a direct solver, conservation, symmetries."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import splu

from simulations.inputs import GaussianRandomField, Thresholded
from simulations.numerics import multigrid
from simulations.systems.darcy_flow import (
    MAX_ITERATIONS,
    DarcyFlow,
    assemble,
    conductances_of_cells,
)

SEEDS = st.integers(0, 2**32)
#: Even, odd and prime sizes; 85, 241 and 421 are those of the Fourier neural operator benchmark.
SIZES = st.sampled_from([16, 23, 32, 37, 53, 64, 85])
STRONG = Thresholded(GaussianRandomField(alpha=2.0, tau=3.0, scale=1.0), low=0.01, high=100.0)


def run(simulation, a):
    return simulation.solve({"a": np.ascontiguousarray(a, dtype=float)})["u"][0]


def draw(simulation, seed):
    return simulation.sample(np.random.default_rng(seed))["a"]


def solve_network(*network, tolerance=1e-11):
    u, _, residual = multigrid.solve(*network, tolerance, 100)
    assert residual <= tolerance
    return u


@given(seed=SEEDS, n=st.integers(2, 40), m=st.integers(2, 12))
def test_flux_through_layers_is_exact(seed, n, m):
    """Between two sides at 1 and 0 Pa, layers of any conductance are resistances in series."""
    a = np.exp(1.5 * np.random.default_rng(seed).standard_normal(n))
    along, across, sides = conductances_of_cells(np.tile(a, (m, 1)))
    # The middle rows of a taller medium touch the inlet and the outlet only
    _, _, sides = (part[1:-1] for part in conductances_of_cells(np.tile(a, (m + 2, 1))))
    inlet = np.zeros((m, n))
    inlet[:, 0] = sides[:, 0]
    u = solve_network(along, across, sides, inlet, tolerance=1e-12)
    flux = 1 / np.sum(1 / a)  # the size of a cell cancels
    assert (sides * u)[:, -1] == pytest.approx(np.full(m, flux), rel=1e-7)


@pytest.mark.parametrize("n", [16, 37, 85, 128, 241])
@pytest.mark.parametrize("medium", [DarcyFlow.medium, STRONG], ids=["default", "1e4"])
def test_agrees_with_a_direct_solver(n, medium):
    simulation = DarcyFlow(n=n, medium=medium)
    a = draw(simulation, n)
    direct = splu(assemble(*conductances_of_cells(a))).solve(np.full(n * n, 1 / n**2))
    direct = direct.reshape(n, n)
    u = run(simulation, a)
    assert np.abs(u - direct).max() < 1e-7 * direct.max()


@pytest.mark.parametrize(
    ("medium", "usual", "most"),
    [(DarcyFlow.medium, 11, 12), (STRONG, 15, 40)],
    ids=["default", "1e4"],
)
def test_iterations_do_not_depend_on_the_grid(medium, usual, most):
    for n in (16, 37, 64, 85, 128, 241, 421):
        counts = []
        for seed in range(7):
            conductances = conductances_of_cells(draw(DarcyFlow(n=n, medium=medium), seed))
            load = np.ones((n, n))
            u, iterations, _ = multigrid.solve(*conductances, load, 1e-8, 100)
            counts.append(iterations)
        assert np.median(counts) <= usual, (n, counts)
        assert max(counts) <= most, (n, counts)
        residual = assemble(*conductances) @ u.ravel() - load.ravel()
        assert np.linalg.norm(residual) < 2e-8 * np.linalg.norm(load)


def test_media_beyond_multigrid_are_solved_directly():
    simulation = DarcyFlow(n=64)
    a = np.where(np.random.default_rng(0).random((64, 64)) < 0.5, 1e-2, 1e2)
    load = np.full((64, 64), 1 / 64**2)
    _, iterations, residual = multigrid.solve(*conductances_of_cells(a), load, 1e-8, MAX_ITERATIONS)
    assert iterations == MAX_ITERATIONS
    assert residual > 1e-8
    residual = assemble(*conductances_of_cells(a)) @ run(simulation, a).ravel() - load.ravel()
    assert np.linalg.norm(residual) <= 1e-8 * np.linalg.norm(load)


@given(seed=SEEDS, n=SIZES, medium=st.sampled_from([DarcyFlow.medium, STRONG]))
def test_what_is_injected_leaves_through_the_sides(seed, n, medium):
    simulation = DarcyFlow(n=n, medium=medium, source=2.5)
    a = draw(simulation, seed)
    *_, sides = conductances_of_cells(a)
    assert np.sum(sides * run(simulation, a)) == pytest.approx(2.5, rel=1e-7)


@given(seed=SEEDS, n=SIZES, medium=st.sampled_from([DarcyFlow.medium, STRONG]))
def test_maximum_principle(seed, n, medium):
    """With a positive source the pressure is positive and has no minimum inside."""
    simulation = DarcyFlow(n=n, medium=medium)
    u = run(simulation, draw(simulation, seed))
    padded = np.pad(u, 1)
    neighbours = [padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2]]
    assert u.min() > 0
    assert (u > np.min(neighbours, axis=0)).all()


@given(seed=SEEDS, n=SIZES, medium=st.sampled_from([DarcyFlow.medium, STRONG]))
def test_reflections_and_transposition(seed, n, medium):
    simulation = DarcyFlow(n=n, medium=medium)
    a = draw(simulation, seed)
    u = run(simulation, a)
    for transform in (np.flipud, np.fliplr, np.transpose):
        assert np.abs(run(simulation, transform(a)) - transform(u)).max() < 1e-7 * u.max()


@given(seed=SEEDS, n=SIZES, factor=st.floats(-12, 12).map(lambda power: 10**power))
def test_units_cancel(seed, n, factor):
    """Pressure is proportional to the source and inversely to the mobility."""
    simulation = DarcyFlow(n=n)
    a = draw(simulation, seed)
    u = run(simulation, a)
    assert run(simulation, factor * a) * factor == pytest.approx(u, rel=1e-7)
    assert run(replace(simulation, source=-factor), a) / factor == pytest.approx(-u, rel=1e-7)


@given(seed=SEEDS, n=SIZES)
def test_better_conductors_dissipate_less(seed, n):
    """Rayleigh's monotonicity law, and power = dissipation Σ c (u_i − u_j)²."""
    simulation = DarcyFlow(n=n, tolerance=1e-10)
    a = draw(simulation, seed)
    east, south, sides = conductances_of_cells(a)
    u = run(simulation, a)
    power = simulation.diagnostics({"u": u[None]})["power"][0]
    dissipation = (
        np.sum(east * np.diff(u, axis=1) ** 2)
        + np.sum(south * np.diff(u, axis=0) ** 2)
        + np.sum(sides * u**2)
    )
    assert power == pytest.approx(dissipation, rel=1e-7)
    improved = a + 20 * (np.random.default_rng(seed).random((n, n)) < 0.01)
    if (improved > a).any():
        assert run(simulation, improved).mean() < u.mean()


def test_grid_refinement_of_one_medium():
    """The default medium on finer grids is the same medium, and its pressure converges."""
    finest = DarcyFlow(n=256)
    inputs = finest.sample(np.random.default_rng(3))
    exact = finest.solve(inputs)
    errors = []
    for factor in (1 / 8, 1 / 4, 1 / 2):
        simulation = finest.rescaled(factor)
        solution = simulation.solve(finest.transfer_inputs(inputs, simulation))
        difference = simulation.transfer_solution(solution, finest)["u"] - exact["u"]
        errors.append(np.linalg.norm(difference) / np.linalg.norm(exact["u"]))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_default_medium_is_that_of_the_benchmark():
    a = draw(DarcyFlow(n=64), 0)
    assert set(np.unique(a)) == {3.0, 12.0}
    jumps = np.count_nonzero(np.diff(a, axis=0)) + np.count_nonzero(np.diff(a, axis=1))
    assert jumps < 0.15 * a.size  # patches, not noise
