"""Adaptive explicit Runge–Kutta integration of ordinary differential equations.

    y' = f(t, y; p)

Order 8 with its error estimate of orders 5 and 3 and dense output of order 7 (DOP853) for strict
tolerances, order 5 with estimate of order 4 and dense output of order 4 (Dormand–Prince) for loose
ones. Steps follow a proportional–integral controller and are as long as the error allows; stored
times inside of a step come from the interpolant.

References:
    Hairer, Nørsett, Wanner, Solving Ordinary Differential Equations I (1993), II.4-II.6 and II.10.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import scipy.integrate

from simulations.compilation import Callback, kernel
from simulations.grid import Array

COMPLETED, STEP_UNDERFLOW = 0, 1

#: Looser tolerances than this are met at less cost by the scheme of order 5
LOOSE = 3e-5

SAFETY, SHRINK, GROW, INTEGRAL_GAIN = 0.9, 0.2, 6.0, 0.04


@dataclass(frozen=True, eq=False)
class Scheme:
    """Coefficients of an explicit scheme whose last stage is at the new point.

    Args:
        order: order of the solution.
        stages: stages that a step needs, the one at its beginning not counted.
        nodes: times of the stages in a step.
        weights: coefficients by stage; row ``stages`` is the solution, later ones serve the
            interpolant only.
        error: estimates of higher and lower order, ``(2, stages + 1)``.
        interpolant: what the interpolant has beyond the cubic Hermite one, by coefficient.
    """

    order: int
    stages: int
    nodes: Array
    weights: Array
    error: Array
    interpolant: Array


def _order_8() -> Scheme:
    source = scipy.integrate.DOP853
    weights = np.zeros((16, 16))
    weights[:12, :12] = source.A
    weights[12, :12] = source.B
    weights[13:] = source.A_EXTRA
    nodes = np.concatenate([source.C, [1.0], source.C_EXTRA])
    return Scheme(8, 12, nodes, weights, np.stack([source.E5, source.E3]), source.D.copy())


def _order_5() -> Scheme:
    source = scipy.integrate.RK45
    weights = np.zeros((7, 7))
    weights[:6, :5] = source.A
    weights[6, :6] = source.B
    nodes = np.concatenate([source.C, [1.0]])
    error = np.stack([source.E, np.zeros(7)])
    # Of all quartics with these values and slopes at the ends, θ⁴ is what tells one from another
    return Scheme(5, 6, nodes, weights, error, source.P[None, :, 3].copy())


ORDER_8, ORDER_5 = _order_8(), _order_5()

SLOPE = numba.void(numba.float64, numba.float64[::1], numba.float64[::1], numba.float64[::1])


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
        right_hand_side.compiled,
        start,
        parameters,
        times,
        tolerance,
        floor,
        scheme.order,
        scheme.stages,
        scheme.nodes,
        scheme.weights,
        scheme.error,
        scheme.interpolant,
        frames,
    )


@kernel
def _stage(y, rates, weights, stage, step, new):
    """``new = y + step Σ_j weights[stage, j] rates[:, j]``."""
    for i in range(y.size):
        total = 0.0
        for j in range(stage):
            total += weights[stage, j] * rates[i, j]
        new[i] = y[i] + step * total


@kernel
def _rate(slope, t, y, parameters, rate, rates, stage):
    """The right-hand side as column ``stage`` of the rates: what sums over stages run along."""
    slope(t, y, parameters, rate)
    for i in range(y.size):
        rates[i, stage] = rate[i]


@kernel
def _error(y, new, rates, error, stages, step, tolerance, floor):
    """Estimated error of a step in units of the tolerance, root mean square of the components."""
    n = y.size
    higher, lower = 0.0, 0.0
    for i in range(n):
        scale = 1.0 / (tolerance * max(floor, abs(y[i]), abs(new[i])))
        high, low = 0.0, 0.0
        for j in range(stages + 1):
            high += error[0, j] * rates[i, j]
            low += error[1, j] * rates[i, j]
        higher += (high * scale) ** 2
        lower += (low * scale) ** 2
    if higher == 0.0:
        return 0.0
    return step * higher / np.sqrt(n * (higher + 0.01 * lower))


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
    slope(start_time + guess, work, parameters, work_rate)
    bend = 0.0
    for i in range(n):
        bend += ((work_rate[i] - rate[i]) / max(floor, abs(y[i]))) ** 2
    bend = np.sqrt(bend / n) / guess
    largest = max(speed, bend)
    if not largest > 0.0:
        return guess
    return min(100 * guess, (0.01 * tolerance / largest) ** (1.0 / order))


@kernel
def _integrate(
    slope,
    start,
    parameters,
    times,
    tolerance,
    floor,
    order,
    stages,
    nodes,
    weights,
    error,
    interpolant,
    frames,
):
    n, n_times = start.size, times.size
    rates = np.empty((n, nodes.size))
    y, new, rate, work = start.copy(), np.empty(n), np.empty(n), np.empty(n)
    coefficients = np.empty((3 + interpolant.shape[0], n))
    frames[0] = start
    t, end = times[0], times[n_times - 1]
    _rate(slope, t, y, parameters, rate, rates, 0)
    step = _first_step(slope, t, y, parameters, rate, order, tolerance, floor, new, work)
    step = min(step, end - t)
    frame, steps, last_error = 1, 0, 1e-4
    rejected = False
    while frame < n_times:
        is_last = t + 1.01 * step >= end
        if is_last:
            step = end - t
        if not step > 1e-14 * max(abs(t), abs(end)):  # NaN too
            return STEP_UNDERFLOW, t, steps
        for stage in range(1, stages + 1):
            _stage(y, rates, weights, stage, step, new)
            _rate(slope, t + nodes[stage] * step, new, parameters, rate, rates, stage)
        estimate = _error(y, new, rates, error, stages, step, tolerance, floor)
        steps += 1
        if not estimate <= 1.0:
            shrink = SAFETY * estimate ** (-1.0 / order)
            step *= max(SHRINK, shrink) if np.isfinite(estimate) else SHRINK
            rejected = True
            continue
        after = end if is_last else t + step
        if times[frame] < after:
            for stage in range(stages + 1, nodes.size):
                # A row of the weights serves every stage before, the one at the new point too
                _stage(y, rates, weights, stage, step, work)
                _rate(slope, t + nodes[stage] * step, work, parameters, rate, rates, stage)
            _interpolant(y, new, rates, interpolant, stages, step, coefficients)
            while frame < n_times and times[frame] < after:
                _evaluate(y, coefficients, (times[frame] - t) / step, frames, frame)
                frame += 1
        if frame < n_times and times[frame] == after:
            frames[frame] = new
            frame += 1
        t = after
        for i in range(n):
            y[i] = new[i]
            rates[i, 0] = rates[i, stages]
        estimate = max(estimate, 1e-10)
        proportional = estimate ** (-(1.0 / order - 0.75 * INTEGRAL_GAIN))
        factor = SAFETY * proportional * last_error**INTEGRAL_GAIN
        step *= max(SHRINK, min(1.0 if rejected else GROW, factor))
        last_error = max(estimate, 1e-4)
        rejected = False
    return COMPLETED, t, steps


@kernel
def _interpolant(y, new, rates, interpolant, stages, step, coefficients):
    """Coefficients of `_evaluate`: the cubic Hermite polynomial and what comes on top of it."""
    for i in range(y.size):
        change = new[i] - y[i]
        coefficients[0, i] = change
        coefficients[1, i] = step * rates[i, 0] - change
        coefficients[2, i] = 2 * change - step * (rates[i, 0] + rates[i, stages])
        for row in range(interpolant.shape[0]):
            total = 0.0
            for j in range(rates.shape[1]):
                total += interpolant[row, j] * rates[i, j]
            coefficients[3 + row, i] = step * total


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
