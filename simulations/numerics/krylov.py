"""Linear systems known only by what their matrix does to a vector."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Vector = NDArray[np.floating]


def gmres(
    apply: Callable[[Vector], Vector], b: Vector, tolerance: float, max_iterations: int
) -> tuple[Vector, float, int]:
    """Solve ``A x = b`` from x = 0 by the generalised minimal residual method, without restart.

    Args:
        apply: the product ``A v``, preconditioned by the caller.
        b: right-hand side, shape ``(m,)``.
        tolerance: admissible ``‖b − A x‖ / ‖b‖``.
        max_iterations: products to spend at most; as many vectors of length m are kept.

    Returns:
        The solution, its relative residual and the number of products.

    References:
        Saad and Schultz, SIAM Journal on Scientific and Statistical Computing 7 (1986) 856.
    """
    size = float(np.linalg.norm(b))
    if size == 0.0:
        return np.zeros_like(b), 0.0, 0
    basis = np.empty((max_iterations + 1, b.size))
    basis[0] = b / size
    rotation = np.eye(max_iterations + 1)  # all Givens rotations so far, multiplied
    triangle = np.zeros((max_iterations, max_iterations))
    k, residual = 0, 1.0
    while k < max_iterations and residual > tolerance:
        known = basis[: k + 1]
        new = apply(basis[k])
        column = known @ new
        new = new - column @ known
        again = known @ new  # a second pass keeps the basis orthogonal to rounding
        new -= again @ known
        length = float(np.linalg.norm(new))
        rotated = rotation[: k + 1, : k + 1] @ (column + again)
        diagonal = float(np.hypot(rotated[k], length))
        if diagonal == 0.0:
            break
        basis[k + 1] = new / max(length, np.finfo(float).tiny)
        c, s = rotated[k] / diagonal, length / diagonal
        rotated[k] = diagonal
        triangle[: k + 1, k] = rotated
        upper, lower = rotation[k].copy(), rotation[k + 1].copy()
        rotation[k], rotation[k + 1] = c * upper + s * lower, c * lower - s * upper
        k += 1
        residual = abs(float(rotation[k, 0]))
    coefficients = solve_triangular(triangle[:k, :k], size * rotation[:k, 0], check_finite=False)
    return coefficients @ basis[:k], residual, k
