"""Cahn–Hilliard equation: a mixture that separates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter, Showcase
from simulations.systems.periodic_scalar import IsotropicScalar, Nonlinear, Symbol


@dataclass(frozen=True)
class CahnHilliard(IsotropicScalar):
    """Cahn–Hilliard equation in a periodic box of one to three dimensions.

        ∂u/∂t = M Δ(u³ − u − κ Δu)

    Fourier pseudo-spectral in space, on an interval free of aliasing; fifth-order exponential time
    differencing with controlled steps in time: spectral accuracy in space.
    An interface is about 3√κ wide and wants several grid points.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial concentration difference.

    References:
        Cahn and Hilliard, Journal of Chemical Physics 28 (1958) 258.
    """

    n: int = 256
    length: float = 64.0
    t_end: float = 100.0
    n_times: int = 51
    initial: Distribution = GaussianRandomField(alpha=2.0, tau=1.0, scale=0.5)

    degree: ClassVar[int] = 3
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "kappa": Parameter("square of the interface width", "1", (1e-6, 100.0), (0.5, 2.0), "log"),
        "mobility": Parameter("mobility", "1", (1e-6, 1e3), (0.5, 2.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("concentration difference", "1")}
    showcase: ClassVar[Showcase] = Showcase(
        settings={"ndim": 2, "n": 192, "length": 128.0, "t_end": 1000.0, "n_times": 11},
        inputs={"kappa": 1.0, "mobility": 1.0},
    )

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return inputs["mobility"] * (squared - inputs["kappa"] * squared**2)

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return -inputs["mobility"] * squared, (0.0, 1.0)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u, mobility = fields["u"], inputs["mobility"]
        bend = d.laplacian(u)
        bulk = -mobility * d.laplacian(u * u * u - u)
        interface = mobility * inputs["kappa"] * d.laplacian(bend)
        return {"mass": {"rate": d.time(u), "bulk": bulk, "interface": interface}}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass ∫u, which is conserved, and ∫(1 − u²)²/4, which falls as phases separate."""
        u = solution["u"]
        return {"mass": self.integral(u), "bulk_energy": self.integral((1 - u**2) ** 2 / 4)}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"mass": 0.0}
