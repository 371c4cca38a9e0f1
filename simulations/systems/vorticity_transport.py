"""Incompressible flow in a periodic rectangle by its vorticity, and tracers that it carries.

    ∂ω/∂t = −u·∇ω,   ∂s/∂t = −u·∇s,   u = U + (∂ψ/∂y, −∂ψ/∂x),   −Δψ = ω = ∂v/∂x − ∂u/∂y

with the mean velocity U, which no vorticity can tell. One right-hand side for several systems.

References:
    Basdevant, Journal of Computational Physics 50 (1983) 209: with −u·∇ω = (∂²_y − ∂²_x) uv +
        ∂_x∂_y (u² − v²), four transforms instead of five.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simulations.compilation import kernel
from simulations.grid import Array
from simulations.numerics import dealiased
from simulations.numerics.dealiased import to_modes, to_points


@kernel
def _velocity(vorticity, mean, kx, ky, velocity):
    for i in range(vorticity.shape[0]):
        for j in range(vorticity.shape[1]):
            squared = kx[i] * kx[i] + ky[j] * ky[j]
            psi = vorticity[i, j] / squared if squared > 0.0 else 0.0j
            velocity[0, i, j] = complex(-ky[j] * psi.imag, ky[j] * psi.real)
            velocity[1, i, j] = complex(kx[i] * psi.imag, -kx[i] * psi.real)
    velocity[0, 0, 0] = mean[0]
    velocity[1, 0, 0] = mean[1]


@kernel
def _transport(spectra, mean, kx, ky, pair, half, fields, rates):
    """Rates of the vorticity, ``spectra[0]``, and of the tracers, which are the others."""
    rows, columns = pair.shape[1:]
    u, v = fields[0], fields[1]
    _velocity(spectra[0], mean, kx, ky, pair)
    to_points(pair[0], half, u)
    to_points(pair[1], half, v)
    for tracer in range(1, spectra.shape[0]):
        us, vs = fields[2], fields[3]
        to_points(spectra[tracer], half, us)
        for i in range(u.shape[0]):
            for j in range(u.shape[1]):
                vs[i, j] = v[i, j] * us[i, j]
                us[i, j] = u[i, j] * us[i, j]
        to_modes(us, half, pair[0])
        to_modes(vs, half, pair[1])
        for i in range(rows):
            for j in range(columns):
                flux = kx[i] * pair[0, i, j] + ky[j] * pair[1, i, j]
                rates[tracer, i, j] = complex(flux.imag, -flux.real)
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            product = u[i, j] * v[i, j]
            v[i, j] = v[i, j] * v[i, j] - u[i, j] * u[i, j]
            u[i, j] = product
    to_modes(u, half, pair[0])
    to_modes(v, half, pair[1])
    for i in range(rows):
        for j in range(columns):
            spread = (kx[i] * kx[i] - ky[j] * ky[j]) * pair[0, i, j]
            rates[0, i, j] = spread + kx[i] * ky[j] * pair[1, i, j]


class VorticityTransport:
    """The right-hand side on a grid, with its scratch memory.

    Args:
        shape: points along x and y.
        lengths: sides of the rectangle.
        tracers: how many fields are carried.
        mean: mean velocity U.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        lengths: Sequence[float],
        tracers: int = 0,
        mean: ArrayLike = (0.0, 0.0),
    ) -> None:
        self.shape = shape
        self.k = dealiased.wavenumbers(shape, lengths)
        self.mean = np.array(mean, dtype=float)
        kept = dealiased.shape_of_modes(shape)
        self._pair = np.empty((2, *kept), complex)
        self._half = np.empty((shape[0], shape[1] // 2 + 1), complex)
        self._fields = np.empty((4 if tracers else 2, *shape))
        self._rates = np.empty((1 + tracers, *kept), complex)

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Rates ``(1 + tracers, *modes)``, overwritten by the next call."""
        scratch = self._pair, self._half, self._fields, self._rates
        _transport(spectra, self.mean, *self.k, *scratch)
        return self._rates

    def velocity(self, vorticity: np.ndarray) -> Array:
        """Velocity ``(2, *shape)`` of a spectrum of the vorticity."""
        _velocity(vorticity, self.mean, *self.k, self._pair)
        return dealiased.fields_of(self._pair, self.shape)

    def vorticity(self, velocity: Array) -> np.ndarray:
        """Spectrum of the vorticity of a velocity ``(2, *shape)``; its gradient part has none."""
        u, v = dealiased.spectrum_of(velocity, 2)
        kx, ky = self.k
        return 1j * kx[:, None] * v - 1j * ky * u
