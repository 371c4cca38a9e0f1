"""The Euler equations of an ideal gas that radiates, as a `conservation_law`.

Transport is that of `IdealGas`. Between the steps the temperature T = p/ρ (with gas constant 1)
falls at constant density,

    dT/dt = −(T/t_cool) exp(−ln²(T/T_peak) / 2w²)    for T_cold < T < T_hot,

and else rests. In x = ln(T/T_peak) the right-hand side and its slope are bounded, by 1/t_cool and
0.61/(w t_cool): Runge-Kutta steps of fourth order that are short against w t_cool are stable and
exact to six digits, whatever the step of the flow.
"""

from typing import NamedTuple

import numpy as np

from simulations.compilation import kernel
from simulations.numerics.ideal_gas import IdealGas

# Longest step of cooling over w t_cool
LONGEST = 0.2


class _Numbers(NamedTuple):
    gamma: float
    cooling_time: float
    cold: float
    hot: float
    width: float


class RadiativeGas(_Numbers):
    """Ratio of specific heats, t_cool, T_cold, T_hot and w; T_peak is the geometric mean."""

    predict = IdealGas.predict
    flux = IdealGas.flux
    advance = IdealGas.advance

    def source(self, state, duration, per_length, boundary, scratch):
        """As `conservation_law.source`: cooling, ghosts included."""
        planes, rows, _, n = state.shape
        peak = np.sqrt(self.cold * self.hot)
        for i in range(planes):
            for j in range(rows):
                density, pressure = state[i, j, 0], state[i, j, 1]
                for k in range(n):
                    temperature = pressure[k] / density[k]
                    if self.cold < temperature < self.hot:
                        x = np.log(temperature / peak)
                        x = _cooled(x, duration / self.cooling_time, 0.5 / self.width**2)
                        pressure[k] = density[k] * max(self.cold, peak * np.exp(x))


@kernel
def _cooled(x, time, sharpness):
    """Solution of dx/dt = −exp(−sharpness x²) after a time."""
    count = np.ceil(time * np.sqrt(2.0 * sharpness) / LONGEST)
    h = time / max(count, 1.0)
    for _ in range(int(count)):
        a = np.exp(-sharpness * x * x)
        b = np.exp(-sharpness * (x - 0.5 * h * a) ** 2)
        c = np.exp(-sharpness * (x - 0.5 * h * b) ** 2)
        d = np.exp(-sharpness * (x - h * c) ** 2)
        x -= h / 6.0 * (a + 2.0 * (b + c) + d)
    return x
