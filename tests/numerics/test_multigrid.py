"""Multigrid on networks of conductances: any shape, any units, and an honest verdict."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import splu

from simulations.numerics import multigrid


def matrix(east, south, ground):
    """The system matrix, point by point."""
    ny, nx = ground.shape
    a = scipy.sparse.lil_array((ny * nx, ny * nx))
    a.setdiag(ground.ravel())

    def join(p, q, conductance):
        a[p, p] += conductance
        a[q, q] += conductance
        a[p, q] = a[q, p] = -conductance

    for i in range(ny):
        for j in range(nx - 1):
            join(i * nx + j, i * nx + j + 1, east[i, j])
    for i in range(ny - 1):
        for j in range(nx):
            join(i * nx + j, (i + 1) * nx + j, south[i, j])
    return a.tocsc()


def network(ny, nx, rng, spread=1.0, grounded=1.0):
    """Log-normal conductances, of which the given part of the points is grounded."""
    east, south, ground = (
        np.exp(spread * rng.standard_normal(shape))
        for shape in ((ny, nx - 1), (ny - 1, nx), (ny, nx))
    )
    ground *= rng.random((ny, nx)) < grounded
    ground[rng.integers(ny), rng.integers(nx)] += 0.1
    return east, south, ground


@given(
    ny=st.integers(1, 30),
    nx=st.integers(1, 30),
    seed=st.integers(0, 2**32),
    grounded=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_agrees_with_a_direct_solver(ny, nx, seed, grounded):
    rng = np.random.default_rng(seed)
    conductances = network(ny, nx, rng, grounded=grounded)
    b = rng.standard_normal((ny, nx))
    u, _, residual = multigrid.solve(*conductances, b, 1e-11, 100)
    assert residual <= 1e-11
    exact = splu(matrix(*conductances)).solve(b.ravel()).reshape(ny, nx)
    assert np.abs(u - exact).max() < 1e-7 * np.abs(exact).max()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 333), (200, 50), (97, 101)])
def test_few_iterations_whatever_the_shape(shape):
    conductances = network(*shape, np.random.default_rng(1), spread=0.5, grounded=0.01)
    _, iterations, residual = multigrid.solve(*conductances, np.ones(shape), 1e-8, 100)
    assert residual <= 1e-8
    assert iterations <= 15


def test_one_grounded_point_carries_all():
    """Nearly singular: the constant is fixed by a single conductance, 10⁻⁶ of the others."""
    n = 65
    ground = np.zeros((n, n))
    ground[5, 50] = 1e-6
    u, iterations, residual = multigrid.solve(
        np.ones((n, n - 1)), np.ones((n - 1, n)), ground, np.ones((n, n)), 1e-9, 100
    )
    assert residual <= 1e-9
    assert iterations <= 20
    assert u[5, 50] == pytest.approx(n**2 / 1e-6, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_units_cancel(factor):
    """Single precision inside does not limit the range of the numbers."""
    conductances = network(33, 40, np.random.default_rng(2))
    b = np.random.default_rng(3).standard_normal((33, 40))
    u, iterations, _ = multigrid.solve(*conductances, b, 1e-10, 100)
    scaled = [factor * c for c in conductances]
    v, iterations_scaled, _ = multigrid.solve(*scaled, b / factor, 1e-10, 100)
    assert iterations_scaled == iterations
    assert v * factor**2 == pytest.approx(u, rel=1e-9)


def test_the_residual_tells_whether_it_worked():
    east, south, ground = network(40, 40, np.random.default_rng(4))
    b = np.ones((40, 40))
    u, iterations, residual = multigrid.solve(east, south, ground, b, 1e-10, 2)
    assert iterations == 2
    assert residual > 1e-10
    true = np.linalg.norm(matrix(east, south, ground) @ u.ravel() - b.ravel()) / 40
    assert residual == pytest.approx(true, rel=1e-6)

    assert not multigrid.solve(east, south, 0 * ground, b, 1e-10, 100)[2] <= 1e-10  # singular
    east[7, 8] = np.nan
    assert not multigrid.solve(east, south, ground, b, 1e-10, 100)[2] <= 1e-10


def test_nothing_in_nothing_out():
    conductances = network(9, 9, np.random.default_rng(5))
    u, iterations, residual = multigrid.solve(*conductances, np.zeros((9, 9)), 1e-10, 100)
    assert not u.any()
    assert (iterations, residual) == (0, 0.0)
