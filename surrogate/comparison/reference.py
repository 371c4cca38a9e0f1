"""The finer solution that everybody is measured against, and how far it can be trusted itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulations.simulation import (
    Array,
    Inputs,
    InvalidInput,
    Simulation,
    SimulationDiverged,
    Solution,
)
from surrogate.comparison.measures import mean_error, solution_errors

#: Errors of one sample against a true solution, by field or quantity
Measure = Callable[[Simulation, Mapping[str, Array], Mapping[str, Array]], dict[str, float]]

#: How many times smaller than an error the reference's own must be to judge it
MARGIN = 10.0

# Roache's safety factors: with an observed order of convergence, and without
SAFETY, SAFETY_WITHOUT_ORDER = 1.25, 3.0
# An order above this is that of a grid too coarse to tell, and is not believed
HIGHEST_ORDER = 4.0
LOWEST_ORDER = 0.5


@dataclass(frozen=True)
class Reference:
    """Where the reference comes from and what errors it can resolve.

    Attributes:
        settings: of the reference's simulation.
        error: bound on its relative L2 error on the evaluation grid, mean over fields.
        interpolation_error: what moving it to the evaluation grid adds, estimated.
        order: observed order of convergence, None if none was seen.
        errors_in: the same bound by other measures, by the name of the measure.
    """

    settings: dict[str, Any]
    error: float
    interpolation_error: float
    order: float | None
    errors_in: Mapping[str, float] = field(default_factory=dict)

    @property
    def resolves(self) -> float:
        """Smallest error that can be measured against it."""
        return MARGIN * max(self.error, self.interpolation_error)


def refined(simulation: Simulation) -> Simulation:
    """A clearly more accurate version: twice the resolution, or what the solver can do of it.

    A system with a setting ``tolerance`` gets a hundredth of it, too.

    Raises:
        InvalidInput: there is no such version.
    """
    finer = simulation
    for factor in (2.0, 1.5):
        with suppress(InvalidInput):
            finer = simulation.rescaled(factor)
            break
    tolerance = finer.settings.get("tolerance")
    if isinstance(tolerance, float):
        with suppress(InvalidInput):
            finer = type(finer).from_settings({**finer.settings, "tolerance": tolerance / 100})
    if finer == simulation:
        raise InvalidInput(f"{simulation}: cannot run at a higher resolution to be judged")
    return finer


def doubles(finer: Simulation, simulation: Simulation) -> bool:
    """Whether one has twice the points of the other along each axis."""
    return finer.grid.shape == tuple(2 * points for points in simulation.grid.shape)


def solve_elsewhere(simulation: Simulation, solver: Simulation, inputs: Inputs) -> Solution:
    """Solve with another resolution of a simulation, and bring the solution to its grid."""
    solution = solver.run(simulation.transfer_inputs(inputs, solver))
    return solver.transfer_solution(solution, simulation)


def own_error(
    simulation: Simulation,
    coarse: Sequence[Solution | None],
    middle: Sequence[Solution | None],
    fine: Sequence[Solution | None],
    measure: Measure = solution_errors,
) -> tuple[float, float | None]:
    """Error of the finest of three resolutions by its distance from the others.

        p = log₂(‖u_4h − u_2h‖ / ‖u_2h − u_h‖),   error ≤ 1.25 ‖u_2h − u_h‖ / (2^p − 1)

    Without a sane order the bound is three times the distance.

    Args:
        simulation: whose grid the solutions are on.
        coarse: solutions of some inputs; None where a run failed.
        middle: the same at twice the resolution.
        fine: the same at four times the resolution.
        measure: of the distance between two solutions.

    Returns:
        Mean error over inputs (NaN without any), and the order of convergence, if one was observed.

    References:
        Celik et al., Journal of Fluids Engineering 130 (2008) 078001; Roache, AIAA Journal 36
        (1998) 696.
    """

    def distance(these: Sequence[Solution | None], those: Sequence[Solution | None]) -> float:
        pairs = zip(these, those, strict=True)
        apart = [mean_error(measure(simulation, a, b)) for a, b in pairs if a and b]
        return float(np.mean(apart)) if apart else math.nan

    change, former_change = distance(middle, fine), distance(coarse, middle)
    order = math.log2(former_change / change) if former_change > 0 and change > 0 else math.nan
    if not order >= LOWEST_ORDER:
        return SAFETY_WITHOUT_ORDER * change, None
    return SAFETY * change / (2 ** min(order, HIGHEST_ORDER) - 1), order


def interpolation_error(
    simulation: Simulation, reference: Simulation, solutions: Sequence[Solution]
) -> float:
    """What is lost by evaluating a reference at the points of a coarser grid.

    Nothing, if those are among its own points. Otherwise solutions are moved to the grid of the
    simulation, and to one of half its resolution, and back; the losses are extrapolated.

    Args:
        simulation: whose grid the reference is evaluated on.
        reference: the finer simulation.
        solutions: of the reference, on its own grid, at least one.
    """
    pairs = zip(simulation.grid.axes, reference.grid.axes, strict=True)
    if all(np.isclose(a.points[:, None], b.points, atol=1e-12).any(axis=1).all() for a, b in pairs):
        return 0.0

    def loss(coarser: Simulation) -> float:
        losses = []
        for solution in solutions:
            there = reference.transfer_solution(solution, coarser)
            back = coarser.transfer_solution(there, reference)
            losses.append(mean_error(solution_errors(reference, back, solution)))
        return float(np.mean(losses))

    ours = loss(simulation)
    try:
        return ours * min(1.0, ours / loss(simulation.rescaled(0.5)))
    except (InvalidInput, ZeroDivisionError):
        return ours


def solve_or_none(simulation: Simulation, solver: Simulation, inputs: Inputs) -> Solution | None:
    """`solve_elsewhere`, or None where the solver fails."""
    try:
        return solve_elsewhere(simulation, solver, inputs)
    except SimulationDiverged:
        return None
