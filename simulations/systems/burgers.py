"""Viscous Burgers equation, the smallest equation that steepens waves and dissipates them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.periodic_scalar import PeriodicScalar, Symbol


@dataclass(frozen=True)
class Burgers(PeriodicScalar):
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

    initial: Distribution = GaussianRandomField(alpha=2.0, tau=5.0, scale=25.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("viscosity", "m2 s-1", (1e-5, 10.0), (0.01, 0.1), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("velocity", "m s-1")}
    length_unit: ClassVar[str] = "m"
    time_unit: ClassVar[str] = "s"

    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        return -inputs["nu"] * k**2

    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        return (-0.5j * k)[None]

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Momentum ∫u dx, which is conserved, and energy ∫u²/2 dx, which never grows."""
        u = solution["u"]
        return {"momentum": self.integral(u), "energy": self.integral(0.5 * u**2)}
