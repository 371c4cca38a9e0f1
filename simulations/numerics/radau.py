"""Adaptive implicit Runge–Kutta integration of stiff ordinary differential equations.

    y' = f(t, y; p)

Radau IIA with three stages: order 5, L-stable, with an embedded estimate of order 3 that is passed
through the implicit operator once, so that stiff components do not frighten it, and the collocation
polynomial as dense output. The stages are found by simplified Newton iterations with one matrix
I ⊗ I − h A ⊗ J: for the few equations of a kinetic system its factors cost less than a
transformation to blocks would save.

References:
    Hairer, Wanner, Solving Ordinary Differential Equations II (1996), IV.8.
"""

from collections.abc import Callable

import numba
import numpy as np

from simulations.compilation import Callback, caller, kernel
from simulations.grid import Array
from simulations.numerics.dormand_prince import call

COMPLETED, STEP_UNDERFLOW = 0, 1

_S6 = np.sqrt(6.0)
NODES = np.array([(4 - _S6) / 10, (4 + _S6) / 10, 1.0])
WEIGHTS = np.array(
    [
        [(88 - 7 * _S6) / 360, (296 - 169 * _S6) / 1800, (-2 + 3 * _S6) / 225],
        [(296 + 169 * _S6) / 1800, (88 + 7 * _S6) / 360, (-2 - 3 * _S6) / 225],
        [(16 - _S6) / 36, (16 + _S6) / 36, 1 / 9],
    ]
)
#: Real eigenvalue of the inverse of the weights, and the estimate in terms of the stages over it
GAMMA = 1 / float(np.real([x for x in np.linalg.eigvals(np.linalg.inv(WEIGHTS)) if x.imag == 0])[0])
ERROR = np.array([-13 - 7 * _S6, -13 + 7 * _S6, -1.0]) / 3
#: Coefficients of θ, θ², θ³ in the polynomial through 0 at θ = 0 and the stages at the nodes
POLYNOMIAL = np.linalg.inv(NODES[:, None] ** np.arange(1, 4))

SAFETY, SHRINK, GROW = 0.9, 0.2, 8.0
NEWTON_STEPS, NEWTON_SHARE = 8, 1e-2

JACOBIAN = numba.void(numba.float64, numba.float64[::1], numba.float64[::1], numba.float64[:, ::1])
call_derivatives = caller(JACOBIAN)


def jacobian(function: Callable[..., None]) -> Callback:
    """Declare derivatives of a right-hand side: ``function(t, y, parameters, J)`` fills J."""
    return Callback(function, JACOBIAN)


def integrate(
    right_hand_side: Callback,
    derivatives: Callback,
    start: Array,
    parameters: Array,
    times: Array,
    tolerance: float,
    smallest: Array,
    frames: Array,
) -> tuple[int, float, int]:
    """Integrate an equation and store it at given times.

    Args:
        right_hand_side: declared by `runge_kutta.slope`.
        derivatives: its Jacobian matrix, declared by `jacobian`.
        start: state at ``times[0]``, shape ``(n,)``.
        parameters: numbers that the right-hand side takes.
        times: ascending instants.
        tolerance: admissible error of a step, relative to ``max(|y|, smallest)``.
        smallest: size below which a component need not be known relatively, shape ``(n,)``.
        frames: states at ``times``, shape ``(times.size, n)``; output.

    Returns:
        ``COMPLETED`` or ``STEP_UNDERFLOW``, the time reached, and the number of steps.
    """
    return _integrate(
        right_hand_side.address,
        derivatives.address,
        start,
        parameters,
        times,
        tolerance,
        smallest,
        NODES,
        WEIGHTS,
        ERROR,
        POLYNOMIAL,
        frames,
    )


@kernel
def factorise(matrix, pivots):
    """LU factors in place, with row exchanges as recorded in ``pivots``."""
    n = matrix.shape[0]
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        pivots[k] = pivot
        if pivot != k:
            for j in range(n):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
        inverse = 1.0 / matrix[k, k]
        for i in range(k + 1, n):
            factor = matrix[i, k] * inverse
            matrix[i, k] = factor
            for j in range(k + 1, n):
                matrix[i, j] -= factor * matrix[k, j]


@kernel
def substitute(matrix, pivots, vector):
    """Solve in place with the factors of `factorise`."""
    n = vector.size
    for k in range(n):
        pivot = pivots[k]
        vector[k], vector[pivot] = vector[pivot], vector[k]
    for k in range(n):
        for i in range(k + 1, n):
            vector[i] -= matrix[i, k] * vector[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            vector[k] -= matrix[k, j] * vector[j]
        vector[k] /= matrix[k, k]


@kernel
def _norm(vector, scale):
    """Root mean square of a vector in units of the admissible error."""
    total = 0.0
    for i in range(vector.size):
        total += (vector[i] / scale[i % scale.size]) ** 2
    return np.sqrt(total / vector.size)


@kernel
def _assemble(derivatives, weights, step, matrix, simple):
    """``I ⊗ I − h A ⊗ J`` for the stages and ``I − h γ J`` for the estimate."""
    n = derivatives.shape[0]
    for a in range(3):
        for b in range(3):
            for i in range(n):
                for j in range(n):
                    same = 1.0 if a == b and i == j else 0.0
                    entry = same - step * weights[a, b] * derivatives[i, j]
                    matrix[a * n + i, b * n + j] = entry
    for i in range(n):
        for j in range(n):
            same = 1.0 if i == j else 0.0
            simple[i, j] = same - step * GAMMA * derivatives[i, j]


@kernel
def _iterate(slope, t, y, parameters, step, nodes, weights, scale, factors, pivots, z, work):
    """Simplified Newton iterations for the increments z of the stages.

    Returns:
        Whether they converged to a small part of the admissible error.
    """
    n = y.size
    state, rates, residual = work
    last, ratio = np.inf, 0.0
    for iteration in range(NEWTON_STEPS):
        for stage in range(3):
            for i in range(n):
                state[i] = y[i] + z[stage * n + i]
            call(slope, t + nodes[stage] * step, state, parameters, rates[stage])
        for a in range(3):
            for i in range(n):
                total = 0.0
                for b in range(3):
                    total += weights[a, b] * rates[b, i]
                residual[a * n + i] = step * total - z[a * n + i]
        substitute(factors, pivots, residual)
        size = _norm(residual, scale)
        if not size < np.inf:
            return False
        for i in range(z.size):
            z[i] += residual[i]
        if iteration > 0:
            ratio = size / last if last > 0.0 else 0.0
            if ratio >= 1.0:
                return False
        # What the iterations after this one would still change
        if size == 0.0 or (iteration > 0 and ratio / (1.0 - ratio) * size < NEWTON_SHARE):
            return True
        last = size
    return False


@kernel
def _integrate(
    slope,
    derive,
    start,
    parameters,
    times,
    tolerance,
    smallest,
    nodes,
    weights,
    error_weights,
    polynomial,
    frames,
):
    n, n_times = start.size, times.size
    y, rate, new_rate = start.copy(), np.empty(n), np.empty(n)
    scale, estimate = np.empty(n), np.empty(n)
    z, last_z = np.zeros(3 * n), np.zeros(3 * n)
    derivatives, simple = np.empty((n, n)), np.empty((n, n))
    matrix, pivots = np.empty((3 * n, 3 * n)), np.empty(3 * n, np.int64)
    simple_pivots = np.empty(n, np.int64)
    work = (np.empty(n), np.empty((3, n)), np.empty(3 * n))
    frames[0] = start
    t, end = times[0], times[n_times - 1]
    call(slope, t, y, parameters, rate)
    call_derivatives(derive, t, y, parameters, derivatives)
    for i in range(n):
        scale[i] = tolerance * max(smallest[i], abs(y[i]))
    speed = _norm(rate, scale)
    step = min(end - t, 0.01 / (tolerance * speed) if speed > 0.0 else end - t)
    frame, steps, last_step = 1, 0, 0.0
    while frame < n_times:
        is_last = t + 1.01 * step >= end
        if is_last:
            step = end - t
        if not step > 1e-14 * max(abs(t), 1e-30 * end):  # NaN too
            return STEP_UNDERFLOW, t, steps
        _assemble(derivatives, weights, step, matrix, simple)
        factorise(matrix, pivots)
        factorise(simple, simple_pivots)
        _extrapolate(last_z, last_step, step, nodes, polynomial, z)
        steps += 1
        if not _iterate(
            slope, t, y, parameters, step, nodes, weights, scale, matrix, pivots, z, work
        ):
            last_step = 0.0
            step *= 0.25
            continue
        # The estimate of order 3, damped where the equation is stiff
        for i in range(n):
            combined = 0.0
            for stage in range(3):
                combined += error_weights[stage] * z[stage * n + i]
            estimate[i] = GAMMA * (step * rate[i] + combined)
        substitute(simple, simple_pivots, estimate)
        size = _norm(estimate, scale)
        if not size <= 1.0:
            step *= max(SHRINK, SAFETY * size**-0.25) if size < np.inf else SHRINK
            continue
        after = end if is_last else t + step
        while frame < n_times and times[frame] < after:
            position = (times[frame] - t) / step
            for i in range(n):
                frames[frame, i] = y[i] + _increment(z, i, n, polynomial, position)
            frame += 1
        for i in range(n):
            y[i] += z[2 * n + i]
            scale[i] = tolerance * max(smallest[i], abs(y[i]))
        if frame < n_times and times[frame] == after:
            frames[frame] = y
            frame += 1
        t, last_step = after, step
        last_z[:] = z
        call(slope, t, y, parameters, new_rate)
        rate, new_rate = new_rate, rate
        call_derivatives(derive, t, y, parameters, derivatives)
        step *= min(GROW, max(SHRINK, SAFETY * max(size, 1e-10) ** -0.25))
    return COMPLETED, t, steps


@kernel
def _increment(z, i, n, polynomial, position):
    """Change of component i since the beginning of a step, at a part of it."""
    value, power = 0.0, position
    for degree in range(3):
        coefficient = 0.0
        for stage in range(3):
            coefficient += polynomial[degree, stage] * z[stage * n + i]
        value += coefficient * power
        power *= position
    return value


@kernel
def _extrapolate(last, last_step, step, nodes, polynomial, z):
    """First guess of the stages: the polynomial of the last step continued."""
    n = z.size // 3
    for i in range(n):
        for stage in range(3):
            if last_step > 0.0:
                position = 1.0 + nodes[stage] * step / last_step
                z[stage * n + i] = _increment(last, i, n, polynomial, position) - last[2 * n + i]
            else:
                z[stage * n + i] = 0.0
