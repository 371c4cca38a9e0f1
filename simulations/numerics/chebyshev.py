"""Chebyshev collocation on the unit interval: nodes, derivatives, quadrature, interpolation.

A function is known by its values at the Gauss-Lobatto nodes ``x_j = (1 − cos(πj/(n−1)))/2``, which
crowd towards both ends as boundary layers do. Derivatives are matrices that act on these values.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]


def nodes(n: int) -> Matrix:
    """The ``n`` Gauss-Lobatto nodes of [0, 1], ascending, both ends included."""
    return np.sin(np.pi * np.arange(n) / (2 * (n - 1))) ** 2


def differentiation(n: int) -> Matrix:
    """Matrix ``(n, n)`` of the first derivative of the interpolating polynomial.

    References:
        Baltensperger and Trummer, SIAM Journal on Scientific Computing 24 (2003) 1465: node
        differences by a trigonometric identity, and the diagonal as a negative sum, keep rounding
        errors small.
    """
    angle = np.pi * np.arange(n) / (n - 1)
    plus, minus = angle[:, None] + angle, angle[:, None] - angle
    difference = np.sin(plus / 2) * np.sin(minus / 2) + np.eye(n)
    weights = _barycentric_weights(n)
    matrix = weights / weights[:, None] / difference
    return matrix - np.diag(matrix.sum(axis=1))


def clamped_derivatives(n: int) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Derivatives 1 to 4 of a function that vanishes with its first derivative at both ends.

    The function is ``w q`` with ``w = x(1−x)`` and a polynomial q that vanishes at both ends: the
    four end conditions hold by construction and no row of a system is spent on them.

    Returns:
        Four matrices ``(n−2, n−2)`` from values at the inner nodes to values at the inner nodes.

    References:
        Trefethen, Spectral Methods in MATLAB (2000), chapter 14.
    """
    inner = slice(1, -1)
    x = nodes(n)[inner, None]
    w, slope, curvature = x * (1 - x), 1 - 2 * x, -2.0
    powers = [np.linalg.matrix_power(differentiation(n), k)[inner, inner] for k in range(5)]
    first, second, third, fourth = (
        (w * powers[k] + k * slope * powers[k - 1] + k * (k - 1) / 2 * curvature * powers[k - 2])
        / w.T
        for k in range(1, 5)
    )
    return first, second, third, fourth


def neumann_extension(n: int) -> Matrix:
    """Matrix ``(n, n−2)`` from inner values to all values if the slope is 0 at both ends."""
    extension = np.eye(n)[:, 1:-1]
    slope = differentiation(n)[[0, -1]]
    extension[[0, -1]] = -np.linalg.solve(slope[:, [0, -1]], slope[:, 1:-1])
    return extension


def quadrature(n: int) -> Matrix:
    """Clenshaw-Curtis weights ``(n,)`` of the integral over [0, 1]."""
    even = np.arange(0, n, 2)
    modes = np.cos(np.outer(np.pi * np.arange(n) / (n - 1), even)) / (1.0 - even**2)
    halved_ends = np.where((even == 0) | (even == n - 1), 0.5, 1.0)
    weights = 2 * modes @ halved_ends / (n - 1)
    weights[[0, -1]] /= 2
    return weights


def interpolation(n: int, points: Matrix) -> Matrix:
    """Matrix ``(len(points), n)`` from the values at the nodes to values at ``points``."""
    difference = points[:, None] - nodes(n)
    hit = np.abs(difference) < 1e-14
    terms = _barycentric_weights(n) / np.where(hit, 1.0, difference)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    return np.where(hit.any(axis=1, keepdims=True), hit, matrix)


def clamped_interpolation(n: int, points: Matrix) -> tuple[Matrix, Matrix]:
    """Matrices ``(len(points), n−2)`` to values and slopes at ``points`` of a clamped function."""
    x, y = nodes(n)[1:-1], points[:, None]
    to_points = interpolation(n, points)
    factor = to_points[:, 1:-1] / (x * (1 - x))
    factor_slope = (to_points @ differentiation(n))[:, 1:-1] / (x * (1 - x))
    w = y * (1 - y)
    return w * factor, (1 - 2 * y) * factor + w * factor_slope


def _barycentric_weights(n: int) -> Matrix:
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] /= 2
    return weights
