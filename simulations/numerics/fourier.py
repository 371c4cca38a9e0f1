"""Spectra of fields in a periodic box, in the order of the fast Fourier transforms."""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[np.floating]


def wavevector(
    n: int, length: float, ndim: int, *, real: bool = True
) -> tuple[tuple[Array, ...], Array]:
    """Wavenumbers of all modes of a box with ``n`` points along each of ``ndim`` equal sides.

    Args:
        n: points along a side.
        length: side.
        ndim: number of dimensions.
        real: whether of a real field: half as many modes along the last axis, as of `rfftn`.

    Returns:
        Wavenumbers for first derivatives along each axis, broadcastable, zero for those that the
        grid cannot tell from their negatives; and |k|², with all modes.
    """
    k, squared = [], np.zeros((1,) * ndim)
    for axis in range(ndim):
        is_half = real and axis == ndim - 1
        modes = (scipy.fft.rfftfreq if is_half else scipy.fft.fftfreq)(n, 1 / n)
        along = (2 * np.pi / length * modes).reshape([-1 if a == axis else 1 for a in range(ndim)])
        squared = squared + along**2
        k.append(np.where(2 * np.abs(modes.reshape(along.shape)) == n, 0.0, along))
    return tuple(k), squared


def keep_real(spectrum: NDArray[np.complexfloating], n: int) -> None:
    """Remove, in place, what no real field has from its spectrum by `rfftn`.

    A mode and its negative are complex conjugates. Both are stored where the last wavenumber is
    zero, or the highest of an even number ``n`` of points along the last axis.
    """
    for last in (0, n // 2) if n % 2 == 0 else (0,):
        plane = spectrum[..., last]
        negative = np.flip(plane)
        for axis in range(plane.ndim):
            negative = np.roll(negative, 1, axis)
        plane += negative.conj()
        plane *= 0.5
