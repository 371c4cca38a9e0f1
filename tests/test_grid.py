"""Axes and grids: quadrature weights, and moving fields between resolutions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.grid import Axis, Grid

counts = st.integers(2, 40)
fractions = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20).map(np.array)
seeds = st.integers(0, 2**32 - 1)


def chebyshev(n, bounds=(0.0, 1.0), name="x"):
    """Chebyshev–Gauss–Lobatto points between the bounds."""
    low, high = bounds
    points = low + (high - low) * (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1)))
    return Axis(name, points, bounds, interpolation="polynomial")


def trigonometric(seed, degree, length):
    """A random real trigonometric polynomial, normalised to a maximum of at most 1."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, degree + 1))
    size = np.abs(a).sum() + np.abs(b).sum()

    def evaluate(x):
        phase = 2 * np.pi * np.multiply.outer(x, np.arange(degree + 1)) / length
        return (np.cos(phase) @ a + np.sin(phase) @ b) / size

    return evaluate


@given(n=st.integers(1, 41), where=fractions, length=st.floats(1e-6, 1e6), seed=seeds)
def test_fourier_interpolation_is_exact_below_the_nyquist_wavenumber(n, where, length, seed):
    axis = Axis.periodic("x", n, length)
    f = trigonometric(seed, (n - 1) // 2, length)
    points = where * length
    found = axis.interpolation_matrix(points) @ f(axis.points)
    np.testing.assert_allclose(found, f(points), atol=1e-11)


@pytest.mark.parametrize("n", [7, 8, 33, 64])
def test_fourier_interpolation_just_beside_a_point_and_its_periodic_image(n):
    axis = Axis.periodic("x", n)
    f = trigonometric(1, (n - 1) // 2, 1.0)
    beside = np.add.outer([1e-15, 1e-14, 1e-12, 1e-9, -1e-12], axis.points).ravel()
    beside = np.concatenate([beside, 1.0 - np.geomspace(1e-15, 1e-6, 40)])
    found = axis.interpolation_matrix(beside) @ f(axis.points)
    np.testing.assert_allclose(found, f(beside), atol=1e-12)


def test_fourier_interpolation_of_the_nyquist_wave_is_its_cosine():
    axis = Axis.periodic("x", 8)
    points = np.linspace(0.0, 1.0, 29)
    wave = (-1.0) ** np.arange(8)
    np.testing.assert_allclose(
        axis.interpolation_matrix(points) @ wave, np.cos(8 * np.pi * points), atol=1e-13
    )


@given(n=st.integers(2, 60), where=fractions, seed=seeds)
def test_polynomial_interpolation_is_exact_on_chebyshev_points(n, where, seed):
    axis = chebyshev(n, (-1.0, 1.0))
    coefficients = np.random.default_rng(seed).standard_normal(n)
    f = np.polynomial.Chebyshev(coefficients / np.abs(coefficients).sum())
    points = 2 * where - 1
    found = axis.interpolation_matrix(points) @ f(axis.points)
    np.testing.assert_allclose(found, f(points), atol=1e-12)


def test_polynomial_interpolation_with_many_points_is_exact_and_the_same_every_time():
    axis, points = chebyshev(1500), np.linspace(0.0, 1.0, 97)
    found = axis.interpolation_matrix(points) @ np.cos(50 * axis.points)
    np.testing.assert_allclose(found, np.cos(50 * points), atol=1e-11)
    again = axis.interpolation_matrix(points) @ np.cos(50 * axis.points)
    assert np.array_equal(found, again)


def test_polynomial_interpolation_converges_spectrally():
    errors = []
    points = np.linspace(0.0, 1.0, 200)
    for n in (8, 16, 32):
        axis = chebyshev(n)
        found = axis.interpolation_matrix(points) @ runge(axis.points)
        errors.append(np.abs(found - runge(points)).max())
    # The poles of 1/(1 + 25 (2x − 1)²) leave a geometric rate of exp(−asinh(1/5)) a point
    rate = np.exp(-np.arcsinh(0.2))
    assert errors[1] < 3 * rate**8 * errors[0]
    assert errors[2] < 3 * rate**16 * errors[1]


def runge(x):
    return 1 / (1 + 25 * (2 * x - 1) ** 2)


@pytest.mark.parametrize("boundary", [("wall", "wall"), ("periodic", "periodic")])
def test_spline_interpolation_has_order_four(boundary):
    """Also from the outermost centres to the wall, where it extrapolates."""
    points = np.linspace(0.0, 1.0, 401)
    errors = []
    for n in (32, 64, 128):
        axis = Axis.cells("x", n, boundary=boundary)
        found = axis.interpolation_matrix(points) @ np.exp(np.sin(2 * np.pi * axis.points))
        errors.append(np.abs(found - np.exp(np.sin(2 * np.pi * points))).max())
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 3.7) & (orders < 4.8)), orders


@given(n=st.integers(4, 30), where=fractions, seed=seeds)
def test_spline_interpolation_is_exact_for_cubics(n, where, seed):
    axis = Axis.cells("x", n, (-2.0, 1.0))
    f = np.polynomial.Polynomial(np.random.default_rng(seed).standard_normal(4))
    points = 3 * where - 2
    found = axis.interpolation_matrix(points) @ f(axis.points)
    np.testing.assert_allclose(found, f(points), atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_spline_interpolation_with_fewer_points_than_a_cubic_needs(n):
    axis = Axis.cells("x", n)
    found = axis.interpolation_matrix(np.array([0.1, 0.9])) @ axis.points ** (n - 1)
    np.testing.assert_allclose(found, np.array([0.1, 0.9]) ** (n - 1), atol=1e-13)


@pytest.mark.parametrize("scale", [1e-13, 1e-6, 1.0, 1e6])
def test_interpolation_sees_a_small_shift_at_any_scale(scale):
    """Points that nearly coincide are not the same points."""
    axis = Axis.cells("x", 16, (0.0, scale))
    shifted = axis.points + 1e-7 * scale
    moved = axis.interpolation_matrix(shifted) @ axis.points
    np.testing.assert_allclose(moved / scale, shifted / scale, rtol=0, atol=1e-12)
    assert np.array_equal(axis.interpolation_matrix(axis.points.copy()), np.eye(16))


@given(ours=counts, theirs=counts, seed=seeds)
def test_averaging_conserves_the_integral(ours, theirs, seed):
    fine, coarse = Axis.cells("x", ours, (-1.0, 2.0)), Axis.cells("x", theirs, (-1.0, 2.0))
    values = np.random.default_rng(seed).standard_normal(ours)
    averaged = fine.averaging_matrix(coarse) @ values
    assert averaged @ coarse.weights == pytest.approx(values @ fine.weights, abs=1e-12)
    assert averaged.min() >= values.min() - 1e-12
    assert averaged.max() <= values.max() + 1e-12


@given(n=st.integers(1, 20), factor=st.integers(1, 6), seed=seeds)
def test_refining_by_averages_and_coarsening_again_changes_nothing(n, factor, seed):
    coarse, fine = Axis.cells("x", n), Axis.cells("x", n * factor)
    values = np.random.default_rng(seed).standard_normal(n)
    refined = coarse.averaging_matrix(fine) @ values
    np.testing.assert_allclose(refined, np.repeat(values, factor), atol=1e-12)
    np.testing.assert_allclose(fine.averaging_matrix(coarse) @ refined, values, atol=1e-12)


@given(n=st.integers(1, 50), low=st.floats(-10, 10), length=st.floats(1e-3, 1e3))
def test_weights_add_up_to_the_length(n, low, length):
    for axis in (
        Axis.periodic("x", n, length),
        Axis.cells("x", n, (low, low + length)),
        chebyshev(n + 1, (low, low + length)),
    ):
        assert axis.weights.sum() == pytest.approx(axis.bounds[1] - axis.bounds[0], rel=1e-12)
        assert (axis.weights > 0).all()


def test_weights_of_nodes_on_the_walls_are_those_of_the_trapezoidal_rule():
    points = np.array([0.0, 0.1, 0.4, 1.0])
    axis = Axis("x", points, (0.0, 1.0))
    assert axis.weights @ points**2 == pytest.approx(np.trapezoid(points**2, points), rel=1e-14)


def test_grid_weights_are_normalised_products():
    grid = Grid((Axis.periodic("x", 4, 3.0), chebyshev(5, name="y"), Axis.cells("z", 3)))
    assert grid.weights.shape == grid.shape == (4, 5, 3)
    assert grid.weights.sum() == pytest.approx(1.0)
    profile = grid.weights[1, :, 2] / grid.weights[1, :, 2].sum()
    np.testing.assert_allclose(profile, chebyshev(5).weights)
    assert grid.names == ("x", "y", "z")
    assert grid.periodic == (True, False, False)


def test_a_grid_without_axes_is_a_point():
    assert Grid().shape == ()
    assert Grid().ndim == 0
    assert Grid().weights == 1.0
    assert Grid().interpolate(np.arange(3.0), Grid(), first_axis=1).tolist() == [0.0, 1.0, 2.0]


def test_grid_interpolation_moves_each_axis_by_its_own_rule_and_leaves_the_others():
    coarse = Grid((Axis.periodic("x", 12, 2.0), Axis.cells("y", 9, (0.0, 1.0))))
    fine = Grid((Axis.periodic("x", 15, 2.0), Axis.cells("y", 20, (0.0, 1.0))))

    def f(grid):  # exact for both interpolants
        x, y = np.meshgrid(*(axis.points for axis in grid.axes), indexing="ij")
        one = np.sin(np.pi * x) * y**3
        two = np.cos(3 * np.pi * x) * (1 - y**2)
        return np.stack([[one, two], [two - one, one]], axis=1)[..., None] * [1.0, -2.0]

    moved = coarse.interpolate(np.moveaxis(f(coarse), 1, 0), fine, first_axis=2)
    np.testing.assert_allclose(moved, np.moveaxis(f(fine), 1, 0), atol=1e-12)
    assert moved.flags.c_contiguous


def test_grid_average_of_both_axes():
    fine, coarse = (
        Grid((Axis.periodic("x", 2 * n), Axis.cells("y", 3 * n, (0.0, 4.0)))) for n in (4, 2)
    )
    values = np.random.default_rng(0).standard_normal(fine.shape)
    blocks = values.reshape(4, 2, 6, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(fine.average(values, coarse), blocks, atol=1e-14)
