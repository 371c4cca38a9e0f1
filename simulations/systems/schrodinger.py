"""Schrödinger equation, linear or cubic, in a harmonic trap or free."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.fft

from simulations.differential import Derivatives, Equations
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics import splitting
from simulations.numerics.fourier import wavevector
from simulations.simulation import (
    NO_INPUTS,
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Showcase,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)


@dataclass(frozen=True)
class Schrodinger(Simulation):
    """Schrödinger equation in a periodic box of one to three dimensions.

        i ∂ψ/∂t = −½ Δψ + ½ω²|x|² ψ + g|ψ|² ψ

    with x counted from the centre of the box. Linear for g = 0; otherwise the cubic equation of a
    condensate (Gross–Pitaevskii), defocusing for g > 0, focusing for g < 0, where a wave in two or
    three dimensions may collapse to a point, which no grid follows.

    Fourier pseudo-spectral with all modes, which conserves the norm on the grid; splitting of order
    four with controlled steps, which conserves it too: to rounding, whatever the tolerance. The
    trap has a kink where the box closes, so ψ should be small there.

    The initial ψ has random real and imaginary parts beneath a Gaussian, with the norm ∫|ψ|² = 1.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error between two stored times.
        initial: distribution of the real and of the imaginary part, up to envelope and norm.
        width: standard deviation of the Gaussian envelope of ψ.

    References:
        Zakharov and Shabat, Soviet Physics JETP 34 (1972) 62: the soliton.
        Blanes and Moan, Journal of Computational and Applied Mathematics 142 (2002) 313: the
        splitting.
    """

    ndim: int = 1
    n: int = 256
    length: float = 20.0
    t_end: float = 5.0
    n_times: int = 51
    tolerance: float = 1e-7
    initial: Distribution = GaussianRandomField(alpha=4.0, tau=2.0, scale=1.0)
    width: float = 1.5

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "interaction": Parameter("interaction g", "1", (-1e4, 1e4), (-5.0, 5.0)),
        "frequency": Parameter("frequency ω of the trap", "1", (0.0, 1e3), (0.0, 1.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "real": Field("real part of the wave function", "1"),
        "imaginary": Field("imaginary part of the wave function", "1"),
    }
    showcase: ClassVar[Showcase] = Showcase(inputs={"interaction": 0.0, "frequency": 1.0})
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 16, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-12, 1e-1)
        check_setting("width", self.width, 1e-9, 1e9)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {
            f"{name}0": FieldInput(
                f"initial {part.description}", "1", self.initial, initial_of=name
            )
            for name, part in self.fields.items()
        }

    @cached_property
    def grid(self) -> Grid:
        names = ("x", "y", "z")[: self.ndim]
        return Grid(tuple(Axis.periodic(name, self.n, self.length) for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def radius_squared(self) -> Array:
        """|x|² at the points."""
        squared = (self.grid.axes[0].points - self.length / 2) ** 2
        return np.asarray(sum(np.meshgrid(*[squared] * self.ndim, indexing="ij")))

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        drawn = super().sample(rng)  # a half that is given has its own size
        envelope = np.exp(-self.radius_squared / (4 * self.width**2))
        real, imaginary = (np.asarray(drawn[name]) * envelope for name in self.field_inputs)
        size = np.sqrt((real**2 + imaginary**2).mean() * self.length**self.ndim)
        return {**drawn, "real0": real / size, "imaginary0": imaginary / size, **given}

    def solve(self, inputs: Inputs) -> Solution:
        _, squared = wavevector(self.n, self.length, self.ndim, real=False)
        psi0 = np.asarray(inputs["real0"]) + 1j * np.asarray(inputs["imaginary0"])
        psi = np.empty((self.n_times, *self.grid.shape), complex)
        status, reached = splitting.integrate(
            psi0,
            0.5 * squared,
            0.5 * inputs["frequency"] ** 2 * self.radius_squared,
            float(inputs["interaction"]),
            self.times,
            self.tolerance,
            psi,
        )
        if status != splitting.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"real": psi.real.copy(), "imaginary": psi.imag.copy()}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-5, 1e-3, 1e-2))

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        real, imaginary = fields["real"], fields["imaginary"]
        trap = 0.5 * inputs["frequency"] ** 2 * d.constant(self.radius_squared, real)
        cubic = inputs["interaction"] * (real * real + imaginary * imaginary)
        return {
            "real": {
                "rate": -d.time(imaginary),
                "kinetic": 0.5 * d.laplacian(real),
                "trap": -trap * real,
                "interaction": -cubic * real,
            },
            "imaginary": {
                "rate": d.time(real),
                "kinetic": 0.5 * d.laplacian(imaginary),
                "trap": -trap * imaginary,
                "interaction": -cubic * imaginary,
            },
        }

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Norm ∫|ψ|², and the parts of the energy, kinetic + ω² trap + g interaction.

        Norm and energy are conserved. The parts are ∫½|∇ψ|², ∫½|x|²|ψ|² and ∫½|ψ|⁴.
        """
        psi = solution["real"] + 1j * solution["imaginary"]
        space = tuple(range(1, psi.ndim))
        density = np.abs(psi) ** 2
        _, squared = wavevector(self.n, self.length, self.ndim, real=False)
        spectrum = scipy.fft.fftn(psi, axes=space, norm="forward")
        volume = self.length**self.ndim
        return {
            "norm": volume * density.mean(axis=space),
            "kinetic": volume * (0.5 * squared * np.abs(spectrum) ** 2).sum(axis=space),
            "trap": volume * (0.5 * self.radius_squared * density).mean(axis=space),
            "interaction": volume * (0.5 * density**2).mean(axis=space),
        }

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"norm": 0.0}
