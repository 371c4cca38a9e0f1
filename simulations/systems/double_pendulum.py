"""Double pendulum: two degrees of freedom, and chaos."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.grid import Grid
from simulations.numerics import runge_kutta
from simulations.simulation import (
    Array,
    Field,
    Inputs,
    Parameter,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

NAMES = ("angle1", "angle2", "rate1", "rate2")


@runge_kutta.slope
def slope(t, state, parameters, rate):
    first, second, omega1, omega2 = state
    m1, m2, l1, l2, gravity = parameters
    apart = first - second
    sine, cosine = np.sin(apart), np.cos(apart)
    # The accelerations solve a system of two linear equations
    inertia11, inertia12, inertia22 = (m1 + m2) * l1, m2 * l2 * cosine, l2
    inertia21 = l1 * cosine
    force1 = -m2 * l2 * omega2 * omega2 * sine - (m1 + m2) * gravity * np.sin(first)
    force2 = l1 * omega1 * omega1 * sine - gravity * np.sin(second)
    determinant = inertia11 * inertia22 - inertia12 * inertia21
    rate[0], rate[1] = omega1, omega2
    rate[2] = (force1 * inertia22 - force2 * inertia12) / determinant
    rate[3] = (force2 * inertia11 - force1 * inertia21) / determinant


@dataclass(frozen=True)
class DoublePendulum(Simulation):
    """Two point masses on massless rods, one hanging from the other.

        (m₁ + m₂) l₁ θ₁″ + m₂ l₂ θ₂″ cos(θ₁ − θ₂) + m₂ l₂ θ₂′² sin(θ₁ − θ₂) = −(m₁ + m₂) g sin θ₁
        l₂ θ₂″ + l₁ θ₁″ cos(θ₁ − θ₂) − l₁ θ₁′² sin(θ₁ − θ₂) = −g sin θ₂

    Angles are measured from hanging down. Adaptive Runge–Kutta integration of order 8, or 5 at
    loose tolerances; the energy drifts by about the tolerance of the steps.

    Args:
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a step relative to the state.
        gravity: g in m/s².

    References:
        Landau and Lifshitz, Mechanics (1976), sections 5 and 23.
    """

    t_end: float = 10.0
    n_times: int = 501
    tolerance: float = 1e-9
    gravity: float = 9.81

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "mass1": Parameter("upper mass", "kg", (1e-3, 1e3), (0.5, 2.0), "log"),
        "mass2": Parameter("lower mass", "kg", (1e-3, 1e3), (0.5, 2.0), "log"),
        "length1": Parameter("length of the upper rod", "m", (1e-3, 1e3), (0.5, 2.0), "log"),
        "length2": Parameter("length of the lower rod", "m", (1e-3, 1e3), (0.5, 2.0), "log"),
        "start1": Parameter("initial angle of the upper rod", "rad", (-4.0, 4.0), (-2.0, 2.0)),
        "start2": Parameter("initial angle of the lower rod", "rad", (-4.0, 4.0), (-2.0, 2.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "angle1": Field("angle of the upper rod", "rad", spatial=False),
        "angle2": Field("angle of the lower rod", "rad", spatial=False),
        "rate1": Field("angular velocity of the upper rod", "rad s-1", spatial=False),
        "rate2": Field("angular velocity of the lower rod", "rad s-1", spatial=False),
        "energy": Field("kinetic and potential energy", "J", spatial=False),
    }
    showcase: ClassVar[Showcase] = Showcase(settings={"t_end": 30.0, "n_times": 3001})

    def __post_init__(self) -> None:
        check_setting("t_end", self.t_end, 1e-9, 1e6)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("tolerance", self.tolerance, 1e-14, 1e-2)
        check_setting("gravity", self.gravity, 0.0, 1e6)

    @property
    def grid(self) -> Grid:
        return Grid()

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        m1, m2 = float(inputs["mass1"]), float(inputs["mass2"])
        l1, l2, g = float(inputs["length1"]), float(inputs["length2"]), self.gravity
        start = np.array([inputs["start1"], inputs["start2"], 0.0, 0.0])
        frames = np.empty((self.n_times, 4))
        status, reached, _ = runge_kutta.integrate(
            slope, start, np.array([m1, m2, l1, l2, g]), self.times, self.tolerance, frames
        )
        if status != runge_kutta.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        angle1, angle2, rate1, rate2 = frames.T
        speeds = (l1 * rate1) ** 2, (l2 * rate2) ** 2
        mixed = 2 * l1 * l2 * rate1 * rate2 * np.cos(angle1 - angle2)
        kinetic = 0.5 * m1 * speeds[0] + 0.5 * m2 * (speeds[0] + speeds[1] + mixed)
        potential = -(m1 + m2) * g * l1 * np.cos(angle1) - m2 * g * l2 * np.cos(angle2)
        solution: Solution = dict(zip(NAMES, frames.T, strict=True))
        return solution | {"energy": kinetic + potential}

    def rescaled(self, factor: float) -> Self:
        """The same: there is no grid."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Looser steps."""
        return self.coarser_and_looser((1e-7, 1e-5, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        first, second, rate1, rate2 = (fields[name] for name in NAMES)
        m1, m2, l1, l2 = (inputs[name] for name in ("mass1", "mass2", "length1", "length2"))
        xp = d.namespace
        sine, cosine = xp.sin(first - second), xp.cos(first - second)
        turn1, turn2 = d.time(rate1), d.time(rate2)
        return {
            "angle1": {"rate": d.time(first), "velocity": -rate1},
            "angle2": {"rate": d.time(second), "velocity": -rate2},
            "upper": {
                "inertia": (m1 + m2) * l1 * turn1,
                "coupling": m2 * l2 * turn2 * cosine,
                "centrifugal": m2 * l2 * rate2**2 * sine,
                "weight": (m1 + m2) * self.gravity * xp.sin(first),
            },
            "lower": {
                "inertia": l2 * turn2,
                "coupling": l1 * turn1 * cosine,
                "centrifugal": -l1 * rate1**2 * sine,
                "weight": self.gravity * xp.sin(second),
            },
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy, which is conserved."""
        return {"energy": solution["energy"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"energy": 1e3 * self.tolerance}
