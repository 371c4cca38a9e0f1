"""Kuramoto–Sivashinsky equation: chaos in space and time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.periodic_scalar import PeriodicScalar, Symbol


@dataclass(frozen=True)
class KuramotoSivashinsky(PeriodicScalar):
    """Kuramoto–Sivashinsky equation on a periodic interval, in conservative form.

        ∂u/∂t + ∂(u²/2)/∂x + ∂²u/∂x² + ν ∂⁴u/∂x⁴ = 0

    Fourier pseudo-spectral in space, free of aliasing; fifth-order exponential time differencing
    with controlled steps in time: spectral accuracy in space.
    Chaotic: a perturbation grows by a factor of e in about ten units of time.

    Args:
        n: grid points.
        length: length of the interval.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial velocity.

    References:
        Kassam and Trefethen, SIAM Journal on Scientific Computing 26 (2005) 1214: exponential
        integration of this equation.
    """

    n: int = 256
    length: float = 64.0
    t_end: float = 50.0
    n_times: int = 101
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=0.5, scale=1.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("hyperviscosity", "1", (0.05, 100.0), (0.5, 1.5))
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("velocity", "1")}

    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        return k**2 - inputs["nu"] * k**4

    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        return (-0.5j * k)[None]

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Momentum ∫u dx, which is conserved, and energy ∫u²/2 dx, which is fed and dissipated."""
        u = solution["u"]
        return {"momentum": self.integral(u), "energy": self.integral(0.5 * u**2)}
