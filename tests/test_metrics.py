"""Errors of predictions against their formulas, by hand on small arrays."""

import numpy as np
import pytest

from surrogate import metrics


def test_vrmse_of_a_frame_by_hand():
    target = np.array([[0.0, 2.0, 4.0], [1.0, 1.0, 1.0]])
    prediction = np.array([[1.0, 2.0, 4.0], [1.0, 1.0, 1.0]])
    # mean square error 1/3, unbiased variance 4; a constant frame is divided by epsilon alone
    expected = [np.sqrt((1 / 3) / (4 + 1e-7)), 0.0]
    np.testing.assert_allclose(metrics.vrmse(prediction, target, (1,)), expected, rtol=1e-12)


def test_geometric_mean_of_a_rollout_by_hand():
    errors = np.array([[1e-4, 1e-2, 1.0], [2.0, 0.0, 1.0]])
    np.testing.assert_allclose(metrics.geometric_mean_error(errors), [1e-2, 0.0])


def test_valid_time_ends_before_the_first_error_that_is_too_large():
    times = np.array([0.0, 0.5, 2.0])
    errors = np.array([[0.1, 0.2, 0.3], [0.1, 0.9, 0.1], [0.9, 0.1, 0.1], [0.1, np.nan, 0.1]])
    found = metrics.valid_time(errors, times, 0.3)
    np.testing.assert_array_equal(found, [2.0, 0.0, np.nan, 0.0])
    assert metrics.valid_time(errors[:1], times, 0.2) == pytest.approx(0.5)
