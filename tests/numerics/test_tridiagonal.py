"""Tridiagonal systems against SciPy's banded solver."""

import numpy as np
import pytest
from scipy.linalg import solve_banded

from simulations.numerics import tridiagonal


@pytest.mark.parametrize("n", [2, 3, 17, 200])
def test_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    lower, upper, right = rng.standard_normal((3, n))
    diagonal = 4.0 + rng.random(n)
    bands = np.stack([np.roll(upper, 1), diagonal, np.roll(lower, -1)])
    expected = solve_banded((1, 1), bands, right)
    tridiagonal.solve(lower, diagonal, upper, right, np.empty(n))
    np.testing.assert_allclose(right, expected, rtol=1e-12, atol=1e-13)
