"""Ideal magnetohydrodynamics in a plane: shocks, current sheets and Alfvén waves."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Distribution, RandomWaves, Uniform
from simulations.numerics import constrained_transport
from simulations.simulation import (
    NO_INPUTS,
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

#: Uniform density and pressure of the vortex of Orszag and Tang, and the amplitude of its field
DENSITY, PRESSURE, FIELD = 25 / (36 * np.pi), 5 / (12 * np.pi), 1 / np.sqrt(4 * np.pi)

# Share of a given field that may be no curl: a tenth may be left of jumps along curves, all of
# noise is 0.7
MOST_DIVERGENT = 0.3


@dataclass(frozen=True)
class MHD(Simulation):
    """Ideal magnetohydrodynamics of a gas in a periodic rectangle, with all three components.

        ∂ρ/∂t + ∇·(ρu) = 0
        ∂(ρu)/∂t + ∇·(ρuu − BB) + ∇(p + B²/2) = 0
        ∂E/∂t + ∇·((E + p + B²/2)u − B(u·B)) = 0,    E = p/(γ−1) + ρu²/2 + B²/2
        ∂B/∂t = ∇×(u×B),    ∇·B = 0

    All numbers are without units, and the magnetic permeability is 1. Nothing depends on z; vectors
    have their components in the plane, and the third one is a field of its own.

    Finite volumes: MUSCL-Hancock with the limiter MC on primitive variables and the flux HLLD;
    constrained transport of the field in the plane, which lives on the faces of the cells. Second
    order where the flow is smooth, first order at shocks. Steps follow the fastest wave and are
    repeated with less than second order around a cell whose density or pressure would become
    negative; there, energy is not conserved to rounding.

    The field that is stored is the mean of a cell's faces. Of an initial field, the fields at the
    faces are those without divergence whose means are closest to it. Of a stored frame, these are
    the fields it is the mean of, but for one chequered mode that no mean shows. A draw is the
    vortex of Orszag and Tang with random waves added; its field is the curl of a potential at the
    corners.

    The preset ``orszag_tang`` is the vortex alone, on the usual grid.

    Args:
        n: cells along x.
        aspect: length along y as a multiple of that along x; cells are nearly square.
        length: length along x.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        vortex: strength of the vortex of Orszag and Tang in a draw.
        density: distribution of the initial density.
        pressure: distribution of the initial pressure.
        velocity: distribution of each component of the initial velocity, without the vortex.
        potential: distribution of A_z/length, the potential of the field in the plane, likewise.
        magnetic_field_z: distribution of the initial field across the plane.

    References:
        Orszag, Tang, Journal of Fluid Mechanics 90 (1979) 129: the vortex.
        Gardiner, Stone, Journal of Computational Physics 205 (2005) 509: constrained transport.
        Miyoshi, Kusano, Journal of Computational Physics 208 (2005) 315: the flux HLLD.
        Stone, Gardiner, Teuben, Hawley, Simon, Astrophysical Journal Supplement 178 (2008) 137:
        tests, and the preset.
    """

    n: int = 96
    aspect: float = 1.0
    length: float = 1.0
    t_end: float = 0.5
    n_times: int = 11
    vortex: float = 1.0
    density: Distribution = RandomWaves(DENSITY, DENSITY, 0.1)
    pressure: Distribution = RandomWaves(PRESSURE, PRESSURE, 0.1)
    velocity: Distribution = RandomWaves(0.0, 0.0, 0.2, positive=False)
    potential: Distribution = RandomWaves(0.0, 0.0, 0.01, exponent=-2.0, positive=False)
    magnetic_field_z: Distribution = RandomWaves(0.0, 0.0, 0.1, positive=False)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "gamma": Parameter("ratio of specific heats", "1", (1.01, 5.0), (1.4, 5 / 3))
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "density": Field("density", "1"),
        "pressure": Field("pressure of the gas", "1"),
        "velocity": Field("velocity in the plane", "1", order=1),
        "velocity_z": Field("velocity across the plane", "1"),
        "magnetic_field": Field("magnetic field in the plane", "1", order=1),
        "magnetic_field_z": Field("magnetic field across the plane", "1"),
    }
    time_unit: ClassVar[str] = "1"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "orszag_tang": {
            "n": 192,
            "t_end": 1.0,
            "n_times": 21,
            "density": Uniform(DENSITY, DENSITY),
            "pressure": Uniform(PRESSURE, PRESSURE),
            "velocity": Uniform(0.0, 0.0),
            "potential": Uniform(0.0, 0.0),
            "magnetic_field_z": Uniform(0.0, 0.0),
            "sampling": Sampling(cases=[{"gamma": 5 / 3}]),
        }
    }
    showcase: ClassVar[Showcase] = Showcase(preset="orszag_tang", settings={"n_times": 5})

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("aspect", self.aspect, 1e-6, 1e6)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("vortex", self.vortex, -1e3, 1e3)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        size = (-1e6, 1e6)
        distributions = {
            "density": (self.density, (1e-6, 1e6)),
            "pressure": (self.pressure, (1e-9, 1e9)),
            "velocity": (self.velocity, size),
            "velocity_z": (self.velocity, size),
            "magnetic_field": (self.potential, size),
            "magnetic_field_z": (self.magnetic_field_z, size),
        }
        return {
            f"{name}0": FieldInput(
                f"initial {self.fields[name].description}",
                "1",
                distribution,
                admissible,
                initial_of=name,
                piecewise_constant=True,
                order=self.fields[name].order,
            )
            for name, (distribution, admissible) in distributions.items()
        }

    @cached_property
    def grid(self) -> Grid:
        sides: tuple[Boundary, Boundary] = ("periodic", "periodic")
        rows = max(round(self.n * self.aspect), 4)
        bounds = ((0.0, self.length), (0.0, self.length * self.aspect))
        return Grid(
            tuple(
                Axis.cells(name, n, limits, "1", sides)
                for name, n, limits in zip("xy", (self.n, rows), bounds, strict=True)
            )
        )

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @property
    def _spacing(self) -> tuple[float, float]:
        (nx, ny), length = self.grid.shape, self.length
        return length / nx, length * self.aspect / ny

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """Draw one admissible set of inputs: the vortex, and the field by its potential."""
        drawn = super().sample(rng, given)
        axes = self.grid.axes
        x, y = np.meshgrid(*(a.points / a.bounds[1] for a in axes), indexing="ij")
        vortex = np.stack([-np.sin(2 * np.pi * y), np.sin(2 * np.pi * x)], axis=-1)
        drawn["velocity0"] = drawn["velocity0"] + self.vortex * vortex
        corners = Grid(tuple(Axis.periodic(a.name, a.points.size, a.bounds[1], "1") for a in axes))
        x, y = np.meshgrid(*(a.points / a.bounds[1] for a in corners.axes), indexing="ij")
        vortex = FIELD / (2 * np.pi) * (0.5 * np.cos(4 * np.pi * x) + np.cos(2 * np.pi * y))
        potential = self.potential.sample(rng, corners) + self.vortex * vortex
        faces = constrained_transport.field_of_potential(self.length * potential, self._spacing)
        drawn["magnetic_field0"] = constrained_transport.centred(*faces)
        return {**drawn, **given}

    def solve(self, inputs: Inputs) -> Solution:
        given = {name: np.asarray(inputs[f"{name}0"]) for name in self.fields}
        field = given["magnetic_field"]
        bx, by = constrained_transport.faces_of(field, self._spacing)
        cells = constrained_transport.centred(bx, by)
        lost = np.linalg.norm(cells - field)
        if lost > MOST_DIVERGENT * np.linalg.norm(field):
            raise InvalidInput(
                f"magnetic_field0: {lost / np.linalg.norm(field):.0%} of it are not the curl of a "
                "potential; the initial magnetic field must be without divergence"
            )
        nx, ny = self.grid.shape
        ghosts = constrained_transport.GHOSTS
        state = np.ones((nx + 2 * ghosts, 10, ny + 2 * ghosts))
        variables = [given["density"], *np.moveaxis(given["velocity"], -1, 0), given["velocity_z"]]
        variables += [given["pressure"], given["magnetic_field_z"], *np.moveaxis(cells, -1, 0)]
        state[ghosts:-ghosts, :, ghosts:-ghosts] = np.stack([*variables, bx, by], axis=1)
        frames = np.empty((self.n_times, nx, 8, ny))
        status, reached, *_ = constrained_transport.integrate(
            float(inputs["gamma"]), state, self.times, np.array(self._spacing), frames
        )
        if status != constrained_transport.COMPLETED:
            raise SimulationDiverged(reached, "density or pressure does not stay positive")
        rho, u, v, w, p, bz, bx, by = np.moveaxis(frames, 2, 0)
        solution: Solution = {
            "density": rho.copy(),
            "pressure": p.copy(),
            "velocity": np.stack([u, v], axis=-1),
            "velocity_z": w.copy(),
            "magnetic_field": np.stack([bx, by], axis=-1),
            "magnetic_field_z": bz.copy(),
        }
        for name, values in solution.items():
            values[0] = given[name]
        return solution

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass, momentum and mean field, conserved; the divergence, of the size of rounding.

        The divergence is that of the cells around a corner, times the spacing, as a share of the
        largest field.
        """
        density, field = solution["density"], solution["magnetic_field"]
        area = self._spacing[0] * self._spacing[1]
        momentum = density[..., None] * solution["velocity"]
        densities = {
            "mass": density,
            "momentum_x": momentum[..., 0],
            "momentum_y": momentum[..., 1],
            "momentum_z": density * solution["velocity_z"],
            "flux_x": field[..., 0],
            "flux_y": field[..., 1],
            "flux_z": solution["magnetic_field_z"],
        }
        found = {name: values.sum(axis=(1, 2)) * area for name, values in densities.items()}
        dx, dy = self._spacing
        along_x = np.roll(field[..., 0], -1, 1) - field[..., 0]
        along_y = np.roll(field[..., 1], -1, 2) - field[..., 1]
        divergence = (along_x + np.roll(along_x, -1, 2)) / dx
        divergence += (along_y + np.roll(along_y, -1, 1)) / dy
        largest = np.maximum(np.abs(field).max(axis=(1, 2, 3)), np.finfo(float).tiny)
        found["divergence"] = 0.5 * min(dx, dy) * np.abs(divergence).max(axis=(1, 2)) / largest
        return found

    @property
    def conserved(self) -> Mapping[str, float]:
        sums = ("mass", "momentum_x", "momentum_y", "momentum_z", "flux_x", "flux_y", "flux_z")
        return dict.fromkeys(sums, 0.0)
