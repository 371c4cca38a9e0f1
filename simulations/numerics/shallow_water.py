"""The shallow water equations over a flat bottom, as a `conservation_law`.

A row holds h, u_1 … u_d of cells side by side, shape ``(d + 1, n)``.

References:
    Toro, Shock-Capturing Methods for Free-Surface Shallow Flows (2001): the flux HLLC; Einfeldt,
    Munz, Roe, Sjögreen, Journal of Computational Physics 92 (1991) 273: speeds that keep the depth
    positive.
"""

from typing import NamedTuple

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.conservation_law import advect


class ShallowWaterLaw(NamedTuple):
    """Depth and momentum of a layer of fluid; ``gravity`` is the acceleration by it."""

    gravity: float

    def predict(self, here, slope, ratio, axis, predicted):
        """As `conservation_law.predict`."""
        depth, normal = here[0], here[1 + axis]
        depth_slope, normal_slope = slope[0], slope[1 + axis]
        for field in range(1, here.shape[0]):
            if field != 1 + axis:
                advect(normal, slope[field], ratio, predicted[field])
        to_depth, to_normal = predicted[0], predicted[1 + axis]
        for k in range(depth.size):
            u, dh, du = normal[k], ratio * depth_slope[k], ratio * normal_slope[k]
            to_depth[k] -= u * dh + depth[k] * du
            to_normal[k] -= u * du + self.gravity * dh

    def flux(self, left, right, axis, flux):
        """HLLC: behind both outer waves one state, but for velocities along the face.

        These are carried with the mass. The outer speeds are those of the sides or of Roe's mean,
        whichever is farther out.
        """
        depth_l, normal_l = left[0], left[1 + axis]
        depth_r, normal_r = right[0], right[1 + axis]
        mass, momentum = flux[0], flux[1 + axis]
        for k in range(mass.size):
            hl, ul = depth_l[k], normal_l[k]
            hr, ur = depth_r[k], normal_r[k]
            cl, cr = np.sqrt(self.gravity * hl), np.sqrt(self.gravity * hr)
            # Roe's mean has weights √h, which are as the speeds of waves
            mean = (cl * ul + cr * ur) / (cl + cr)
            wave = np.sqrt(0.5 * self.gravity * (hl + hr))
            slowest = min(min(ul - cl, mean - wave), 0.0)
            fastest = max(max(ur + cr, mean + wave), 0.0)
            ml, mr = hl * ul, hr * ur
            fl = ml * ul + 0.5 * self.gravity * hl * hl
            fr = mr * ur + 0.5 * self.gravity * hr * hr
            inverse, product = 1.0 / (fastest - slowest), fastest * slowest
            mass[k] = inverse * (fastest * ml - slowest * mr + product * (hr - hl))
            momentum[k] = inverse * (fastest * fl - slowest * fr + product * (mr - ml))
        for field in range(1, left.shape[0]):
            if field != 1 + axis:
                _carry(mass, left[field], right[field], flux[field])

    def advance(self, here, change, per_length, speed, new, rate, failures):
        """As `conservation_law.advance`, with a positive depth."""
        depth, gain, depth_new = here[0], change[0], new[0]
        for k in range(depth.size):
            depth_new[k] = depth[k] + gain[k]
            speed[k] = 0.0
        for axis in range(per_length.size):
            field = 1 + axis
            _advance_velocity(
                depth, depth_new, here[field], change[field], per_length[axis], speed, new[field]
            )
        reciprocal = per_length.sum()
        for k in range(depth.size):
            h = depth_new[k]
            rate[k] = max(rate[k], speed[k] + reciprocal * np.sqrt(self.gravity * h))
            failures[k] += 0.0 if h > 0.0 else 1.0


@kernel
def _carry(mass, left, right, momentum):
    for k in range(mass.size):
        momentum[k] = mass[k] * (left[k] if mass[k] >= 0.0 else right[k])


@kernel
def _advance_velocity(depth, depth_new, velocity, change, reciprocal, speed, new):
    for k in range(depth.size):
        v = (depth[k] * velocity[k] + change[k]) / depth_new[k]
        speed[k] += reciprocal * abs(v)
        new[k] = v
