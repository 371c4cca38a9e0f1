"""The compressible Navier-Stokes equations of an ideal gas, as a `conservation_law`.

Transport is that of `IdealGas`. The viscous stress

    τ = η (∇v + ∇vᵀ) + (ζ − 2η/3) (∇·v) 1

acts between the steps, by central differences of second order. Meanwhile the density rests and the
velocity obeys a linear equation, ρ dv/dt = ∇·τ(v), which `runge_kutta_legendre` solves in terms of
a mean velocity z: what passes a face is Δt τ(z). Its work on the mean of the old and the new
velocity is the kinetic energy gained, to the last bit, and the rest of its work is heat. Momentum
and total energy are therefore conserved exactly.
"""

from typing import NamedTuple

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.ideal_gas import IdealGas
from simulations.numerics.muscl_hancock import GHOSTS, fill_ghosts
from simulations.numerics.runge_kutta_legendre import coefficients, stages

# Steps to the next plane, row and column along each of three axes
UNITS = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

# Heat is never negative, but that of a step much longer than a cell takes to follow may be. Where
# it leaves less than this share of a pressure, the step is halved, down to this share of 1/fastest
SMALLEST_SHARE = 0.5
SHORTEST = 0.1


class _Numbers(NamedTuple):
    gamma: float
    eta: float
    zeta: float


class ViscousGas(_Numbers):
    """Ratio of specific heats, shear viscosity and bulk viscosity."""

    predict = IdealGas.predict
    flux = IdealGas.flux
    advance = IdealGas.advance

    def source(self, state, duration, per_length, boundary, scratch):
        """As `conservation_law.source`: the stress, in one step if no cell cools much in it."""
        ndim = per_length.size
        other = np.empty_like(state)
        longitudinal = self.zeta + 4.0 / 3.0 * self.eta
        fastest = 4.0 * longitudinal * np.sum(per_length**2) / _least_density(ndim, state)
        remaining, step = duration, duration
        while remaining > 0.0:
            step = min(step, remaining)
            mean, half = _mean(self, state, step, fastest, per_length, boundary, scratch, other)
            coldest = _heat(self, state, mean, half, step, per_length)
            if coldest > SMALLEST_SHARE or step * fastest < SHORTEST:
                _accept(ndim, state, half)
                remaining -= step
            else:
                step *= 0.5


@kernel
def _mean(law, state, step, fastest, per_length, boundary, mean, other):
    """Mean velocity in the place of one of two scratch arrays, and the velocity half way."""
    ndim = per_length.size
    mean[:] = 0.0
    other[:] = 0.0
    count = stages(step * fastest)
    for stage in range(1, count + 1):
        mu, nu, alpha, beta = coefficients(stage, count)
        fill_ghosts(ndim, mean, boundary)
        _combine(law, state, mean, other, per_length, mu, nu, alpha, step * beta)
        mean, other = other, mean
    fill_ghosts(ndim, mean, boundary)
    _combine(law, state, mean, other, per_length, 0.0, 0.0, 1.0, 0.5 * step)
    fill_ghosts(ndim, other, boundary)
    return mean, other


@kernel
def _cells(values, i, j, field, shift):
    """The cells of a row, or as many of its numbers next to them."""
    return values[i, j, field, GHOSTS + shift : values.shape[3] - GHOSTS + shift]


@kernel
def _range(size, is_axis):
    """Planes or rows of cells."""
    return range(GHOSTS, size - GHOSTS) if is_axis else range(0, size)


@kernel
def _least_density(ndim, state):
    least = np.inf
    for i in _range(state.shape[0], ndim == 3):
        for j in _range(state.shape[1], ndim >= 2):
            density = _cells(state, i, j, 0, 0)
            for k in range(density.size):
                least = min(least, density[k])
    return least


@kernel
def _combine(law, state, mean, other, per_length, mu, nu, alpha, beta):
    """``other`` becomes μ z + ν · other + α v + β ∇·τ(z)/ρ, z being ``mean``."""
    ndim = per_length.size
    force = np.empty(state.shape[3] - 2 * GHOSTS)
    for i in _range(state.shape[0], ndim == 3):
        for j in _range(state.shape[1], ndim >= 2):
            density = _cells(state, i, j, 0, 0)
            for axis in range(ndim):
                _force(law, mean, i, j, axis, per_length, force)
                v, z = _cells(state, i, j, 2 + axis, 0), _cells(mean, i, j, 2 + axis, 0)
                result = _cells(other, i, j, 2 + axis, 0)
                for k in range(force.size):
                    mixed = mu * z[k] + nu * result[k] + alpha * v[k]
                    result[k] = mixed + beta * force[k] / density[k]


@kernel
def _force(law, v, i, j, axis, per_length, force):
    """One component of ∇·τ = η Δv + (ζ + η/3) ∇(∇·v), for a row of cells."""
    ndim = per_length.size
    gradient = law.zeta + law.eta / 3.0
    a, b, c = UNITS[3 - ndim + axis]
    here = _cells(v, i, j, 2 + axis, 0)
    force[:] = 0.0
    for other in range(ndim):
        d, e, f = UNITS[3 - ndim + other]
        factor = (law.eta + (gradient if other == axis else 0.0)) * per_length[other] ** 2
        low = _cells(v, i - d, j - e, 2 + axis, -f)
        high = _cells(v, i + d, j + e, 2 + axis, f)
        for k in range(force.size):
            force[k] += factor * (low[k] - 2.0 * here[k] + high[k])
        if other != axis:
            factor = 0.25 * gradient * per_length[axis] * per_length[other]
            low_low = _cells(v, i - a - d, j - b - e, 2 + other, -c - f)
            low_high = _cells(v, i - a + d, j - b + e, 2 + other, f - c)
            high_low = _cells(v, i + a - d, j + b - e, 2 + other, c - f)
            high_high = _cells(v, i + a + d, j + b + e, 2 + other, c + f)
            for k in range(force.size):
                mixed = high_high[k] - high_low[k] - low_high[k] + low_low[k]
                force[k] += factor * mixed


@kernel
def _heat(law, state, mean, half, step, per_length):
    """Set the pressure of ``half`` to the new one; returns the least ratio of new to old.

    A face gives half of its heat, τ(z) times the difference of the velocity, to either side.
    """
    ndim = per_length.size
    n = state.shape[3] - 2 * GHOSTS
    stress, heat = np.empty(n), np.empty(n)
    factor = 0.5 * (law.gamma - 1.0) * step
    least = np.inf
    for i in _range(state.shape[0], ndim == 3):
        for j in _range(state.shape[1], ndim >= 2):
            heat[:] = 0.0
            for axis in range(ndim):
                a, b, c = UNITS[3 - ndim + axis]
                for component in range(ndim):
                    here = _cells(half, i, j, 2 + component, 0)
                    for side in (-1, 1):
                        _stress(law, mean, i, j, axis, side, component, per_length, stress)
                        p, q, r = i + side * a, j + side * b, side * c
                        there = _cells(half, p, q, 2 + component, r)
                        for k in range(n):
                            heat[k] += side * per_length[axis] * stress[k] * (there[k] - here[k])
            pressure, new = _cells(state, i, j, 1, 0), _cells(half, i, j, 1, 0)
            for k in range(n):
                new[k] = pressure[k] + factor * heat[k]
                least = min(least, new[k] / pressure[k])
    return least


@kernel
def _accept(ndim, state, half):
    """Take the pressure over, and twice the change of the velocity up to half way."""
    for i in _range(state.shape[0], ndim == 3):
        for j in _range(state.shape[1], ndim >= 2):
            pressure, new = _cells(state, i, j, 1, 0), _cells(half, i, j, 1, 0)
            for k in range(new.size):
                pressure[k] = new[k]
            for axis in range(ndim):
                v, between = _cells(state, i, j, 2 + axis, 0), _cells(half, i, j, 2 + axis, 0)
                for k in range(new.size):
                    v[k] = 2.0 * between[k] - v[k]


@kernel
def _stress(law, v, i, j, axis, side, component, per_length, stress):
    """Force along ``component`` on the faces on one side of the cells of a row, along ``axis``."""
    ndim = per_length.size
    a, b, c = UNITS[3 - ndim + axis]
    p, q, r = i + side * a, j + side * b, side * c
    is_normal = component == axis
    factor = law.zeta + 4.0 / 3.0 * law.eta if is_normal else law.eta
    here, there = _cells(v, i, j, 2 + component, 0), _cells(v, p, q, 2 + component, r)
    factor *= side * per_length[axis]
    for k in range(stress.size):
        stress[k] = factor * (there[k] - here[k])
    for other in range(ndim):
        if other != axis and (is_normal or other == component):
            # Along the face: the mean of the central differences in the cells on both sides
            field = 2 + (other if is_normal else axis)
            factor = law.zeta - 2.0 / 3.0 * law.eta if is_normal else law.eta
            factor *= 0.25 * per_length[other]
            d, e, f = UNITS[3 - ndim + other]
            low, high = _cells(v, i - d, j - e, field, -f), _cells(v, i + d, j + e, field, f)
            low_there = _cells(v, p - d, q - e, field, r - f)
            high_there = _cells(v, p + d, q + e, field, r + f)
            for k in range(stress.size):
                stress[k] += factor * (high[k] - low[k] + high_there[k] - low_there[k])
