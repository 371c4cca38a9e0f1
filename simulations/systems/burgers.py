"""Viscous Burgers equation, the smallest equation that steepens waves and dissipates them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField, SineWaves
from simulations.simulation import Array, Field, Inputs, Parameter, Sampling, Showcase
from simulations.systems.periodic_scalar import Nonlinear, PeriodicScalar, Symbol


@dataclass(frozen=True)
class Burgers(PeriodicScalar):
    """Viscous Burgers equation on a periodic interval.

        ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x²

    Fourier pseudo-spectral in space, free of aliasing by the 2/3 rule; fifth-order exponential
    time differencing with controlled steps in time. Spectral accuracy as long as the viscous width
    of a shock, about 4ν/Δu, spans a few grid points; fewer of the n points than that are paid for
    where the solution is smoother.

    The preset ``pdebench`` has the domain, grid, stored times, the twelve viscosities and the
    initial sines of PDEBench, whose equation divides its ν by π: ours is its ν/π. On its grid a
    shock at its smallest ν, 0.001, is thinner than the spacing (errors of about 1e-2; 4e-4 at
    0.002, below 1e-4 from 0.004 on); with ``n=4096`` every case is resolved.

    The preset ``fno_paper`` is the data of the Fourier neural operator as they are, rather than as
    the paper says: ν = 0.1 on an interval of 2π, not 1, from draws of N(0, 625(−Δ + 25)^(−2)) of
    the unit interval that are stretched over it; u₀ and u(1) on 8192 points, which they thin out.

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
        Takamoto et al., PDEBench (2022); Li et al., Fourier neural operator for parametric PDEs
        (2021), section 5.1: the presets.
    """

    initial: Distribution = GaussianRandomField(alpha=2.0, tau=5.0, scale=25.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("viscosity", "m2 s-1", (1e-5, 10.0), (0.01, 0.1), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("velocity", "m s-1")}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "n": 1024,
            "t_end": 2.0,
            "n_times": 201,
            "initial": SineWaves(waves=2, highest=4, absolute=0.1, negative=0.5, windowed=0.1),
            "sampling": Sampling(
                cases=[
                    {"nu": nu / np.pi}
                    for scale in (1e-3, 1e-2, 1e-1, 1.0)
                    for nu in (scale, 2 * scale, 4 * scale)
                ]
            ),
        },
        "fno_paper": {
            "n": 8192,
            "length": 2 * np.pi,
            "t_end": 1.0,
            "n_times": 2,
            # 25 (k² + 25)^−1 in wavenumbers of the unit interval, 2π times ours
            "initial": GaussianRandomField(
                alpha=2.0, tau=5.0 / (2 * np.pi), scale=25.0 * (2 * np.pi) ** -1.5
            ),
            "sampling": Sampling(cases=[{"nu": 0.1}]),
        },
    }
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 512, "n_times": 101}, inputs={"nu": 0.005}
    )
    length_unit: ClassVar[str] = "m"
    time_unit: ClassVar[str] = "s"

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return -inputs["nu"] * squared

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return -0.5j * k[0], (1.0,)

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        advection, viscosity = d.along(u * u / 2, 0), -inputs["nu"] * d.laplacian(u)
        return {"momentum": {"rate": d.time(u), "advection": advection, "viscosity": viscosity}}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Momentum ∫u dx, which is conserved, and energy ∫u²/2 dx, which never grows."""
        u = solution["u"]
        return {"momentum": self.integral(u), "energy": self.integral(0.5 * u**2)}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"momentum": 0.0}
