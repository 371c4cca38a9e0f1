"""Incompressible Navier–Stokes equations in a periodic square, as the transport of vorticity."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics import dealiased, exponential
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Sampling,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)
from simulations.systems.vorticity_transport import VorticityTransport

FORCINGS = ("none", "diagonal", "kolmogorov")
#: Periods of Kolmogorov's forcing across the square
KOLMOGOROV_WAVES = 4


@dataclass(frozen=True)
class NavierStokes(Simulation):
    """Vorticity of an incompressible flow in a periodic square.

        ∂ω/∂t + u ∂ω/∂x + v ∂ω/∂y = ν Δω − μ ω + f
        u = ∂ψ/∂y,   v = −∂ψ/∂x,   −Δψ = ω = ∂v/∂x − ∂u/∂y

    Fourier pseudo-spectral, free of aliasing by the 2/3 rule, with four transforms to a right-hand
    side (`vorticity_transport`). Fifth-order exponential time differencing with controlled steps.
    The forcing f is

        diagonal:    0.1 (sin 2π(x + y)/L + cos 2π(x + y)/L)
        kolmogorov:  −q cos qy with q = 8π/L, the curl of sin qy in x

    Presets: ``fno_paper``, the data of the Fourier neural operator at ν = 1e-3 as described in the
    paper (stored on the grid of 256² points that they solved on, and thinned out to 64²);
    ``fno_generator``, as their published generator draws them, with 7^(3/2) as the factor of the
    square root of the covariance and not, as printed, of the covariance; ``kolmogorov``;
    ``decaying``, without forcing.

    Args:
        n: grid points along each side.
        length: side L of the square in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        forcing: ``none``, ``diagonal`` or ``kolmogorov``.
        drag: μ in s⁻¹.
        tolerance: admissible relative L2 error of a time step.
        initial: distribution of the initial vorticity; a mean value cannot be there.

    References:
        Li et al., Fourier neural operator for parametric PDEs (2021), section 5.3.
    """

    n: int = 64
    length: float = 1.0
    t_end: float = 10.0
    n_times: int = 11
    forcing: str = "diagonal"
    drag: float = 0.0
    tolerance: float = 1e-6
    initial: Distribution = GaussianRandomField(alpha=2.5, tau=7.0, scale=7.0**0.75)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "nu": Parameter("viscosity", "m2 s-1", (1e-8, 10.0), (1e-3, 1e-2), "log")
    }
    fields: ClassVar[Mapping[str, Field]] = {"vorticity": Field("vorticity", "s-1")}
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fno_paper": {
            "n": 256,
            "t_end": 50.0,
            "n_times": 51,
            "sampling": Sampling(cases=[{"nu": 1e-3}]),
        },
        "fno_generator": {
            "n": 256,
            "t_end": 50.0,
            "n_times": 51,
            "initial": GaussianRandomField(alpha=2.5, tau=7.0, scale=7.0**1.5),
            "sampling": Sampling(cases=[{"nu": 1e-3}]),
        },
        "kolmogorov": {
            "n": 128,
            "length": 2 * np.pi,
            "t_end": 20.0,
            "n_times": 201,
            "forcing": "kolmogorov",
            "drag": 0.1,
            "initial": GaussianRandomField(alpha=2.5, tau=3.0, scale=80.0),
            "sampling": Sampling(cases=[{"nu": 1e-2}]),
        },
        "decaying": {
            "n": 128,
            "length": 2 * np.pi,
            "t_end": 10.0,
            "n_times": 101,
            "forcing": "none",
            "initial": GaussianRandomField(alpha=2.5, tau=3.0, scale=160.0),
            "sampling": Sampling({"nu": (5e-4, 2e-3)}),
        },
    }
    showcase: ClassVar[Showcase] = Showcase(
        preset="decaying", settings={"n": 192, "n_times": 11}, inputs={"nu": 5e-4}
    )

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 8192, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("drag", self.drag, 0.0, 1e6)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)
        if self.forcing not in FORCINGS:
            raise InvalidInput(f"forcing={self.forcing!r}: must be one of {', '.join(FORCINGS)}")

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        start = FieldInput("initial vorticity", "s-1", self.initial, initial_of="vorticity")
        return {"vorticity0": start}

    @cached_property
    def grid(self) -> Grid:
        return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in "xy"))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _forcing(self) -> Array:
        """f at the points."""
        x = self.grid.axes[0].points
        f = np.zeros(self.grid.shape)
        if self.forcing == "diagonal":
            phase = 2 * np.pi / self.length * (x[:, None] + x)
            f = 0.1 * (np.sin(phase) + np.cos(phase))
        elif self.forcing == "kolmogorov":
            q = 2 * np.pi * KOLMOGOROV_WAVES / self.length
            f = np.broadcast_to(-q * np.cos(q * x), self.grid.shape)
        return f

    def solve(self, inputs: Inputs) -> Solution:
        start = np.asarray(inputs["vorticity0"])
        transport = VorticityTransport(self.grid.shape, (self.length, self.length))
        forcing = dealiased.spectrum_of(self._forcing, 2)

        def nonlinear(spectra: np.ndarray) -> np.ndarray:
            rates = transport(spectra)
            rates[0] += forcing
            return rates

        linear = -inputs["nu"] * dealiased.squared(transport.k) - self.drag
        frames = np.empty((self.n_times, *self.grid.shape))
        frames[0] = start
        spectra = dealiased.spectrum_of(start[None], 2)
        march = exponential.march(spectra, linear, nonlinear, self.times, self.tolerance)
        try:
            for frame, reached in enumerate(march, start=1):
                frames[frame] = dealiased.fields_of(reached[0], self.grid.shape)
        except exponential.StepUnderflow as error:
            raise SimulationDiverged(error.time, "no time step meets the tolerance") from None
        return {"vorticity": frames}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-4, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        vorticity = fields["vorticity"]
        slope_x, slope_y = d.gradient(vorticity)
        psi_x, psi_y = d.gradient(-d.inverse_laplacian(vorticity))
        return {
            "vorticity": {
                "rate": d.time(vorticity),
                "advection": psi_y * slope_x - psi_x * slope_y,
                "viscosity": -inputs["nu"] * d.laplacian(vorticity),
                "drag": self.drag * vorticity,
                "forcing": -d.constant(self._forcing, vorticity),
            }
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Circulation ∫ω, energy ∫|u|²/2 and enstrophy ∫ω²/2, per area.

        The first is conserved without forcing, the other two without viscosity and drag too.
        """
        vorticity = solution["vorticity"]
        spectrum = scipy.fft.fft2(vorticity, norm="forward")
        k = 2 * np.pi / self.length * scipy.fft.fftfreq(self.n, 1 / self.n)
        squared = k[:, None] ** 2 + k**2
        squared[0, 0] = np.inf
        density = np.abs(spectrum) ** 2
        return {
            "circulation": vorticity.mean(axis=(1, 2)),
            "energy": 0.5 * (density / squared).sum(axis=(1, 2)),
            "enstrophy": 0.5 * (vorticity**2).mean(axis=(1, 2)),
        }

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"circulation": 0.0}
