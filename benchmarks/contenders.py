"""Equal error: every code at the cheapest of its settings that meets a target, then timed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.timing import side_by_side


@dataclass(frozen=True)
class Contender:
    """A code with fixed settings.

    Args:
        code: its name.
        method: its scheme.
        settings: what was chosen to meet the target, such as ``"dt = 0.01"``.
        error: the error it makes.
        call: runs it, compiled and prepared.
    """

    code: str
    method: str
    settings: str
    error: float
    call: Callable[[], object]


def first_to_meet(target: float, candidates: Iterable[Contender]) -> Contender:
    """The first candidate with an error of at most the target; the last one if none has.

    Candidates come cheapest first, and are made only until one of them suffices.
    """
    for candidate in candidates:
        if candidate.error <= target:
            break
    return candidate


def fewest_steps(make: Callable[[int], Contender], target: float, enough: int) -> Contender:
    """The fewest steps that meet the target, by bisection below ``enough``."""
    too_few, best = 0, make(enough)
    if not best.error <= target:
        return best
    while enough - too_few > max(1, enough // 50):
        middle = (too_few + enough + 1) // 2
        candidate = make(middle)
        if candidate.error <= target:
            enough, best = middle, candidate
        else:
            too_few = middle
    return best


def compared(
    contenders: Sequence[Contender], *, samples: int = 15, seconds: float = 0.25
) -> list[dict[str, object]]:
    """Time all side by side; a row each, with ratios to the first."""
    calls = {str(i): contender.call for i, contender in enumerate(contenders)}
    timings = side_by_side(calls, samples=samples, seconds=seconds)
    first = timings["0"]
    return [
        {
            "code": contender.code,
            "method": contender.method,
            "settings": contender.settings,
            "relative error": f"{contender.error:.1e}",
            "CPU ms": 1e3 * timing.cpu,
            "wall ms": 1e3 * timing.wall,
            "spread": f"{timing.spread:.0%}",
            "clean samples": f"{timing.clean}/{timing.samples}",
            "CPU time over first": timing.cpu / first.cpu,
            "wall time over first": timing.wall / first.wall,
        }
        for contender, timing in zip(contenders, timings.values(), strict=True)
    ]
