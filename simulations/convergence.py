"""How far a solution is from the exact one, estimated from coarser ones of the same problem."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulations.simulation import (
    Array,
    Inputs,
    InvalidInput,
    Simulation,
    SimulationDiverged,
    Solution,
)

#: Roache's safety factor for an order that was measured from three grids
SAFETY_FACTOR = 1.25
#: What an order may be taken for: a spectral method has none, noise has one below zero
LOWEST_ORDER, HIGHEST_ORDER = 0.5, 8.0


@dataclass(frozen=True)
class DiscretisationError:
    """Estimated error of one field, relative to its L2 norm over space and time.

    Args:
        space: grid convergence index, NaN where the grid cannot be coarsened twice.
        order: order of accuracy that the three grids show, NaN likewise.
        time: distance from the solution with a ten times looser tolerance, NaN without one.
    """

    space: float
    order: float
    time: float

    @property
    def total(self) -> float:
        """Sum of what is known."""
        return float(np.nansum([self.space, self.time]))


def discretisation_errors(simulation: Simulation, inputs: Inputs) -> dict[str, DiscretisationError]:
    """Estimate the error of each field of one solution.

    In space by the grid convergence index: with the solutions u₁, u₂, u₄ on the grid and on those
    with twice and four times the spacing,

        p = log₂(‖u₄ − u₂‖ / ‖u₂ − u₁‖),    GCI = 1.25 ‖u₂ − u₁‖ / ((2^p − 1) ‖u₁‖)

    with p limited to [0.5, 8], all compared at the points of the finest grid. In time, where steps
    follow a tolerance, by the distance from a run with a tolerance ten times looser.

    Raises:
        SimulationDiverged: the simulation itself diverges.

    References:
        Roache, Journal of Fluids Engineering 116 (1994) 405.
    """
    fine = simulation.run(inputs)
    coarser = [_on_coarser_grid(simulation, inputs, factor) for factor in (0.5, 0.25)]
    looser = _with_looser_tolerance(simulation, inputs)
    errors = {}
    for name in simulation.fields:
        size = _norm(simulation, name, fine[name]) or 1.0
        space = order = time = math.nan
        middle, coarse = coarser
        if middle is not None and coarse is not None:
            near = _norm(simulation, name, middle[name] - fine[name]) / size
            far = _norm(simulation, name, coarse[name] - middle[name]) / size
            order = math.log2(far / near) if far > 0 < near else HIGHEST_ORDER
            order = min(max(order, LOWEST_ORDER), HIGHEST_ORDER)
            space = SAFETY_FACTOR * near / (2**order - 1)
        if looser is not None:
            time = _norm(simulation, name, looser[name] - fine[name]) / size
        errors[name] = DiscretisationError(space, order, time)
    return errors


def _on_coarser_grid(simulation: Simulation, inputs: Inputs, factor: float) -> Solution | None:
    try:
        coarse = simulation.rescaled(factor)
        if coarse == simulation:  # there is no grid
            return None
        solution = coarse.run(simulation.transfer_inputs(inputs, coarse))
    except (InvalidInput, SimulationDiverged):
        return None
    return coarse.transfer_solution(solution, simulation)


def _with_looser_tolerance(simulation: Simulation, inputs: Inputs) -> Solution | None:
    settings = simulation.settings
    if "tolerance" not in settings:
        return None
    try:
        looser = simulation.from_settings({**settings, "tolerance": 10 * settings["tolerance"]})
        return looser.run(inputs)
    except (InvalidInput, SimulationDiverged):
        return None


def _norm(simulation: Simulation, name: str, values: Array) -> float:
    """L2 norm over time and space, with the quadrature weights of the grid."""
    field, grid = simulation.fields[name], simulation.grid
    squares = values**2
    weights = field.weights(grid)
    if weights is not None:
        squares = squares * weights
    return float(np.sqrt(squares.sum()))


def worst(errors: Mapping[str, DiscretisationError]) -> float:
    """Largest total error among the fields."""
    return max(error.total for error in errors.values())
