"""Point masses under their mutual gravitation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, Uniform, WhiteNoise
from simulations.numerics import runge_kutta
from simulations.simulation import (
    NO_INPUTS,
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

POSITIONS, VELOCITIES = ("x", "y", "z"), ("vx", "vy", "vz")


@runge_kutta.slope
def slope(t, state, parameters, rate):
    """Accelerations of all bodies; the parameters are G, ε² and the masses."""
    n = state.size // 6
    gravity, softening2, mass = parameters[0], parameters[1], parameters[2:]
    x, y, z = state[:n], state[n : 2 * n], state[2 * n : 3 * n]
    for i in range(n):
        ax, ay, az = 0.0, 0.0, 0.0
        for j in range(n):
            dx, dy, dz = x[j] - x[i], y[j] - y[i], z[j] - z[i]
            r2 = dx * dx + dy * dy + dz * dz + softening2
            # A body is no distance from itself: its pull on itself is none
            pull = mass[j] / (r2 * np.sqrt(r2)) if j != i else 0.0
            ax += pull * dx
            ay += pull * dy
            az += pull * dz
        rate[3 * n + i], rate[4 * n + i], rate[5 * n + i] = gravity * ax, gravity * ay, gravity * az
    for i in range(3 * n):
        rate[i] = state[3 * n + i]


@dataclass(frozen=True)
class NBody(Simulation):
    """Bodies in space under their mutual gravitation, softened at short distances.

        d²r_i/dt² = G Σ_(j≠i) m_j (r_j − r_i) / (|r_j − r_i|² + ε²)^(3/2)

    Adaptive Runge–Kutta integration of order 8, or 5 at loose tolerances: steps shorten in close
    encounters, and energy, momentum and angular momentum are kept to about the tolerance. Draws
    have their centre of mass at rest in the origin.

    Args:
        n: number of bodies.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a step relative to the state.
        masses: distribution of the masses.
        positions: distribution of each coordinate.
        velocities: distribution of each component of the velocities.

    References:
        Aarseth, Gravitational N-Body Simulations (2003).
    """

    n: int = 8
    t_end: float = 4.0
    n_times: int = 101
    tolerance: float = 1e-9
    masses: Distribution = Uniform(0.1, 0.2)
    positions: Distribution = WhiteNoise()
    velocities: Distribution = WhiteNoise(deviation=0.3)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "gravity": Parameter("constant of gravitation", "1", (0.0, 1e3), (0.5, 2.0), "log"),
        "softening": Parameter("softening length", "1", (0.0, 1e3), (0.05, 0.2), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        **{name: Field(f"coordinate {name}", "1") for name in POSITIONS},
        **{name: Field(f"velocity along {name[1]}", "1") for name in VELOCITIES},
        "energy": Field("kinetic and potential energy", "1", spatial=False),
    }
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 2, 10_000, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("tolerance", self.tolerance, 1e-14, 1e-2)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        declared = {"mass": FieldInput("masses", "1", self.masses, (0.0, 1e9))}
        for names, distribution in ((POSITIONS, self.positions), (VELOCITIES, self.velocities)):
            for name in names:
                described = f"initial {self.fields[name].description}"
                declared[f"{name}0"] = FieldInput(described, "1", distribution, initial_of=name)
        return declared

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.members("body", self.n),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        drawn = super().sample(rng, given)
        for name in (*POSITIONS, *VELOCITIES):
            values = np.asarray(drawn[f"{name}0"])
            drawn[f"{name}0"] = values - np.average(values, weights=np.asarray(drawn["mass"]))
        return {**drawn, **given}

    def solve(self, inputs: Inputs) -> Solution:
        gravity, softening = float(inputs["gravity"]), float(inputs["softening"])
        mass = np.asarray(inputs["mass"])
        start = np.concatenate([inputs[f"{name}0"] for name in (*POSITIONS, *VELOCITIES)])
        parameters = np.concatenate([[gravity, softening**2], mass])
        frames = np.empty((self.n_times, start.size))
        status, reached, _ = runge_kutta.integrate(
            slope, start, parameters, self.times, self.tolerance, frames
        )
        if status != runge_kutta.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance: bodies collide")
        by_name = np.ascontiguousarray(frames.reshape(self.n_times, 6, self.n).swapaxes(0, 1))
        solution = dict(zip((*POSITIONS, *VELOCITIES), by_name, strict=True))
        first, second = np.triu_indices(self.n, 1)
        apart = by_name[:3, :, first] - by_name[:3, :, second]
        distance = np.sqrt((apart**2).sum(axis=0) + softening**2)
        potential = -gravity * (mass[first] * mass[second] / distance).sum(axis=1)
        kinetic = 0.5 * (mass * (by_name[3:] ** 2).sum(axis=0)).sum(axis=1)
        return solution | {"energy": kinetic + potential}

    def rescaled(self, factor: float) -> Self:
        """The same: bodies belong to the problem."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Looser steps."""
        return self.coarser_and_looser((1e-7, 1e-5, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        still = 0.0 * fields["x"]
        mass, softening = (inputs["mass"] + still)[..., None, :], inputs["softening"] + still
        apart = [fields[x][..., None, :] - fields[x][..., :, None] for x in POSITIONS]
        itself = d.constant(np.eye(self.n), still)
        squared = sum(x * x for x in apart) + softening[..., :, None] ** 2
        pull = mass / (squared + itself) ** 1.5
        equations = {}
        for x, v, between in zip(POSITIONS, VELOCITIES, apart, strict=True):
            pulled = inputs["gravity"] * (pull * between).sum(-1)
            equations[x] = {"rate": d.time(fields[x]), "velocity": -fields[v]}
            equations[v] = {"rate": d.time(fields[v]), "gravitation": -pulled}
        return equations

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy, which is conserved."""
        return {"energy": solution["energy"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"energy": 1e3 * self.tolerance}
