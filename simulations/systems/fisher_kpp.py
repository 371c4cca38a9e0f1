"""Fisher–KPP equation: fronts of a population that spreads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulations.inputs import Bounded, Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.periodic_scalar import PeriodicScalar, Symbol


@dataclass(frozen=True)
class FisherKPP(PeriodicScalar):
    """Fisher–KPP equation on a periodic interval.

        ∂u/∂t = D ∂²u/∂x² + r u (1 − u)

    Fourier pseudo-spectral in space, free of aliasing; fifth-order exponential time differencing
    with controlled steps in time: spectral accuracy in space.

    Args:
        n: grid points.
        length: length of the interval.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial density, which must not be negative: below
            zero, densities run away.

    References:
        Fisher, Annals of Eugenics 7 (1937) 355. Ablowitz and Zeppetella, Bulletin of Mathematical
        Biology 41 (1979) 835: an exact travelling wave.
    """

    n: int = 256
    length: float = 1.0
    t_end: float = 1.0
    n_times: int = 51
    initial: Distribution = Bounded(
        GaussianRandomField(alpha=3.0, tau=8.0, scale=1500.0), low=0.0, high=1.0
    )

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "diffusivity": Parameter("diffusivity", "1", (1e-6, 100.0), (5e-4, 5e-3), "log"),
        "rate": Parameter("growth rate", "1", (0.0, 1000.0), (1.0, 10.0), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("density", "1")}
    admissible: ClassVar[tuple[float, float]] = (0.0, 100.0)

    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        return inputs["rate"] - inputs["diffusivity"] * k**2

    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        return np.full((1, k.size), -inputs["rate"])

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Population ∫u dx."""
        return {"population": self.integral(solution["u"])}
