"""Adaptive exponential time differencing for semilinear equations on a periodic interval.

The equations are

    u_t = L u + Σ_p g_p F[u^(p+2)],    p = 0, 1, …

in Fourier space, with a diagonal linear part ``L(k)`` that is integrated exactly and multipliers
``g_p(k)`` of the powers of u. Burgers, Korteweg–de Vries, Kuramoto–Sivashinsky, Fisher–KPP,
Allen–Cahn, Cahn–Hilliard and Swift–Hohenberg are all of this form.

The scheme is ETDRK4 (Cox and Matthews 2002) with coefficients that stay accurate as L → 0
(Kassam and Trefethen 2005), here by Taylor series instead of a contour. The step is controlled by
an embedded third-order solution that replaces the last stage by the first one of the next step, so
that the error estimate costs nothing. What the linear part will damp away within the next step does
not count: errors in strongly damped modes never reach the solution.
"""

import numpy as np
import scipy.fft

from simulations.compilation import kernel

# Rows of the coefficient table
E, E2, Q, F1, F2, F3 = range(6)

COMPLETED, STEP_UNDERFLOW = 0, 1

# By how much a step must be able to grow before a new table of coefficients pays
GROWTH_WORTH_A_TABLE = 1.25


@kernel
def etdrk4_coefficients(linear, step, table):
    """Fill ``table`` ``(6, modes)`` with e^z, e^(z/2), and the weights of ETDRK4, z = step·L.

    With φ₁ = (e^z − 1)/z and φ_(j+1) = (φ_j − 1/j!)/z the weights are Q = h φ₁(z/2)/2,
    F1 = h (φ₁ − 3φ₂ + 4φ₃), F2 = h (2φ₂ − 4φ₃) and F3 = h (4φ₃ − φ₂).
    """
    for k in range(linear.size):
        z = step * linear[k]
        half = z / 2
        exp_half = np.exp(half)
        table[E, k] = exp_half * exp_half
        table[E2, k] = exp_half
        phi1_half, _, _ = _phi(half, exp_half)
        phi1, phi2, phi3 = _phi(z, exp_half * exp_half)
        table[Q, k] = step * 0.5 * phi1_half
        table[F1, k] = step * (phi1 - 3 * phi2 + 4 * phi3)
        table[F2, k] = step * (2 * phi2 - 4 * phi3)
        table[F3, k] = step * (4 * phi3 - phi2)


@kernel
def _phi(z, exp_z):
    """φ₁, φ₂, φ₃ of a number: by recurrence where that is accurate, by Taylor series near 0."""
    if abs(z) > 1.0:
        phi1 = (exp_z - 1) / z
        phi2 = (phi1 - 1) / z
        return phi1, phi2, (phi2 - 0.5) / z
    # Horner form of φ₃ = Σ z^j/(j+3)!, then upwards, which loses no digits
    phi3 = z * 0 + 1.0 / 355687428096000.0  # 1/17!
    factorial_term = 355687428096000.0
    for j in range(17, 3, -1):
        factorial_term /= j
        phi3 = phi3 * z + 1.0 / factorial_term
    phi2 = 0.5 + z * phi3
    return 1 + z * phi2, phi2, phi3


@kernel
def _nonlinear(v, multipliers, padded, out):
    """``Σ_p g_p F[u^(p+2)]`` of the truncated spectrum ``v``, dealiased by the truncation."""
    modes = v.size
    n = padded.size
    spectrum = np.zeros(n // 2 + 1, v.dtype)
    spectrum[:modes] = v
    u = scipy.fft.irfft(spectrum, n)
    for i in range(n):
        padded[i] = u[i]
    for p in range(multipliers.shape[0]):
        for i in range(n):
            padded[i] *= u[i]
        w = scipy.fft.rfft(padded)
        g = multipliers[p]
        if p == 0:
            for k in range(modes):
                out[k] = g[k] * w[k]
        else:
            for k in range(modes):
                out[k] += g[k] * w[k]


@kernel
def _size(v):
    """Root of the sum of squares of a real field's spectrum (each k > 0 stands for ±k)."""
    total = 0.5 * (v[0].real ** 2 + v[0].imag ** 2)
    for k in range(1, v.size):
        total += v[k].real ** 2 + v[k].imag ** 2
    return np.sqrt(2 * total)


@kernel
def integrate(u0, linear, multipliers, times, tolerance, frames):
    """March from ``times[0]`` through all ``times`` with controlled steps.

    Args:
        u0: initial values, shape ``(n,)``.
        linear: L(k) for the modes kept, ``(modes,)``, real or complex.
        multipliers: g_p(k), complex ``(powers, modes)``. Keep ``modes - 1 ≤ n/3`` for quadratic
            and ``n/4`` for cubic terms: the products are then free of aliasing.
        times: stored instants, ascending, ``(frames,)``.
        tolerance: admissible relative error (L2) of a step.
        frames: output, ``(len(times), n)``; the first is ``u0`` itself.

    Returns:
        ``(status, time reached, accepted steps, rejected steps)``.
    """
    n = u0.size
    modes = linear.size
    frames[0] = u0
    v = scipy.fft.rfft(u0)[:modes].copy()
    padded = np.empty(n)
    table = np.empty((6, modes), linear.dtype)
    n_v, n_a, n_b, n_c, n_new = (
        np.empty_like(v),
        np.empty_like(v),
        np.empty_like(v),
        np.empty_like(v),
        np.empty_like(v),
    )
    a, b, new = np.empty_like(v), np.empty_like(v), np.empty_like(v)
    _nonlinear(v, multipliers, padded, n_v)
    # A first guess free of units: the time in which the nonlinear term moves u by a tenth
    span = times[-1] - times[0]
    wanted = 0.1 * _size(v) / (_size(n_v) + _size(v) / span)
    tabulated = -1.0
    accepted = rejected = 0
    t = times[0]
    for frame in range(1, times.size):
        while t < times[frame]:
            remaining = times[frame] - t
            steps_left = np.ceil(remaining / wanted - 1e-9)
            step = remaining / max(steps_left, 1.0)
            if tabulated > 0 and step >= tabulated and step < GROWTH_WORTH_A_TABLE * tabulated:
                if remaining >= tabulated:
                    step = min(tabulated, remaining)
            if not step > 1e-12 * span:
                return STEP_UNDERFLOW, t, accepted, rejected
            if step != tabulated:
                etdrk4_coefficients(linear, step, table)
                tabulated = step
            exp, exp2, q = table[E], table[E2], table[Q]
            f1, f2, f3 = table[F1], table[F2], table[F3]
            for k in range(modes):
                a[k] = exp2[k] * v[k] + q[k] * n_v[k]
            _nonlinear(a, multipliers, padded, n_a)
            for k in range(modes):
                b[k] = exp2[k] * v[k] + q[k] * n_a[k]
            _nonlinear(b, multipliers, padded, n_b)
            for k in range(modes):
                b[k] = exp2[k] * a[k] + q[k] * (2 * n_b[k] - n_v[k])
            _nonlinear(b, multipliers, padded, n_c)
            for k in range(modes):
                new[k] = exp[k] * v[k] + f1[k] * n_v[k] + f2[k] * (n_a[k] + n_b[k]) + f3[k] * n_c[k]
            _nonlinear(new, multipliers, padded, n_new)
            for k in range(modes):
                b[k] = exp[k] * f3[k] * (n_c[k] - n_new[k])
            error = _size(b) / (tolerance * (_size(new) + 1e-300))
            if error <= 1.0:  # false for NaN
                t += step
                if times[frame] - t < 1e-9 * step:
                    t = times[frame]
                v, new = new, v
                n_v, n_new = n_new, n_v
                accepted += 1
                wanted = step * min(4.0, 0.9 * max(error, 1e-8) ** -0.25)
            else:
                rejected += 1
                shrink = 0.9 * error**-0.25 if error < 1e8 else 0.1
                wanted = step * max(0.1, min(0.9, shrink))
        spectrum = np.zeros(n // 2 + 1, v.dtype)
        spectrum[:modes] = v
        frames[frame] = scipy.fft.irfft(spectrum, n)
    return COMPLETED, t, accepted, rejected
