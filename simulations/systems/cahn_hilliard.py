"""Cahn–Hilliard equation: a mixture that separates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import Array, Field, Inputs, Parameter
from simulations.systems.periodic_scalar import PeriodicScalar, Symbol


@dataclass(frozen=True)
class CahnHilliard(PeriodicScalar):
    """Cahn–Hilliard equation on a periodic interval.

        ∂u/∂t = M ∂²/∂x² (u³ − u − κ ∂²u/∂x²)

    Fourier pseudo-spectral in space, free of aliasing; fifth-order exponential time differencing
    with controlled steps in time: spectral accuracy in space.
    An interface is about 3√κ wide and wants several grid points.

    Args:
        n: grid points.
        length: length of the interval.
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

    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        return inputs["mobility"] * (k**2 - inputs["kappa"] * k**4)

    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        return np.stack([np.zeros(k.size), -inputs["mobility"] * k**2])

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mass ∫u dx, which is conserved, and ∫(1 − u²)²/4 dx, which falls as phases separate."""
        u = solution["u"]
        return {"mass": self.integral(u), "bulk_energy": self.integral((1 - u**2) ** 2 / 4)}
