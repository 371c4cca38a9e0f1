"""Real fields in a periodic box by those Fourier modes whose products are free of aliasing.

Of n modes along an axis the ones with |m| ≤ (n − 1)//3 are kept (the 2/3 rule), and no others are
stored: four ninths of the spectrum in two dimensions, eight twenty-sevenths in three. All axes but
the last have the modes 0, 1, …, K, −K, …, −1, the last one 0, 1, …, K. The coefficients are those
of the Fourier series, whatever the number of points.

The kernels transform one axis at a time and skip the columns of zeros. They write into arrays that
are made once: to allocate one that leaves the cache costs more than the transform.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import rocket_fft
import scipy.fft
from numpy.typing import NDArray

from simulations.compilation import kernel

Array = NDArray[np.floating]
Spectrum = NDArray[np.inexact]

FIRST, SECOND = np.array([0]), np.array([1])


def highest_mode(n: int) -> int:
    """K of an axis with n points: the product of two such modes aliases onto none of them."""
    return (n - 1) // 3


def shape_of_modes(shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of the kept spectrum of a field on a grid."""
    *others, last = (highest_mode(n) for n in shape)
    return (*(2 * highest + 1 for highest in others), last + 1)


def wavenumbers(shape: Sequence[int], lengths: Sequence[float]) -> list[Array]:
    """2πm/length of the kept modes along each axis, an array ``(modes,)`` each."""
    found: list[Array] = []
    for n, length in zip(shape, lengths, strict=True):
        highest = highest_mode(n)
        modes = np.concatenate([np.arange(highest + 1.0), np.arange(-highest, 0.0)])
        found.append(2 * np.pi / length * modes)
    found[-1] = found[-1][: highest_mode(shape[-1]) + 1].copy()
    return found


def squared(k: Sequence[Array]) -> Array:
    """|k|² of all modes, from the wavenumbers along the axes."""
    mesh = np.meshgrid(*k, indexing="ij", sparse=True)
    return np.asarray(sum(component**2 for component in mesh))


def spectrum_of(fields: Array, ndim: int) -> Spectrum:
    """Kept modes of fields on a grid of the last ``ndim`` axes."""
    spectra = scipy.fft.rfftn(fields, axes=range(-ndim, 0), norm="forward")
    return np.ascontiguousarray(spectra[(..., *_places(fields.shape[-ndim:]))])


def fields_of(spectra: Spectrum, shape: Sequence[int]) -> Array:
    """Fields on a grid of this shape, one for each index ahead of the axes of the modes."""
    ndim = len(shape)
    padded = np.zeros((*spectra.shape[:-ndim], *shape[:-1], shape[-1] // 2 + 1), complex)
    padded[(..., *_places(shape))] = spectra
    return np.asarray(scipy.fft.irfftn(padded, shape, range(-ndim, 0), norm="forward"))


def _places(shape: Sequence[int]) -> tuple[Any, ...]:
    """Where the kept modes are in the output of the FFT."""
    places = []
    for n in shape:
        highest = highest_mode(n)
        places.append(np.concatenate([np.arange(highest + 1), np.arange(n - highest, n)]))
    places[-1] = places[-1][: highest_mode(shape[-1]) + 1]
    return np.ix_(*places)


@kernel
def to_points(modes, half, points):
    """One field on a plane from its kept modes.

    Args:
        modes: spectrum, ``(2K + 1, K + 1)``.
        half: scratch, complex ``(n, n//2 + 1)``.
        points: the field, output, ``(n, n)``; the two n may differ, and so may the K.
    """
    rows, columns = modes.shape
    top = rows // 2 + 1
    gap = half.shape[0] - rows
    half[:top, :columns] = modes[:top]
    half[top : top + gap, :columns] = 0.0
    half[top + gap :, :columns] = modes[top:]
    half[:, columns:] = 0.0
    kept = half[:, :columns]
    rocket_fft.c2c(kept, kept, FIRST, False, 1.0, 1)
    rocket_fft.c2r(half, points, SECOND, False, 1.0, 1)


@kernel
def to_modes(points, half, modes):
    """Inverse of `to_points` for a field without other modes; of any other, its kept part."""
    rows, columns = modes.shape
    top = rows // 2 + 1
    gap = half.shape[0] - rows
    rocket_fft.r2c(points, half, SECOND, True, 1.0 / points.size, 1)
    kept = half[:, :columns]
    rocket_fft.c2c(kept, kept, FIRST, True, 1.0, 1)
    modes[:top] = half[:top, :columns]
    modes[top:] = half[top + gap :, :columns]


@kernel
def to_planes(modes, planes):
    """Spectra of fields in a box, in the planes across the first axis.

    Args:
        modes: ``(fields, 2K + 1, 2K + 1, K + 1)``.
        planes: output, ``(fields, n, 2K + 1, K + 1)``: `to_points` makes a field of each plane.
    """
    rows = modes.shape[1]
    top = rows // 2 + 1
    gap = planes.shape[1] - rows
    planes[:, :top] = modes[:, :top]
    planes[:, top : top + gap] = 0.0
    planes[:, top + gap :] = modes[:, top:]
    rocket_fft.c2c(planes, planes, SECOND, False, 1.0, 1)


@kernel
def from_planes(planes):
    """All modes along the first axis from the spectra of the planes, in place, FFT order."""
    rocket_fft.c2c(planes, planes, SECOND, True, 1.0 / planes.shape[1], 1)
