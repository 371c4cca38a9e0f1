"""What all semilinear equations of one field on a periodic interval have in common."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics import semilinear
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

Symbol = NDArray[np.inexact]


@dataclass(frozen=True)
class PeriodicScalar(Simulation):
    """Semilinear equation of one field on a periodic interval.

        ∂u/∂t = L u + Σ_p g_p u^(p+2)

    with differential operators L and g_p of constant coefficients. Fourier pseudo-spectral in
    space, free of aliasing; fifth-order exponential time differencing with controlled steps in
    time. A subclass gives L and g_p as functions of the wavenumber.

    Args:
        n: grid points.
        length: length of the interval.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        tolerance: admissible relative L2 error of a time step; the stored frames have about this
            error too.
        initial: distribution of the initial field.
    """

    n: int = 256
    length: float = 1.0
    t_end: float = 1.0
    n_times: int = 11
    tolerance: float = 1e-8
    initial: Distribution = GaussianRandomField()

    #: Highest power of u in the equation
    degree: ClassVar[int] = 2
    length_unit: ClassVar[str] = "1"
    #: Values that an initial field may have
    admissible: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("field", "1")}
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 16, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-1)

    @abstractmethod
    def linear(self, k: Array, inputs: Inputs) -> Symbol:
        """Fourier symbol of L at the wavenumbers k."""

    @abstractmethod
    def nonlinear(self, k: Array, inputs: Inputs) -> Symbol:
        """Fourier symbols of g_p, ``(degree − 1, k.size)``."""

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        u = self.fields["u"]
        described = f"initial {u.description}"
        start = FieldInput(described, u.unit, self.initial, self.admissible, initial_of="u")
        return {"u0": start}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.periodic("x", self.n, self.length, self.length_unit),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    @cached_property
    def _wavenumbers(self) -> Array:
        highest = (self.n - 1) // (self.degree + 1)  # products of modes alias onto none of these
        return 2 * np.pi / self.length * np.arange(highest + 1)

    def solve(self, inputs: Inputs) -> Solution:
        k = self._wavenumbers
        frames = np.empty((self.n_times, self.n))
        status, reached, *_ = semilinear.integrate(
            inputs["u0"],
            self.linear(k, inputs),
            np.asarray(self.nonlinear(k, inputs), dtype=complex),
            self.times,
            self.tolerance,
            frames,
        )
        if status != semilinear.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"u": frames}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-6, 1e-4, 1e-2))

    def integral(self, values: Array) -> Array:
        """``∫ values dx`` of each frame, exact for what the grid resolves."""
        return values.sum(axis=1) * (self.length / self.n)

    def derivative(self, u: Array) -> Array:
        """∂u/∂x of each frame."""
        k = 2j * np.pi / self.length * np.arange(self.n // 2 + 1)
        if self.n % 2 == 0:
            k[-1] = 0.0  # the sawtooth has no slope at its nodes
        return np.fft.irfft(k * np.fft.rfft(u, axis=1), self.n, axis=1)
