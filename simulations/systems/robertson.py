"""Robertson's chemical reaction: the standard problem of stiff kinetics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.grid import Grid
from simulations.numerics import radau, runge_kutta
from simulations.simulation import (
    Array,
    Field,
    Inputs,
    Parameter,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)


@runge_kutta.slope
def slope(t, state, parameters, rate):
    a, b, c = state
    k1, k2, k3 = parameters
    rate[0] = -k1 * a + k3 * b * c
    rate[1] = k1 * a - k3 * b * c - k2 * b * b
    rate[2] = k2 * b * b


@radau.jacobian
def derivatives(t, state, parameters, matrix):
    _, b, c = state
    k1, k2, k3 = parameters
    matrix[0, 0], matrix[0, 1], matrix[0, 2] = -k1, k3 * c, k3 * b
    matrix[1, 0], matrix[1, 1], matrix[1, 2] = k1, -k3 * c - 2 * k2 * b, -k3 * b
    matrix[2, 0], matrix[2, 1], matrix[2, 2] = 0.0, 2 * k2 * b, 0.0


@dataclass(frozen=True)
class Robertson(Simulation):
    """Autocatalytic reaction of Robertson: rates that differ by nine orders of magnitude.

        A → B,   2B → B + C,   B + C → A + C
        dA/dt = −k₁ A + k₃ B C
        dB/dt = k₁ A − k₂ B² − k₃ B C
        dC/dt = k₂ B²

    from A = 1, B = C = 0. Implicit Runge–Kutta integration of order 5 (Radau IIA) with controlled
    steps. Stored times after the first are equidistant in their logarithm.

    Args:
        t_first: first stored time after the start in s.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        tolerance: admissible error of a step relative to each concentration (of B, to 1e-5 if it is
            smaller than that).

    References:
        Robertson, in Walsh (ed.), Numerical Analysis: An Introduction (1966) 178.
        Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.1.
    """

    t_first: float = 1e-6
    t_end: float = 1e5
    n_times: int = 201
    tolerance: float = 1e-8

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "k1": Parameter("rate of A → B", "s-1", (1e-6, 1e3), (0.02, 0.08), "log"),
        "k2": Parameter("rate of 2B → B + C", "s-1", (1.0, 1e10), (1e7, 1e8), "log"),
        "k3": Parameter("rate of B + C → A + C", "s-1", (1e-2, 1e8), (3e3, 3e4), "log"),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "A": Field("concentration of A", "1", spatial=False),
        "B": Field("concentration of B", "1", spatial=False),
        "C": Field("concentration of C", "1", spatial=False),
    }

    def __post_init__(self) -> None:
        check_setting("t_end", self.t_end, 1e-9, 1e15)
        check_setting("t_first", self.t_first, 1e-15, self.t_end)
        check_setting("n_times", self.n_times, 2, 1e7, integer=True)
        check_setting("tolerance", self.tolerance, 1e-13, 1e-2)

    @property
    def grid(self) -> Grid:
        return Grid()

    @cached_property
    def times(self) -> Array:
        if self.n_times == 2:
            return np.array([0.0, self.t_end])
        later = np.geomspace(self.t_first, self.t_end, self.n_times - 1)
        return np.concatenate([[0.0], later])

    def solve(self, inputs: Inputs) -> Solution:
        parameters = np.array([inputs["k1"], inputs["k2"], inputs["k3"]])
        frames = np.empty((self.n_times, 3))
        status, reached, _ = radau.integrate(
            slope,
            derivatives,
            np.array([1.0, 0.0, 0.0]),
            parameters,
            self.times,
            self.tolerance,
            np.array([1e-5, 1e-5, 1e-5]),
            frames,
        )
        if status != radau.COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"A": frames[:, 0], "B": frames[:, 1], "C": frames[:, 2]}

    def rescaled(self, factor: float) -> Self:
        """The same: there is no grid."""
        return self

    def coarsened(self) -> Iterator[Self]:
        """Looser steps."""
        return self.coarser_and_looser((1e-6, 1e-4, 1e-3, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """The sum of all concentrations, which is conserved."""
        return {"total": solution["A"] + solution["B"] + solution["C"]}

    @property
    def conserved(self) -> Mapping[str, float]:
        return {"total": 0.0}
