"""Allen–Cahn equation: two phases and the fronts between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter, Showcase
from simulations.systems.periodic_scalar import IsotropicScalar, Nonlinear, Symbol


@dataclass(frozen=True)
class AllenCahn(IsotropicScalar):
    """Allen–Cahn equation in a periodic box of one to three dimensions.

        ∂u/∂t = ε² Δu + u − u³

    Fourier pseudo-spectral in space, on an interval free of aliasing; fifth-order exponential time
    differencing with controlled steps in time: spectral accuracy in space.
    A front is about 3ε wide and wants several grid points; where it is curved it moves towards its
    centre at ε² times its curvature.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial order parameter.

    References:
        Allen and Cahn, Acta Metallurgica 27 (1979) 1085.
    """

    n: int = 256
    length: float = 1.0
    t_end: float = 20.0
    n_times: int = 51
    initial: Distribution = GaussianRandomField(alpha=2.0, tau=10.0, scale=60.0)

    degree: ClassVar[int] = 3
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "epsilon": Parameter("width of a front", "1", (1e-4, 10.0), (0.01, 0.03), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("order parameter", "1")}
    showcase: ClassVar[Showcase] = Showcase(
        settings={"ndim": 2, "n": 192, "n_times": 11}, inputs={"epsilon": 0.01}
    )

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return 1.0 - inputs["epsilon"] ** 2 * squared

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return 1.0, (0.0, -1.0)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        spread = -(inputs["epsilon"] ** 2) * d.laplacian(u)
        return {"phase": {"rate": d.time(u), "diffusion": spread, "reaction": u * u * u - u}}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean square of u and ∫(1 − u²)²/4, the part of the energy that knows no ε."""
        u = solution["u"]
        return {
            "mean_square": (u**2).mean(axis=tuple(range(1, u.ndim))),
            "bulk_energy": self.integral((1 - u**2) ** 2 / 4),
        }
