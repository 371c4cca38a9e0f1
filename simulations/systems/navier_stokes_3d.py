"""Incompressible Navier–Stokes equations in a periodic cube."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics import dealiased, exponential
from simulations.numerics.dealiased import from_planes, to_modes, to_planes, to_points
from simulations.simulation import (
    NO_INPUTS,
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)


@kernel
def _stresses(velocity, half, fields, stresses):
    """Spectra of uu − ww, vv − ww, uv, uw, vw plane by plane, from those of u, v, w."""
    for plane in range(velocity.shape[1]):
        for component in range(3):
            to_points(velocity[component, plane], half, fields[component])
        for i in range(fields.shape[1]):
            for j in range(fields.shape[2]):
                u, v, w = fields[0, i, j], fields[1, i, j], fields[2, i, j]
                fields[0, i, j] = u * u - w * w
                fields[1, i, j] = v * v - w * w
                fields[2, i, j] = u * v
                fields[3, i, j] = u * w
                fields[4, i, j] = v * w
        for stress in range(5):
            to_modes(fields[stress], half, stresses[stress, plane])


@kernel
def _forces(stresses, kx, ky, kz, rates):
    """The part without divergence of −∇·(uu)."""
    gap = stresses.shape[1] - kx.size
    for a in range(kx.size):
        plane = a if a <= kx.size // 2 else a + gap
        for b in range(ky.size):
            for c in range(kz.size):
                x, y, z = kx[a], ky[b], kz[c]
                xy, xz, yz = (
                    stresses[2, plane, b, c],
                    stresses[3, plane, b, c],
                    stresses[4, plane, b, c],
                )
                fx = x * stresses[0, plane, b, c] + y * xy + z * xz
                fy = x * xy + y * stresses[1, plane, b, c] + z * yz
                fz = x * xz + y * yz
                squared = x * x + y * y + z * z
                pressure = (x * fx + y * fy + z * fz) / max(squared, 1e-300)
                fx, fy, fz = fx - x * pressure, fy - y * pressure, fz - z * pressure
                rates[0, a, b, c] = complex(fx.imag, -fx.real)
                rates[1, a, b, c] = complex(fy.imag, -fy.real)
                rates[2, a, b, c] = complex(fz.imag, -fz.real)


def solenoidal(spectra: np.ndarray, k: list[Array]) -> np.ndarray:
    """The part of a vector field ``(3, *modes)`` that has no divergence."""
    mesh = np.meshgrid(*k, indexing="ij", sparse=True)
    squared = sum(component**2 for component in mesh)
    divergence = sum(component * s for component, s in zip(mesh, spectra, strict=True))
    potential = divergence / np.where(squared > 0.0, squared, 1.0)
    return np.stack([s - c * potential for c, s in zip(mesh, spectra, strict=True)])


@dataclass(frozen=True)
class NavierStokes3D(Simulation):
    """Velocity of an incompressible flow in a periodic cube.

        ∂u/∂t + ∇·(uu) + ∇p = ν Δu,   ∇·u = 0

    Fourier pseudo-spectral, free of aliasing by the 2/3 rule. The pressure is eliminated by
    projection, and with it one of the six stresses: uu − ww, vv − ww, uv, uw and vw are enough, and
    a right-hand side takes eight transforms, made plane by plane in cache. Fifth-order exponential
    time differencing with controlled steps.

    By default Taylor–Green vortices at a random place are disturbed by a random field:

        A (sin x̃ cos ỹ cos z̃, −cos x̃ sin ỹ cos z̃, 0) + disturbance,   x̃ = 2π(x − x₀)/L, …

    whose components are drawn one by one. What is drawn has no divergence. Of a given field, the
    part that is a gradient is balanced by the pressure in no time: the first stored frame is the
    given field, all later ones follow from its part without divergence.

    Presets: ``taylor_green``, the vortices alone at a Reynolds number A L/2πν of 1600 (after the
    transition to turbulence they need ``n=384`` or so); ``random``, the random field alone.

    Args:
        n: grid points along each side.
        length: side L of the cube in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step.
        vortices: amplitude A of the Taylor–Green vortices in m/s.
        initial: distribution of each component of the disturbance, in m/s.

    References:
        Taylor, Green, Proceedings of the Royal Society A 158 (1937) 499: the vortices.
        Brachet et al., Journal of Fluid Mechanics 130 (1983) 411: their turbulence.
    """

    n: int = 32
    length: float = 2 * np.pi
    t_end: float = 4.0
    n_times: int = 9
    tolerance: float = 1e-4
    vortices: float = 1.0
    initial: Distribution = GaussianRandomField(alpha=4.0, tau=2.0, scale=20.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("viscosity", "m2 s-1", (1e-8, 10.0), (1e-2, 5e-2), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"velocity": Field("velocity", "m s-1", order=1)}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "taylor_green": {
            "n": 128,
            "t_end": 20.0,
            "n_times": 81,
            "initial": GaussianRandomField(scale=0.0),
            "sampling": Sampling(cases=[{"nu": 1 / 1600}]),
        },
        "random": {
            "n": 64,
            "t_end": 5.0,
            "n_times": 21,
            "vortices": 0.0,
            "initial": GaussianRandomField(alpha=4.0, tau=2.0, scale=100.0),
            "sampling": Sampling({"nu": (5e-3, 2e-2)}),
        },
    }
    showcase: ClassVar[Showcase] = Showcase(
        preset="taylor_green",
        settings={"n": 48, "t_end": 10.0, "n_times": 5},
        inputs={"nu": 1 / 400},
    )

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 4096, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)
        check_setting("vortices", self.vortices, 0.0, 1e6)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        start = FieldInput(
            "initial velocity", "m s-1", self.initial, initial_of="velocity", order=1
        )
        return {"velocity0": start}

    @cached_property
    def grid(self) -> Grid:
        return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in "xyz"))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _k(self) -> list[Array]:
        return dealiased.wavenumbers(self.grid.shape, (self.length,) * 3)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """The vortices and the disturbance, without divergence."""
        drawn = super().sample(rng, given)
        velocity = np.moveaxis(np.asarray(drawn["velocity0"]), -1, 0).copy()
        x, y, z = (
            2 * np.pi * (axis.points / self.length - rng.random()) for axis in self.grid.axes
        )
        x, y, z = np.meshgrid(x, y, z, indexing="ij", sparse=True)
        velocity[0] += self.vortices * np.sin(x) * np.cos(y) * np.cos(z)
        velocity[1] -= self.vortices * np.cos(x) * np.sin(y) * np.cos(z)
        spectra = solenoidal(dealiased.spectrum_of(velocity, 3), self._k)
        drawn["velocity0"] = self._on_the_grid(spectra)
        return {**drawn, **given}

    def _on_the_grid(self, spectra: np.ndarray) -> Array:
        """Velocity with its components last."""
        velocity = dealiased.fields_of(spectra, self.grid.shape)
        return np.ascontiguousarray(np.moveaxis(velocity, 0, -1))

    def solve(self, inputs: Inputs) -> Solution:
        shape = self.grid.shape
        start = np.asarray(inputs["velocity0"])
        spectra = dealiased.spectrum_of(np.moveaxis(start, -1, 0), 3)
        spectra = solenoidal(spectra, self._k)
        rates = np.empty_like(spectra)
        velocity = np.empty((3, self.n, *spectra.shape[2:]), complex)
        stresses = np.empty((5, *velocity.shape[1:]), complex)
        half, fields = np.empty((self.n, self.n // 2 + 1), complex), np.empty((5, *shape[1:]))

        def nonlinear(spectra: np.ndarray) -> np.ndarray:
            to_planes(spectra, velocity)
            _stresses(velocity, half, fields, stresses)
            from_planes(stresses)
            _forces(stresses, *self._k, rates)
            return rates

        linear = -inputs["nu"] * dealiased.squared(self._k)
        frames = np.empty((self.n_times, *start.shape))
        frames[0] = start
        march = exponential.march(spectra, linear, nonlinear, self.times, self.tolerance)
        try:
            for frame, reached in enumerate(march, start=1):
                frames[frame] = self._on_the_grid(reached)
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return {"velocity": frames}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-3, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy ⟨|u|²⟩/2, enstrophy ⟨|ω|²⟩/2 and helicity ⟨u·ω⟩, with ω = ∇×u.

        Energy is lost at the rate 2ν times the enstrophy; without viscosity, energy and helicity
        are conserved.
        """
        mesh = np.meshgrid(*self._k, indexing="ij", sparse=True)
        found = np.empty((3, self.n_times))
        for frame, velocity in enumerate(solution["velocity"]):
            spectra = dealiased.spectrum_of(np.moveaxis(velocity, -1, 0), 3)
            curl = [
                1j * (mesh[a] * spectra[b] - mesh[b] * spectra[a])
                for a, b in ((1, 2), (2, 0), (0, 1))
            ]
            vorticity = self._on_the_grid(np.stack(curl))
            found[0, frame] = 0.5 * (velocity**2).sum(axis=-1).mean()
            found[1, frame] = 0.5 * (vorticity**2).sum(axis=-1).mean()
            found[2, frame] = (velocity * vorticity).sum(axis=-1).mean()
        return dict(zip(("energy", "enstrophy", "helicity"), found, strict=True))
