"""Legendre bases: orthonormal, with the derivatives and end conditions they promise."""

import numpy as np
import pytest

from simulations.numerics.legendre import basis, clamped_basis, gauss, held_basis

POINTS, WEIGHTS = gauss(20)
ENDS = np.array([0.0, 1.0])


@pytest.mark.parametrize("make", [basis, held_basis, clamped_basis])
def test_derivatives_and_orthonormality(make):
    h = 1e-5
    *before, highest = make(9, POINTS)
    if make is basis:
        assert (before[0].T * WEIGHTS) @ before[0] == pytest.approx(np.eye(9), abs=1e-13)
    else:
        assert (highest.T * WEIGHTS) @ highest == pytest.approx(np.eye(9), abs=1e-13)
    right, left = make(9, POINTS + h), make(9, POINTS - h)
    for order, slope in enumerate([*before, highest][1:]):
        assert (right[order] - left[order]) / (2 * h) == pytest.approx(slope, abs=1e-5)


def test_ends():
    values, _ = held_basis(9, ENDS)
    assert values == pytest.approx(0.0, abs=1e-14)
    values, slopes, _ = clamped_basis(9, ENDS)
    assert values == pytest.approx(0.0, abs=1e-14)
    assert slopes == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize("make", [basis, held_basis, clamped_basis])
def test_a_longer_basis_contains_the_shorter(make):
    for few, many in zip(make(5, POINTS), make(8, POINTS), strict=True):
        assert many[:, :5] == pytest.approx(few)
