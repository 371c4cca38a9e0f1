"""What all shards together say: the statistics and the draws that failed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from simulations.datasets import statistics
from simulations.datasets.layout import SPLITS
from simulations.datasets.publish import publish_text, published
from simulations.generation.plan import plan_shards, record_path


def summarise(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``stats.yaml`` and ``failures.jsonl`` from the records, one in memory at a time."""
    shards = Counter(plan.split for plan in plan_shards(manifest))

    def records(split: str) -> Iterator[dict[str, Any]]:
        for number in range(shards[split]):
            yield json.loads(record_path(folder, split, number).read_text(encoding="utf-8"))

    if shards["train"]:
        moments = statistics.well_statistics(record["moments"] for record in records("train"))
        publish_text(folder / "stats.yaml", yaml.safe_dump(moments))
    with (
        published(folder / "failures.jsonl") as temporary,
        open(temporary, "w", encoding="utf-8") as lines,
    ):
        for split in SPLITS:
            for record in records(split):
                lines.writelines(json.dumps(failure) + "\n" for failure in record["failures"])
