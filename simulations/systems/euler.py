"""Euler equations of an ideal gas: shocks, contacts and rarefactions in one to three dimensions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Distribution, RandomWaves, RiemannStates
from simulations.numerics import muscl_hancock
from simulations.numerics.ideal_gas import IdealGas
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
class Euler(Simulation):
    """Euler equations of an ideal gas on a line, a square or a cube.

        ∂ρ/∂t + ∇·(ρu) = 0
        ∂(ρu)/∂t + ∇·(ρuu) + ∇p = 0
        ∂E/∂t + ∇·((E + p)u) = 0,    E = p/(γ−1) + ρu²/2

    Finite volumes: MUSCL-Hancock with the limiter MC on primitive variables and the flux HLLC, all
    axes in one step. Second order where the flow is smooth, first order at shocks. Steps follow the
    fastest wave and are repeated with less than second order around a cell whose density or
    pressure would become negative.

    The presets ``the_well_open`` and ``the_well_periodic`` have the grid, the times, the boundaries
    and the ratios of heats of The Well's ``euler_multi_quadrants``; the ranges of the states in the
    quadrants are this library's own.

    Args:
        ndim: number of axes.
        n: cells along each axis.
        length: length of each axis in m.
        boundary: ``periodic``, ``open`` (zero gradient) or ``wall`` (reflecting), on all sides.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        density: distribution of the initial density.
        pressure: distribution of the initial pressure.
        velocity: distribution of each component of the initial velocity.

    References:
        Toro, Riemann Solvers and Numerical Methods for Fluid Dynamics (2009): scheme and tests.
        Ohana et al., The Well (2024): the data set of the presets.
    """

    ndim: int = 2
    n: int = 96
    length: float = 1.0
    boundary: Boundary = "periodic"
    t_end: float = 0.5
    n_times: int = 11
    density: Distribution = RandomWaves(deviation=0.3)
    pressure: Distribution = RandomWaves(deviation=0.1)
    velocity: Distribution = RandomWaves(0.0, 0.0, 0.5, positive=False)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "gamma": Parameter("ratio of specific heats", "1", (1.01, 5.0), (1.13, 1.76))
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "density": Field("density", "kg m-3"),
        "pressure": Field("pressure", "Pa"),
        "velocity": Field("velocity", "m s-1", order=1),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        f"the_well_{boundary}": {
            "ndim": 2,
            "n": 512,
            "boundary": boundary,
            "t_end": 1.5,
            "n_times": 101,
            "density": RiemannStates(0.1, 1.0),
            "pressure": RiemannStates(0.1, 1.0),
            "velocity": RiemannStates(-1.0, 1.0),
            "sampling": Sampling(
                cases=[
                    {"gamma": gamma}
                    for gamma in (1.13, 1.22, 1.3, 1.33, 1.365, 1.4, 1.404, 1.453, 1.597, 1.76)
                ]
            ),
        }
        for boundary in ("open", "periodic")
    }
    showcase: ClassVar[Showcase] = Showcase(settings={"n": 256}, inputs={"gamma": 1.4})

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        allowed = list(muscl_hancock.BOUNDARIES)
        if self.boundary not in allowed:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {allowed}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "density0": FieldInput(
                "initial density", "kg m-3", self.density, (1e-6, 1e6), "density", True
            ),
            "pressure0": FieldInput(
                "initial pressure", "Pa", self.pressure, (1e-9, 1e9), "pressure", True
            ),
            "velocity0": FieldInput(
                "initial velocity", "m s-1", self.velocity, (-1e6, 1e6), "velocity", True, 1
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        sides = (self.boundary, self.boundary)
        bounds = (0.0, self.length)
        names = "xyz"[: self.ndim]
        return Grid(tuple(Axis.cells(name, self.n, bounds, "m", sides) for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        status, reached, (density, pressure), velocity = muscl_hancock.evolve(
            IdealGas(float(inputs["gamma"])),
            [np.asarray(inputs["density0"]), np.asarray(inputs["pressure0"])],
            np.asarray(inputs["velocity0"]),
            self.times,
            [self.length / self.n] * self.ndim,
            [muscl_hancock.BOUNDARIES[self.boundary]] * self.ndim,
        )
        if status != muscl_hancock.COMPLETED:
            raise SimulationDiverged(reached, "density or pressure does not stay positive")
        return {"density": density, "pressure": pressure, "velocity": velocity}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass and momentum, conserved on a periodic domain."""
        space = tuple(range(1, self.ndim + 1))
        volume = math.pow(self.length / self.n, self.ndim)
        density, velocity = solution["density"], solution["velocity"]
        found = {"mass": density.sum(axis=space) * volume}
        for component, axis in enumerate(self.grid.names):
            momentum = (density * velocity[..., component]).sum(axis=space)
            found[f"momentum_{axis}"] = momentum * volume
        return found

    @property
    def conserved(self) -> Mapping[str, float]:
        if self.boundary != "periodic":
            return {"mass": 0.0} if self.boundary == "wall" else {}
        return dict.fromkeys(("mass", *(f"momentum_{axis}" for axis in self.grid.names)), 0.0)
