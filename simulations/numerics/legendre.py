"""Legendre polynomials on the unit interval, combined so that they obey conditions at its ends.

The highest derivative in question of a basis function is a Legendre polynomial, and these are
orthonormal. A longer basis contains the shorter ones.

References:
    Shen, SIAM Journal on Scientific Computing 15 (1994) 1489: bases of compact combinations.
"""

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander
from numpy.typing import NDArray

Matrix = NDArray[np.floating]


def gauss(n: int) -> tuple[Matrix, Matrix]:
    """Points and weights of Gauss's rule on [0, 1], exact up to degree 2n − 1."""
    points, weights = leggauss(n)
    return (points + 1) / 2, weights / 2


def basis(modes: int, points: Matrix) -> tuple[Matrix, Matrix]:
    """Values and slopes of the orthonormal polynomials of degree 0, 1, …, each ``(len, modes)``."""
    size = np.sqrt(2 * np.arange(modes) + 1)
    values = legvander(2 * np.asarray(points) - 1, modes - 1) * size
    slopes = np.zeros_like(values)
    for k in range(1, modes):  # P'_k = P'_(k−2) + (2k − 1) P_(k−1), and 2 for the interval
        before = slopes[..., k - 2] / size[k - 2] if k > 1 else 0.0
        slopes[..., k] = size[k] * (before + 2 * size[k - 1] * values[..., k - 1])
    return values, slopes


def held_basis(modes: int, points: Matrix) -> tuple[Matrix, Matrix]:
    """Values and slopes of functions of degree k + 2 that vanish at both ends."""
    legendre = legvander(2 * np.asarray(points) - 1, modes + 2)
    p0, p1, p2 = (legendre[..., shift : shift + modes] for shift in range(3))
    size = np.sqrt(2 * np.arange(modes) + 3)
    return (p2 - p0) / (2 * size), size * p1


def clamped_basis(modes: int, points: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Values, slopes and curvatures of functions of degree k + 4, clamped at both ends.

    They vanish there with their first derivative.
    """
    legendre = legvander(2 * np.asarray(points) - 1, modes + 4)
    k = np.arange(modes)
    p0, p1, p2, p3, p4 = (legendre[..., shift : shift + modes] for shift in range(5))
    size = np.sqrt(2 * k + 5)
    values = ((p4 - p2) / (2 * k + 7) - (p2 - p0) / (2 * k + 3)) / (4 * size)
    return values, (p3 - p1) / (2 * size), size * p2
