"""Splitting of order four for equations both of whose parts only turn phases.

    i ∂ψ/∂t = T(−i∇)ψ + (V(x) + g|ψ|²)ψ

The first part is exact in Fourier space, the second at each point, where |ψ| stays what it is. So
the norm is conserved to rounding, and the scheme is symmetric in time. Steps are equal between two
stored instants; there are enough of them when half as many give the same to the tolerance.

References:
    Blanes and Moan, Journal of Computational and Applied Mathematics 142 (2002) 313: the scheme,
    S6 of order 4.
"""

import numpy as np
import scipy.fft

from simulations.compilation import kernel

COMPLETED, TOO_MANY_STEPS = 0, 1

FEWEST_STEPS, MOST_STEPS = 2, 2**20
#: By which the error of an order of four shrinks in half a step, less one
HALVING = 15.0

#: Shares of a step of the parts, first one at the points, then one in Fourier space, and so on
POINTWISE = np.array([0.0792036964311957, 0.353172906049774, -0.0420650803577195])
FOURIER = np.array([0.209515106613362, -0.143851773179818])
POINTWISE = np.concatenate([POINTWISE, [1 - 2 * POINTWISE.sum()], POINTWISE[::-1]])
FOURIER = np.concatenate([FOURIER, [0.5 - FOURIER.sum()] * 2, FOURIER[::-1]])


@kernel
def _phase(angle):
    """e^(−i angle)"""
    return complex(np.cos(angle), -np.sin(angle))


@kernel
def _phases(kinetic, step):
    """Factors of the different parts in Fourier space, ``(3, kinetic.size)``."""
    phases = np.empty((3, kinetic.size), np.complex128)
    for stage in range(3):
        for k in range(kinetic.size):
            phases[stage, k] = _phase(step * FOURIER[stage] * kinetic[k])
    return phases


@kernel
def _turn(psi, potential, coupling, share):
    """In place: the part at the points over a time ``share``."""
    for i in range(psi.size):
        density = psi[i].real ** 2 + psi[i].imag ** 2
        psi[i] *= _phase(share * (potential[i] + coupling * density))


@kernel
def _advance(psi, kinetic, potential, coupling, duration, steps):
    """``psi`` after equal steps; arrays of the same shape."""
    step = duration / steps
    phases = _phases(kinetic.reshape(kinetic.size), step)
    v = potential.reshape(potential.size)
    psi = psi.copy()
    for n in range(steps):
        for stage in range(FOURIER.size):
            # The last part of a step and the first of the next are one
            share = POINTWISE[stage] if stage > 0 or n == 0 else 2 * POINTWISE[0]
            _turn(psi.reshape(psi.size), v, coupling, step * share)
            spectrum = scipy.fft.fftn(psi)
            flat = spectrum.reshape(spectrum.size)
            row = phases[min(stage, FOURIER.size - 1 - stage)]
            for k in range(flat.size):
                flat[k] *= row[k]
            psi = scipy.fft.ifftn(spectrum)
    _turn(psi.reshape(psi.size), v, coupling, step * POINTWISE[-1])
    return psi


@kernel
def _distance(a, b):
    """L2 norm of a − b, relative to that of a."""
    difference, size = 0.0, 0.0
    for i in range(a.size):
        d = a[i] - b[i]
        difference += d.real**2 + d.imag**2
        size += a[i].real ** 2 + a[i].imag ** 2
    return np.sqrt(difference / (size + 1e-300))


@kernel
def integrate(psi0, kinetic, potential, coupling, times, tolerance, frames):
    """March from ``times[0]`` through all ``times``.

    Args:
        psi0: initial values, complex, of any shape.
        kinetic: T(k) in the order of `fftn`, of the same shape.
        potential: V at the points, of the same shape.
        coupling: g.
        times: stored instants, ascending.
        tolerance: admissible relative L2 error between two of them.
        frames: output, complex, ``(len(times), *psi0.shape)``.

    Returns:
        ``(status, time reached)``.
    """
    frames[0] = psi0
    psi = psi0
    steps = FEWEST_STEPS
    for frame in range(1, times.size):
        duration = times[frame] - times[frame - 1]
        coarse = _advance(psi, kinetic, potential, coupling, duration, steps // 2)
        while True:
            fine = _advance(psi, kinetic, potential, coupling, duration, steps)
            error = _distance(fine.reshape(fine.size), coarse.reshape(fine.size)) / HALVING
            if error <= tolerance:
                break
            steps *= 2
            if steps > MOST_STEPS or not error < np.inf:
                return TOO_MANY_STEPS, times[frame - 1]
            coarse = fine
        psi = fine
        frames[frame] = psi
        factor = min(1.5, max(0.5, 1.1 * (error / tolerance) ** 0.25))
        steps = max(FEWEST_STEPS, 2 * int(np.ceil(0.5 * factor * steps)))
    return COMPLETED, times[-1]
