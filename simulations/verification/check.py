"""What a verification is: functions that measure, and findings that are true or false."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np

from simulations.simulation import Simulation


@dataclass(frozen=True)
class Finding:
    """One measured number beside what it has to be.

    Args:
        quantity: what was measured, in words.
        measured: the number.
        low: smallest value that passes.
        high: largest value that passes.
        expected: exact or published value, None for an error that only has to be small.
        source: where the expected value comes from.
    """

    quantity: str
    measured: float
    low: float
    high: float
    expected: float | None = None
    source: str = ""

    @property
    def holds(self) -> bool:
        return self.low <= self.measured <= self.high  # not so for NaN


def at_most(quantity: str, measured: SupportsFloat, bound: float, source: str = "") -> Finding:
    """An error or a drift that must not exceed a bound; it is taken without its sign."""
    return Finding(quantity, abs(float(measured)), 0.0, bound, source=source)


def close_to(
    quantity: str, measured: SupportsFloat, expected: float, tolerance: float, source: str
) -> Finding:
    """A number within an absolute tolerance of an exact or published one."""
    low, high = expected - tolerance, expected + tolerance
    return Finding(quantity, float(measured), low, high, expected, source)


def order(
    quantity: str,
    sizes: Sequence[float],
    errors: Sequence[float],
    expected: float,
    tolerance: float = 0.25,
) -> Finding:
    """Order of accuracy: the slope of log(error) over log(size), the theoretical one or better.

    Args:
        quantity: what converges, in words.
        sizes: grid spacings or time steps.
        errors: errors at these.
        expected: theoretical order.
        tolerance: by how much the measured order may fall short.
    """
    slope = float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
    return Finding(f"{quantity}: order", slope, expected - tolerance, np.inf, expected, "scheme")


@dataclass(frozen=True)
class Check:
    """A function that verifies one property of a system, and its title."""

    system: type[Simulation]
    title: str
    measure: Callable[[], Iterator[Finding]]
    slow: bool

    @property
    def name(self) -> str:
        return f"{self.system.__name__}-{self.measure.__name__}"


#: All checks of the modules that were imported, in the order of definition.
CHECKS: list[Check] = []


def verifies(system: type[Simulation], *, slow: bool = False) -> Callable[..., Any]:
    """Declare a generator function of `Finding` as a check of this system.

    The first line of its docstring is the title. A slow one takes more than a few seconds.
    """

    def declare(measure: Callable[[], Iterator[Finding]]) -> Callable[[], Iterator[Finding]]:
        title = (measure.__doc__ or "").strip().splitlines()[0].rstrip(".")
        CHECKS.append(Check(system, title, measure, slow))
        return measure

    return declare
