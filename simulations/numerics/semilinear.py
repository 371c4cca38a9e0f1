"""Adaptive exponential time differencing for semilinear equations on a periodic interval.

The equations are

    u_t = L u + Σ_p g_p F[u^(p+2)],    p = 0, 1, …

in Fourier space, with a diagonal linear part ``L(k)`` that is integrated exactly and multipliers
``g_p(k)`` of the powers of u. Burgers, Korteweg–de Vries, Kuramoto–Sivashinsky, Fisher–KPP,
Allen–Cahn, Cahn–Hilliard and Swift–Hohenberg are all of this form.

Time: the exponential Runge–Kutta scheme ETD5, six stages and order five, with steps controlled by
an embedded estimate that costs nothing. All weights are sums of three integrals of an exponential,
which one evaluation of φ functions gives at all stages.

Space: only as many modes are carried as the solution has above the tolerance, with a transform just
long enough to keep their products free of aliasing. A smooth solution on a fine grid costs what it
costs on the coarsest grid that resolves it; a front that steepens gets its modes back.

References:
    Whalen, Brio, Moloney, Exponential time-differencing with embedded Runge–Kutta adaptive step
    control, Journal of Computational Physics 280 (2015) 579: the scheme, with 467 for 497 in the
    weight of the third stage, a misprint that its authors correct in their package rkstiff.
"""

import numpy as np
import scipy.fft

from simulations.compilation import kernel

COMPLETED, STEP_UNDERFLOW = 0, 1

# First of the rows of the table that belong to the times ¼, ½, ¾ and 1 of a step
QUARTER, HALF, THREE_QUARTERS, WHOLE = 0, 3, 6, 9
TABLE_ROWS, STAGES = 13, 6

# By how much a step must be able to grow before a new table of coefficients pays
GROWTH_WORTH_A_TABLE = 1.15

# Share of the tolerance in the upper quarter of the spectrum that calls for more or fewer modes
TOO_FEW_MODES, TOO_MANY_MODES = 0.3, 0.03
FEWEST_MODES = 8


@kernel
def tabulate(linear, step, modes, table):
    """Fill ``table`` ``(13, modes)`` with the coefficients of a step, z = step·L.

    Three rows for each time c = ¼, ½, ¾ and 1: e^(cz) and the integrals I, J of e^((c−s)z) times 1
    and s over 0 < s < c, times the step. The last row is K, the same with s²/2, for c = 1. They add
    up, with terms that do not cancel: I(a + b) = e^(bz) I(a) + I(b),
    J(a + b) = e^(bz) J(a) + a I(b) + J(b), K(a + b) = e^(bz) K(a) + a²/2 I(b) + a J(b) + K(b).
    """
    for k in range(modes):
        y = 0.25 * step * linear[k]
        e1 = np.exp(y)
        phi1, phi2, phi3, _ = phi(y, e1)
        i1, j1, k1 = step / 4 * phi1, step / 16 * phi2, step / 64 * phi3
        e2 = e1 * e1
        i2 = e1 * i1 + i1
        j2 = e1 * j1 + i1 / 4 + j1
        k2 = e1 * k1 + i1 / 32 + j1 / 4 + k1
        table[QUARTER, k] = e1
        table[QUARTER + 1, k] = i1
        table[QUARTER + 2, k] = j1
        table[HALF, k] = e2
        table[HALF + 1, k] = i2
        table[HALF + 2, k] = j2
        table[THREE_QUARTERS, k] = e2 * e1
        table[THREE_QUARTERS + 1, k] = e2 * i1 + i2
        table[THREE_QUARTERS + 2, k] = e2 * j1 + i2 / 4 + j2
        table[WHOLE, k] = e2 * e2
        table[WHOLE + 1, k] = e2 * i2 + i2
        table[WHOLE + 2, k] = e2 * j2 + i2 / 2 + j2
        table[WHOLE + 3, k] = e2 * k2 + i2 / 8 + j2 / 2 + k2


@kernel
def phi(z, exp_z):
    """φ₁ to φ₄ of a number, φ_j(z) = Σ z^m/(m+j)!: by recurrence, near 0 by the series."""
    if abs(z) > 1.0:
        phi1 = (exp_z - 1) / z
        phi2 = (phi1 - 1) / z
        phi3 = (phi2 - 0.5) / z
        return phi1, phi2, phi3, (phi3 - 1.0 / 6.0) / z
    nested = 1 + 0 * z
    for m in range(19, 4, -1):
        nested = 1 + nested * (z * (1.0 / m))
    phi4 = nested * (1.0 / 24.0)
    phi3 = 1.0 / 6.0 + z * phi4  # upwards, which loses no digits
    phi2 = 0.5 + z * phi3
    return 1 + z * phi2, phi2, phi3, phi4


@kernel
def _nonlinear(v, multipliers, modes, n, rate):
    """``rate = Σ_p g_p F[u^(p+2)]`` of the spectrum ``v``, by transforms of length ``n``."""
    u = scipy.fft.irfft(v[:modes], n, norm="forward")
    power = u.copy()
    rate[:modes] = 0.0
    for p in range(multipliers.shape[0]):
        for i in range(n):
            power[i] *= u[i]
        w = scipy.fft.rfft(power, norm="forward")
        for k in range(modes):
            rate[k] += multipliers[p, k] * w[k]


@kernel
def advance(v, rates, table, multipliers, modes, n, new):
    """One step of ETD5.

    Args:
        v: spectrum at the beginning.
        rates: nonlinear terms at the stages, ``(6, modes)``; the first, that of ``v``, is input.
        table: coefficients from `tabulate`.
        multipliers: g_p(k), ``(powers, modes)``.
        modes: modes carried; all arrays may have more.
        n: length of the transforms.
        new: spectrum at the end, output.
    """
    n1, n2, n3, n4, n5, n6 = rates[0], rates[1], rates[2], rates[3], rates[4], rates[5]
    e, i, j = table[QUARTER], table[QUARTER + 1], table[QUARTER + 2]
    for k in range(modes):
        new[k] = e[k] * v[k] + i[k] * n1[k]
    _nonlinear(new, multipliers, modes, n, n2)
    for k in range(modes):
        new[k] = e[k] * v[k] + i[k] * n1[k] + 4 * j[k] * (n2[k] - n1[k])
    _nonlinear(new, multipliers, modes, n, n3)
    e, i, j = table[HALF], table[HALF + 1], table[HALF + 2]
    for k in range(modes):
        new[k] = e[k] * v[k] + i[k] * n1[k] + 4 * j[k] * (n3[k] - n1[k])
    _nonlinear(new, multipliers, modes, n, n4)
    e, i, j = table[THREE_QUARTERS], table[THREE_QUARTERS + 1], table[THREE_QUARTERS + 2]
    for k in range(modes):
        level = n1[k] + 0.5 * (n3[k] - n2[k])
        new[k] = e[k] * v[k] + i[k] * level + 2 * j[k] * (n4[k] - n1[k])
    _nonlinear(new, multipliers, modes, n, n5)
    e, i, j = table[WHOLE], table[WHOLE + 1], table[WHOLE + 2]
    for k in range(modes):
        level = -154 * n1[k] + 96 * n2[k] + 333 * n3[k] - 144 * n4[k] - 47 * n5[k]
        slope = 118 * n1[k] - 261 * n3[k] + 143 * n5[k]
        new[k] = e[k] * v[k] + i[k] * level / 84 + j[k] * slope / 42
    _nonlinear(new, multipliers, modes, n, n6)
    curved = table[WHOLE + 3]
    for k in range(modes):
        level = 1799 * n1[k] + 2194 * n3[k] - 1176 * n4[k] - 626 * n5[k] + 509 * n6[k]
        slope = -3479 * n1[k] - 934 * n3[k] + 4776 * n4[k] + 1766 * n5[k] - 2129 * n6[k]
        curvature = 63 * n1[k] - 10 * n3[k] - 108 * n4[k] - 6 * n5[k] + 61 * n6[k]
        integrals = i[k] * level / 2700 + j[k] * slope / 1350 + curved[k] * curvature / 15
        new[k] = e[k] * v[k] + integrals


@kernel
def _step_error(rates, exponential, step, modes):
    """Estimated L2 error of a step, less what the linear part would damp away within another one.

    The fourth difference of the stages, weighted as for L = 0 (Boole's rule): with the true weights
    it would overlook an oscillation that the stages do not resolve. A tenth of it, since it is the
    error of an embedded solution of lower order: that of the step was smaller by a factor of ten or
    more wherever it was measured (Burgers, Korteweg–de Vries, Kuramoto–Sivashinsky, Allen–Cahn).
    """
    total = 0.0
    for k in range(modes):
        ends, quarters = rates[0, k] + rates[5, k], rates[2, k] + rates[4, k]
        total += _square(exponential[k] * (ends - 4 * quarters + 6 * rates[3, k]))
    return 0.1 * 32 / 90 * step * np.sqrt(2 * total)


@kernel
def _square(z):
    """|z|² of a complex number."""
    return z.real**2 + z.imag**2


@kernel
def _size(v, first, last):
    """L2 norm of the part of a real field that the modes ``first ≤ k < last`` make up."""
    total = 0.0
    for k in range(first, last):
        total += _square(v[k])
    if first == 0:
        total -= 0.5 * _square(v[0])  # mode 0 stands for itself, mode k > 0 for ±k
    return np.sqrt(2 * total)


@kernel
def _drop_modes(v, modes, fewest, negligible):
    """Number of modes that suffice; those above are set to zero."""
    while modes > fewest:
        fewer = max(fewest, 2 * modes // 3)
        if not _size(v, 3 * fewer // 4, modes) <= negligible:
            break
        v[fewer:modes] = 0.0
        modes = fewer
    return modes


@kernel
def _transform_length(modes, powers, n):
    """Shortest convenient transform that keeps all products of ``modes`` modes free of aliasing."""
    return min(n, np.int64(scipy.fft.next_fast_len((powers + 2) * (modes - 1) + 1, True)))


@kernel
def integrate(u0, linear, multipliers, times, tolerance, frames):
    """March from ``times[0]`` through all ``times`` with controlled steps.

    Args:
        u0: initial values, shape ``(n,)``.
        linear: L(k) for the modes kept, ``(modes,)``, real or complex.
        multipliers: g_p(k), complex ``(powers, modes)``. The products are free of aliasing if
            ``(powers + 2)·(modes − 1) < n``: the 2/3 rule for squares, 1/2 for cubes.
        times: stored instants, ascending, ``(frames,)``.
        tolerance: admissible relative error (L2) of a step. The frames have about this error too
            where the equation forgets its past; where it does not, errors of steps add up.
        frames: output, ``(len(times), n)``; the first is ``u0`` itself.

    Returns:
        ``(status, time reached, accepted steps, rejected steps)``.
    """
    n = u0.size
    powers, all_modes = multipliers.shape
    frames[0] = u0
    v = scipy.fft.rfft(u0, norm="forward")[:all_modes].copy()
    new = np.empty_like(v)
    rates = np.zeros((STAGES, all_modes), v.dtype)
    table = np.empty((TABLE_ROWS, all_modes), linear.dtype)

    # A mode that grows by itself matters however small it is
    fewest = min(FEWEST_MODES, all_modes)
    for k in range(all_modes):
        if linear[k].real > 0:
            fewest = max(fewest, k + 1)
    size = _size(v, 0, all_modes)
    modes = _drop_modes(v, all_modes, fewest, TOO_MANY_MODES * tolerance * size)
    length = _transform_length(modes, powers, n)
    _nonlinear(v, multipliers, modes, length, rates[0])

    # First guess: a part of the time in which the nonlinear term alone would double u
    span = times[-1] - times[0]
    rate = _size(rates[0], 0, modes) / (size + 1e-300)
    wanted = tolerance**0.2 * span / (1 + span * rate)
    step, steps_left, tabulated, tabulated_modes = 0.0, 0, 0.0, 0
    accepted = rejected = 0
    t = times[0]
    for frame in range(1, times.size):
        steps_left = 0
        while t < times[frame]:
            if not wanted > 1e-12 * span:
                return STEP_UNDERFLOW, t, accepted, rejected
            if steps_left == 0 or not step <= wanted < GROWTH_WORTH_A_TABLE * step:
                # Equal steps to the next stored instant
                remaining = times[frame] - t
                steps_left = int(np.ceil(max(1.0, remaining / wanted - 1e-9)))
                step = remaining / steps_left
            if abs(step - tabulated) > 1e-10 * step or modes > tabulated_modes:
                tabulate(linear, step, modes, table)
                tabulated, tabulated_modes = step, modes

            advance(v, rates, table, multipliers, modes, length, new)
            size = _size(new, 0, modes)
            step_error = _step_error(rates, table[WHOLE], step, modes)
            relative_error = step_error / (tolerance * (size + 1e-300))
            if not relative_error <= 1.0:  # true for NaN
                rejected += 1
                steps_left = 0
                wanted = step * max(0.1, 0.9 * min(relative_error, 1e8) ** -0.2)
                continue
            upper_quarter = _size(new, 3 * modes // 4, modes)
            if modes < all_modes and upper_quarter > TOO_FEW_MODES * tolerance * size:
                rejected += 1
                modes = min(all_modes, 3 * modes // 2)
                length = _transform_length(modes, powers, n)
                _nonlinear(v, multipliers, modes, length, rates[0])
                continue

            accepted += 1
            steps_left -= 1
            t = times[frame] - steps_left * step
            wanted = step * min(4.0, 0.9 * max(relative_error, 1e-8) ** -0.2)
            v[:modes] = new[:modes]
            modes = _drop_modes(v, modes, fewest, TOO_MANY_MODES * tolerance * size)
            length = _transform_length(modes, powers, n)
            _nonlinear(v, multipliers, modes, length, rates[0])
        frames[frame] = scipy.fft.irfft(v[:modes], n, norm="forward")
    return COMPLETED, t, accepted, rejected
