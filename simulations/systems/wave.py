"""Wave equation in a medium with variable speed, in one to three dimensions."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Boundary, Grid
from simulations.inputs import Bounded, Distribution, GaussianBlobs, GaussianRandomField
from simulations.numerics import absorbing_layer, leapfrog
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Simulation,
    Solution,
    check_setting,
)

#: What becomes of u beyond the end of an axis, and what kind of end that is
BOUNDARIES: dict[str, tuple[int, Boundary]] = {
    "periodic": (leapfrog.PERIODIC, "periodic"),
    "wall": (leapfrog.EVEN, "wall"),
    "fixed": (leapfrog.ODD, "wall"),
    "open": (leapfrog.ODD, "open"),
}


@dataclass(frozen=True)
class Wave(Simulation):
    """Scalar waves in a medium whose speed varies, on a line, a square or a cube.

        ∂²u/∂t² = c(x)² Δu

    This is the pressure in a fluid of constant density, or a membrane of constant tension and
    varying mass. Leapfrog with central differences, in space and time of order four, or two if that
    is chosen; the step follows from the largest speed. Where c jumps, the order is two at most.

    Ends are periodic, a ``wall`` (∂u/∂n = 0), ``fixed`` (u = 0) or ``open``. Except with open ones,
    the energy ∫ (v²/c² + |∇u|²)/2 with v = ∂u/∂t is conserved. What is reported is its discrete
    form, which the scheme conserves to round-off, so that a drift is an error. Beyond open ends the
    medium goes on unchanged for a layer of cells that absorbs: less than 0.2 % of a wave comes
    back. Initial fields fade out in it, and it counts as part of the energy.

    Args:
        ndim: dimensions, 1 to 3.
        n: grid points along each side.
        length: side of the domain in m.
        boundary: ``periodic``, ``wall``, ``fixed`` or ``open``, on all sides.
        order: of accuracy in space and time, 2 or 4.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        initial: distribution of the initial displacement.
        initial_velocity: distribution of the initial velocity.
        medium: distribution of the speed of waves.

    References:
        Dablain, Geophysics 51 (1986) 54: the scheme of order four.
        Komatitsch and Martin, Geophysics 72 (2007) SM155: the absorbing layer.
    """

    ndim: int = 2
    n: int = 128
    length: float = 1.0
    boundary: Literal["periodic", "wall", "fixed", "open"] = "periodic"
    order: int = 4
    t_end: float = 1.0
    n_times: int = 21
    initial: Distribution = GaussianBlobs(fewest=1, most=4)
    initial_velocity: Distribution = GaussianRandomField(alpha=4.0, tau=10.0, scale=1e4)
    medium: Distribution = Bounded(GaussianRandomField(alpha=4.0, tau=10.0, scale=1e4), 0.5, 1.5)

    fields: ClassVar[Mapping[str, Field]] = {
        "displacement": Field("displacement", "m"),
        "velocity": Field("rate of change of the displacement", "m s-1"),
        "energy": Field("mean density of energy over tension", "1", spatial=False),
    }

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("order", self.order, 2, 4, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        if self.order == 3:
            raise InvalidInput("order=3: must be 2 or 4")
        if self.boundary not in BOUNDARIES:
            raise InvalidInput(f"boundary={self.boundary!r}: must be one of {list(BOUNDARIES)}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        rate = "initial rate of change of the displacement"
        return {
            "displacement0": FieldInput(
                "initial displacement", "m", self.initial, initial_of="displacement"
            ),
            "velocity0": FieldInput(rate, "m s-1", self.initial_velocity, initial_of="velocity"),
            "speed": FieldInput("speed of waves", "m s-1", self.medium, (1e-6, 1e6)),
        }

    @cached_property
    def grid(self) -> Grid:
        names = "xyz"[: self.ndim]
        if self.boundary == "periodic":
            return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in names))
        bounds, (_, end) = (0.0, self.length), BOUNDARIES[self.boundary]
        return Grid(tuple(Axis.cells(name, self.n, bounds, "m", (end, end)) for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        kind, _ = BOUNDARIES[self.boundary]
        spacing, interval = self.length / self.n, self.t_end / (self.n_times - 1)
        layer = absorbing_layer.depth_for(self.n) if self.boundary == "open" else 0
        speed = np.pad(inputs["speed"], layer, "edge")
        fastest = float(speed.max())
        stable = leapfrog.largest_step(self.order, self.ndim, spacing, fastest, layer > 0)
        steps = math.ceil(interval / stable)
        dt = interval / steps
        fading = np.ones(self.n + 2 * layer)
        if layer:
            fading[-layer:] = absorbing_layer.fading(self.n)
            fading[:layer] = fading[-layer:][::-1]
        fading = functools.reduce(np.multiply.outer, [fading] * self.ndim)
        profile = absorbing_layer.profile(layer, self.n, spacing, dt, fastest)
        beyond: Literal["wrap", "symmetric"] = "wrap" if kind == leapfrog.PERIODIC else "symmetric"

        def padded(values: Array) -> Array:
            widths = [(leapfrog.GHOSTS, leapfrog.GHOSTS)] * self.ndim
            with_ghosts = np.pad(values, widths, beyond)
            return with_ghosts.reshape(leapfrog.padded_shape(values.shape))

        shape = (self.n_times, *leapfrog.unpadded_shape(speed.shape))
        displacement, velocity = np.empty(shape), np.empty(shape)
        energy = np.empty(self.n_times)
        leapfrog.march(
            self.order,
            padded(fading * np.pad(inputs["displacement0"], layer, "edge")),
            padded(dt * fading * np.pad(inputs["velocity0"], layer, "edge")),
            padded((speed * dt / spacing) ** 2),
            profile,
            np.full(self.ndim, kind),
            steps,
            displacement,
            velocity,
            energy,
        )
        inside = (slice(None), *[slice(layer, layer + self.n)] * self.ndim)
        u = displacement.reshape(-1, *speed.shape)[inside]
        v = velocity.reshape(-1, *speed.shape)[inside] / dt
        u[0], v[0] = inputs["displacement0"], inputs["velocity0"]
        # Per volume: a sum over the cells times Δx^ndim, of what holds Δx²
        energy /= self.n**self.ndim * spacing**2
        return {"displacement": u, "velocity": v, "energy": energy}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        displacement, velocity = fields["displacement"], fields["velocity"]
        tension = -(inputs["speed"] ** 2) * d.laplacian(displacement)
        return {
            "displacement": {"rate": d.time(displacement), "velocity": -velocity},
            "velocity": {"rate": d.time(velocity), "tension": tension},
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Energy, which is conserved; at open ends it decays."""
        return {"energy": solution["energy"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {} if self.boundary == "open" else {"energy": 0.0}
