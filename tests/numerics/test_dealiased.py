"""Kept modes: transforms against SciPy, products without aliasing."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.numerics import dealiased

SIZES = st.integers(4, 40)


def random_spectrum(shape, seed):
    """That of some real field without other modes."""
    field = np.random.default_rng(seed).standard_normal(shape)
    return dealiased.spectrum_of(field, len(shape))


def half(shape):
    return np.empty((shape[-2], shape[-1] // 2 + 1), complex)


@pytest.mark.parametrize("shape", [(7,), (8, 9), (6, 16, 11)])
def test_modes_of_a_wave(shape):
    lengths = np.arange(1.0, 1 + len(shape))
    k = dealiased.wavenumbers(shape, lengths)
    assert tuple(map(len, k)) == dealiased.shape_of_modes(shape)
    points = [length * np.arange(n) / n for n, length in zip(shape, lengths, strict=True)]
    mesh = np.meshgrid(*points, indexing="ij")
    index = (-1,) * (len(shape) - 1) + (1,)
    phase = sum(q[i] * x for q, i, x in zip(k, index, mesh, strict=True))
    spectrum = dealiased.spectrum_of(3 * np.cos(phase), len(shape))
    assert spectrum[index] == pytest.approx(1.5)
    assert dealiased.squared(k)[index] == pytest.approx(sum(q[i] ** 2 for q, i in zip(k, index)))  # noqa: B905
    np.testing.assert_allclose(dealiased.fields_of(spectrum, shape), 3 * np.cos(phase), atol=1e-13)


@given(nx=SIZES, ny=SIZES, seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_kernels_agree_with_scipy(nx, ny, seed):
    shape = (nx, ny)
    modes, points = random_spectrum(shape, seed), np.empty(shape)
    before = modes.copy()
    dealiased.to_points(modes, half(shape), points)
    np.testing.assert_allclose(points, dealiased.fields_of(modes, shape), atol=1e-12)
    assert np.array_equal(modes, before)
    rough, found = np.random.default_rng(seed).standard_normal(shape), np.empty_like(modes)
    dealiased.to_modes(rough, half(shape), found)
    np.testing.assert_allclose(found, dealiased.spectrum_of(rough, 2), atol=1e-13)


@given(n=st.integers(4, 12), seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_planes_of_a_box(n, seed):
    shape = (n, n + 1, n + 2)
    modes = random_spectrum(shape, seed)
    planes = np.empty((1, n, *modes.shape[1:]), complex)
    dealiased.to_planes(modes[None], planes)
    points = np.empty(shape)
    for plane in range(n):
        dealiased.to_points(planes[0, plane], half(shape), points[plane])
    np.testing.assert_allclose(points, dealiased.fields_of(modes, shape), atol=1e-12)
    dealiased.from_planes(planes)
    kept = np.r_[0 : modes.shape[0] // 2 + 1, n - modes.shape[0] // 2 : n]
    np.testing.assert_allclose(planes[0, kept], modes, atol=1e-13)


@given(nx=SIZES, ny=SIZES, seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_products_are_free_of_aliasing(nx, ny, seed):
    """Those of the same spectra on a grid of three times as many points have the same modes."""
    shape = (nx, ny)
    a, b = random_spectrum(shape, seed), random_spectrum(shape, seed + 1)
    product = dealiased.fields_of(a, shape) * dealiased.fields_of(b, shape)
    found = dealiased.spectrum_of(product, 2)
    kx, ky = dealiased.wavenumbers(shape, (2 * np.pi, 2 * np.pi))
    fine = (3 * nx, 3 * ny)

    def on_the_fine_grid(spectrum):
        padded = np.zeros((fine[0], fine[1] // 2 + 1), complex)
        padded[np.ix_(kx.astype(int), ky.astype(int))] = spectrum
        return scipy.fft.irfft2(padded, fine, norm="forward")

    exact = scipy.fft.rfft2(on_the_fine_grid(a) * on_the_fine_grid(b), norm="forward")
    expected = exact[np.ix_(kx.astype(int), ky.astype(int))]
    np.testing.assert_allclose(found, expected, atol=1e-12)
