"""Tridiagonal linear systems by elimination without exchanges (Thomas' algorithm)."""

from simulations.compilation import kernel


@kernel
def solve(lower, diagonal, upper, right, factors):
    """Solve ``lower[i] x[i−1] + diagonal[i] x[i] + upper[i] x[i+1] = right[i]`` in place.

    For matrices that need no exchanges of rows, such as diagonally dominant ones.

    Args:
        lower, diagonal, upper: shape ``(n,)``; ``lower[0]`` and ``upper[n − 1]`` are ignored.
        right: right-hand side on entry, solution on return.
        factors: scratch of shape ``(n,)``.
    """
    n = right.size
    pivot = diagonal[0]
    right[0] /= pivot
    for i in range(1, n):
        factors[i] = upper[i - 1] / pivot
        pivot = diagonal[i] - lower[i] * factors[i]
        right[i] = (right[i] - lower[i] * right[i - 1]) / pivot
    for i in range(n - 2, -1, -1):
        right[i] -= factors[i + 1] * right[i + 1]
