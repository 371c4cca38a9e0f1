"""What all linear equations of one field with constant coefficients in a periodic box share."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.numerics.fourier import wavevector
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Simulation,
    Solution,
    check_setting,
)


@dataclass(frozen=True)
class PeriodicLinear(Simulation):
    """Linear equation with constant coefficients in a periodic box of one to three dimensions.

        ∂u/∂t = L u

    Fourier modes evolve on their own: each is multiplied by e^(Lt). Exact for what the grid
    resolves, at any stored time, whatever lies between. A subclass gives the symbol of L.

    Args:
        ndim: dimensions of the box, 1 to 3.
        n: grid points along each side.
        length: side of the box in m.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        initial: distribution of the initial field.
    """

    ndim: int = 2
    n: int = 64
    length: float = 1.0
    t_end: float = 1.0
    n_times: int = 11
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=5.0, scale=200.0)

    fields: ClassVar[Mapping[str, Field]] = {"u": Field("field", "1")}

    def __post_init__(self) -> None:
        check_setting("ndim", self.ndim, 1, 3, integer=True)
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("length", self.length, 1e-6, 1e6)
        check_setting("t_end", self.t_end, 1e-9, 1e9)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)

    @abstractmethod
    def symbol(self, k: tuple[Array, ...], squared: Array, inputs: Inputs) -> NDArray[np.inexact]:
        """Growth rate of each mode.

        Args:
            k: wavenumbers for first derivatives along each axis, broadcastable; those that the
                grid cannot tell from their negatives are zero.
            squared: |k|², with all modes.
            inputs: parameters.
        """

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        u = self.fields["u"]
        described = f"initial {u.description}"
        return {"u0": FieldInput(described, u.unit, self.initial, initial_of="u")}

    @cached_property
    def grid(self) -> Grid:
        names = ("x", "y", "z")[: self.ndim]
        return Grid(tuple(Axis.periodic(name, self.n, self.length, "m") for name in names))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        spectrum = scipy.fft.rfftn(inputs["u0"])
        k, squared = wavevector(self.n, self.length, self.ndim)
        rate = self.symbol(k, squared, inputs)
        u = np.empty((self.n_times, *self.grid.shape))
        u[0] = inputs["u0"]
        for frame in range(1, self.n_times):
            moved = spectrum * np.exp(rate * self.times[frame])
            u[frame] = scipy.fft.irfftn(moved, self.grid.shape)
        return {"u": u}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points."""
        for factor in (0.5, 0.25, 0.125):
            try:
                yield self.rescaled(factor)
            except InvalidInput:
                return

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean of u, which is conserved, and of u², which never grows."""
        u = solution["u"].reshape(self.n_times, -1)
        return {"mean": u.mean(axis=1), "mean_square": (u**2).mean(axis=1)}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"mean": 0.0}
