"""Swift–Hohenberg equation: stripes of a given wavelength."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter, Showcase
from simulations.systems.periodic_scalar import IsotropicScalar, Nonlinear, Symbol


@dataclass(frozen=True)
class SwiftHohenberg(IsotropicScalar):
    """Swift–Hohenberg equation in a periodic box of one to three dimensions.

        ∂u/∂t = r u − (1 + Δ)² u + g u² − u³

    Fourier pseudo-spectral in space, on an interval free of aliasing; fifth-order exponential time
    differencing with controlled steps in time: spectral accuracy in space.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial amplitude.

    References:
        Swift and Hohenberg, Physical Review A 15 (1977) 319. Cross and Hohenberg, Reviews of
        Modern Physics 65 (1993) 851: the amplitude of the stripes.
    """

    n: int = 256
    length: float = 20 * np.pi
    t_end: float = 50.0
    n_times: int = 51
    initial: Distribution = GaussianRandomField(alpha=2.0, tau=1.0, scale=0.5)

    degree: ClassVar[int] = 3
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "r": Parameter("distance from the onset of stripes", "1", (-10.0, 10.0), (0.1, 0.8)),
        "g": Parameter("quadratic coefficient", "1", (-10.0, 10.0), (0.0, 1.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("amplitude", "1")}
    showcase: ClassVar[Showcase] = Showcase(
        settings={"ndim": 2, "n": 192, "length": 100.0, "t_end": 100.0, "n_times": 11},
        inputs={"r": 0.3, "g": 0.0},
    )

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return inputs["r"] - (1 - squared) ** 2

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return 1.0, (inputs["g"], -1.0)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        detuned = u + d.laplacian(u)
        terms = {
            "rate": d.time(u),
            "growth": -inputs["r"] * u,
            "selection": detuned + d.laplacian(detuned),
            "quadratic": -inputs["g"] * u * u,
            "saturation": u * u * u,
        }
        return {"amplitude": terms}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean square amplitude."""
        u = solution["u"]
        return {"mean_square": (u**2).mean(axis=tuple(range(1, u.ndim)))}
