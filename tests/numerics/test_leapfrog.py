"""Leapfrog for the wave equation, against matrices."""

import numpy as np
import pytest

from simulations.numerics import absorbing_layer, leapfrog

NONE = absorbing_layer.profile(0, 1, 1.0, 1.0, 1.0)


def second_difference(n, kind, order):
    """Matrix of Δx² ∂²/∂x² with the ends that the ghosts stand for."""
    weights = {1: 1.0} if order == 2 else {1: 4 / 3, 2: -1 / 12}
    matrix = np.zeros((n, n))
    for i in range(n):
        matrix[i, i] -= 2 * sum(weights.values())
        for distance, weight in weights.items():
            for j in (i - distance, i + distance):
                if kind == leapfrog.PERIODIC:
                    matrix[i, j % n] += weight
                elif 0 <= j < n:
                    matrix[i, j] += weight
                else:
                    mirrored = -1 - j if j < 0 else 2 * n - 1 - j
                    matrix[i, mirrored] += -weight if kind == leapfrog.ODD else weight
    return matrix


@pytest.mark.parametrize("kind", [leapfrog.PERIODIC, leapfrog.EVEN, leapfrog.ODD])
@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("shape", [(11,), (9, 12), (8, 9, 10)])
def test_steps_are_those_of_the_matrix(shape, order, kind):
    rng = np.random.default_rng(0)
    ratio, u, rate = 0.2 + 0.3 * rng.random(shape), *rng.standard_normal((2, *shape))
    ratio /= len(shape)
    laplacian = np.zeros((u.size, u.size))
    for axis, n in enumerate(shape):
        before, after = np.prod(shape[:axis], dtype=int), np.prod(shape[axis + 1 :], dtype=int)
        along = second_difference(n, kind, order)
        laplacian += np.kron(np.kron(np.eye(before), along), np.eye(after))
    a = ratio.reshape(-1, 1) * laplacian
    operator = a + a @ a / 12 if order == 4 else a
    now, slope = u.ravel(), rate.ravel()
    previous = now - slope + 0.5 * a @ now
    if order == 4:
        previous += a @ (a @ now) / 24 - a @ slope / 6
    expected = [now]
    for _ in range(6):
        previous, now = now, 2 * now - previous + operator @ now
        expected.append(now)

    mode = "wrap" if kind == leapfrog.PERIODIC else "symmetric"
    padded = [np.pad(v, leapfrog.GHOSTS, mode) for v in (u, rate, ratio)]
    padded = [v.reshape(leapfrog.padded_shape(shape)) for v in padded]
    frames = np.empty((2, 3, *leapfrog.unpadded_shape(shape)))
    energies = np.empty(3)
    kinds = np.full(len(shape), kind)
    leapfrog.march(order, *padded, NONE, kinds, 2, frames[0], frames[1], energies)
    np.testing.assert_allclose(frames[0].reshape(3, -1), expected[:5:2], rtol=1e-11, atol=1e-11)
    central = 0.5 * (expected[3] - expected[1])
    if order == 4:
        central -= a @ central / 6
    np.testing.assert_allclose(frames[1, 1].ravel(), central, rtol=1e-11, atol=1e-11)
    assert np.ptp(energies) < 1e-12 * energies[0]


@pytest.mark.parametrize("order", [2, 4])
def test_the_step_is_the_share_of_the_largest_stable_one(order):
    eigenvalue = -np.linalg.eigvalsh(second_difference(200, leapfrog.PERIODIC, order)).min()
    step = leapfrog.largest_step(order, 1, 1.0, 1.0, False)
    limit = np.sqrt((4.0 if order == 2 else 12.0) / eigenvalue)
    assert step == pytest.approx(leapfrog.COURANT * limit, rel=1e-3)
