"""How fast this core moves memory, at the cache level that holds so many bytes."""

import time

import numba
import numpy as np


@numba.njit(fastmath=True)
def _triad(a, b, c, repeats):
    for _ in range(repeats):
        for i in range(a.size):
            a[i] = b[i] + 3.0 * c[i]


def triad_bandwidth(bytes_in_use: int) -> float:
    """Bytes per second of ``a = b + 3 c`` with three arrays that take so much together.

    The best of several tries; two loads and one store count for each element.
    """
    n = max(64, bytes_in_use // 24)
    a, b, c = np.zeros((3, n))
    repeats = max(1, 100_000_000 // (24 * n))
    _triad(a, b, c, 1)
    best = np.inf
    for _ in range(7):
        start = time.perf_counter()
        _triad(a, b, c, repeats)
        best = min(best, time.perf_counter() - start)
    return 24.0 * n * repeats / best
