"""Incompressible flow and a scalar between two walls, in the eigenfunctions of diffusion.

Fourier × Legendre–Galerkin. Along x the channel is periodic, along y it has height 1. For each
wavenumber k the streamfunction (u = ∂ψ/∂y, v = −∂ψ/∂x) vanishes with its slope at the walls; the
deviation θ of a scalar vanishes there, and so does the mean velocity. Expansions are in

    ψ_k:  (D² − k²)² φ = λ (k² − D²) φ,    θ_k and the mean of u:  −D² φ = μ φ,

as far as polynomials go, normalised to unit energy: the squares of the coefficients add up to the
integrals of |u|² and θ². Products are integrated exactly, in x by enough points (the 3/2 rule) and
in y by Gauss's rule, so that advection conserves both to rounding.

Arrays have y first and x, or the wavenumber, last. Coefficients of the flow and of the scalar are
``(2, ny − 2, waves)``; the mean velocity sits at k = 0, and the streamfunction has two modes fewer.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import NDArray

from simulations.compilation import kernel
from simulations.numerics import chebyshev
from simulations.numerics.legendre import Matrix, basis, clamped_basis, gauss, held_basis

Spectrum = NDArray[np.inexact]


class Evaluation(NamedTuple):
    """Matrices from Legendre coefficients to values at points across the channel.

    ``clamped`` gives values, slopes and curvatures of the streamfunction, one below the other;
    ``held`` and ``held_slopes`` are for the scalar and the mean velocity.
    """

    clamped: Matrix
    held: Matrix
    held_slopes: Matrix

    @classmethod
    def at(cls, ny: int, y: Matrix) -> "Evaluation":
        return cls(np.concatenate(clamped_basis(ny - 4, y)), *held_basis(ny - 2, y))


class Flow(NamedTuple):
    """Velocity, vorticity ∂v/∂x − ∂u/∂y and the deviation of the scalar."""

    u: Matrix
    v: Matrix
    vorticity: Matrix
    theta: Matrix


@kernel
def _from_modes(modes, a, c):
    """Legendre coefficients c from those of the eigenfunctions, even and odd ones on their own."""
    _, half, _, waves = modes.shape
    for parity in range(2):
        for i in range(half):
            row = c[2 * i + parity]
            row[:] = 0.0
            for j in range(half):
                weights, values = modes[parity, i, j], a[2 * j + parity]
                for k in range(waves):
                    row[k] += weights[k] * values[k]


@kernel
def _onto_modes(modes, c, a):
    """The transposed product."""
    _, half, _, waves = modes.shape
    for parity in range(2):
        for j in range(half):
            a[2 * j + parity, :] = 0.0
        for i in range(half):
            values = c[2 * i + parity]
            for j in range(half):
                weights, row = modes[parity, i, j], a[2 * j + parity]
                for k in range(waves):
                    row[k] += weights[k] * values[k]


@kernel
def _flow_spectra(psi, k, spectra):
    """u, v and vorticity from the values, slopes and curvatures of the streamfunction."""
    for i in range(psi.shape[1]):
        for j in range(k.size):
            value = psi[0, i, j]
            spectra[0, i, j] = psi[1, i, j]
            spectra[1, i, j] = -1j * k[j] * value
            spectra[2, i, j] = k[j] * k[j] * value - psi[2, i, j]


class Channel:
    """Transforms, diffusion rates and projections of one resolution.

    Args:
        nx: points along x; waves beyond (nx − 1)/2 are left out.
        ny: points along y, an even number of at least 6; polynomials have degree ny − 1.
        length: period along x.
    """

    def __init__(self, nx: int, ny: int, length: float) -> None:
        self.nx, self.ny = nx, ny
        highest = (nx - 1) // 2
        self.k = 2 * np.pi / length * np.arange(highest + 1)
        self.x_points = scipy.fft.next_fast_len(3 * highest + 1, real=True)
        self.y, self.weights = gauss(math.ceil(1.5 * ny) + 1)
        self._at_points = Evaluation.at(ny, self.y)
        self._at_nodes = Evaluation.at(ny, chebyshev.nodes(ny))
        b, b1, _ = clamped_basis(ny - 4, self.y)
        _, d, d1 = self._at_points
        self._against = [np.ascontiguousarray(f.T * self.weights) for f in (b, b1, d, d1)]
        self.flow_rates, self._flow_modes = self._clamped_modes()
        self.scalar_rates, self._scalar_modes = self._held_modes()
        values, slopes = basis(ny, self.y)
        stiffness = (slopes.T * self.weights) @ slopes
        self._poisson_rates, poisson_modes = np.linalg.eigh(stiffness)
        self._poisson_modes = poisson_modes.T @ (values.T * self.weights)
        self._poisson_slopes = poisson_modes.T @ (slopes.T * self.weights)
        self._poisson_walls, self._poisson_nodes = (
            basis(ny, points)[0] @ poisson_modes
            for points in (np.array([0.0, 1.0]), chebyshev.nodes(ny))
        )
        self._curvature_at_walls = clamped_basis(ny - 4, np.array([0.0, 1.0]))[2]

    def _clamped_modes(self) -> tuple[Matrix, Matrix]:
        bases = clamped_basis(self.ny - 4, self.y)
        mass, stiffness, bending = ((f.T * self.weights) @ f for f in bases)
        half = (self.ny - 4) // 2
        rates = np.zeros((self.ny - 4, self.k.size))
        modes = np.zeros((2, half, half, self.k.size))
        for parity in (0, 1):
            m, s, r = (matrix[parity::2, parity::2] for matrix in (mass, stiffness, bending))
            for i, k in enumerate(self.k[1:], start=1):
                rates[parity::2, i], modes[parity, :, :, i] = scipy.linalg.eigh(
                    r + 2 * k**2 * s + k**4 * m, s + k**2 * m
                )
        return rates, modes

    def _held_modes(self) -> tuple[Matrix, Matrix]:
        bases = held_basis(self.ny - 2, self.y)
        mass, stiffness = ((f.T * self.weights) @ f for f in bases)
        rates, modes = np.empty(self.ny - 2), np.zeros_like(mass)
        for parity in (0, 1):
            mine = slice(parity, None, 2)
            rates[mine], modes[mine, mine] = scipy.linalg.eigh(
                stiffness[mine, mine], mass[mine, mine]
            )
        return rates, modes

    def diffusion(self, viscosity: float, diffusivity: float) -> Matrix:
        """Rates at which the coefficients change by diffusion alone."""
        scalar = self.scalar_rates[:, None] + self.k**2
        flow = np.zeros_like(scalar)
        flow[:-2] = self.flow_rates
        flow[:, 0] = self.scalar_rates
        return -np.stack([viscosity * flow, diffusivity * scalar])

    def start(self, theta: Matrix) -> Spectrum:
        """A fluid at rest with a scalar given on the grid, ``(ny, nx)``."""
        spectrum = scipy.fft.rfft(theta, axis=1, norm="forward")[:, : self.k.size]
        at_points = chebyshev.interpolation(self.ny, self.y) @ spectrum
        state = np.zeros((2, self.ny - 2, self.k.size), complex)
        state[1] = self._scalar_modes.T @ _real_times(self._against[2], at_points)
        return state

    def _coefficients(self, state: Spectrum) -> tuple[Spectrum, Spectrum, Spectrum]:
        """Of streamfunction, mean velocity and scalar, in the Legendre bases."""
        psi = np.empty((self.ny - 4, self.k.size), complex)
        _from_modes(self._flow_modes, state[0], psi)
        mean = self._scalar_modes @ state[0, :, 0]
        return psi, mean, _real_times(self._scalar_modes, state[1])

    def _values(self, state: Spectrum, at: Evaluation, x_points: int) -> Flow:
        psi, mean, theta = self._coefficients(state)
        points = len(at.held)
        spectra = np.empty((4, points, self.k.size), complex)
        values = _real_times(at.clamped, psi)
        _flow_spectra(values.reshape(3, points, self.k.size), self.k, spectra)
        spectra[0, :, 0] = at.held @ mean
        spectra[2, :, 0] = -(at.held_slopes @ mean)
        spectra[3] = _real_times(at.held, theta)
        return Flow(*scipy.fft.irfft(spectra, x_points, axis=2, norm="forward", overwrite_x=True))

    def at_quadrature(self, state: Spectrum) -> Flow:
        """The flow at Gauss points in y and as many points in x as products need."""
        return self._values(state, self._at_points, self.x_points)

    def on_grid(self, state: Spectrum) -> Flow:
        """The flow at the nodes of the grid, each field of shape ``(ny, nx)``."""
        return self._values(state, self._at_nodes, self.nx)

    def _transformed(self, values: Matrix) -> Spectrum:
        return scipy.fft.rfft(values, axis=2, norm="forward")[:, :, : self.k.size]

    def project(self, force: Matrix, flux: Matrix) -> Spectrum:
        """Rates of change by a force and by −∇·flux.

        Both are vectors at the points of `at_quadrature`, the component being the first axis.
        The part of the force that is a gradient does nothing.
        """
        (force_x, force_y), (flux_x, flux_y) = map(self._transformed, (force, flux))
        b, b1, d, d1 = self._against
        # ∫ F·(∂w/∂y, −∂w/∂x) for a streamfunction w; the test function is conjugated
        bent = _real_times(b1, force_x) + 1j * self.k * _real_times(b, force_y)
        rate = np.zeros((2, self.ny - 2, self.k.size), complex)
        _onto_modes(self._flow_modes, bent, rate[0])
        rate[0, :, 0] = self._scalar_modes.T @ (d @ force_x[:, 0])
        spread = _real_times(d1, flux_y) - 1j * self.k * _real_times(d, flux_x)
        rate[1] = _real_times(np.ascontiguousarray(self._scalar_modes.T), spread)
        return rate

    def pressure(self, state: Spectrum, force: Matrix, viscosity: float) -> Matrix:
        """The pressure that keeps the flow free of divergence, on the grid, with mean zero.

            ∫ ∇p·∇q = ∫ F·∇q + ν ∫ Δu·∇q    for all q

        The last integral is one over the walls, of q ∂(vorticity)/∂x.
        """
        force_x, force_y = self._transformed(force)
        right = _real_times(self._poisson_slopes, force_y)
        right = right - 1j * self.k * _real_times(self._poisson_modes, force_x)
        psi, *_ = self._coefficients(state)
        along = -1j * self.k * _real_times(self._curvature_at_walls, psi)
        lower, upper = self._poisson_walls
        right += viscosity * (np.outer(upper, along[1]) - np.outer(lower, along[0]))
        rates = self._poisson_rates[:, None] + self.k**2
        rates[0, 0] = math.inf  # the constant
        values = _real_times(self._poisson_nodes, right / rates)
        return scipy.fft.irfft(values, self.nx, axis=1, norm="forward")


def _real_times(matrix: Matrix, spectrum: Spectrum) -> Spectrum:
    """Product of a real matrix and a complex one, at half the cost of two complex ones."""
    return (matrix @ np.ascontiguousarray(spectrum).view(float)).view(complex)


@cache
def channel(nx: int, ny: int, length: float) -> Channel:
    """The channel of one resolution, prepared once in a process."""
    return Channel(nx, ny, length)
