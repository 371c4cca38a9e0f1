"""Viscous Burgers equation, the smallest equation that steepens waves and dissipates them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics import semilinear
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


@dataclass(frozen=True)
class Burgers(Simulation):
    """Viscous Burgers equation on a periodic interval.

        ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x²

    Fourier pseudo-spectral in space, free of aliasing by the 2/3 rule; fifth-order exponential
    time differencing with controlled steps in time. Spectral accuracy as long as the viscous width
    of a shock, about 4ν/Δu, spans a few grid points; fewer of the n points than that are paid for
    where the solution is smoother.

    Args:
        n: grid points.
        length: length of the interval in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial velocity.

    References:
        Cole, Quarterly of Applied Mathematics 9 (1951) 225; Hopf, Communications on Pure and
        Applied Mathematics 3 (1950) 201: the exact solution this is verified against.
    """

    n: int = 256
    length: float = 1.0
    t_end: float = 1.0
    n_times: int = 11
    tolerance: float = 1e-8
    initial: Distribution = GaussianRandomField(alpha=2.0, tau=5.0, scale=25.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("viscosity", "m2 s-1", (1e-5, 10.0), (0.01, 0.1), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("velocity", "m s-1")}

    def __post_init__(self) -> None:
        check_setting("n", self.n, 16, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {"u0": FieldInput("initial velocity", "m s-1", self.initial, initial_of="u")}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.periodic("x", self.n, self.length, "m"),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _wavenumbers(self) -> Array:
        highest = (self.n - 1) // 3  # products of two modes alias onto none of these
        return 2 * np.pi / self.length * np.arange(highest + 1)

    def solve(self, inputs: Inputs) -> Solution:
        k = self._wavenumbers
        frames = np.empty((self.n_times, self.n))
        status, reached, *_ = semilinear.integrate(
            inputs["u0"],
            -inputs["nu"] * k**2,
            (-0.5j * k)[None],
            self.times,
            self.tolerance,
            frames,
        )
        if status != semilinear.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"u": frames}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-6, 1e-4, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Momentum ∫u dx, which is conserved, and energy ∫u²/2 dx, which never grows."""
        u, dx = solution["u"], self.length / self.n
        return {"momentum": u.sum(axis=1) * dx, "energy": 0.5 * (u**2).sum(axis=1) * dx}
