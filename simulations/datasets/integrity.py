"""Whether the files of a dataset are those that were written, and all of them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import yaml

from simulations.datasets import statistics
from simulations.datasets.layout import SPLITS, blocks
from simulations.datasets.reader import Dataset
from simulations.simulation import Simulation

TOP_LEVEL = ("dataset.json", "data", "records", "failures.jsonl", "stats.yaml")

# Two ways of summing the same numbers agree to this, relative to the root mean square
STATISTICS_AGREE = 1e-6


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or that somebody should look at.

    Attributes:
        severity: an error makes the data unfit for use; a warning may have a good reason.
        kind: what sort of problem, in a word or two.
        file: where, relative to the dataset.
        message: what, in words.
        indices: of the trajectories concerned, if it is about some.
    """

    severity: Literal["error", "warning"]
    kind: str
    file: str
    message: str
    indices: tuple[int, ...] = ()


def file_problems(dataset: Dataset, records: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    """Missing, foreign, half and changed files, and trajectories that are not there.

    Args:
        dataset: the folder.
        records: what was written down about each shard, by its path relative to the folder.
    """
    folder = dataset.path
    yield from _unreadable_records(folder)
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".tmp"):
            yield Problem("warning", "half file", path.name, "left behind by a killed process")
        elif path.name not in TOP_LEVEL and path.suffix not in (".yaml", ".md", ".json"):
            yield Problem("warning", "foreign file", path.name, "does not belong to the dataset")
    for path in sorted(p for p in (folder / "data").rglob("*") if not p.is_dir()):
        name = path.relative_to(folder).as_posix()
        if path.name.endswith(".tmp"):
            yield Problem("warning", "half file", name, "left behind by a killed process")
        elif name not in records:
            yield Problem("error", "foreign file", name, "no record tells where it comes from")
    for name, record in records.items():
        yield from _changed(folder / name, name, record)
    yield from _misplaced(dataset, records)


def shard_records(folder: Path) -> dict[str, dict[str, Any]]:
    """The readable records, by the path of the shard that they are about."""
    found = {}
    for path in sorted((folder / "records").glob("*.json")):
        split = path.stem.partition("-")[0]
        if _is_record(record := _read_json(path)):
            found[f"data/{split}/{path.stem}.hdf5"] = record
    return found


def _is_record(record: Any) -> bool:
    try:
        numbers = [*record["indices"], *record["planned"], record["bytes"]]
        return (
            all(isinstance(number, int) for number in numbers)
            and isinstance(record["sha256"], str)
            and isinstance(record["parameters"], dict)
        )
    except (TypeError, KeyError):
        return False


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _unreadable_records(folder: Path) -> Iterator[Problem]:
    for path in sorted((folder / "records").glob("*.json")):
        if not _is_record(_read_json(path)):
            name = path.relative_to(folder).as_posix()
            yield Problem("error", "record", name, "not a record of a shard")


def _changed(path: Path, name: str, record: Mapping[str, Any]) -> Iterator[Problem]:
    if not path.is_file():
        yield Problem("error", "missing file", name, "has a record and is not there")
        return
    if (size := path.stat().st_size) != record.get("bytes"):
        yield Problem(
            "error", "size", name, f"has {size} bytes, {record.get('bytes')} were written"
        )
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != record["sha256"]:
        yield Problem("error", "checksum", name, "is not what was written: the checksum differs")


def _misplaced(dataset: Dataset, records: Mapping[str, dict[str, Any]]) -> Iterator[Problem]:
    """Every index of the plan in one place, as many in each split as the fractions say."""
    planned: Counter[int] = Counter()
    in_split = dict.fromkeys(SPLITS, 0)
    for name, record in records.items():
        planned.update(record["planned"])
        split = name.split("/")[1]
        in_split[split] = in_split.get(split, 0) + len(record["planned"])
        if (held := len(record["indices"])) != len(record["planned"]):
            of = len(record["planned"])
            yield Problem("error", "count", name, f"{held} trajectories of {of} planned")
    n = len(dataset)
    missing = n - sum(0 <= index < n for index in planned)
    if missing:
        yield Problem(
            "error",
            "count",
            "dataset.json",
            f"{missing} of {n} trajectories are in no shard; run generate again",
            tuple(islice((index for index in range(n) if index not in planned), 10)),
        )
    strange = [i for i, times in planned.items() if times > 1 or not 0 <= i < n]
    if strange:
        message = f"{len(strange)} indices are in several shards or not planned"
        yield Problem("error", "count", "records", message, tuple(strange[:10]))
    planned_blocks = blocks(dataset.manifest)
    for number, split in enumerate(SPLITS):
        expected = sum(block.splits[number] * block.n for block in planned_blocks)
        if not missing and abs(in_split[split] - expected) > 1.5:
            message = f"{split} holds {in_split[split]} trajectories of {expected:g} planned"
            yield Problem("error", "count", "dataset.json", message)


def header_problems(
    file: h5py.File, name: str, simulation: Simulation, record: Mapping[str, Any], seed: int
) -> Iterator[Problem]:
    """What a shard says about itself against its record and its simulation."""
    if file["sample"][:].tolist() != record["indices"]:
        yield Problem("error", "indices", name, "the indices of the draws are not those recorded")
    if file.attrs["seed"] != str(seed):
        found = file.attrs["seed"]
        yield Problem("error", "seed", name, f"seed {found}, that of the dataset is {seed}")
    if int(file.attrs["n_trajectories"]) != len(record["indices"]):
        yield Problem("error", "count", name, "n_trajectories is not the number recorded")
    expected = {axis.name: axis.points for axis in simulation.grid.axes}
    for axis, points in {"time": simulation.times, **expected}.items():
        if not np.array_equal(file[axis][:], points.astype(np.float32)):
            yield Problem("error", "grid", name, f"{axis} is not that of the simulation")
    for parameter, values in record["parameters"].items():
        if not np.array_equal(file[parameter][:], np.asarray(values, dtype=np.float32)):
            yield Problem("error", "parameters", name, f"{parameter} is not as recorded")
    for parameter, declared in simulation.parameters.items():
        low, high = np.asarray(declared.admissible, dtype=np.float32)
        values = file[parameter][:]
        if not np.all((values >= low) & (values <= high)):
            allowed = f"[{declared.admissible[0]:g}, {declared.admissible[1]:g}]"
            yield Problem("error", "parameters", name, f"{parameter} leaves {allowed}")


def statistics_problems(folder: Path, train: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """``stats.yaml`` against the moments of the train split as they were found in the data."""
    try:
        stored = yaml.safe_load((folder / "stats.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        yield Problem("error", "statistics", "stats.yaml", "is missing or not readable")
        return
    expected = statistics.well_statistics([train])
    wrong = []
    for statistic, fields in expected.items():
        rms = expected["rms_delta" if statistic.endswith("_delta") else "rms"]
        for name, value in fields.items():
            try:
                given = np.asarray(stored[statistic][name], dtype=float)
                difference = np.abs(given - value).max()
            except (KeyError, TypeError, ValueError):
                wrong.append(f"{statistic} of {name}")
                continue
            if not difference <= STATISTICS_AGREE * max(np.max(rms[name]), 1e-30):
                wrong.append(f"{statistic} of {name}")
    if wrong:
        yield Problem("error", "statistics", "stats.yaml", f"not those of the data: {_few(wrong)}")


def _few(items: Iterable[Any], most: int = 5) -> str:
    listed = [str(item) for item in items]
    return ", ".join(listed[:most]) + (
        f" and {len(listed) - most} more" if len(listed) > most else ""
    )
