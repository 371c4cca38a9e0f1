"""Shallow water over a flat bottom: dam breaks, bores and long waves in one or two dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Distribution, Uniform
from simulations.numerics import muscl_hancock
from simulations.numerics.shallow_water import ShallowWaterLaw
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Sampling,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)


@dataclass(frozen=True)
class RadialDam(Distribution):
    """One value in a disc about the middle of the domain, another one outside of it.

    A cell that the circle cuts has the mean of the values, so that the volume hardly depends on
    the grid.

    Args:
        smallest: smallest radius in m.
        largest: largest radius in m.
        inside: value in the disc.
        outside: value outside of it.
        samples: points along each axis of a cell with which its mean is found.
    """

    smallest: float = 0.3
    largest: float = 0.7
    inside: float = 2.0
    outside: float = 1.0
    samples: int = 8

    def __post_init__(self) -> None:
        check_setting("smallest", self.smallest, 0.0)
        check_setting("largest", self.largest, self.smallest)
        check_setting("inside", self.inside, 0.0)
        check_setting("outside", self.outside, 0.0)
        check_setting("samples", self.samples, 1, 64, integer=True)

    def sample(self, rng: np.random.Generator, grid: Grid) -> Array:
        radius = rng.uniform(self.smallest, self.largest)
        squared = np.zeros(())
        for axis in grid.axes:
            low, high = axis.bounds
            n = axis.points.size * self.samples
            # Symmetric to the last bit, as the disc is
            distance = (np.arange(n) + 0.5 - 0.5 * n) * ((high - low) / n)
            squared = np.add.outer(squared, distance**2)
        share = (squared < radius**2).astype(np.float64)
        for position, n in enumerate(grid.shape):
            shape = share.shape
            split = (*shape[:position], n, self.samples, *shape[position + 1 :])
            share = share.reshape(split).mean(axis=position + 1)
        return self.outside + (self.inside - self.outside) * share


@dataclass(frozen=True)
class ShallowWater(Simulation):
    """Shallow water equations over a flat bottom, along a channel or on a square.

        ∂h/∂t + ∇·(hu) = 0
        ∂(hu)/∂t + ∇·(huu) + ∇(gh²/2) = 0

    Finite volumes: MUSCL-Hancock with the limiter MC on depth and velocity and the flux HLLC, all
    axes in one step. Second order where the flow is smooth, first order at bores. Steps follow the
    fastest wave and are repeated with less than second order around a cell whose depth would become
    negative. The bed may be nearly dry, not dry.

    The preset ``pdebench`` has the grid, the times, the boundaries and the initial states of
    PDEBench's ``2D_rdb``, the radial dam break.

    Args:
        ndim: number of axes, 1 or 2.
        n: cells along each axis.
        length: length of each axis in m; the origin is in the middle.
        boundary: ``periodic``, ``open`` (zero gradient) or ``wall`` (reflecting), on all sides.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        depth: distribution of the initial depth.
        velocity: distribution of each component of the initial velocity.

    References:
        Toro, Shock-Capturing Methods for Free-Surface Shallow Flows (2001): scheme and tests.
        Takamoto et al., PDEBench (2022): the data set of the preset.
    """

    ndim: int = 2
    n: int = 128
    length: float = 5.0
    boundary: Boundary = "open"
    t_end: float = 1.0
    n_times: int = 11
    depth: Distribution = RadialDam()
    velocity: Distribution = Uniform(-0.25, 0.25)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "gravity": Parameter("acceleration by gravity", "m s-2", (1e-3, 1e3), (0.5, 2.0), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "depth": Field("depth", "m"),
        "velocity": Field("velocity", "m s-1", order=1),
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "ndim": 2,
            "n": 128,
            "length": 5.0,
            "boundary": "open",
            "t_end": 1.0,
            "n_times": 101,
            "depth": RadialDam(0.3, 0.7, 2.0, 1.0),
            "velocity": Uniform(0.0, 0.0),
            "sampling": Sampling(cases=[{"gravity": 1.0}]),
        }
    }

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 2, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e9)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        allowed = list(muscl_hancock.BOUNDARIES)
        if self.boundary not in allowed:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {allowed}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            "depth0": FieldInput("initial depth", "m", self.depth, (1e-6, 1e6), "depth", True),
            "velocity0": FieldInput(
                "initial velocity", "m s-1", self.velocity, (-1e6, 1e6), "velocity", True, 1
            ),
        }

    @cached_property
    def grid(self) -> Grid:
        bounds = (-0.5 * self.length, 0.5 * self.length)
        sides = (self.boundary, self.boundary)
        return Grid(
            tuple(Axis.cells(name, self.n, bounds, "m", sides) for name in "xy"[: self.ndim])
        )

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        status, reached, (depth,), velocity = muscl_hancock.evolve(
            ShallowWaterLaw(float(inputs["gravity"])),
            [np.asarray(inputs["depth0"])],
            np.asarray(inputs["velocity0"]),
            self.times,
            [self.length / self.n] * self.ndim,
            [muscl_hancock.BOUNDARIES[self.boundary]] * self.ndim,
        )
        if status != muscl_hancock.COMPLETED:
            raise SimulationDiverged(reached, "the depth does not stay positive")
        return {"depth": depth, "velocity": velocity}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Volume, and momentum over density: conserved on a periodic domain."""
        space = tuple(range(1, self.ndim + 1))
        area = (self.length / self.n) ** self.ndim
        depth, velocity = solution["depth"], solution["velocity"]
        found = {"volume": depth.sum(axis=space) * area}
        for component, axis in enumerate(self.grid.names):
            momentum = (depth * velocity[..., component]).sum(axis=space)
            found[f"momentum_{axis}"] = momentum * area
        return found

    @property
    def conserved(self) -> Mapping[str, float]:
        if self.boundary != "periodic":
            return {"volume": 0.0} if self.boundary == "wall" else {}
        return dict.fromkeys(("volume", *(f"momentum_{axis}" for axis in self.grid.names)), 0.0)
