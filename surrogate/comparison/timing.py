"""Seconds a call takes on one thread."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from surrogate.comparison.energy import EnergyMeter

T = TypeVar("T")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """What a call has returned and cost.

    Attributes:
        result: of the last repetition.
        seconds: median over repetitions.
        joules: energy of all repetitions together; None where nothing counts it.
        calls: number of repetitions.
    """

    result: T
    seconds: float
    joules: float | None
    calls: int


# A call is repeated until it has run so often or so long: the first of short calls meet cold caches
REPEATS = 11
LONG_ENOUGH = 0.2


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread, and give it back what it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass
class Stopwatch:
    """Times calls and remembers whether the machine let it.

    The default clock counts the processor seconds of this process: on one thread those are the
    wall seconds of an idle machine, and a neighbour on the same machine does not change them. Work
    that a call hands to other threads counts as if it had been done on one.

    Args:
        clock: a function that returns seconds.
        meter: of the energy, if there is one.
    """

    clock: Callable[[], float] = time.process_time
    meter: EnergyMeter | None = None
    timed: float = 0.0
    wall: float = 0.0

    def time(self, call: Callable[[], T]) -> Timed[T]:
        """What the call returns, the median of its seconds, and its energy."""
        seconds: list[float] = []
        before = self.meter.read() if self.meter else ()
        while True:
            wall, start = time.perf_counter(), self.clock()
            result = call()
            seconds.append(self.clock() - start)
            self.timed += seconds[-1]
            self.wall += time.perf_counter() - wall
            if len(seconds) == REPEATS or sum(seconds) > LONG_ENOUGH:
                break
        joules = self.meter.joules(before, self.meter.read()) if self.meter else None
        return Timed(result, statistics.median(seconds), joules, len(seconds))

    def complaint(self) -> str | None:
        """Why the times should be taken with care, if they should."""
        if self.clock is not time.process_time or self.timed < 0.1:
            return None
        if self.timed > 1.2 * self.wall:
            return (
                f"{self.timed / self.wall:.1f} threads were at work where one was timed: start "
                "Python with OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1."
            )
        if self.wall > 1.5 * self.timed:
            return (
                f"The machine was shared: {self.wall:.1f} s of wall time passed during "
                f"{self.timed:.1f} s of processor time, which is what all times here are."
            )
        return None
