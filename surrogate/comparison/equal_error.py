"""What a solver costs at a given error, from runs at a few resolutions.

Rungs of the ladder that another one beats in both error and time do not count. Between those that
remain, the front, time is interpolated in logarithms; beyond its ends there is only a bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

# Errors and times of exactly zero have no logarithm
SMALLEST = 1e-300


@dataclass(frozen=True)
class Estimate:
    """A number (``=``), or a bound that it lies below (``<``) or above (``>``).

    Attributes:
        value: the number or the bound.
        relation: which of the two.
        between: positions of the ladder's points it rests on: two, or one at a bound.
    """

    value: float
    relation: Literal["=", "<", ">"] = "="
    between: tuple[int, ...] = ()

    def divided_by(self, divisor: float) -> "Estimate":
        """The estimate over a positive number."""
        quotient = self.value / divisor if divisor > 0 else math.inf
        return Estimate(quotient, self.relation, self.between)

    def to_json(self) -> dict[str, Any]:
        """``{"relation": …, "value": …}``, with infinity as the text ``"inf"``."""
        return {
            "relation": self.relation,
            "value": self.value if math.isfinite(self.value) else "inf",
        }


def lower_left_front(errors: Sequence[float], seconds: Sequence[float]) -> list[int]:
    """Positions of the points that no other one beats in both coordinates.

    It is not made convex: where errors fall faster than any power of the cost, as those of spectral
    methods do, a chord from end to end would be a solver that does not exist.

    Args:
        errors: error of each point.
        seconds: time of each point.

    Returns:
        Positions from the most accurate (and dearest) point to the cheapest.
    """
    front: list[int] = []
    for point in np.lexsort((seconds, errors)).tolist():
        if not front or seconds[point] < seconds[front[-1]]:
            front.append(point)
    return front


def seconds_at_error(
    error: float, errors: Sequence[float], seconds: Sequence[float]
) -> Estimate | None:
    """Time that the ladder needs for an error; None if the ladder has no rung."""
    front = lower_left_front(errors, seconds)
    if not front:
        return None
    most_accurate, cheapest = front[0], front[-1]
    if error < errors[most_accurate]:
        return Estimate(seconds[most_accurate], ">", (most_accurate,))
    if error > errors[cheapest]:
        return Estimate(seconds[cheapest], "<", (cheapest,))
    return _interpolate(error, [errors[i] for i in front], [seconds[i] for i in front], front)


def error_at_seconds(
    budget: float, errors: Sequence[float], seconds: Sequence[float]
) -> Estimate | None:
    """Error that the ladder reaches in a time; None if the ladder has no rung."""
    front = lower_left_front(errors, seconds)
    if not front:
        return None
    most_accurate, cheapest = front[0], front[-1]
    if budget > seconds[most_accurate]:
        return Estimate(errors[most_accurate], "<", (most_accurate,))
    if budget < seconds[cheapest]:
        return Estimate(errors[cheapest], ">", (cheapest,))
    front = front[::-1]
    return _interpolate(budget, [seconds[i] for i in front], [errors[i] for i in front], front)


def _interpolate(
    at: float, ascending: list[float], values: list[float], positions: list[int]
) -> Estimate:
    """Log-log interpolation inside the range of ``ascending``."""
    x, y = _log(ascending), _log(values)
    value = float(np.exp(np.interp(_log([at])[0], x, y)))
    upper = int(np.searchsorted(ascending, at))
    if ascending[upper] == at:
        return Estimate(values[upper], "=", (positions[upper],))
    return Estimate(value, "=", (positions[upper - 1], positions[upper]))


def _log(values: Sequence[float]) -> Any:
    return np.log(np.maximum(values, SMALLEST))


def break_even(invested: float, solver: Estimate, surrogate_seconds: float) -> Estimate | None:
    """Calls after which data and training are paid for; None if the bound on the solver is open.

        N = invested / (t_solver − t_surrogate), infinite if the solver is as fast

    Args:
        invested: seconds that data and training have cost.
        solver: seconds of a solver as accurate as the surrogate.
        surrogate_seconds: seconds of the surrogate.
    """
    gain = solver.value - surrogate_seconds
    if gain > 0:
        flipped: dict[str, Literal["=", "<", ">"]] = {"=": "=", "<": ">", ">": "<"}
        return Estimate(invested / gain, flipped[solver.relation], solver.between)
    return None if solver.relation == ">" else Estimate(math.inf, "=", solver.between)
