"""Figures and verdicts in words."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulations.simulation import Simulation
from surrogate.comparison.equal_error import Estimate
from surrogate.comparison.reference import MARGIN

if TYPE_CHECKING:
    from surrogate.comparison.result import Comparison

BOUNDS = {"=": "", "<": "less than ", ">": "more than "}


def percent(fraction: float) -> str:
    """Two significant digits: ``12 %``, ``2.1 %``, ``3.4e-5 %``."""
    if math.isnan(fraction):
        return "n/a"
    if fraction >= 0.0995:
        return f"{100 * fraction:.0f} %"
    return brief(float(f"{100 * fraction:.1e}")) + " %"


def brief(value: object) -> str:
    """A setting as one would write it by hand: ``1e-8``, ``0.5``, ``64``."""
    if not isinstance(value, float):
        return str(value)
    if 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:.5e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def duration(seconds: float) -> str:
    """Two or three significant digits in a fitting unit: ``54 µs``, ``1.9 ms``, ``3.2 min``."""
    if math.isnan(seconds):
        return "n/a"
    units = ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, unit = next((u for u in units if seconds >= 0.9995 * u[0]), units[-1])
    return f"{significant(seconds / size)} {unit}"


def version_names(versions: Sequence[Simulation]) -> list[str]:
    """Each version of a simulation by the settings in which they differ."""
    settings = [version.settings for version in versions]
    varying = [key for key in settings[0] if any(s[key] != settings[0][key] for s in settings)]
    if not varying:
        return [type(versions[0]).__name__]
    return [", ".join(f"{key}={brief(s[key])}" for key in varying) for s in settings]


def energy(joules: float) -> str:
    """Two or three significant digits in a fitting unit: ``1.9 mJ``, ``12 J``."""
    units = ((1e3, "kJ"), (1, "J"), (1e-3, "mJ"), (1e-6, "µJ"))
    size, unit = next((u for u in units if joules >= 0.9995 * u[0]), units[-1])
    return f"{significant(joules / size)} {unit}"


def significant(value: float) -> str:
    """Two significant digits, without an exponent where that reads better."""
    if not math.isfinite(value):
        return "infinitely many" if value > 0 else "n/a"
    return f"{value:,.0f}" if abs(value) >= 9.95 else f"{value:.2g}"


def marked(estimate: Estimate | None, factor: float = 1.0) -> str:
    """For a table: three digits, with the sign of a bound if it is one."""
    if estimate is None:
        return "unknown"
    value = factor * estimate.value
    number = "never" if math.isinf(value) else f"{float(f'{value:.3g}'):,g}"
    return f"{estimate.relation.strip('=')}{number}"


def bounded(estimate: Estimate, text: str) -> str:
    """``text`` with the words of the estimate's relation before it."""
    return BOUNDS[estimate.relation] + text


def calls(estimate: Estimate | None) -> str:
    """A number of calls, rounded to what it is known to."""
    if estimate is None:
        return "an unknown number of calls"
    if not math.isfinite(estimate.value):
        return "no number of calls"
    value = max(1.0, estimate.value)
    rounded = round(value, 1 - math.floor(math.log10(value)))
    return bounded(estimate, f"{rounded:,.0f} calls")


def verdict(comparison: "Comparison") -> str:
    """What a comparison has shown, in sentences with figures."""
    sentences = {
        "unusable": _unusable,
        "inconclusive": _inconclusive,
        "no skill": _no_skill,
    }.get(comparison.outcome, lambda c: _at_equal_error(c, _winner(c)))(comparison)
    if comparison.outcome == "unusable":
        return sentences
    own = comparison.data_error
    if not math.isnan(own):
        about = "" if own >= comparison.reference.resolves else "about "
        sentences += f" The solver that made the training data is itself {about}{percent(own)} off."
    sentences += _other_measures(comparison) + _held(comparison)
    if comparison.outcome == "the surrogate wins" and comparison.within_single_precision:
        sentences += " A solver in single precision, which has not been tried, could be twice as "
        sentences += "fast and would take this lead."
    if not comparison.trivial:
        sentences += " Trivial rivals have not been tried: the training data were not given."
    return sentences


def _other_measures(comparison: "Comparison") -> str:
    """The speed-up at equal error where that is measured otherwise."""
    parts = []
    for measure, words in (("frames", "nRMSE of the stored times"), ("quantity", "")):
        if measure not in comparison.measures:
            continue
        other = comparison.measured_by(measure)
        if not words:
            words = "what is asked for (" + ", ".join(other.surrogate.errors) + ")"
        speed_up = other.speed_up()
        fast = "an unknown speed-up" if speed_up is None else f"a speed-up of {_times_of(speed_up)}"
        parts.append(f"in {words} it has {percent(other.surrogate.error)} error and {fast}")
    if not parts:
        return ""
    sentence = "; ".join(parts)
    return f" {sentence[0].upper()}{sentence[1:]}."


def _times_of(speed_up: Estimate) -> str:
    return bounded(speed_up, significant(speed_up.value))


def _held(comparison: "Comparison") -> str:
    """How long the answers hold, beside the best of the solver's versions of the same time."""
    surrogate = comparison.surrogate
    if math.isnan(surrogate.valid_time):
        return ""
    end = float(comparison.simulation.times[-1])
    whole = "to the last stored time" if surrogate.valid_time >= end else ""
    return f" It holds for {surrogate.valid_time:.3g} of {end:.3g} time units" + (
        f", {whole}." if whole else "."
    )


def _unusable(comparison: "Comparison") -> str:
    share = percent(comparison.surrogate.failure_rate)
    return f"The surrogate's answer is not finite for {share} of the inputs: it is not usable."


def _inconclusive(comparison: "Comparison") -> str:
    reference = comparison.reference
    own = max(reference.error, reference.interpolation_error)
    return (
        f"No conclusion: the reference is itself uncertain by {percent(own)}, and errors as small "
        f"as {percent(min(comparison.errors_compared))} were compared; it must be {MARGIN:g} times "
        f"better. {_at_equal_error(comparison, '')}"
    )


def _no_skill(comparison: "Comparison") -> str:
    best = min(comparison.trivial, key=lambda rival: rival.error)
    return (
        f"No skill: {best.name} has an error of {percent(best.error)}, the surrogate "
        f"{percent(comparison.surrogate.error)}; it is not worth its training, however fast. "
        f"{_at_equal_error(comparison, '')}"
    )


def _at_equal_error(comparison: "Comparison", conclusion: str) -> str:
    surrogate, solver = comparison.surrogate, comparison.solver_seconds
    fast = f"{duration(surrogate.seconds)} a call"
    if surrogate.batch_seconds is not None:
        fast += f" ({duration(surrogate.batch_seconds)} in batches of {comparison.batch_size})"
    start = f"At {percent(surrogate.error)} error the "
    if solver is None:
        return start + f"surrogate takes {fast}; every version of the solver fails on some inputs."
    rungs = [comparison.ladder[i] for i in solver.between]
    if solver.relation == "=":
        names = " and ".join(rung.name for rung in rungs)
        where = f"between {names}, interpolated" if len(rungs) > 1 else names
    elif solver.relation == "<":
        where = f"{rungs[0].name}, the cheapest, has {percent(rungs[0].error)} already"
    else:
        where = f"{rungs[0].name}, the most accurate, has {percent(rungs[0].error)}"
    needed = bounded(solver, duration(solver.value))
    sentence = f"{start}solver needs {needed} a call ({where}), the surrogate {fast}"
    return f"{sentence}{': ' if conclusion else '.'}{conclusion}"


def _winner(comparison: "Comparison") -> str:
    if comparison.winner() == comparison.winner(batched=True) == "solver":
        return "the solver wins; this surrogate is not worth its training."
    if comparison.winner() == comparison.winner(batched=True) == "surrogate":
        return _surrogate_wins(comparison)
    single, batch = (_for_calls(comparison, batched) for batched in (False, True))
    return f"for single calls {single}; in batches {batch}."


def _surrogate_wins(comparison: "Comparison") -> str:
    text = f"the surrogate is {_times(comparison, False)} faster"
    if comparison.surrogate.batch_seconds is not None:
        text += f" ({_times(comparison, True)} in batches)"
    if comparison.invested is not None:
        paid, paid_in_batches = (calls(comparison.break_even(batched=b)) for b in (False, True))
        text += f" and has paid for its {_investment(comparison)} after {paid}"
        if comparison.surrogate.batch_seconds is not None:
            text += f" ({paid_in_batches} in batches)"
    return f"{text}."


def _investment(comparison: "Comparison") -> str:
    tuned = comparison.training.get("tuning_seconds")
    return "data and training" if tuned is None else "data, tuning and training"


def _times(comparison: "Comparison", batched: bool) -> str:
    speed_up = comparison.speed_up(batched=batched)
    return "" if speed_up is None else f"{_times_of(speed_up)} times"


def _for_calls(comparison: "Comparison", batched: bool) -> str:
    winner, times = comparison.winner(batched=batched), _times(comparison, batched)
    if winner == "solver":
        return "the solver wins"
    if winner == "unknown":
        return f"it is undecided (a speed-up of {times} is all that can be said)"
    text = f"the surrogate is {times} faster"
    if comparison.invested is not None:
        paid = calls(comparison.break_even(batched=batched))
        text += f" and has paid for its {_investment(comparison)} after {paid}"
    return text
