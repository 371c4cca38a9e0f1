"""Metrics against their formulas in loops, exact cases and The Well's own."""

import cmath
import itertools
import os
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate import metrics

SHAPES = {1: (6,), 2: (4, 6), 3: (4, 2, 3)}
FRAMEWISE = [
    metrics.rmse,
    metrics.nrmse,
    metrics.vrmse,
    metrics.maximum_error,
    metrics.boundary_rmse,
    metrics.binned_spectral_mse,
    metrics.binned_spectral_nmse,
]


def fields(ndim, components=(2,), samples=2, times=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (samples, times, *SHAPES[ndim], *components)
    return rng.normal(1.0, 1.0, shape), rng.normal(1.0, 2.0, shape)


def frames(prediction, target):
    """Each frame of one component, with its index ``(sample, time, component)``."""
    for s, t, c in itertools.product(*(range(target.shape[i]) for i in (0, 1, -1))):
        yield (s, t, c), prediction[s, t, ..., c], target[s, t, ..., c]


def transform(field):
    """The discrete Fourier sum, written out, by signed wave number."""
    points = list(np.ndindex(field.shape))
    return {
        m: sum(
            field[p]
            * cmath.exp(
                -2j * np.pi * sum(a * b / n for a, b, n in zip(m, p, field.shape, strict=True))
            )
            for p in points
        )
        for m in points
    }


def size(m, shape):
    """Wave number in radians a point, of the nearer of a wave and its alias."""
    return sum((2 * np.pi * min(k, n - k) / n) ** 2 for k, n in zip(m, shape, strict=True)) ** 0.5


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_frames_by_hand(ndim):
    prediction, target = fields(ndim)
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 1.5, SHAPES[ndim])
    w = weights[..., None]
    found = {
        f.__name__: f(prediction, target, w, ndim=ndim)
        for f in (metrics.rmse, metrics.nrmse, metrics.vrmse, metrics.correlation)
    }
    for index, p, y in frames(prediction, target):
        points = list(np.ndindex(y.shape))
        total = sum(weights[i] for i in points)
        mse = sum(weights[i] * (p[i] - y[i]) ** 2 for i in points) / total
        square = sum(weights[i] * y[i] ** 2 for i in points) / total
        means = [sum(weights[i] * u[i] for i in points) / total for u in (p, y)]
        a, b = ([(u[i] - m) for i in points] for u, m in zip((p, y), means, strict=True))
        cross, aa, bb = (
            sum(weights[i] * g * h for i, g, h in zip(points, left, right, strict=True)) / total
            for left, right in ((a, b), (a, a), (b, b))
        )
        n = len(points)
        expected = {
            "rmse": mse**0.5,
            "nrmse": (mse / square) ** 0.5,
            "vrmse": (mse / (bb * n / (n - 1) + 1e-7)) ** 0.5,
            "correlation": cross / (aa * bb) ** 0.5,
        }
        for name, value in expected.items():
            assert found[name][index] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_maximum_and_boundary_by_hand(ndim):
    prediction, target = fields(ndim)
    largest = metrics.maximum_error(prediction, target, ndim=ndim)
    edge = metrics.boundary_rmse(prediction, target, ndim=ndim)
    for index, p, y in frames(prediction, target):
        points = list(np.ndindex(y.shape))
        assert largest[index] == max(abs(p[i] - y[i]) for i in points)
        squares = [
            (p[i] - y[i]) ** 2
            for i in points
            for axis, n in enumerate(y.shape)
            for side in (0, n - 1)
            if i[axis] == side
        ]
        assert edge[index] == pytest.approx((sum(squares) / len(squares)) ** 0.5, rel=1e-12)


def test_conserved_takes_space_then_samples():
    prediction, target = fields(2)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, SHAPES[2])
    found = metrics.conserved_rmse(prediction, target, weights[..., None], ndim=2)
    assert found.shape == (3, 2)
    for t, c in np.ndindex(3, 2):
        squares = []
        for s in range(2):
            amounts = [
                sum(weights[i] * u[s, t, ..., c][i] for i in np.ndindex(*SHAPES[2]))
                for u in (prediction, target)
            ]
            squares.append(((amounts[0] - amounts[1]) / weights.sum()) ** 2)
        assert found[t, c] == pytest.approx((sum(squares) / 2) ** 0.5, rel=1e-10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_fourier_bands_by_hand(ndim):
    prediction, target = fields(ndim, times=1)
    lengths = (2.0, 3.0, 5.0)[:ndim]
    found = metrics.fourier_rmse(prediction, target, ndim=ndim, lengths=lengths, bands=(1, 2))
    shape = SHAPES[ndim]
    scale = np.prod([length / n for length, n in zip(lengths, shape, strict=True)])
    kept = [n // 2 + (ndim == 1) for n in shape]
    for c in range(2):
        shells = {}
        for s in range(2):
            error = transform(prediction[s, 0, ..., c] - target[s, 0, ..., c])
            for m in itertools.product(*map(range, kept)):
                k = int(sum(a * a for a in m) ** 0.5)
                if k < min(kept):
                    shells[k] = shells.get(k, 0.0) + abs(error[m]) ** 2 / 2
        for band, ks in enumerate(([0], [1], range(2, min(kept)))):
            errors = [shells[k] ** 0.5 * scale for k in ks if k < min(kept)]
            expected = np.mean(errors) if errors else np.nan
            assert found[0, c, band] == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(("k", "band", "count"), [(3, 0, 4), (4, 1, 8), (12, 2, 21), (0, 0, 4)])
def test_a_wave_lies_in_one_fourier_band(k, band, count):
    """Amplitude a: ``|F| = a n/2`` in one shell, of which the band takes the mean."""
    x = np.arange(64) / 64
    wave = np.cos(2 * np.pi * k * x)[None, None]
    found = metrics.fourier_rmse(wave, np.zeros_like(wave), ndim=1)[0]
    expected = np.zeros(3)
    expected[band] = (1.0 if k == 0 else 0.5) / count
    np.testing.assert_allclose(found, expected, atol=1e-14)
    short = np.zeros((1, 1, 20))
    assert np.isnan(metrics.fourier_rmse(short, short, ndim=1)).tolist() == [[False, False, True]]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_spectral_bins_by_hand(ndim):
    prediction, target = fields(ndim)
    mse = metrics.binned_spectral_mse(prediction, target, ndim=ndim)
    nmse = metrics.binned_spectral_nmse(prediction, target, ndim=ndim)
    shape = SHAPES[ndim]
    low, high = 2 * np.pi / max(shape), np.pi * ndim**0.5 + 1e-6
    edges = [0.0, low ** (2 / 3) * high ** (1 / 3), low ** (1 / 3) * high ** (2 / 3), high]
    for index, p, y in frames(prediction, target):
        error, truth = transform(p - y), transform(y)
        for b in range(3):
            inside = [m for m in np.ndindex(*shape) if edges[b] <= size(m, shape) < edges[b + 1]]
            e, t = (sum(abs(f[m]) ** 2 for m in inside) / p.size**2 for f in (error, truth))
            assert mse[(*index, b)] == pytest.approx(e, rel=1e-9, abs=1e-14)
            assert nmse[(*index, b)] == pytest.approx(e / (t + 1e-7), rel=1e-8, abs=1e-12)
    whole = ((prediction - target) ** 2).mean(axis=tuple(range(2, 2 + ndim)))
    np.testing.assert_allclose(mse.sum(axis=-1), whole, rtol=1e-12)


@pytest.mark.parametrize("metric", FRAMEWISE)
def test_identical_fields_have_no_error(metric):
    _, target = fields(2)
    assert (metric(target, target, ndim=2) == 0).all()
    assert (metrics.conserved_rmse(target, target, ndim=2) == 0).all()
    assert (metrics.fourier_rmse(target, target, ndim=2, bands=(1, 2))[..., :2] == 0).all()
    np.testing.assert_allclose(metrics.correlation(target, target, ndim=2), 1.0, rtol=1e-14)


def test_the_mean_as_prediction_has_a_vrmse_of_one():
    target = np.random.default_rng(0).normal(3.0, 2.0, (2, 3, 50, 40))
    mean = np.broadcast_to(target.mean(axis=(2, 3), keepdims=True), target.shape)
    n = 50 * 40
    exact = ((n - 1) / n) ** 0.5
    np.testing.assert_allclose(metrics.vrmse(mean, target, ndim=2), exact, rtol=1e-7)


@given(st.floats(1e-3, 1e3), st.sampled_from([1.0, -1.0]), st.integers(0, 1000))
def test_what_a_change_of_unit_does(factor, sign, seed):
    prediction, target = fields(2, seed=seed)
    p, y = sign * factor * prediction, sign * factor * target
    for metric in (metrics.nrmse, metrics.correlation):
        np.testing.assert_allclose(metric(p, y, ndim=2), metric(prediction, target, ndim=2), 1e-9)
    np.testing.assert_allclose(
        metrics.relative_l2(p, y), metrics.relative_l2(prediction, target), 1e-9
    )
    for metric in (metrics.rmse, metrics.maximum_error, metrics.boundary_rmse):
        scaled = factor * metric(prediction, target, ndim=2)
        np.testing.assert_allclose(metric(p, y, ndim=2), scaled, 1e-9)


def test_times_until_the_prediction_is_lost():
    x = 2 * np.pi * np.arange(16) / 16
    phase = np.arange(8) * 0.2
    target = np.broadcast_to(np.sin(x), (2, 8, 16))
    prediction = np.stack([np.sin(x + phase[:, None]), np.broadcast_to(np.sin(x), (8, 16))])
    times = 10.0 + np.arange(8) ** 2
    # The correlation is cos φ, the normalised error 2 sin(φ/2)
    lost = next(i for i, angle in enumerate(phase) if np.cos(angle) < 0.8)
    found = metrics.correlation_time(prediction, target, ndim=1, times=times)
    assert found.tolist() == [times[lost], times[-1]]
    lost = next(i for i, angle in enumerate(phase) if 2 * np.sin(angle / 2) > 0.5)
    found = metrics.valid_time(prediction, target, ndim=1, times=times, threshold=0.5)
    assert found.tolist() == [times[lost], times[-1]]
    broken = prediction.copy()
    broken[1, 5] = np.nan
    assert metrics.valid_time(broken, target, ndim=1, times=times)[1] == times[5]
    assert metrics.correlation_time(broken, target, ndim=1, times=times)[1] == times[5]


def test_valid_time_scales_with_the_mean_size_over_time_and_components():
    """One frame with a small target is not lost, whatever its own relative error."""
    target = np.ones((1, 5, 5, 2))
    target[0, 1] = 1e-3
    prediction = target + 0.1
    prediction[0, 3, :, 1] += 1.0
    times = np.arange(5.0)
    assert metrics.valid_time(prediction, target, ndim=1, times=times).tolist() == [3.0]
    size = sum(2 * 5 * v**2 for v in (1.0, 1e-3, 1.0, 1.0, 1.0)) / 5
    error = (5 * 0.1**2 + 5 * 1.1**2) ** 0.5 / size**0.5
    for threshold, time in ((0.99 * error, 3.0), (1.01 * error, 4.0)):
        found = metrics.valid_time(prediction, target, ndim=1, times=times, threshold=threshold)
        assert found.tolist() == [time]


def test_geometric_mean_takes_samples_first():
    errors = np.array([[1.0, 4.0, 1e9], [3.0, 12.0, 1e9]])
    assert metrics.geometric_mean_error(errors, up_to=2) == pytest.approx((2.0 * 8.0) ** 0.5)
    everything = metrics.geometric_mean_error(errors[..., None], up_to=None)
    assert everything.shape == (1,)
    assert everything[0] == pytest.approx((2.0 * 8.0 * 1e9) ** (1 / 3))


def test_shapes_that_would_broadcast_are_refused():
    prediction, target = fields(2)
    with pytest.raises(ValueError, match="prediction: shape"):
        metrics.rmse(prediction[:, :1], target, ndim=2)
    with pytest.raises(ValueError, match="ndim: 4, allowed are 0 to 3"):
        metrics.rmse(prediction, target, ndim=4)
    with pytest.raises(ValueError, match="ndim: 0, allowed are 1 to 3"):
        metrics.vrmse(prediction, target, ndim=0)
    with pytest.raises(ValueError, match="times: shape"):
        metrics.valid_time(prediction, target, ndim=2, times=np.arange(2.0))


WELL_METRICS = """
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock
import numpy as np
import torch

# Plots, which import a matplotlib that the package does not depend on
sys.modules["the_well.benchmark.metrics.plottable_data"] = MagicMock()
from the_well.benchmark.metrics import PearsonR, VRMSE, binned_spectral_mse

source, out = sys.argv[1:]
data, found = np.load(source), {}
for ndim in (1, 2, 3):
    p, y = (torch.as_tensor(data[f"{name}{ndim}"]) for name in "py")
    meta = SimpleNamespace(n_spatial_dims=ndim)
    found[f"vrmse{ndim}"] = VRMSE.eval(p, y, meta)
    found[f"pearson{ndim}"] = PearsonR.eval(p, y, meta)
    for name, values in binned_spectral_mse.eval(p, y, meta).items():
        found[f"{name}{ndim}"] = values
np.savez(out, **{name: values.numpy() for name, values in found.items()})
"""


@pytest.mark.interop
def test_the_same_numbers_as_the_well(tmp_path):
    python = os.environ.get("PHYSURROGATE_WELL_PYTHON")
    if not python:
        pytest.skip("set PHYSURROGATE_WELL_PYTHON to an interpreter with the-well")
    rng = np.random.default_rng(0)
    data = {
        f"{name}{ndim}": rng.normal(1.0, 1.0, (2, 3, *shape, 2))
        for ndim, shape in {1: (50,), 2: (24, 18), 3: (10, 8, 6)}.items()
        for name in "py"
    }
    np.savez(tmp_path / "fields.npz", **data)
    command = [python, "-c", WELL_METRICS, str(tmp_path / "fields.npz"), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "out.npz")
    for ndim in (1, 2, 3):
        p, y = data[f"p{ndim}"], data[f"y{ndim}"]
        n = np.prod(y.shape[2:-1])
        np.testing.assert_allclose(metrics.vrmse(p, y, ndim=ndim), theirs[f"vrmse{ndim}"], 1e-10)
        pearson = metrics.correlation(p, y, ndim=ndim) * (n - 1) / n
        np.testing.assert_allclose(pearson, theirs[f"pearson{ndim}"], 1e-5)
        for kind in ("mse", "nmse"):
            ours = getattr(metrics, f"binned_spectral_{kind}")(p, y, ndim=ndim)
            for b in range(3):
                bin_ = theirs[f"spectral_error_{kind}_per_bin_{b}{ndim}"]
                np.testing.assert_allclose(ours[..., b], bin_, 1e-5)
