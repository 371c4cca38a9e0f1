"""Lists of neighbours against distances between all pairs."""

import numpy as np
import pytest

from simulations.numerics import neighbours


def listed(positions, length, reach, capacity=None, room=400):
    n = positions.shape[1]
    capacity = 27 * n if capacity is None else capacity
    extended, shift = np.empty((3, capacity)), np.empty((3, capacity))
    source, found = np.empty(capacity, np.int64), np.empty(n, np.int64)
    lists = np.empty((n, room), np.int32)
    count = neighbours.make_images(positions, length, reach, extended, source, shift)
    if count < 0:
        return None
    complete = neighbours.list_pairs(extended, count, n, length, reach, lists, found)
    return complete, extended, source, shift, count, lists, found


@pytest.mark.parametrize(
    ("n", "length", "reach"), [(60, 5.0, 1.3), (40, 3.0, 1.5), (30, 10.0, 2.0)]
)
def test_lists_hold_all_pairs_within_reach(n, length, reach):
    positions = np.random.default_rng(n).uniform(0, length, (3, n))
    complete, extended, source, _, _, lists, found = listed(positions, length, reach)
    assert complete
    between = positions[:, :, None] - positions[:, None, :]
    between -= length * np.round(between / length)
    expected = (between**2).sum(axis=0) < reach**2
    np.fill_diagonal(expected, False)
    for i in range(n):
        entries = lists[i, : found[i]]
        assert sorted(source[entries]) == list(np.flatnonzero(expected[i]))
        distance = np.linalg.norm(extended[:, entries] - positions[:, i, None], axis=0)
        assert (distance < reach).all()


def test_images_follow_their_particles():
    positions = np.random.default_rng(0).uniform(0, 4.0, (3, 20))
    _, extended, source, shift, count, *_ = listed(positions, 4.0, 1.0)
    moved = positions + 0.01
    neighbours.move_images(moved, source, shift, count, extended)
    inside = (extended[:, :count] + 1e-12) % 4.0
    np.testing.assert_allclose(inside, (moved[:, source[:count]] + 1e-12) % 4.0, atol=1e-12)


def test_positions_are_folded_back_and_counted():
    positions = np.array([[-0.5, 9.0], [0.0, 3.5], [4.0, -8.5]])
    turns = np.zeros((3, 2))
    original = positions.copy()
    neighbours.wrap(positions, 4.0, turns)
    assert (positions >= 0.0).all()
    assert (positions < 4.0).all()
    np.testing.assert_allclose(positions + 4.0 * turns, original)


def test_too_little_room_is_said():
    positions = np.random.default_rng(0).uniform(0, 4.0, (3, 50))
    assert listed(positions, 4.0, 1.5, capacity=60) is None
    assert not listed(positions, 4.0, 1.5, room=2)[0]
