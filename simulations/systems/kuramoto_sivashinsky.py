"""Kuramoto–Sivashinsky equation: chaos in space and time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics.exponential import Spectrum
from simulations.simulation import Array, Field, Inputs, InvalidInput, Parameter, Showcase
from simulations.systems.periodic_scalar import IsotropicScalar, Nonlinear, Symbol


@dataclass(frozen=True)
class KuramotoSivashinsky(IsotropicScalar):
    """Kuramoto–Sivashinsky equation in a periodic interval or square.

        ∂u/∂t + ∂(u²/2)/∂x + ∂²u/∂x² + ν ∂⁴u/∂x⁴ = 0     in one dimension
        ∂u/∂t + |∇u|²/2 + Δu + ν Δ²u = 0                  in two

    In one dimension u is the velocity, in conservative form; in two it is the potential of the
    velocity, the height of a front. Both are the same equation: the slope ∂u/∂x of a height that
    varies with x alone is the u of one dimension. The mean height sinks, at half the mean square of
    the slope, and counts in the norm that the tolerance is relative to.

    Fourier pseudo-spectral in space, free of aliasing on the interval; fifth-order exponential time
    differencing with controlled steps in time: spectral accuracy in space.
    Chaotic: a perturbation grows by a factor of e in about ten units of time. Waves longer than
    2π√ν grow, fastest the one of length 2π√(2ν); the grid must keep all of them.

    Args:
        ndim: dimensions of the box, 1 or 2.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial velocity, or height.

    References:
        Kassam and Trefethen, SIAM Journal on Scientific Computing 26 (2005) 1214: exponential
        integration of this equation.
        Kalogirou, Keaveny, Papageorgiou, Proceedings of the Royal Society A 471 (2015) 20140932:
        two dimensions.
    """

    n: int = 256
    length: float = 64.0
    t_end: float = 50.0
    n_times: int = 101
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=0.5, scale=1.0)

    highest_ndim: ClassVar[int] = 2
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("hyperviscosity", "1", (0.05, 100.0), (0.5, 1.5))
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("velocity, in 2-D its potential", "1")}
    showcase: ClassVar[Showcase] = Showcase(
        settings={"n": 512, "length": 128.0, "t_end": 150.0, "n_times": 301}, inputs={"nu": 1.0}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        smallest = self.drawn_parameters["nu"].sampling[0]
        shortest = 2 * np.pi * np.sqrt(smallest)
        fewest = int((self.degree + 1) * self.length / shortest) + 2
        if self.n < fewest:
            raise InvalidInput(
                f"n={self.n}: must be at least {fewest}, to keep all waves that grow at "
                f"length={self.length:g} and nu={smallest:g}, those longer than {shortest:.3g}"
            )

    def linear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Symbol:
        return squared - inputs["nu"] * squared**2

    def nonlinear(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> Nonlinear:
        return -0.5j * k[0], (1.0,)

    def rate(self, inputs: Inputs) -> Callable[[Spectrum], Spectrum]:
        slopes = [1j * k for k in self._wavevector[0]]

        def nonlinear(spectrum: Spectrum) -> Spectrum:
            p, q = (scipy.fft.irfft2(slope * spectrum, self.grid.shape) for slope in slopes)
            return -0.5 * scipy.fft.rfft2(p * p + q * q)

        return nonlinear

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        u = fields["u"]
        if self.ndim == 1:
            advection = d.along(u * u / 2, 0)
        else:
            advection = sum(slope * slope for slope in d.gradient(u)) / 2
        bend = d.laplacian(u)
        damping = inputs["nu"] * d.laplacian(bend)
        terms = {"rate": d.time(u), "advection": advection, "growth": bend, "damping": damping}
        return {"front": terms}

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """In one dimension momentum ∫u dx, which is conserved, and energy ∫u²/2 dx.

        In two, the mean height, which sinks at the rate of the energy ∫|∇u|²/2 dx per area.
        """
        u = solution["u"]
        if self.ndim == 1:
            return {"momentum": self.integral(u), "energy": self.integral(0.5 * u**2)}
        return {
            "mean": u.mean(axis=(1, 2)),
            "energy": self.integral(0.5 * self.gradient_squared(u)),
        }

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"momentum": 0.0} if self.ndim == 1 else {}
