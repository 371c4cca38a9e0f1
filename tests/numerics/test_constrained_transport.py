"""Fields at faces: free of divergence, and what they come from."""

import numpy as np
import pytest

from simulations.numerics import constrained_transport

SHAPES = [(8, 8), (9, 12), (12, 7), (15, 11)]


def divergence(bx, by, spacing):
    return (np.roll(bx, -1, 0) - bx) / spacing[0] + (np.roll(by, -1, 1) - by) / spacing[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_faces_of_any_field_are_without_divergence(shape):
    field = np.random.default_rng(0).normal(size=(*shape, 2))
    spacing = (1.0 / shape[0], 0.5 / shape[1])
    bx, by = constrained_transport.faces_of(field, spacing)
    size = np.abs(bx).max() / min(spacing)
    assert np.abs(divergence(bx, by, spacing)).max() < 1e-13 * size
    np.testing.assert_allclose([bx.mean(), by.mean()], field.mean(axis=(0, 1)), atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_faces_come_back_from_their_means(shape):
    potential = np.random.default_rng(1).normal(size=shape)
    if shape == (8, 8):  # the chequered mode has no means
        chequers = (-1.0) ** np.add.outer(np.arange(8), np.arange(8))
        potential -= chequers * (potential * chequers).mean()
    spacing = (0.1, 0.2)
    bx, by = constrained_transport.field_of_potential(potential, spacing)
    field = constrained_transport.centred(bx + 0.3, by - 0.7)
    found = constrained_transport.faces_of(field, spacing)
    np.testing.assert_allclose(found, [bx + 0.3, by - 0.7], atol=1e-11)


def test_faces_stay_without_divergence():
    """On the faces themselves, over steps of a random state."""
    rng = np.random.default_rng(2)
    shape, spacing = (12, 10), (0.1, 0.15)
    bx, by = constrained_transport.field_of_potential(0.05 * rng.normal(size=shape), spacing)
    cells = constrained_transport.centred(bx, by)
    state = np.ones((16, 10, 14))
    inner = state[2:-2, :, 2:-2]
    inner[:, 1:4] = 0.3 * rng.normal(size=(12, 3, 10))
    inner[:, 5] = 0.3 * rng.normal(size=shape)
    inner[:, 6], inner[:, 7], inner[:, 8], inner[:, 9] = cells[..., 0], cells[..., 1], bx, by
    per_length, flat = 1.0 / np.array(spacing), np.ones((16, 14))
    work, new = constrained_transport.workspace(14), state.copy()
    for _ in range(20):
        taken, *_ = constrained_transport.try_step(5 / 3, state, 0.01, per_length, flat, work, new)
        assert taken > 0.0
        state, new = new, state
    bx, by = state[2:-2, 8, 2:-2], state[2:-2, 9, 2:-2]
    assert np.abs(divergence(bx, by, spacing)).max() < 1e-12
    means = constrained_transport.centred(bx, by)
    np.testing.assert_allclose(state[2:-2, 6:8, 2:-2], np.moveaxis(means, -1, 1), atol=1e-14)


def test_electric_field_of_plane_flow_is_the_flux():
    """Where nothing changes along rows, the corners have the electric field of the faces."""
    rng = np.random.default_rng(3)
    one, corner = np.ones(12), np.zeros(12)
    for speed in (-1.0, 0.0, 1.0):
        across, below, above = rng.normal(size=3)
        mass = speed * one
        of_rows = (rng.normal() * one, -across * one)
        along = (mass, below * one, mass, above * one)
        constrained_transport._upwind(*of_rows, *along, below * one, above * one, corner)
        np.testing.assert_allclose(corner[2:-1], across, rtol=1e-14)
