"""The Euler equations of an ideal gas, row by row: what `muscl_hancock` has to know of them.

A row holds the primitive variables ρ, u_1 … u_d, p of cells side by side, shape ``(d + 2, n)``. All
loops run along the row without a branch, so that they become vector instructions.

References:
    Toro, Spont, Speares, Shock Waves 4 (1994) 25: the flux HLLC; Batten, Clarke, Lambert, Causon,
    SIAM Journal on Scientific Computing 18 (1997) 1553: it keeps density and pressure positive.
"""

import numpy as np

from simulations.compilation import kernel


@kernel
def predict(gamma, here, slope, ratio, axis, predicted):
    """Add half a step of the terms with derivatives along one axis, from half differences."""
    density, normal, pressure = here[0], here[1 + axis], here[-1]
    density_slope, normal_slope, pressure_slope = slope[0], slope[1 + axis], slope[-1]
    for field in range(1, here.shape[0] - 1):
        if field != 1 + axis:
            _advect(normal, slope[field], ratio, predicted[field])
    to_density, to_normal, to_pressure = predicted[0], predicted[1 + axis], predicted[-1]
    for k in range(density.size):
        u, du, dp = normal[k], ratio * normal_slope[k], ratio * pressure_slope[k]
        to_density[k] -= ratio * u * density_slope[k] + density[k] * du
        to_normal[k] -= u * du + dp / density[k]
        to_pressure[k] -= u * dp + gamma * pressure[k] * du


@kernel
def _advect(velocity, slope, ratio, predicted):
    for k in range(velocity.size):
        predicted[k] -= ratio * velocity[k] * slope[k]


@kernel
def flux(gamma, left, right, axis, flux):
    """HLLC between states on both sides of faces.

    The outer speeds are those of the sides or of their mean, whichever is farther out. Behind the
    contact wave that is upwind, a velocity along the face is carried with the mass.
    """
    density_l, normal_l, pressure_l = left[0], left[1 + axis], left[-1]
    density_r, normal_r, pressure_r = right[0], right[1 + axis], right[-1]
    mass, momentum, energy = flux[0], flux[1 + axis], flux[-1]
    heat, jump = 1.0 / (gamma - 1.0), 0.125 * (gamma - 1.0)
    for k in range(mass.size):
        rl, ul, pl = density_l[k], normal_l[k], pressure_l[k]
        rr, ur, pr = density_r[k], normal_r[k], pressure_r[k]
        al2, ar2 = gamma * pl / rl, gamma * pr / rr
        # Roe's speeds, as they are where the densities are equal
        mean = 0.5 * (ul + ur)
        sound = np.sqrt(0.5 * (al2 + ar2) + jump * (ur - ul) * (ur - ul))
        slowest = min(ul - np.sqrt(al2), mean - sound)
        fastest = max(ur + np.sqrt(ar2), mean + sound)
        into_l, into_r = rl * (slowest - ul), rr * (fastest - ur)
        contact = (pr - pl + into_l * ul - into_r * ur) / (into_l - into_r)
        is_left = contact >= 0.0
        r, u, p = rl if is_left else rr, ul if is_left else ur, pl if is_left else pr
        outer, into = slowest if is_left else fastest, into_l if is_left else into_r
        # Zero if the flow is supersonic, and the flux that of the upwind side
        through = min(slowest, 0.0) if is_left else max(fastest, 0.0)
        star = into / (outer - contact)
        e = p * heat + 0.5 * r * u * u
        star_e = star * (e / r + (contact - u) * (contact + p / into))
        mass[k] = r * u + through * (star - r)
        momentum[k] = r * u * u + p + through * (star * contact - r * u)
        energy[k] = u * (e + p) + through * (star_e - e)
    for field in range(1, left.shape[0] - 1):
        if field != 1 + axis:
            _carry(mass, left[field], right[field], flux[field], energy)


@kernel
def _carry(mass, left, right, momentum, energy):
    for k in range(mass.size):
        m = mass[k]
        v = left[k] if m >= 0.0 else right[k]
        momentum[k] = m * v
        energy[k] += 0.5 * m * v * v


@kernel
def advance(gamma, here, change, per_length, speed, new, largest_speed, failures):
    """New primitive variables from the old ones and the change of the conserved ones.

    Args:
        per_length: 1/Δx by axis.
        speed: scratch row.
        largest_speed: row, raised to Σ (|u| + a)/Δx where that is larger.
        failures: row, raised by 1 where density or pressure are not positive numbers.
    """
    density, gain = here[0], change[0]
    pressure, heat, pressure_new = here[-1], change[-1], new[-1]
    inverse = 1.0 / (gamma - 1.0)
    for k in range(density.size):
        pressure_new[k] = pressure[k] * inverse + heat[k]
        speed[k] = 0.0
    for axis in range(here.shape[0] - 2):
        field = 1 + axis
        _advance_velocity(
            density, gain, here[field], change[field], per_length[axis], speed, new[field], new[-1]
        )
    density_new = new[0]
    reciprocal = per_length.sum()
    for k in range(density.size):
        r, p = density[k] + gain[k], (gamma - 1.0) * pressure_new[k]
        density_new[k] = r
        pressure_new[k] = p
        fastest = speed[k] + reciprocal * np.sqrt(gamma * p / r)
        largest_speed[k] = max(largest_speed[k], fastest)
        failures[k] += 0.0 if (r > 0.0) & (p > 0.0) else 1.0


@kernel
def _advance_velocity(density, gain, velocity, change, reciprocal, speed, new, heat):
    for k in range(density.size):
        r, u = density[k], velocity[k]
        momentum = r * u + change[k]
        v = momentum / (r + gain[k])
        heat[k] += 0.5 * (r * u * u - momentum * v)
        speed[k] += reciprocal * abs(v)
        new[k] = v
