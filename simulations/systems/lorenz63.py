"""Lorenz's system: the smallest chaos."""

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


@runge_kutta.slope
def slope(t, state, parameters, rate):
    x, y, z = state
    sigma, rho, beta = parameters
    rate[0] = sigma * (y - x)
    rate[1] = x * (rho - z) - y
    rate[2] = x * y - beta * z


@dataclass(frozen=True)
class Lorenz63(Simulation):
    """Lorenz's model of convection with three variables.

        dx/dt = σ (y − x),   dy/dt = x (ρ − z) − y,   dz/dt = x y − β z

    Adaptive Runge–Kutta integration of order 8, or 5 at loose tolerances. For the classical
    parameters errors grow by a factor of e in 1.1 units of time.

    Args:
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a step relative to the state.

    References:
        Lorenz, Journal of the Atmospheric Sciences 20 (1963) 130.
    """

    t_end: float = 10.0
    n_times: int = 501
    tolerance: float = 1e-8

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "sigma": Parameter("Prandtl number", "1", (0.0, 100.0), (8.0, 12.0)),
        "rho": Parameter(
            "Rayleigh number over its critical value", "1", (0.0, 500.0), (20.0, 35.0)
        ),
        "beta": Parameter("aspect ratio of the rolls", "1", (0.0, 20.0), (2.0, 3.5)),
        "x0": Parameter("initial rate of convection", "1", (-1e3, 1e3), (-10.0, 10.0)),
        "y0": Parameter(
            "initial horizontal temperature variation", "1", (-1e3, 1e3), (-10.0, 10.0)
        ),
        "z0": Parameter("initial vertical temperature variation", "1", (-1e3, 1e3), (15.0, 35.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "x": Field("rate of convection", "1", spatial=False),
        "y": Field("horizontal temperature variation", "1", spatial=False),
        "z": Field("vertical temperature variation", "1", spatial=False),
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"t_end": 50.0, "n_times": 5001},
        inputs={"sigma": 10.0, "rho": 28.0, "beta": 8 / 3},
    )
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("t_end", self.t_end, 1e-9, 1e6)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("tolerance", self.tolerance, 1e-14, 1e-2)

    @property
    def grid(self) -> Grid:
        return Grid()

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        start = np.array([inputs["x0"], inputs["y0"], inputs["z0"]])
        parameters = np.array([inputs["sigma"], inputs["rho"], inputs["beta"]])
        frames = np.empty((self.n_times, 3))
        status, reached, _ = runge_kutta.integrate(
            slope, start, parameters, self.times, self.tolerance, frames
        )
        if status != runge_kutta.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"x": frames[:, 0], "y": frames[:, 1], "z": frames[:, 2]}

    def rescaled(self, factor: float) -> Self:
        """The same: there is no grid."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Looser steps."""
        return self.coarser_and_looser((1e-6, 1e-4, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        x, y, z = fields["x"], fields["y"], fields["z"]
        return {
            "x": {"rate": d.time(x), "exchange": inputs["sigma"] * (x - y)},
            "y": {"rate": d.time(y), "buoyancy": x * (z - inputs["rho"]), "loss": y},
            "z": {"rate": d.time(z), "transport": -x * y, "loss": inputs["beta"] * z},
        }
