"""Draws that hung or killed the process that solved them: what they did is not repeated.

Which draws those are depends on the machine. It is remembered at once, beside the records, and in
the record of the shard once that is finished, so that a later run makes the same bytes.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from simulations.datasets.publish import publish_text
from simulations.generation.plan import ShardPlan

#: What happened: ``kind``, ``time``, ``reason``.
Failure = dict[str, Any]


def given_up_before(folder: Path, plan: ShardPlan) -> dict[int, Failure]:
    """The draws that an earlier run has given up for this shard, by index."""
    failures: list[Failure] = []
    with suppress(OSError, ValueError, KeyError, TypeError):
        failures += json.loads(plan.record_path(folder).read_text(encoding="utf-8"))["failures"]
    with suppress(OSError, ValueError):
        lines = plan.quarantine_path(folder).read_text(encoding="utf-8").splitlines()
        failures += map(json.loads, lines)
    return {
        failure["index"]: {key: failure[key] for key in ("kind", "time", "reason")}
        for failure in failures
        if failure.get("kind", "diverged") != "diverged"
    }


def remember(folder: Path, plan: ShardPlan, given_up: Mapping[int, Failure]) -> None:
    """Write down what has been given up while a shard is made."""
    lines = [json.dumps({"index": draw, **failure}) + "\n" for draw, failure in given_up.items()]
    publish_text(plan.quarantine_path(folder), "".join(lines))


def forget(folder: Path, plan: ShardPlan) -> None:
    """The shard is made: its record says what has been given up."""
    plan.quarantine_path(folder).unlink(missing_ok=True)
