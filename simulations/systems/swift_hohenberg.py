"""Swift–Hohenberg equation: stripes of a given wavelength."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.periodic_scalar import PeriodicScalar, Symbol


@dataclass(frozen=True)
class SwiftHohenberg(PeriodicScalar):
    """Swift–Hohenberg equation on a periodic interval.

        ∂u/∂t = r u − (1 + ∂²/∂x²)² u + g u² − u³

    Fourier pseudo-spectral in space, free of aliasing; fifth-order exponential time differencing
    with controlled steps in time: spectral accuracy in space.

    Args:
        n: grid points.
        length: length of the interval.
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

    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        return inputs["r"] - (1 - k**2) ** 2

    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        return np.stack([np.full(k.size, inputs["g"]), np.full(k.size, -1.0)])

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean square amplitude."""
        return {"mean_square": self.integral(solution["u"] ** 2) / self.length}
