"""The staggered leapfrog, against matrices."""

import numpy as np
import pytest

from simulations.numerics import staggered


def difference(n, kind):
    """Matrix from the cells to the faces of a line, the ends included."""
    matrix = np.zeros((n + 1, n))
    for m in range(n + 1):
        for cell, sign in ((m - 1, -1.0), (m, 1.0)):
            if 0 <= cell < n:
                matrix[m, cell] += sign
            elif kind == staggered.PERIODIC:
                matrix[m, cell % n] += sign
            else:
                inner = 0 if cell < 0 else n - 1
                matrix[m, inner] += sign * (-1.0 if kind == staggered.ODD else 1.0)
    return matrix


@pytest.mark.parametrize("kind", [staggered.PERIODIC, staggered.EVEN, staggered.ODD])
@pytest.mark.parametrize("shape", [(11,), (9, 12), (8, 9, 10)])
def test_steps_are_those_of_matrices(shape, kind):
    rng = np.random.default_rng(0)
    s, kappa, inertia = rng.standard_normal(shape), *(0.5 + rng.random((2, *shape)))
    times, ndim = np.array([0.0, 0.9, 1.8]), len(shape)
    found, flux, energy = staggered.integrate(s, kappa, inertia, 0.5, [(kind, kind)] * ndim, times)

    gradients, divergences, faces = [], [], []
    mode = "wrap" if kind == staggered.PERIODIC else "edge"
    for axis, n in enumerate(shape):
        before, after = np.prod(shape[:axis], dtype=int), np.prod(shape[axis + 1 :], dtype=int)
        along = np.kron(np.kron(np.eye(before), difference(n, kind)), np.eye(after))
        out = np.diff(np.eye(n + 1), axis=0)
        divergences.append(np.kron(np.kron(np.eye(before), out), np.eye(after)) / 0.5)
        gradients.append(along / 0.5)
        widths = [(1, 1) if a == axis else (0, 0) for a in range(ndim)]
        padded = np.moveaxis(np.pad(inertia, widths, mode), axis, 0)
        faces.append(np.moveaxis(2 / (padded[1:] + padded[:-1]), 0, axis).ravel())
    sums = sum(np.abs(d) @ b for d, b in zip(divergences, faces, strict=True)) * 0.5
    stable = 0.9 * 0.5 * 2 / np.sqrt(2 * (kappa.ravel() * sums).max())
    steps = int(np.ceil(0.9 / stable))
    dt = 0.9 / steps
    value = s.ravel()
    half = [0.5 * dt * b * (g @ value) for b, g in zip(faces, gradients, strict=True)]
    for frame in range(3):
        np.testing.assert_allclose(found[frame].ravel(), value, rtol=1e-11, atol=1e-11)
        for _ in range(steps):
            earlier = half
            half = [
                w - dt * b * (g @ value) for w, b, g in zip(half, faces, gradients, strict=True)
            ]
            if _ == 0:
                mean = [0.5 * (w + e) for w, e in zip(half, earlier, strict=True)]
            change = sum(d @ w for d, w in zip(divergences, half, strict=True))
            value = value - dt * kappa.ravel() * change
        for axis in range(ndim):
            wide = list(shape)
            wide[axis] += 1
            along = np.moveaxis(mean[axis].reshape(wide), axis, 0)
            centred = np.moveaxis(0.5 * (along[1:] + along[:-1]), 0, axis)
            np.testing.assert_allclose(flux[frame, ..., axis], centred, rtol=1e-10, atol=1e-11)
    assert np.ptp(energy) < 1e-12 * energy[0]


def test_the_bound_on_the_step_is_close_where_the_medium_is_uniform():
    kappa, betas = np.ones((6, 6)), [np.ones((7, 6)), np.ones((6, 7))]
    expected = staggered.COURANT * 0.1 / np.sqrt(2)
    assert staggered.largest_step(kappa, betas, 0.1) == pytest.approx(expected)
