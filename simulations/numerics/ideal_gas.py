"""The Euler equations of an ideal gas, as a `conservation_law`.

A row holds ρ, p, u_1 … u_d of cells side by side, shape ``(d + 2, n)``. All loops run along the row
without a branch, so that they become vector instructions.

References:
    Toro, Spont, Speares, Shock Waves 4 (1994) 25: the flux HLLC; Batten, Clarke, Lambert, Causon,
    SIAM Journal on Scientific Computing 18 (1997) 1553: it keeps density and pressure positive.
"""

from typing import NamedTuple

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.conservation_law import advect


class IdealGas(NamedTuple):
    """Euler equations; ``gamma`` is the ratio of specific heats."""

    gamma: float

    def predict(self, here, slope, ratio, axis, predicted):
        """As `conservation_law.predict`."""
        density, pressure, normal = here[0], here[1], here[2 + axis]
        density_slope, pressure_slope, normal_slope = slope[0], slope[1], slope[2 + axis]
        for field in range(2, here.shape[0]):
            if field != 2 + axis:
                advect(normal, slope[field], ratio, predicted[field])
        to_density, to_pressure, to_normal = predicted[0], predicted[1], predicted[2 + axis]
        for k in range(density.size):
            u, du, dp = normal[k], ratio * normal_slope[k], ratio * pressure_slope[k]
            to_density[k] -= ratio * u * density_slope[k] + density[k] * du
            to_normal[k] -= u * du + dp / density[k]
            to_pressure[k] -= u * dp + self.gamma * pressure[k] * du

    def flux(self, left, right, axis, flux):
        """HLLC.

        The outer speeds are those of the sides or of their mean, whichever is farther out. Behind
        the contact wave that is upwind, a velocity along the face is carried with the mass.
        """
        density_l, pressure_l, normal_l = left[0], left[1], left[2 + axis]
        density_r, pressure_r, normal_r = right[0], right[1], right[2 + axis]
        mass, energy, momentum = flux[0], flux[1], flux[2 + axis]
        heat, half = 1.0 / (self.gamma - 1.0), 0.5 * self.gamma
        jump = 0.125 * (self.gamma - 1.0)
        for k in range(mass.size):
            rl, pl, ul = density_l[k], pressure_l[k], normal_l[k]
            rr, pr, ur = density_r[k], pressure_r[k], normal_r[k]
            # p/ρ; the speed of sound is √(γp/ρ)
            hl, hr = pl / rl, pr / rr
            # Roe's speeds, as they are where the densities are equal
            mean = 0.5 * (ul + ur)
            sound = np.sqrt(half * (hl + hr) + jump * (ur - ul) * (ur - ul))
            slowest = min(ul - np.sqrt(self.gamma * hl), mean - sound)
            fastest = max(ur + np.sqrt(self.gamma * hr), mean + sound)
            into_l, into_r = rl * (slowest - ul), rr * (fastest - ur)
            contact = (pr - pl + into_l * ul - into_r * ur) / (into_l - into_r)
            is_left = contact >= 0.0
            r, u, p = rl if is_left else rr, ul if is_left else ur, pl if is_left else pr
            outer, into = slowest if is_left else fastest, into_l if is_left else into_r
            # Zero if the flow is supersonic, and the flux that of the upwind side
            through = min(slowest, 0.0) if is_left else max(fastest, 0.0)
            compression = 1.0 / (outer - contact)
            star = into * compression
            e = (hl if is_left else hr) * heat + 0.5 * u * u
            work = (contact - u) * (star * contact + p * compression)
            mass[k] = r * u + through * (star - r)
            momentum[k] = r * u * u + p + through * (star * contact - r * u)
            energy[k] = u * (r * e + p) + through * ((star - r) * e + work)
        for field in range(2, left.shape[0]):
            if field != 2 + axis:
                _carry(mass, left[field], right[field], flux[field], energy)

    def advance(self, here, change, per_length, speed, new, rate, failures):
        """As `conservation_law.advance`, with density and pressure positive."""
        density, gain, density_new = here[0], change[0], new[0]
        pressure, heat, pressure_new = here[1], change[1], new[1]
        inverse = 1.0 / (self.gamma - 1.0)
        for k in range(density.size):
            pressure_new[k] = pressure[k] * inverse + heat[k]
            speed[k] = 0.0
        for axis in range(per_length.size):
            field = 2 + axis
            _advance_velocity(
                density,
                gain,
                here[field],
                change[field],
                per_length[axis],
                speed,
                new[field],
                new[1],
            )
        reciprocal = per_length.sum()
        for k in range(density.size):
            r, p = density[k] + gain[k], (self.gamma - 1.0) * pressure_new[k]
            density_new[k] = r
            pressure_new[k] = p
            fastest = speed[k] + reciprocal * np.sqrt(self.gamma * p / r)
            rate[k] = max(rate[k], fastest)
            failures[k] += 0.0 if (r > 0.0) & (p > 0.0) else 1.0


@kernel
def _carry(mass, left, right, momentum, energy):
    for k in range(mass.size):
        m = mass[k]
        v = left[k] if m >= 0.0 else right[k]
        momentum[k] = m * v
        energy[k] += 0.5 * m * v * v


@kernel
def _advance_velocity(density, gain, velocity, change, reciprocal, speed, new, heat):
    for k in range(density.size):
        r, u = density[k], velocity[k]
        momentum = r * u + change[k]
        v = momentum / (r + gain[k])
        heat[k] += 0.5 * (r * u * u - momentum * v)
        speed[k] += reciprocal * abs(v)
        new[k] = v
