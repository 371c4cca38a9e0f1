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


def vrmse(prediction: Array, target: Array, axes: tuple[int, ...]) -> Array:
    """Root mean square error over the deviation of the target, ``√(⟨(p − y)²⟩ / (σ_y² + ε))``.

    1 is what the mean of the target scores. ``ε = 1e-7`` and the unbiased ``σ`` are The Well's.

    Args:
        prediction: any shape.
        target: the same shape.
        axes: of space, over which ``⟨·⟩`` and ``σ`` are taken.

    References:
        Ohana et al., The Well, NeurIPS 2024.
    """
    error = ((prediction - target) ** 2).mean(axis=axes)
    return np.sqrt(error / (target.var(axis=axes, ddof=1) + 1e-7))


def geometric_mean_error(errors: Array) -> Array:
    """Geometric mean over the steps of a roll-out, ``(sample, time)`` to ``(sample,)``.

    References:
        Koehler et al., APEBench, NeurIPS 2024.
    """
    with np.errstate(divide="ignore"):  # a step without error makes the mean 0
        return np.exp(np.log(errors).mean(axis=-1))


def valid_time(errors: Array, times: Array, threshold: float) -> Array:
    """The last time up to which errors stay within the threshold, ``(sample,)``.

    Args:
        errors: ``(sample, time)``; what is not finite exceeds every threshold.
        times: ``(time,)``, ascending.
        threshold: largest error that counts as valid.

    Returns:
        For each sample a time, or NaN if not even the first error is within the threshold.
    """
    within = np.logical_and.accumulate(errors <= threshold, axis=-1).sum(axis=-1)
    return np.where(within > 0, times[np.maximum(within - 1, 0)], np.nan)
