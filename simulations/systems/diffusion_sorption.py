"""Diffusion of a substance through a soil that takes it up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, Uniform
from simulations.numerics import tridiagonal
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Sampling,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

#: Singly diagonal implicit scheme of order 4 with five stages, L-stable; its diagonal is 1/4
GAMMA = 0.25
STAGES = np.array(
    [
        [1 / 4, 0, 0, 0, 0],
        [1 / 2, 1 / 4, 0, 0, 0],
        [17 / 50, -1 / 25, 1 / 4, 0, 0],
        [371 / 1360, -137 / 2720, 15 / 544, 1 / 4, 0],
        [25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4],
    ]
)
#: Difference between the solution, which is the last stage, and the embedded one of order 3
ESTIMATE = STAGES[4] - np.array([59 / 48, -17 / 96, 225 / 32, -85 / 12, 0])

COMPLETED, STEP_UNDERFLOW = 0, 1
NEWTON_STEPS = 12
#: Part of the admissible error of a step that the iterations may leave
NEWTON_SHARE = 1e-3
#: Below this concentration, where its slope tends to infinity, sorption is taken as linear
SMALLEST = 1e-14


@kernel
def stored(u, capacity, exponent, content, slope):
    """What the soil holds at a concentration, u + S uⁿ, and its derivative, the retardation R."""
    for i in range(u.size):
        c = max(u[i], SMALLEST)
        sorbed = capacity * c ** (exponent - 1.0)
        content[i] = u[i] + sorbed * u[i]
        slope[i] = 1.0 + exponent * sorbed


@kernel
def flow(u, conductance, inlet, outlet, rate):
    """Net inflow of each cell: D ∂²u/∂x² with u = 1 at the inlet; see `DiffusionSorption`."""
    n = u.size
    for i in range(1, n - 1):
        rate[i] = conductance * (u[i - 1] - 2.0 * u[i] + u[i + 1])
    rate[0] = conductance * (inlet * (1.0 - u[0]) + u[1] - u[0])
    rate[n - 1] = conductance * (u[n - 2] - u[n - 1] - outlet * u[n - 1])


@kernel
def _solve_stage(u, target, step, conductance, inlet, outlet, sorption, bound, matrix, work):
    """Newton's method for w(u) − γ Δt D ∂²u/∂x² = target; returns whether it converged."""
    n = u.size
    lower, diagonal, upper, factors = matrix
    content, slope, rate, change = work
    side = -GAMMA * step * conductance
    for _ in range(NEWTON_STEPS):
        stored(u, sorption[0], sorption[1], content, slope)
        flow(u, conductance, inlet, outlet, rate)
        for i in range(n):
            change[i] = target[i] - content[i] + GAMMA * step * rate[i]
            lower[i], diagonal[i], upper[i] = side, slope[i] - 2.0 * side, side
        diagonal[0] = slope[0] - side * (1.0 + inlet)
        diagonal[n - 1] = slope[n - 1] - side * (1.0 + outlet)
        tridiagonal.solve(lower, diagonal, upper, change, factors)
        total = 0.0
        for i in range(n):
            # Never below zero: from there the iterations would not come back
            moved = max(change[i], -0.9 * u[i])
            u[i] += moved
            total += moved * moved
        if total <= n * bound * bound:
            return True
    return False


@kernel
def integrate(u0, conductance, inlet, outlet, sorption, times, tolerance, frames):
    """Integrate w(u)' = D ∂²u/∂x² with controlled steps.

    Args:
        u0: initial concentration of the cells.
        conductance: D/Δx².
        inlet: conductance from the inlet to the first centre, over the one between two centres.
        outlet: the same from the last centre to what is zero behind the outlet.
        sorption: S and n of the sorbed amount S uⁿ.
        times: ascending instants.
        tolerance: admissible error of a step, root mean square.
        frames: concentration at ``times``, the first one left alone.

    Returns:
        Status and the time reached.
    """
    n = u0.size
    u, new = u0.copy(), np.empty(n)
    content, target, slope = np.empty(n), np.empty(n), np.empty(n)
    rates = np.empty((5, n))
    matrix = (np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    work = (np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    span = times[times.size - 1] - times[0]
    t, wanted = times[0], min(span, 0.1 * tolerance**0.25 / conductance)
    for frame in range(1, times.size):
        while t < times[frame]:
            remaining = times[frame] - t
            count = np.ceil(remaining / wanted - 1e-9)
            step = remaining / max(count, 1.0)
            if not step > 1e-14 * span:
                return STEP_UNDERFLOW, t
            stored(u, sorption[0], sorption[1], content, slope)
            new[:] = u
            converged = True
            for stage in range(5):
                for i in range(n):
                    target[i] = content[i]
                for j in range(stage):
                    weight = step * STAGES[stage, j]
                    for i in range(n):
                        target[i] += weight * rates[j, i]
                bound = NEWTON_SHARE * tolerance
                converged = _solve_stage(
                    new, target, step, conductance, inlet, outlet, sorption, bound, matrix, work
                )
                if not converged:
                    break
                flow(new, conductance, inlet, outlet, rates[stage])
            error = _error(rates, step, slope, conductance, inlet, outlet, matrix, target)
            if not converged or not error <= tolerance:
                shrink = 0.9 * (tolerance / error) ** 0.25 if converged else 0.25
                wanted = step * (max(0.2, shrink) if shrink < 1.0 else 0.2)
                continue
            t = times[frame] if count <= 1.0 else t + step
            wanted = step * min(4.0, 0.9 * (tolerance / max(error, 1e-3 * tolerance)) ** 0.25)
            u, new = new, u
        frames[frame] = u
    return COMPLETED, t


@kernel
def _error(rates, step, slope, conductance, inlet, outlet, matrix, error):
    """Root mean square of the estimate, damped where the equation is stiff."""
    n = error.size
    lower, diagonal, upper, factors = matrix
    side = -GAMMA * step * conductance
    for i in range(n):
        total = 0.0
        for stage in range(5):
            total += ESTIMATE[stage] * rates[stage, i]
        error[i] = step * total
        lower[i], diagonal[i], upper[i] = side, slope[i] - 2.0 * side, side
    diagonal[0] = slope[0] - side * (1.0 + inlet)
    diagonal[n - 1] = slope[n - 1] - side * (1.0 + outlet)
    tridiagonal.solve(lower, diagonal, upper, error, factors)
    total = 0.0
    for i in range(n):
        total += error[i] * error[i]
    return np.sqrt(total / n)


@dataclass(frozen=True)
class DiffusionSorption(Simulation):
    """Diffusion in groundwater retarded by Freundlich sorption.

        ∂w/∂t = D ∂²u/∂x²,   w = u + S uⁿ,   S = ρ k (1 − φ)/φ
        u(0, t) = 1,   u(1, t) = −D/v ∂u/∂x(1, t)

    which is ∂u/∂t = (D/R) ∂²u/∂x² with the retardation R = dw/du. What diffuses to the outlet is
    carried away at the speed v = 1 m/s. Finite volumes of second order for the total amount w,
    which is conserved exactly; implicit Runge–Kutta of order 4 with controlled steps, Newton's
    method on tridiagonal systems.

    The preset ``pdebench`` has the soil, the domain, the points, the stored times and the initial
    values of PDEBench's ``1D_diff-sorp``. There the condition at the outlet has the other sign,
    u = D ∂u/∂x, with which disturbances on the scale of D grow at a rate of 1/(DR): their grid does
    not resolve them. Either way the value at the outlet is nearly zero.

    Args:
        n: cells.
        t_end: last stored time in s.
        n_times: stored times, the initial one included.
        density: ρ of the soil in kg/m³.
        tolerance: admissible error of a step, root mean square, as part of the value at the inlet.
        initial: distribution of the initial concentration.

    References:
        Praditia et al., Finite volume neural network, Water Resources Research 58 (2022): the
        model; Takamoto et al., PDEBench (2022): the preset.
        Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.6: the scheme.
    """

    n: int = 256
    t_end: float = 500.0
    n_times: int = 26
    density: float = 2880.0
    tolerance: float = 1e-6
    initial: Distribution = Uniform(0.0, 0.2)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "diffusivity": Parameter(
            "effective diffusivity D", "m2 s-1", (1e-8, 1.0), (2.5e-4, 1e-3), "log"
        ),
        "porosity": Parameter("porosity φ", "1", (0.01, 0.99), (0.2, 0.4)),
        "affinity": Parameter(
            "Freundlich's coefficient k", "m3 kg-1", (0.0, 1.0), (2e-4, 5e-4), "log"
        ),
        "exponent": Parameter("Freundlich's exponent n", "1", (0.1, 2.0), (0.7, 1.0)),
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "u": Field("dissolved concentration over that at the inlet", "1")
    }
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "pdebench": {
            "n": 1024,
            "n_times": 101,
            "sampling": Sampling(
                cases=[
                    {"diffusivity": 5e-4, "porosity": 0.29, "affinity": 3.5e-4, "exponent": 0.874}
                ]
            ),
        }
    }

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 2**20, integer=True)
        check_setting("t_end", self.t_end, 1e-9, 1e12)
        check_setting("n_times", self.n_times, 2, 1e6, integer=True)
        check_setting("density", self.density, 0.0, 1e5)
        check_setting("tolerance", self.tolerance, 1e-12, 1e-1)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        described = "initial dissolved concentration"
        return {"u0": FieldInput(described, "1", self.initial, (0.0, 1e3), initial_of="u")}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.cells("x", self.n, unit="m", boundary=("wall", "open")),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def capacity(self, inputs: Inputs) -> float:
        """S, the sorbed amount at the concentration of the inlet."""
        solid = (1.0 - inputs["porosity"]) / inputs["porosity"]
        return float(solid * self.density * inputs["affinity"])

    def solve(self, inputs: Inputs) -> Solution:
        frames = np.empty((self.n_times, self.n))
        frames[0] = inputs["u0"]
        diffusivity = float(inputs["diffusivity"])
        half = 0.5 / self.n
        status, reached = integrate(
            frames[0],
            diffusivity * self.n**2,
            2.0,
            1.0 / (self.n * (half + diffusivity)),
            np.array([self.capacity(inputs), inputs["exponent"]]),
            self.times,
            self.tolerance,
            frames,
        )
        if status != COMPLETED:
            raise SimulationDiverged(reached, "no time step meets the tolerance")
        return {"u": frames}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))

    def coarsened(self) -> Iterator[Self]:
        """Fewer points and looser steps."""
        return self.coarser_and_looser((1e-5, 1e-4, 1e-3, 1e-2))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Mean dissolved concentration, which rises or falls by what crosses the ends."""
        return {"dissolved": solution["u"].mean(axis=1)}
