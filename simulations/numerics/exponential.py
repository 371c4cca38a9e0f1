"""Adaptive exponential time differencing for any semilinear system in spectral space.

    dv/dt = L v + N(v)

with a diagonal linear part that is integrated exactly and a nonlinear part that is any function.
The scheme, its weights and the control of its steps are those of `semilinear`, which does the same
for one field on an interval within a single kernel. Here a step costs milliseconds, so that its
loop, and N, may be Python's.
"""

from bisect import bisect_right
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
    phi,
    tabulate,
)

Spectrum = NDArray[np.inexact]
#: Tables of coefficients that are kept, one for each length of a step, or of a piece of a step
TABLES, PIECES = 3, 2
PIECE_ROWS = 5
#: How many stored times later than the farthest that a step reaches may be the next to be hit
LATER_TIMES = 3


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


@kernel
def _interpolate(rates):
    """Put a cubic in place of the rates of a step, N(v(s)) = r_0 + r_1 s + r_2 s² + r_3 s³.

    Time s runs from 0 to 1. The last of the seven rates is the first of the next step; it stays.

    The weights w_i(s) of the rates are the only cubic ones with which polynomials N of degree three
    are exact, Σ w_i c_i^q = s^q, and the leading errors of the stages cancel, Σ w_i a_i2 = 0 and
    Σ w_i a_ij c_j² = s³/3. So v(s) is of order four at least, and over the whole step, if L = 0, it
    is the step itself.
    """
    n1, n2, n3, n4, n5, n6, n7 = (
        rates[0],
        rates[1],
        rates[2],
        rates[3],
        rates[4],
        rates[5],
        rates[6],
    )
    for k in range(n1.size):
        linear = -93 * n1[k] + 112 * n3[k] + 12 * n4[k] - 48 * n5[k] - 28 * n6[k] + 45 * n7[k]
        square = 158 * n1[k] - 272 * n3[k] - 12 * n4[k] + 208 * n5[k] + 98 * n6[k] - 180 * n7[k]
        cube = -80 * n1[k] + 160 * n3[k] - 160 * n5[k] - 70 * n6[k] + 150 * n7[k]
        n2[k], n3[k], n4[k] = linear / 15, square / 15, cube / 15


@kernel
def _tabulate_piece(linear, length, table):
    """``table`` ``(5, modes)``: e^z and (φ₁ to φ₄ of z) times ``length``, z = length·L."""
    for k in range(linear.size):
        z = length * linear[k]
        exponential = np.exp(z)
        phi1, phi2, phi3, phi4 = phi(z, exponential)
        table[0, k] = exponential
        table[1, k], table[2, k] = length * phi1, length * phi2
        table[3, k], table[4, k] = length * phi3, length * phi4


@kernel
def _go_on(v, cubic, s, ratio, table, new):
    """From ``v`` at ``s`` of a step to ``new`` at ``s + ratio``, with N of `_interpolate`.

    ∫ e^((1-θ)z) θ^q dθ = q! φ_(q+1)(z) over 0 < θ < 1 for each derivative of N.
    """
    e, first, second, third, fourth = table[0], table[1], table[2], table[3], table[4]
    r0, r1, r2, r3 = cubic[0], cubic[1], cubic[2], cubic[3]
    for k in range(v.size):
        value = r0[k] + s * (r1[k] + s * (r2[k] + s * r3[k]))
        slope = ratio * (r1[k] + s * (2 * r2[k] + 3 * s * r3[k]))
        curvature = ratio**2 * (2 * r2[k] + 6 * s * r3[k])
        jerk = ratio**3 * 6 * r3[k]
        integrals = first[k] * value + second[k] * slope + third[k] * curvature + fourth[k] * jerk
        new[k] = e[k] * v[k] + integrals


class _Tables:
    """The latest few tables of coefficients, each for a length of time.

    Args:
        most: how many are kept.
        rows: rows of a table.
        linear: diagonal of L.
        fill: fills a table, given L, the length and the table.
    """

    def __init__(
        self,
        most: int,
        rows: int,
        linear: Spectrum,
        fill: Callable[[Spectrum, float, Spectrum], object],
    ) -> None:
        self._most, self._rows, self._linear, self._fill = most, rows, linear, fill
        self._tables: OrderedDict[float, Spectrum] = OrderedDict()

    def __getitem__(self, length: float) -> Spectrum:
        key = float(f"{length:.9e}")
        if key not in self._tables:
            if len(self._tables) == self._most:
                _, table = self._tables.popitem(last=False)
            else:
                table = np.empty((self._rows, self._linear.size), self._linear.dtype)
            self._fill(self._linear, length, table)
            self._tables[key] = table
        self._tables.move_to_end(key)
        return self._tables[key]


def _steps(distance: float, wanted: float) -> int:
    """How many equal steps, none longer than wanted."""
    return int(np.ceil(max(1.0, distance / wanted - 1e-9)))


def _plan(stored: list[float], frame: int, t: float, wanted: float, step: float) -> tuple[int, int]:
    """Which stored time, not before ``frame``, to hit next, and with how many equal steps.

    The farthest that a step of the length ``wanted`` reaches, or a later one if the steps to it are
    longer by so much that they pay; or the one that another ``step`` reaches, for which there is a
    table, if it is not much shorter.
    """
    again = bisect_right(stored, t + step * (1 + 1e-9)) - 1
    if (
        again >= frame
        and step <= wanted < GROWTH_WORTH_A_TABLE * step
        and abs(stored[again] - t - step) < 1e-9 * step
    ):
        return again, 1
    first = max(frame, bisect_right(stored, t + wanted * (1 + 1e-9)) - 1)
    goal, steps, longest = first, 1, 0.0
    for later in range(first, min(first + 1 + LATER_TIMES, len(stored))):
        distance = stored[later] - t
        count = _steps(distance, wanted)
        if distance / count > GROWTH_WORTH_A_TABLE * longest:
            goal, steps, longest = later, count, distance / count
    return goal, steps


def march(
    v0: Spectrum,
    linear: NDArray[np.inexact],
    nonlinear: Callable[[Spectrum], Spectrum],
    times: NDArray[np.floating],
    tolerance: float,
    project: Callable[[Spectrum], object] | None = None,
    *,
    pass_over: bool = False,
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
        pass_over: whether steps may pass over stored times, which then come from a continuous
            extension of order four. It costs one evaluation in place of six a frame, but falls to
            order two while stiff modes that matter decay under N, and its error is not controlled.

    Yields:
        The spectrum at each of ``times[1:]``, to be copied if it is kept.

    Raises:
        StepUnderflow: no step meets the tolerance.
    """
    shape = v0.shape
    diagonal = np.ascontiguousarray(np.broadcast_to(linear, shape)).ravel()
    v = np.array(v0, dtype=np.result_type(v0, diagonal)).ravel()
    rates, new = np.empty((STAGES + 1, v.size), v.dtype), np.empty_like(v)
    tables = _Tables(
        TABLES, TABLE_ROWS, diagonal, lambda line, x, to: tabulate(line, x, v.size, to)
    )
    pieces = _Tables(PIECES, PIECE_ROWS, diagonal, _tabulate_piece)

    def rate(state: Spectrum) -> Spectrum:
        return nonlinear(state.reshape(shape)).ravel()

    stored = [float(time) for time in times]
    span = stored[-1] - stored[0]
    rates[0] = rate(v)
    # First guess: a part of the time in which the nonlinear part alone would double v
    size = np.linalg.norm(v)
    growth = np.linalg.norm(rates[0]) / size if size > 0 else 0.0
    wanted = float(tolerance**0.2 * span / (1 + span * growth))
    t, step, steps_left = stored[0], 0.0, 0
    frame = goal = 1
    while frame < len(stored):
        if not wanted > 1e-12 * span:
            raise StepUnderflow(t)
        if steps_left == 0 or not step <= wanted < GROWTH_WORTH_A_TABLE * step:
            if pass_over:
                goal, steps_left = _plan(stored, frame, t, wanted, step)
            else:
                goal, steps_left = frame, _steps(stored[frame] - t, wanted)
            step = (stored[goal] - t) / steps_left
        table = tables[step]
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
        start, t = t, stored[goal] - steps_left * step
        wanted = step * min(4.0, 0.9 * max(relative, 1e-8) ** -0.2)
        v, new = new, v
        if project is not None:
            project(v.reshape(shape))
        if stored[frame] < t - 1e-9 * step:
            rates[STAGES] = rate(v)
            _interpolate(rates)
            reached = start
            while stored[frame] < t - 1e-9 * step:
                length = stored[frame] - reached
                _go_on(new, rates, (reached - start) / step, length / step, pieces[length], new)
                yield new.reshape(shape)
                reached = stored[frame]
                frame += 1
            rates[0] = rates[STAGES]
        else:
            rates[0] = rate(v)
        if steps_left == 0:
            yield v.reshape(shape)
            frame += 1
