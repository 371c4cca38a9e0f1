"""Errors of predictions, one formula a function, on numpy arrays."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def relative_l2(prediction: Array, target: Array, weights: Array | None = None) -> Array:
    """Relative L2 error of each sample, ``‖p − y‖ / ‖y‖``.

    Args:
        prediction: ``(sample, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.

    Returns:
        ``(sample,)``.

    References:
        Li et al., Fourier neural operator for parametric PDEs (2021), section 5.
    """
    axes = tuple(range(1, target.ndim))
    w = np.ones(()) if weights is None else weights
    difference = (w * (prediction - target) ** 2).sum(axis=axes)
    size = (w * target**2).sum(axis=axes)
    return np.sqrt(difference / np.maximum(size, np.finfo(np.float64).tiny))
