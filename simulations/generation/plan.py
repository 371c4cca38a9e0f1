"""Which trajectory goes into which shard: a pure function of the description of the dataset."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulations.datasets.layout import SPLITS, blocks


@dataclass(frozen=True)
class ShardPlan:
    """What one shard is to hold.

    Attributes:
        split: train, valid or test.
        number: which shard of the split.
        indices: the trajectories, in order.
    """

    split: str
    number: int
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}"

    def data_path(self, folder: Path) -> Path:
        return folder / "data" / self.split / f"{self.name}.hdf5"

    def record_path(self, folder: Path) -> Path:
        return record_path(folder, self.split, self.number)

    def quarantine_path(self, folder: Path) -> Path:
        """Draws that were given up while the shard was made; gone once its record is there."""
        return folder / "records" / f"{self.name}.quarantine.jsonl"

    def is_complete(self, folder: Path, *, verify: bool = False) -> bool:
        """Whether both files are there and whole; the record is published last.

        Args:
            folder: the dataset.
            verify: compare the checksum as well, which reads the shard.
        """
        data = self.data_path(folder)
        try:
            written = json.loads(self.record_path(folder).read_text(encoding="utf-8"))
            if written["planned"] != list(self.indices) or written["bytes"] != data.stat().st_size:
                return False
            return not verify or written["sha256"] == checksum(data)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False


def record_path(folder: Path, split: str, number: int) -> Path:
    """Where the record of a shard is."""
    return folder / "records" / f"{split}-{number:05d}.json"


def checksum(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plan_shards(manifest: Mapping[str, Any]) -> Iterator[ShardPlan]:
    """Every shard in the order in which they fill; what is pending is all that is in memory.

    Each index goes to the split that lacks most, so that any prefix of them has the fractions that
    were asked for, and extending ``n`` moves no index to another split or shard. Rounds that came
    later are for training alone, in shards of their own.
    """
    start, numbers = 0, [0, 0, 0]
    for block in blocks(manifest):
        counts = [0, 0, 0]
        pending: tuple[list[int], ...] = ([], [], [])
        for index in range(block.n):
            deficits = [block.splits[s] * (index + 1) - counts[s] for s in range(3)]
            split = deficits.index(max(deficits))
            counts[split] += 1
            pending[split].append(start + index)
            if len(pending[split]) == block.samples_per_shard:
                yield ShardPlan(SPLITS[split], numbers[split], tuple(pending[split]))
                numbers[split] += 1
                pending[split].clear()
        for split, indices in enumerate(pending):
            if indices:
                yield ShardPlan(SPLITS[split], numbers[split], tuple(indices))
                numbers[split] += 1
        start += block.n
