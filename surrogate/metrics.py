"""Errors of predictions, one formula a function, on numpy arrays.

All take ``(prediction, target, weights=None, *, ndim)`` with fields ``(sample, time, *space,
*component)``, ``ndim`` spatial axes and weights that broadcast against one sample, such as
``grid.weights`` with an axis of 1 for each axis of components. Sums run in double precision.

A published number depends on the order of roots and means, so that a function reduces no more
than its definition does: errors of frames come as ``(sample, time, *component)``, of which the
benchmarks report the mean over everything (of `maximum_error` the maximum).

References:
    Takamoto et al., PDEBench (2022): RMSE, nRMSE, maximum error, cRMSE, bRMSE, fRMSE.
    Ohana et al., The Well (2024): VRMSE and binned spectral error.
    Koehler et al., APEBench (2024): geometric mean over the time of a rollout.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# The Well adds this to a variance or an energy before it divides by it
EPSILON = 1e-7


def relative_l2(prediction: Array, target: Array, weights: Array | None = None) -> Array:
    """Relative L2 error of each sample, ``‖p − y‖ / ‖y‖``, over time, space and components.

    Args:
        prediction: ``(sample, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.

    Returns:
        ``(sample,)``.

    Examples:
        >>> target = np.ones((2, 4))
        >>> print(relative_l2(target * [[1.1], [0.5]], target).round(3))
        [0.1 0.5]

    References:
        Li et al., Fourier neural operator for parametric PDEs (2021), section 5.
    """
    axes = tuple(range(1, target.ndim))
    w = np.ones(()) if weights is None else weights
    difference = (w * (prediction - target) ** 2).sum(axis=axes)
    size = (w * target**2).sum(axis=axes)
    return np.sqrt(difference / np.maximum(size, np.finfo(np.float64).tiny))


def rmse(prediction: Array, target: Array, weights: Array | None = None, *, ndim: int) -> Array:
    """Root mean square error of each frame, ``√⟨(p − y)²⟩`` over space.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.
        ndim: number of spatial axes.

    Returns:
        ``(sample, time, *component)``; PDEBench's RMSE is the mean over all of it.
    """
    prediction, target = _checked(prediction, target, ndim)
    return np.sqrt(_space_mean((prediction - target) ** 2, weights, ndim))


def nrmse(prediction: Array, target: Array, weights: Array | None = None, *, ndim: int) -> Array:
    """Normalised RMSE of each frame, ``√⟨(p − y)²⟩ / √⟨y²⟩`` over space.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape; a frame of zeros has no normalised error (NaN, or ∞).
        weights: quadrature weights that broadcast against one sample; equal weights by default.
        ndim: number of spatial axes.

    Returns:
        ``(sample, time, *component)``; PDEBench's nRMSE is the mean over all of it. It differs
        from `relative_l2`, whose norm runs over time and components too.
    """
    prediction, target = _checked(prediction, target, ndim)
    error = _space_mean((prediction - target) ** 2, weights, ndim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(error / _space_mean(target**2, weights, ndim))


def vrmse(prediction: Array, target: Array, weights: Array | None = None, *, ndim: int) -> Array:
    """Variance-scaled RMSE of each frame, ``√(⟨(p − y)²⟩ / (s² + ε))``.

    ``s²`` is the unbiased variance of the target over the ``n`` points of that frame,
    ``n/(n − 1) ⟨(y − ⟨y⟩)²⟩``, and ``ε = 1e-7``: the mean of the frame as its prediction has an
    error of ``√((n − 1)/n)``.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default,
            as in The Well.
        ndim: number of spatial axes, at least 1.

    Returns:
        ``(sample, time, *component)``; The Well reports the mean over all of it.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    error = _space_mean((prediction - target) ** 2, weights, ndim)
    deviation = target - _space_mean(target, weights, ndim, keepdims=True)
    n = np.prod(target.shape[2 : 2 + ndim])
    variance = _space_mean(deviation**2, weights, ndim) * n / (n - 1)
    return np.sqrt(error / (variance + EPSILON))


def maximum_error(prediction: Array, target: Array, *, ndim: int) -> Array:
    """Largest error of each frame, ``max |p − y|`` over space.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        ndim: number of spatial axes.

    Returns:
        ``(sample, time, *component)``; PDEBench's is the maximum over the samples.
    """
    prediction, target = _checked(prediction, target, ndim)
    return np.abs(prediction - target).max(axis=_space(ndim))


def conserved_rmse(
    prediction: Array, target: Array, weights: Array | None = None, *, ndim: int
) -> Array:
    """RMSE of the conserved quantity (cRMSE), ``√⟨(⟨p⟩ − ⟨y⟩)²⟩``: space first, then samples.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default,
            as in PDEBench.
        ndim: number of spatial axes.

    Returns:
        ``(time, *component)``: the mean over samples lies within the root. PDEBench's cRMSE is
        the mean over all of it.
    """
    prediction, target = _checked(prediction, target, ndim)
    drift = _space_mean(prediction - target, weights, ndim)
    return np.sqrt((drift**2).mean(axis=0))


def boundary_rmse(prediction: Array, target: Array, *, ndim: int) -> Array:
    """RMSE on the boundary (bRMSE), ``√(Σ_faces Σ (p − y)² / Σ_faces n)`` of each frame.

    The faces are the first and the last points of each axis; edges and corners, which lie on
    several of them, count as often.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        ndim: number of spatial axes, at least 1.

    Returns:
        ``(sample, time, *component)``; PDEBench's bRMSE is the mean over all of it.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    squares = (prediction - target) ** 2
    shape = target.shape[2 : 2 + ndim]
    total, count = 0.0, 0
    for axis, n in enumerate(shape):
        faces = squares.take([0, -1], axis=2 + axis)
        total = total + faces.sum(axis=_space(ndim))
        count += 2 * (int(np.prod(shape)) // n)
    return np.sqrt(total / count)


def fourier_rmse(
    prediction: Array,
    target: Array,
    *,
    ndim: int,
    lengths: tuple[float, ...] | None = None,
    bands: tuple[int, int] = (4, 12),
) -> Array:
    """RMSE in bands of wave number (fRMSE): low ``k < 4``, middle ``4 ≤ k < 12``, high ``k ≥ 12``.

    ``e_k = √⟨Σ_(⌊|m|⌋ = k) |F(p − y)_m|²⟩ Π L_i/n_i`` with the mean over samples; a band has the
    mean of ``e_k`` over its ``k``. ``m`` are the wave numbers without sign (in 1-D all, in more
    dimensions those below that of Nyquist), and shells end where the shortest axis has no more.

    Args:
        prediction: ``(sample, time, *space, *component)`` on equidistant points.
        target: the same shape.
        ndim: number of spatial axes, at least 1.
        lengths: ``L_i`` of the domain; 1 by default.
        bands: the first wave numbers of the middle and of the high band.

    Returns:
        ``(time, *component, 3)``; NaN where the grid has no wave number in the band. PDEBench's
        fRMSE is the mean over times and components.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    shape = target.shape[2 : 2 + ndim]
    power = np.abs(np.fft.fftn(prediction - target, axes=_space(ndim))) ** 2
    kept = [n // 2 + 1 if ndim == 1 else n // 2 for n in shape]
    power = power[(slice(None), slice(None), *(slice(k) for k in kept))]
    shells = np.sqrt(sum(np.square(m) for m in np.ogrid[tuple(slice(k) for k in kept)]))
    energies = _sums_by_shell(power, np.floor(shells).astype(int), min(kept), ndim)
    scale = np.prod(np.divide(1.0 if lengths is None else lengths, shape))
    errors = np.sqrt(energies.mean(axis=0)) * scale
    parts = np.split(errors, bands, axis=-1)
    nothing = np.full(errors.shape[:-1], np.nan)
    return np.stack([p.mean(axis=-1) if p.shape[-1] else nothing for p in parts], axis=-1)


def binned_spectral_mse(prediction: Array, target: Array, *, ndim: int) -> Array:
    """Mean square error in three bins of wave number, ``Σ_bin |F(p − y)|² / N²`` of each frame.

    The bins sum to the mean square error over space (Parseval). ``|k|`` is in radians a point;
    the edges are 0 and the last three of four logarithmically spaced from ``2π/max(n_i)`` to
    ``π√ndim``.

    Args:
        prediction: ``(sample, time, *space, *component)`` on equidistant points.
        target: the same shape.
        ndim: number of spatial axes, at least 1.

    Returns:
        ``(sample, time, *component, 3)``; The Well reports the mean over all but the bins.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    return _binned_energy(prediction - target, ndim)


def binned_spectral_nmse(prediction: Array, target: Array, *, ndim: int) -> Array:
    """`binned_spectral_mse` over the target's energy in the bin plus ``ε = 1e-7``.

    Args:
        prediction: ``(sample, time, *space, *component)`` on equidistant points.
        target: the same shape.
        ndim: number of spatial axes, at least 1.

    Returns:
        ``(sample, time, *component, 3)``; The Well reports the mean over all but the bins.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    return _binned_energy(prediction - target, ndim) / (_binned_energy(target, ndim) + EPSILON)


def correlation(
    prediction: Array, target: Array, weights: Array | None = None, *, ndim: int
) -> Array:
    """Pearson correlation of each frame, ``⟨p'y'⟩ / √(⟨p'²⟩⟨y'²⟩)``, ``p' = p − ⟨p⟩``, over space.

    The Well's ``PearsonR`` is ``(n − 1)/n`` of it; APEBench's leaves the means in.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.
        ndim: number of spatial axes, at least 1.

    Returns:
        ``(sample, time, *component)``; NaN for a frame that is constant.
    """
    prediction, target = _checked(prediction, target, ndim, least=1)
    p = prediction - _space_mean(prediction, weights, ndim, keepdims=True)
    y = target - _space_mean(target, weights, ndim, keepdims=True)
    norms = _space_mean(p**2, weights, ndim) * _space_mean(y**2, weights, ndim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _space_mean(p * y, weights, ndim) / np.sqrt(norms)


def correlation_time(
    prediction: Array,
    target: Array,
    weights: Array | None = None,
    *,
    ndim: int,
    times: Array,
    threshold: float = 0.8,
) -> Array:
    """Time of the first frame whose `correlation` is not above ``threshold``.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.
        ndim: number of spatial axes, at least 1.
        times: ``(time,)``, ascending.
        threshold: correlation that counts as lost.

    Returns:
        ``(sample, *component)``; where it is never lost the last time, a lower bound.

    References:
        Lippe et al., PDE-Refiner (2023).
    """
    return _first_time(~(correlation(prediction, target, weights, ndim=ndim) > threshold), times)


def valid_time(
    prediction: Array,
    target: Array,
    weights: Array | None = None,
    *,
    ndim: int,
    times: Array,
    threshold: float = 0.4,
) -> Array:
    """Time of the first frame with ``‖p − y‖ / √⟨‖y‖²⟩_time`` above ``threshold``.

    The norm runs over space and components, as over one vector of state.

    Args:
        prediction: ``(sample, time, *space, *component)``.
        target: the same shape.
        weights: quadrature weights that broadcast against one sample; equal weights by default.
        ndim: number of spatial axes.
        times: ``(time,)``, ascending; in Lyapunov times for a number that compares systems.
        threshold: normalised error that counts as lost.

    Returns:
        ``(sample,)``; where it is never lost the last time, a lower bound.

    References:
        Pathak et al., Phys. Rev. Lett. 120 (2018) 024102.
    """
    prediction, target = _checked(prediction, target, ndim)
    components = tuple(range(2, target.ndim - ndim))
    error = _space_mean((prediction - target) ** 2, weights, ndim).sum(axis=components)
    size = _space_mean(target**2, weights, ndim).sum(axis=components).mean(axis=1, keepdims=True)
    return _first_time(~(error <= threshold**2 * size), times)


def geometric_mean_error(errors: Array, up_to: int | None = 100) -> Array:
    """Geometric mean over the time of a rollout, ``exp ⟨ln ⟨e⟩_sample⟩_time``: samples first.

    Args:
        errors: ``(sample, time, …)`` of the steps after the initial state, such as from `nrmse`.
        up_to: number of steps that count, 100 in APEBench; all with ``None``.

    Returns:
        ``(…)``; 0 where one step is without error.
    """
    curve = np.asarray(errors, dtype=np.float64)[:, :up_to].mean(axis=0)
    with np.errstate(divide="ignore"):
        return np.exp(np.log(curve).mean(axis=0))


def _checked(prediction: Array, target: Array, ndim: int, least: int = 0) -> tuple[Array, Array]:
    """Both in double precision; shapes that would broadcast to a wrong number are refused."""
    if prediction.shape != target.shape:
        raise ValueError(f"prediction: shape {prediction.shape}, the target has {target.shape}")
    if not least <= ndim <= target.ndim - 2:
        raise ValueError(
            f"ndim: {ndim}, allowed are {least} to {target.ndim - 2} for fields "
            f"(sample, time, *space, *component) of shape {target.shape}"
        )
    return prediction.astype(np.float64), target.astype(np.float64)


def _space(ndim: int) -> tuple[int, ...]:
    return tuple(range(2, 2 + ndim))


def _space_mean(values: Array, weights: Array | None, ndim: int, keepdims: bool = False) -> Array:
    if weights is None:
        return values.mean(axis=_space(ndim), keepdims=keepdims)
    w = np.broadcast_to(weights, values.shape)
    total = w.sum(axis=_space(ndim), keepdims=keepdims)
    return (w * values).sum(axis=_space(ndim), keepdims=keepdims) / total


def _sums_by_shell(power: Array, shells: NDArray[np.int_], n: int, ndim: int) -> Array:
    """Sums of ``(sample, time, *space, *component)`` over shells ``0 … n − 1``, as last axis."""
    flat = power.reshape(*power.shape[:2], -1, *power.shape[2 + ndim :])
    member = shells.ravel()[:, None] == np.arange(n)
    return np.tensordot(flat, member.astype(np.float64), axes=(2, 0))


def _binned_energy(field: Array, ndim: int) -> Array:
    shape = field.shape[2 : 2 + ndim]
    power = np.abs(np.fft.fftn(field, axes=_space(ndim))) ** 2
    k = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij", sparse=True)
    size = np.sqrt(sum(np.square(component) for component in k))
    # The 1e-6 takes the corner of the wave numbers into the last bin, whose end is open
    edges = np.geomspace(2 * np.pi / max(shape), np.pi * np.sqrt(ndim) + 1e-6, 4)
    edges[0] = 0.0
    shells = np.digitize(size, edges) - 1
    return _sums_by_shell(power, shells, 3, ndim) / np.prod(shape) ** 2


def _first_time(lost: NDArray[np.bool_], times: Array) -> Array:
    """Time of the first frame that is lost, of ``(sample, time, …)``; else the last time."""
    if np.shape(times) != (lost.shape[1],):
        raise ValueError(f"times: shape {np.shape(times)}, the fields have {lost.shape[1]} frames")
    return np.asarray(times)[np.where(lost.any(axis=1), lost.argmax(axis=1), -1)]
