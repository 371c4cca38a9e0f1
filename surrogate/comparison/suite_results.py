"""What a run of the suite has found: a section of RESULTS.md, a page, a file, and what moved."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from simulations.datasets.publish import publish_text
from simulations.machine import git_state, machine, machine_in_words
from simulations.simulation import InvalidInput
from surrogate import markdown
from surrogate.comparison import wording
from surrogate.comparison.equal_error import Estimate
from surrogate.comparison.result import Comparison
from surrogate.comparison.suite import Entry
from surrogate.report import write_report

FORMAT = "physurrogate-benchmark"

#: In which order outcomes are listed
ORDER = (
    "the surrogate wins",
    "the surrogate wins in batches",
    "undecided",
    "the solver wins",
    "no skill",
    "inconclusive",
    "unusable",
    "failed",
)


def write_run(path: Path, entries: Sequence[Entry]) -> None:
    """Write a run as one JSON file, for machines and for `moved`."""
    described = {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("physurrogate", "numpy", "numba", "torch"),
        "code": git_state(),
        "entries": [_without_curves(entry.to_json()) for entry in entries],
    }
    publish_text(path, json.dumps(described, allow_nan=False) + "\n")


def _without_curves(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without the losses of each epoch, which are with the models."""
    if entry["comparison"]:
        records = [
            entry["comparison"]["training"],
            *entry["comparison"]["others_training"].values(),
        ]
        for record in records:
            record.pop("history", None)
    return entry


def read_run(path: str | Path) -> list[Entry]:
    """The entries of a file of `write_run`.

    Raises:
        InvalidInput: it is none.
    """
    try:
        described = json.loads(Path(path).read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(described["format"])
        return [Entry.from_json(entry) for entry in described["entries"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path}: not a run of the benchmark ({error})") from None


def merged(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The entries, and those of other systems from the latest run in a folder.

    Systems are often run one by one, with budgets of their own.
    """
    found = {entry.system: entry for entry in entries}
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            former = read_run(path)
        except InvalidInput:  # figures of another kind are kept there, too
            continue
        return [*entries, *(entry for entry in former if entry.system not in found)]
    return list(entries)


def sorted_entries(entries: Sequence[Entry]) -> list[Entry]:
    """By outcome, the largest speed-up first."""

    def key(entry: Entry) -> tuple[int, float, str]:
        speed_up = entry.comparison.speed_up() if entry.comparison else None
        return ORDER.index(entry.outcome), -(speed_up.value if speed_up else 0.0), entry.system

    return sorted(entries, key=key)


def row(entry: Entry) -> dict[str, object]:
    """A line of the table; of a system without a surrogate, its name and that."""
    comparison = entry.comparison
    if comparison is None:
        return {"system": entry.system, "outcome": "failed"}
    model, errors = comparison.surrogate, [100 * error for error in entry.seeds]
    spread = f" ({min(errors):.2g} to {max(errors):.2g})" if len(errors) > 1 else ""
    line: dict[str, object] = {
        "system": entry.system,
        "surrogate": entry.way,
        "error %": f"{100 * model.error:.2g}{spread}",
        "data %": f"{100 * comparison.data_error:.2g}",
        "nRMSE %": _error(comparison, "frames"),
        "quantity %": _error(comparison, "quantity"),
        "solver ms": wording.marked(comparison.solver_seconds, 1e3),
        "surrogate ms": f"{1e3 * model.seconds:.3g}",
        "in batches": "" if model.batch_seconds is None else f"{1e3 * model.batch_seconds:.3g}",
        "speed-up": wording.marked(comparison.speed_up()),
        "in batches ": wording.marked(comparison.speed_up(batched=True)),
        "pays after calls": wording.marked(comparison.break_even()),
        "outcome": comparison.outcome,
    }
    return line


def _error(comparison: Comparison, measure: str) -> str:
    if measure not in comparison.measures:
        return ""
    return f"{100 * comparison.measured_by(measure).surrogate.error:.2g}"


def section(entries: Sequence[Entry]) -> str:
    """The section of RESULTS.md: how it was measured, the table, and a verdict for every system."""
    ordered = sorted_entries(entries)
    counts = Counter(entry.outcome for entry in ordered)
    counted = ", ".join(f"{outcome}: {counts[outcome]}" for outcome in ORDER if counts[outcome])
    plans = [entry.plan for entry in ordered if entry.plan is not None]
    budgets = sorted({plan.minutes for plan in plans})
    minutes = " to ".join(
        f"{budget:g}" for budget in dict.fromkeys((budgets or [0])[:: max(1, len(budgets) - 1)])
    )
    here = machine_in_words("physurrogate", "numba", "torch").rpartition(";")[0]
    dates = sorted(str(e.comparison.machine["date"])[:10] for e in ordered if e.comparison)
    measured = " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])) or "never"
    energy = next((e.comparison.machine.get("energy", "") for e in ordered if e.comparison), "")
    sentences = "\n".join(f"- **{entry.system}.** {entry.verdict}" for entry in ordered)
    return f"""## Surrogates against their solvers: the whole catalogue

By `surrogate benchmark`, with {minutes} minutes of one core for each system: data, trainings and
comparison; [the protocol](../docs/benchmark-protocol.md). Everything at the default settings of the
suite, on one thread, in processor seconds; errors are relative L2 against a finer reference, beside
them those of the stored times (nRMSE) and of what is asked for. The speed-up is that over the
solver's own cheaper versions at equal error, `<` and `>` are bounds where these do not reach so
far. The surrogate is the best network on the validation split, in brackets the range over its
seeds. It pays after so many single calls, data, tuning and training counted. Energy: {energy}.
Machine: {here}; measured {measured}.

Of {len(ordered)} systems, {counted}.

{markdown.table([row(entry) for entry in ordered])}

{sentences}
"""


def write_overview(path: Path, entries: Sequence[Entry]) -> None:
    """One self-contained page with every verdict, pictures and tables."""
    ordered = sorted_entries(entries)
    write_report(
        path,
        [entry.comparison for entry in ordered if entry.comparison is not None],
        "Surrogates against their solvers",
        failures={entry.system: entry.verdict for entry in ordered if entry.comparison is None},
    )


def moved(old: Sequence[Entry], new: Sequence[Entry]) -> list[dict[str, object]]:
    """Of each system that both have, new figures over old ones.

    Figures of other settings are no progress and no loss, and are not compared.
    """
    before = {entry.system: entry for entry in old}
    rows: list[dict[str, object]] = []
    for entry in new:
        former = before.get(entry.system)
        if former is None:
            rows.append({"system": entry.system, "outcome": f"new: {entry.outcome}"})
            continue
        outcome = entry.outcome
        if former.outcome != outcome:
            outcome = f"{former.outcome} → {outcome}"
        if entry.comparison is None or former.comparison is None:
            rows.append({"system": entry.system, "outcome": outcome})
            continue
        if entry.comparison.settings != former.comparison.settings:
            rows.append({"system": entry.system, "outcome": "other settings"})
            continue
        ratios = {
            name: _ratio(value, _figures(former.comparison)[name])
            for name, value in _figures(entry.comparison).items()
        }
        rows.append({"system": entry.system, **ratios, "outcome": outcome})
    gone = before.keys() - {entry.system for entry in new}
    rows += [{"system": name, "outcome": "not in this run"} for name in sorted(gone)]
    return rows


def _figures(comparison: Comparison) -> dict[str, float]:
    def value(estimate: Estimate | None) -> float:
        return estimate.value if estimate is not None else math.nan

    model = comparison.surrogate
    return {
        "error": model.error,
        "solver at equal error": value(comparison.solver_seconds),
        "full solver": comparison.ladder[0].seconds,
        "surrogate": model.seconds,
        "in batches": math.nan if model.batch_seconds is None else model.batch_seconds,
        "speed-up": value(comparison.speed_up()),
    }


def _ratio(new: float, old: float) -> str:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.divide(new, old))
    return f"×{ratio:.2f}" if math.isfinite(ratio) else "n/a"


def files(output: Path) -> Mapping[str, Path]:
    """Where a run keeps what, by the name of it."""
    day = datetime.now(UTC).date().isoformat()
    return {
        "work": output / "work",
        "run": output / f"{day}.json",
        "page": output / "work" / "report.html",
        "results": output.parent / "RESULTS.md",
    }
