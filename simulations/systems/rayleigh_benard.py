"""Rayleigh–Bénard convection: a layer of fluid heated from below."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution
from simulations.numerics import chebyshev, exponential
from simulations.numerics.channel import Channel, Flow, Spectrum, channel
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)


@dataclass(frozen=True)
class NoisyConduction(Distribution):
    """Heat conduction between two walls, disturbed: ``(1 − y) δ + amplitude y (1 − y) noise``.

    With y from 0 at the lower to 1 at the upper wall. The noise has mean zero and variance one and
    is made of the first waves along each axis, all of them equally strong.

    Args:
        amplitude: size of the noise.
        waves: number of waves along each axis.
        lowest: smallest δ; the largest is 1, which the walls keep up.
        levels: number of values that δ takes, equidistant and equally probable.

    Raises:
        ValueError: an argument outside its range.
    """

    amplitude: float = 1e-3
    waves: int = 16
    lowest: float = 1.0
    levels: int = 1

    def __post_init__(self) -> None:
        for name, low, high in (
            ("amplitude", 0.0, math.inf),
            ("waves", 1, 1024),
            ("lowest", 0.0, 1.0),
            ("levels", 1, 1024),
        ):
            value = getattr(self, name)
            kinds = (int, np.integer) if isinstance(low, int) else (int, float, np.number)
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            if not is_number or not low <= value <= high or value == math.inf:
                kind = "an integer" if isinstance(low, int) else "a number"
                raise ValueError(f"{name}={value!r}: must be {kind} in [{low}, {high}]")

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        own = np.random.default_rng(rng.integers(2**63))
        delta = np.linspace(1.0, self.lowest, self.levels)[own.integers(self.levels)]
        along, across = grid.axes
        x, y = (
            (axis.points - axis.bounds[0]) / (axis.bounds[1] - axis.bounds[0])
            for axis in (along, across)
        )
        phase = 2 * np.pi * np.outer(x, np.arange(1, self.waves + 1))
        height = np.pi * np.outer(y, np.arange(1, self.waves + 1))
        sines, cosines = own.standard_normal((2, self.waves, self.waves))
        noise = (np.sin(phase) @ sines + np.cos(phase) @ cosines) @ np.sin(height).T
        noise *= math.sqrt(2) / self.waves
        return (1 - y) * delta + self.amplitude * y * (1 - y) * noise


@kernel
def _forces(u, v, vorticity, theta, y, force, flux):
    """(vω, b − uω) and b(u, v) with b = θ + 1 − y."""
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            b = theta[i, j] + 1.0 - y[i]
            force[0, i, j] = v[i, j] * vorticity[i, j]
            force[1, i, j] = b - u[i, j] * vorticity[i, j]
            flux[0, i, j] = u[i, j] * b
            flux[1, i, j] = v[i, j] * b


@dataclass(frozen=True)
class RayleighBenard(Simulation):
    """Rayleigh–Bénard convection in two dimensions, between a hot lower and a cold upper wall.

        ∂u/∂t + u·∇u = −∇p + b e_y + √(Pr/Ra) ∇²u,    ∇·u = 0
        ∂b/∂t + u·∇b = 1/√(Ra Pr) ∇²b

    Boussinesq fluid in free-fall units: lengths in units of the height, the buoyancy b in units of
    its difference between the walls, b = 1 at y = 0 and b = 0 at y = 1; no slip there, periodic
    along x. The fluid starts at rest. The pressure has mean zero. The Nusselt number is that of the
    whole layer, 1 + √(Ra Pr) times the mean of v b.

    Fourier × Legendre–Galerkin method for the streamfunction, in the eigenfunctions of diffusion,
    and exponential time differencing of order 5 with controlled steps. All products are integrated
    exactly, so that advection conserves energy and heat to rounding. The pressure is solved for at
    stored times only.

    The preset ``the_well`` has their domain, numbers of points, stored times, Rayleigh and Prandtl
    numbers and five strengths of the initial gradient. Their noise, white on their grid, is made of
    32 waves along each axis here, the same on every grid.

    Args:
        nx: points along x.
        ny: Gauss–Lobatto nodes between the walls, even.
        length: period along x in heights.
        t_end: last stored time in free-fall times.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a time step, relative to the norm of velocity and of the
            deviation of b from conduction.
        initial: distribution of the initial buoyancy.

    References:
        Ohana et al., The Well (2024): the preset.
        Clever and Busse, Journal of Fluid Mechanics 65 (1974) 625: heat carried by steady rolls,
        which this is verified against.
    """

    nx: int = 48
    ny: int = 32
    length: float = 2.0
    t_end: float = 10.0
    n_times: int = 21
    tolerance: float = 1e-5
    initial: Distribution = NoisyConduction(amplitude=0.3, waves=4)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "rayleigh": Parameter("Rayleigh number", "1", (1.0, 1e11), (1e4, 3e5), "log"),
        "prandtl": Parameter("Prandtl number", "1", (1e-2, 1e3), (0.5, 5.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "buoyancy": Field("buoyancy", "1"),
        "pressure": Field("pressure", "1"),
        "velocity": Field("velocity", "1", order=1),
        "nusselt": Field("Nusselt number of the whole layer", "1", spatial=False),
    }
    time_unit: ClassVar[str] = "1"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "the_well": {
            "nx": 512,
            "ny": 128,
            "length": 4.0,
            "t_end": 49.75,
            "n_times": 200,
            "initial": NoisyConduction(amplitude=1e-3, waves=32, lowest=0.2, levels=5),
            "sampling": Sampling(
                cases=[
                    {"rayleigh": rayleigh, "prandtl": prandtl}
                    for rayleigh in (1e6, 1e7, 1e8, 1e9, 1e10)
                    for prandtl in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
                ]
            ),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"nx": 96, "ny": 48, "t_end": 25.0},
        inputs={"rayleigh": 1e6, "prandtl": 1.0},
    )

    def __post_init__(self) -> None:
        check_setting("nx", self.nx, 4, 2**16, integer=True)
        check_setting("ny", self.ny, 6, 1024, integer=True)
        if self.ny % 2:
            raise InvalidInput(f"ny={self.ny}: must be even")
        check_setting("length", self.length, 1e-3, 1e3)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        start = FieldInput(
            "initial buoyancy", "1", self.initial, (-10.0, 10.0), initial_of="buoyancy"
        )
        return {"buoyancy0": start}

    @cached_property
    def grid(self) -> Grid:
        across = Axis("y", chebyshev.nodes(self.ny), (0.0, 1.0), interpolation="polynomial")
        return Grid((Axis.periodic("x", self.nx, self.length), across))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        rayleigh, prandtl = float(inputs["rayleigh"]), float(inputs["prandtl"])
        viscosity, diffusivity = math.sqrt(prandtl / rayleigh), 1 / math.sqrt(rayleigh * prandtl)
        space = channel(self.nx, self.ny, self.length)
        start = np.asarray(inputs["buoyancy0"])
        state = space.start(np.ascontiguousarray((start - 1 + self.grid.axes[1].points).T))

        def nonlinear(state: Spectrum) -> Spectrum:
            return space.project(*_products(space, space.at_quadrature(state)))

        solution: Solution = {
            name: np.empty((self.n_times, *field.shape(self.grid)))
            for name, field in self.fields.items()
        }
        march = exponential.march(
            state, space.diffusion(viscosity, diffusivity), nonlinear, self.times, self.tolerance
        )
        self._store(solution, 0, space, state, viscosity, diffusivity)
        solution["buoyancy"][0] = start
        try:
            for frame, reached in enumerate(march, start=1):
                self._store(solution, frame, space, reached, viscosity, diffusivity)
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return solution

    def _store(
        self,
        solution: Solution,
        frame: int,
        space: Channel,
        state: Spectrum,
        viscosity: float,
        diffusivity: float,
    ) -> None:
        flow = space.on_grid(state)
        force, flux = _products(space, space.at_quadrature(state))
        # What the force contains of inertia is u·∇u − ∇(u² + v²)/2
        head = space.pressure(state, force, viscosity)
        pressure = head - 0.5 * (flow.u**2 + flow.v**2)
        pressure -= chebyshev.quadrature(self.ny) @ pressure.mean(axis=1)
        solution["buoyancy"][frame] = flow.theta.T + 1 - self.grid.axes[1].points
        solution["pressure"][frame] = pressure.T
        solution["velocity"][frame] = np.stack([flow.u.T, flow.v.T], axis=-1)
        solution["nusselt"][frame] = 1 + space.weights @ flux[1].mean(axis=1) / diffusivity

    def rescaled(self, factor: float) -> Self:
        return replace(self, nx=round(self.nx * factor), ny=2 * round(self.ny * factor / 2))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-4, 1e-3, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Heat through either wall in units of conduction, and energies: of motion and of b."""
        slope, weights = chebyshev.differentiation(self.ny), chebyshev.quadrature(self.ny)
        mean = solution["buoyancy"].mean(axis=1)
        squares = (solution["velocity"] ** 2).sum(axis=-1).mean(axis=1)
        return {
            "nusselt_bottom": -mean @ slope[0],
            "nusselt_top": -mean @ slope[-1],
            "kinetic_energy": 0.5 * squares @ weights,
            "buoyancy_mean": mean @ weights,
        }


def _products(space: Channel, flow: Flow) -> tuple[Array, Array]:
    """Force, but for a gradient, and flux of buoyancy at the points of `flow`."""
    force, flux = np.empty((2, 2, *flow.u.shape))
    _forces(*flow, space.y, force, flux)
    return force, flux
