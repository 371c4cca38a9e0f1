"""Adaptive explicit Runge–Kutta integration of ordinary differential equations.

    y' = f(t, y; p)

Order 8 with its error estimate of orders 5 and 3 and dense output of order 7 (DOP853) for strict
tolerances, order 5 with estimate of order 4 and dense output of order 4 (Dormand–Prince) for loose
ones. Steps follow a proportional–integral controller and are as long as the error allows; stored
times inside of a step come from the interpolant.

References:
    Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I (1993), II.4 and II.6.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulations.compilation import Callback, kernel
from simulations.grid import Array
from simulations.numerics import dormand_prince
from simulations.numerics.dormand_prince import SLOPE, call

COMPLETED, STEP_UNDERFLOW = 0, 1

#: Looser tolerances than this are met at less cost by the scheme of order 5
LOOSE = 1e-5

SAFETY, SHRINK, GROW, INTEGRAL_GAIN = 0.9, 0.2, 6.0, 0.04


@dataclass(frozen=True)
class Scheme:
    """An explicit scheme whose last stage is at the new point.

    Args:
        order: order of the solution.
        stages: stages that a step needs, the one at its beginning not counted.
    """

    order: int
    stages: int


ORDER_5, ORDER_8 = Scheme(5, 6), Scheme(8, 12)


def slope(function: Callable[..., None]) -> Callback:
    """Declare the right-hand side of an equation: ``function(t, y, parameters, dy)`` fills dy."""
    return Callback(function, SLOPE)


def integrate(
    right_hand_side: Callback,
    start: Array,
    parameters: Array,
    times: Array,
    tolerance: float,
    frames: Array,
    floor: float = 1.0,
    scheme: Scheme | None = None,
) -> tuple[int, float, int]:
    """Integrate an equation and store it at given times.

    Args:
        right_hand_side: declared by `slope`.
        start: state at ``times[0]``, shape ``(n,)``.
        parameters: numbers that the right-hand side takes.
        times: ascending instants.
        tolerance: admissible error of a step, relative to ``max(|y|, floor)``.
        frames: states at ``times``, shape ``(times.size, n)``; output.
        floor: size below which a component need not be known relatively.
        scheme: `ORDER_8` or `ORDER_5`; by default the one that is cheaper at this tolerance.

    Returns:
        ``COMPLETED`` or ``STEP_UNDERFLOW``, the time reached, and the number of steps.
    """
    if scheme is None:
        scheme = ORDER_5 if tolerance > LOOSE else ORDER_8
    return _integrate(
        right_hand_side.address,
        start,
        parameters,
        times,
        tolerance,
        floor,
        scheme.order,
        scheme.stages,
        frames,
    )


@kernel
def _first_step(slope, start_time, y, parameters, rate, order, tolerance, floor, work, work_rate):
    """Length of a step whose error is about the tolerance: Hairer, Nørsett, Wanner, II.4."""
    n = y.size
    size, speed = 0.0, 0.0
    for i in range(n):
        scale = max(floor, abs(y[i]))
        size += (y[i] / scale) ** 2
        speed += (rate[i] / scale) ** 2
    size, speed = np.sqrt(size / n), np.sqrt(speed / n)
    guess = 0.01 * max(size, tolerance) / speed if speed > 0.0 else 1e-6
    for i in range(n):
        work[i] = y[i] + guess * rate[i]
    call(slope, start_time + guess, work, parameters, work_rate)
    bend = 0.0
    for i in range(n):
        bend += ((work_rate[i] - rate[i]) / max(floor, abs(y[i]))) ** 2
    bend = np.sqrt(bend / n) / guess
    largest = max(speed, bend)
    if not largest > 0.0:
        return guess
    return min(100 * guess, (0.01 * tolerance / largest) ** (1.0 / order))


@kernel
def _integrate(slope, start, parameters, times, tolerance, floor, order, stages, frames):
    n, n_times = start.size, times.size
    k = np.empty((16, n))
    y, new, work = start.copy(), np.empty(n), np.empty(n)
    coefficients = np.empty((7 if order == 8 else 4, n))
    frames[0] = start
    t, end = times[0], times[n_times - 1]
    call(slope, t, y, parameters, k[0])
    step = _first_step(slope, t, y, parameters, k[0], order, tolerance, floor, new, work)
    step = min(step, end - t)
    frame, steps, last_error = 1, 0, 1e-4
    rejected = False
    while frame < n_times:
        is_last = t + 1.01 * step >= end
        if is_last:
            step = end - t
        if not step > 1e-14 * max(abs(t), abs(end)):  # NaN too
            return STEP_UNDERFLOW, t, steps
        if order == 8:
            dormand_prince.stages_8(slope, t, y, step, parameters, k, new)
            estimate = step * dormand_prince.error_8(y, new, k, tolerance, floor)
        else:
            dormand_prince.stages_5(slope, t, y, step, parameters, k, new)
            estimate = step * dormand_prince.error_5(y, new, k, tolerance, floor)
        steps += 1
        if not estimate <= 1.0:
            shrink = SAFETY * estimate ** (-1.0 / order)
            step *= max(SHRINK, shrink) if np.isfinite(estimate) else SHRINK
            rejected = True
            continue
        after = end if is_last else t + step
        if times[frame] < after:
            _hermite(y, new, k[0], k[stages], step, coefficients)
            if order == 8:
                dormand_prince.more_stages_8(slope, t, y, step, parameters, k, work)
                dormand_prince.beyond_hermite_8(k, step, coefficients)
            else:
                dormand_prince.beyond_hermite_5(k, step, coefficients)
            while frame < n_times and times[frame] < after:
                _evaluate(y, coefficients, (times[frame] - t) / step, frames, frame)
                frame += 1
        if frame < n_times and times[frame] == after:
            frames[frame] = new
            frame += 1
        t = after
        for i in range(n):
            y[i] = new[i]
            k[0, i] = k[stages, i]
        estimate = max(estimate, 1e-10)
        proportional = estimate ** (-(1.0 / order - 0.75 * INTEGRAL_GAIN))
        factor = SAFETY * proportional * last_error**INTEGRAL_GAIN
        step *= max(SHRINK, min(1.0 if rejected else GROW, factor))
        last_error = max(estimate, 1e-4)
        rejected = False
    return COMPLETED, t, steps


@kernel
def _hermite(y, new, rate, new_rate, step, coefficients):
    """The cubic polynomial with the values and slopes of both ends, as `_evaluate` takes it."""
    for i in range(y.size):
        change = new[i] - y[i]
        coefficients[0, i] = change
        coefficients[1, i] = step * rate[i] - change
        coefficients[2, i] = 2 * change - step * (rate[i] + new_rate[i])


@kernel
def _evaluate(y, coefficients, position, frames, frame):
    """``y + θ(c₀ + (1−θ)(c₁ + θ(c₂ + (1−θ)(c₃ + …))))`` at θ = position."""
    degree = coefficients.shape[0]
    for i in range(y.size):
        value = 0.0
        for row in range(degree - 1, -1, -1):
            factor = position if row % 2 == 0 else 1.0 - position
            value = factor * (coefficients[row, i] + value)
        frames[frame, i] = y[i] + value
