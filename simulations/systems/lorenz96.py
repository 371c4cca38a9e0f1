"""Lorenz's model of weather on a circle of latitude."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, WhiteNoise
from simulations.numerics import runge_kutta
from simulations.simulation import (
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


@runge_kutta.slope
def slope(t, x, parameters, rate):
    n, forcing = x.size, parameters[0]
    rate[0] = (x[1] - x[n - 2]) * x[n - 1] - x[0] + forcing
    rate[1] = (x[2] - x[n - 1]) * x[0] - x[1] + forcing
    for i in range(2, n - 1):
        rate[i] = (x[i + 1] - x[i - 2]) * x[i - 1] - x[i] + forcing
    rate[n - 1] = (x[0] - x[n - 3]) * x[n - 2] - x[n - 1] + forcing


@dataclass(frozen=True)
class Lorenz96(Simulation):
    """Lorenz's model of a quantity at n sites around a circle of latitude.

        dx_i/dt = (x_(i+1) − x_(i−2)) x_(i−1) − x_i + F

    Adaptive Runge–Kutta integration of order 8, or 5 at loose tolerances. The number of sites is
    part of the model.

    Args:
        n: sites.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a step relative to the state.
        initial: distribution of the initial state.

    References:
        Lorenz, Predictability: a problem partly solved, ECMWF seminar on predictability (1996).
    """

    n: int = 40
    t_end: float = 10.0
    n_times: int = 201
    tolerance: float = 1e-8
    initial: Distribution = WhiteNoise(mean=8.0, deviation=1.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "forcing": Parameter("forcing", "1", (-100.0, 100.0), (6.0, 10.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {"x": Field("quantity at a site", "1")}
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 4, 2**20, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e6)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("tolerance", self.tolerance, 1e-14, 1e-2)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        start = FieldInput("initial quantity", "1", self.initial, (-1e3, 1e3), initial_of="x")
        return {"start": start}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.members("site", self.n),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        frames = np.empty((self.n_times, self.n))
        parameters = np.array([inputs["forcing"]])
        status, reached, _ = runge_kutta.integrate(
            slope, np.asarray(inputs["start"]), parameters, self.times, self.tolerance, frames
        )
        if status != runge_kutta.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"x": frames}

    def rescaled(self, factor: float) -> Self:
        """The same: sites are not a discretisation."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Looser steps."""
        return self.coarser_and_looser((1e-6, 1e-4, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        x = fields["x"]
        before, before2, after = (d.namespace.roll(x, shift, -1) for shift in (1, 2, -1))
        advection = (before2 - after) * before
        terms = {
            "rate": d.time(x),
            "advection": advection,
            "loss": x,
            "forcing": -inputs["forcing"],
        }
        return {"x": terms}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy Σx²/2, which the quadratic terms leave alone."""
        return {"energy": 0.5 * (solution["x"] ** 2).sum(axis=1)}
