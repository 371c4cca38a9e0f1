"""How fast memory gives and takes, for solvers that wait for it: their share of it says how much
faster they could become.
"""

import numpy as np

from benchmarks.timing import Timing, side_by_side
from simulations.compilation import kernel


def triad(working_set: int, *, samples: int = 7, seconds: float = 0.1) -> Timing:
    """Time of a ← b + s c per byte read or written, over arrays of so many bytes together.

    As STREAM counts: three arrays pass; that the processor also reads what it is about to write is
    not counted. On the same core and in the same run as what it is compared with.
    """
    a, b, c = np.ones((3, max(working_set // 24, 1)))
    timing = side_by_side(
        {"triad": lambda: _triad(a, b, c, 1e-9)}, samples=samples, seconds=seconds
    )["triad"]
    moved = 24 * a.size
    return Timing(
        timing.wall / moved,
        timing.cpu / moved,
        timing.spread,
        timing.samples,
        timing.clean,
        timing.load,
    )


@kernel
def _triad(a, b, c, scale):
    for i in range(a.size):
        a[i] = b[i] + scale * c[i]
