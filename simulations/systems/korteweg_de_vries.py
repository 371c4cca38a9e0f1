"""Korteweg–de Vries equation: solitons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter, Showcase
from simulations.systems.periodic_scalar import Nonlinear, PeriodicScalar, Symbol


@dataclass(frozen=True)
class KortewegDeVries(PeriodicScalar):
    """Korteweg–de Vries equation on a periodic interval.

        ∂u/∂t + 6u ∂u/∂x + δ ∂³u/∂x³ = 0

    Fourier pseudo-spectral in space, free of aliasing; fifth-order exponential time differencing
    with controlled steps in time: spectral accuracy in space.

    Args:
        n: grid points.
        length: length of the interval.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial elevation.

    References:
        Gardner, Greene, Kruskal, Miura, Physical Review Letters 19 (1967) 1095: its solitons.
    """

    n: int = 256
    length: float = 40.0
    t_end: float = 10.0
    n_times: int = 101
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=0.6, scale=1.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "delta": Parameter("dispersion", "1", (1e-3, 100.0), (0.5, 2.0), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("elevation", "1")}
    showcase: ClassVar[Showcase] = Showcase(settings={"n_times": 201}, inputs={"delta": 0.5})

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return 1j * inputs["delta"] * k[0] ** 3

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return -3j * k[0], (1.0,)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        steepening, dispersion = 6 * u * d.along(u, 0), inputs["delta"] * d.along(u, 0, 3)
        return {
            "elevation": {"rate": d.time(u), "steepening": steepening, "dispersion": dispersion}
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass ∫u dx and momentum ∫u² dx, both conserved; the latter if the grid resolves u."""
        u = solution["u"]
        return {"mass": self.integral(u), "momentum": self.integral(u**2)}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"mass": 0.0}
