"""Wavenumbers of a box, and spectra of real fields."""

import numpy as np
import pytest
import scipy.fft

from simulations.numerics.fourier import keep_real, wavevector


@pytest.mark.parametrize("n", [9, 10])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("real", [True, False])
def test_derivatives_of_waves(n, ndim, real):
    length = 3.0
    points = np.meshgrid(*[length / n * np.arange(n)] * ndim, indexing="ij")
    q = 2 * np.pi / length * np.array([2, -3, 1][:ndim])
    phase = sum(a * x for a, x in zip(q, points, strict=True))
    u = np.cos(phase)
    forward, backward = (
        (scipy.fft.rfftn, lambda v: scipy.fft.irfftn(v, u.shape))
        if real
        else (scipy.fft.fftn, lambda v: scipy.fft.ifftn(v).real)
    )
    k, squared = wavevector(n, length, ndim, real=real)
    np.testing.assert_allclose(backward(-squared * forward(u)), -(q @ q) * u, atol=1e-10)
    for component, along in zip(q, k, strict=True):
        slope = backward(1j * along * forward(u))
        np.testing.assert_allclose(slope, -component * np.sin(phase), atol=1e-10)


@pytest.mark.parametrize("shape", [(8,), (7, 7), (8, 8), (6, 6, 6), (5, 5, 5)])
def test_the_spectrum_of_a_real_field_is_kept_and_the_rest_is_not(shape):
    rng = np.random.default_rng(0)
    spectrum = scipy.fft.rfftn(rng.standard_normal(shape))
    kept = spectrum.copy()
    keep_real(kept, shape[-1])
    np.testing.assert_allclose(kept, spectrum, atol=1e-13)
    disturbed = spectrum + 1j * rng.standard_normal(spectrum.shape)
    expected = scipy.fft.rfftn(scipy.fft.irfftn(disturbed, shape))
    keep_real(disturbed, shape[-1])
    np.testing.assert_allclose(disturbed, expected, atol=1e-12)
