"""Adaptive exponential time differencing for any semilinear system in spectral space.

    dv/dt = L v + N(v)

with a diagonal linear part that is integrated exactly and a nonlinear part that is any function.
The scheme, its weights and the control of its steps are those of `semilinear`, which does the same
for one field on an interval within a single kernel. Here a step costs milliseconds, so that its
loop, and N, may be Python's.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from simulations.compilation import kernel
from simulations.numerics.semilinear import (
    GROWTH_WORTH_A_TABLE,
    HALF,
    QUARTER,
    STAGES,
    TABLE_ROWS,
    THREE_QUARTERS,
    WHOLE,
    tabulate,
)

Spectrum = NDArray[np.inexact]
#: Tables of coefficients that are kept, one for each length of a step
TABLES = 3


class StepUnderflow(ArithmeticError):
    """No step, however short, meets the tolerance."""

    def __init__(self, time: float) -> None:
        super().__init__(f"no step meets the tolerance at t={time:.6g}")
        self.time = time


@kernel
def _stage(stage, v, rates, table, new):
    """``new``: the state at which the rates of a stage (1 to 5) are taken, or 6, the next one."""
    n1, n2, n3, n4, n5, n6 = rates[0], rates[1], rates[2], rates[3], rates[4], rates[5]
    row = QUARTER
    if stage == 3:
        row = HALF
    elif stage == 4:
        row = THREE_QUARTERS
    elif stage >= 5:
        row = WHOLE
    e, i, j = table[row], table[row + 1], table[row + 2]
    if stage == 1:
        for k in range(v.size):
            new[k] = e[k] * v[k] + i[k] * n1[k]
    elif stage == 2:
        for k in range(v.size):
            new[k] = e[k] * v[k] + i[k] * n1[k] + 4 * j[k] * (n2[k] - n1[k])
    elif stage == 3:
        for k in range(v.size):
            new[k] = e[k] * v[k] + i[k] * n1[k] + 4 * j[k] * (n3[k] - n1[k])
    elif stage == 4:
        for k in range(v.size):
            level = n1[k] + 0.5 * (n3[k] - n2[k])
            new[k] = e[k] * v[k] + i[k] * level + 2 * j[k] * (n4[k] - n1[k])
    elif stage == 5:
        for k in range(v.size):
            level = -154 * n1[k] + 96 * n2[k] + 333 * n3[k] - 144 * n4[k] - 47 * n5[k]
            slope = 118 * n1[k] - 261 * n3[k] + 143 * n5[k]
            new[k] = e[k] * v[k] + i[k] * level / 84 + j[k] * slope / 42
    else:
        curved = table[WHOLE + 3]
        for k in range(v.size):
            level = 1799 * n1[k] + 2194 * n3[k] - 1176 * n4[k] - 626 * n5[k] + 509 * n6[k]
            slope = -3479 * n1[k] - 934 * n3[k] + 4776 * n4[k] + 1766 * n5[k] - 2129 * n6[k]
            curvature = 63 * n1[k] - 10 * n3[k] - 108 * n4[k] - 6 * n5[k] + 61 * n6[k]
            integrals = i[k] * level / 2700 + j[k] * slope / 1350 + curved[k] * curvature / 15
            new[k] = e[k] * v[k] + integrals


@kernel
def _error_and_size(rates, exponential, step, new):
    """Estimated L2 error of a step, as in `semilinear`, and the L2 norm of the new state."""
    error, size = 0.0, 0.0
    for k in range(new.size):
        ends, quarters = rates[0, k] + rates[5, k], rates[2, k] + rates[4, k]
        fourth = exponential[k] * (ends - 4 * quarters + 6 * rates[3, k])
        error += fourth.real**2 + fourth.imag**2
        size += new[k].real ** 2 + new[k].imag ** 2
    return 0.1 * 32 / 90 * step * np.sqrt(error), np.sqrt(size)


def march(
    v0: Spectrum,
    linear: NDArray[np.inexact],
    nonlinear: Callable[[Spectrum], Spectrum],
    times: NDArray[np.floating],
    tolerance: float,
    project: Callable[[Spectrum], object] | None = None,
) -> Iterator[Spectrum]:
    """Integrate from ``times[0]`` with controlled steps.

    Args:
        v0: initial spectrum of any shape; it stays real if L is real too.
        linear: diagonal of L, of the same shape.
        nonlinear: N(v), of the same shape; it may keep nothing of what it is given.
        times: ascending instants.
        tolerance: admissible error of a step relative to the L2 norm of the spectrum.
        project: removes, in place after each step, what N does not see: L would let the rounding
            there grow without end where it has growing modes. See `fourier.keep_real`.

    Yields:
        The spectrum at each of ``times[1:]``, to be copied if it is kept.

    Raises:
        StepUnderflow: no step meets the tolerance.
    """
    shape = v0.shape
    diagonal = np.ascontiguousarray(np.broadcast_to(linear, shape)).ravel()
    v = np.array(v0, dtype=np.result_type(v0, diagonal)).ravel()
    rates, new = np.empty((STAGES, v.size), v.dtype), np.empty_like(v)
    tables: OrderedDict[float, NDArray[np.inexact]] = OrderedDict()

    def rate(state: Spectrum) -> Spectrum:
        return nonlinear(state.reshape(shape)).ravel()

    def table_of(step: float) -> NDArray[np.inexact]:
        key = float(f"{step:.9e}")
        if key not in tables:
            if len(tables) == TABLES:
                _, table = tables.popitem(last=False)
            else:
                table = np.empty((TABLE_ROWS, v.size), diagonal.dtype)
            tabulate(diagonal, step, v.size, table)
            tables[key] = table
        tables.move_to_end(key)
        return tables[key]

    span = float(times[-1] - times[0])
    rates[0] = rate(v)
    # First guess: a part of the time in which the nonlinear part alone would double v
    size = np.linalg.norm(v)
    growth = np.linalg.norm(rates[0]) / size if size > 0 else 0.0
    wanted = float(tolerance**0.2 * span / (1 + span * growth))
    t, step = float(times[0]), 0.0
    for target in map(float, times[1:]):
        steps_left = 0
        while t < target:
            if not wanted > 1e-12 * span:
                raise StepUnderflow(t)
            if steps_left == 0 or not step <= wanted < GROWTH_WORTH_A_TABLE * step:
                remaining = target - t
                steps_left = int(np.ceil(max(1.0, remaining / wanted - 1e-9)))
                step = remaining / steps_left
            table = table_of(step)
            for stage in range(1, STAGES):
                _stage(stage, v, rates, table, new)
                rates[stage] = rate(new)
            _stage(STAGES, v, rates, table, new)
            error, size = _error_and_size(rates, table[WHOLE], step, new)
            relative = error / (tolerance * (size + 1e-300))
            if not relative <= 1.0:  # true for NaN
                steps_left = 0
                shrink = 0.9 * min(relative, 1e8) ** -0.2 if relative > 1.0 else 0.1
                wanted = step * max(0.1, shrink)
                continue
            steps_left -= 1
            t = target - steps_left * step
            wanted = step * min(4.0, 0.9 * max(relative, 1e-8) ** -0.2)
            v, new = new, v
            if project is not None:
                project(v.reshape(shape))
            rates[0] = rate(v)
        yield v.reshape(shape)
