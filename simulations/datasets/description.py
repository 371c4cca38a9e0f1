"""What a folder or file is, in words and numbers: read from itself, whatever system made it."""

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simulations.datasets import layout
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError, open_untrusted
from simulations.designs import INDEPENDENT, Design, design_from_json

WELL_GROUPS = ("scalars", "t0_fields", "t1_fields", "t2_fields")


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a dataset is, how far it is, and what it has cost.

    Raises:
        DatasetError: a record is damaged.
    """
    manifest, records = dataset.manifest, list(dataset.records())
    design = design_from_json(manifest.get("design", INDEPENDENT.to_json()))
    splits = {split: dataset.count(split) for split in layout.SPLITS}
    made = [record["made"] for record in records if "made" in record]
    values: dict[str, list[float]] = {}
    for record in records:
        for name, drawn in record["parameters"].items():
            values.setdefault(name, []).extend(drawn)
    known = ("system", "preset", "settings", "seed", "n", "package", "versions", "git")
    described = {
        "kind": "dataset",
        "path": str(dataset.path),
        **{key: manifest[key] for key in known if key in manifest},
        "design": design.summary(),
        "trajectories": splits,
        "complete": sum(splits.values()) == len(dataset),
        "failures": len(dataset.failures()),
        "parameters": {name: {"min": min(v), "max": max(v)} for name, v in values.items()},
        "shards": len(records),
        "bytes": sum(record["bytes"] for record in records),
        "solver_seconds": dataset.solver_seconds,
        "hosts": dict(Counter(m["host"] for m in made)),
        "finished": max((m["finished"] for m in made), default=None),
    }
    if design.later_rounds:
        described["rounds"] = _rounds(design, len(dataset))
    shards = [shard for split in layout.SPLITS for shard in dataset.shards(split)]
    if shards:
        described["variables"] = describe_shard(shards[0])["variables"]
    return described


def _rounds(design: Design, n: int) -> list[dict[str, int]]:
    """Of each round, how many trajectories came for which reason."""
    origins = [design.origin(place) for place in range(n)]
    found: list[Counter[str]] = [Counter() for _ in range(1 + max(number for number, _ in origins))]
    for number, reason in origins:
        found[number][reason] += 1
    return [dict(counts) for counts in found]


def describe_shard(path: str | Path) -> dict[str, Any]:
    """What is in one HDF5 file of The Well's layout, ours or another.

    Raises:
        DatasetError: the file is none.
    """
    try:
        with open_untrusted(path) as file:
            if missing := [n for n in ("dimensions", *WELL_GROUPS) if n not in file]:
                raise DatasetError(f"{path}: not a shard of a dataset (lacks {missing})")
            attributes = {key: _plain(value) for key, value in file.attrs.items()}
            names = [f"{group}/{name}" for group in WELL_GROUPS for name in file[group]]
            variables = {name.partition("/")[2]: _variable(file[name]) for name in names}
            # A vector without space has no place in The Well's groups
            own = (n for n, v in file.items() if isinstance(v, h5py.Dataset) and not v.is_scale)
            variables |= {name: _variable(file[name]) for name in own}
            dimensions = {name: list(v.shape) for name, v in file["dimensions"].items()}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file or folder") from None
    return {
        "kind": "shard",
        "path": str(path),
        "bytes": Path(path).stat().st_size,
        **attributes,
        "dimensions": dimensions,
        "variables": variables,
    }


def _variable(stored: h5py.Dataset) -> dict[str, Any]:
    described = {"shape": list(stored.shape), "type": str(stored.dtype)}
    for key in ("units", "long_name"):
        if key in stored.attrs:
            described[key] = _plain(stored.attrs[key])
    return described


def _plain(value: Any) -> Any:
    """An attribute as a JSON value; text that is JSON is read as such."""
    if isinstance(value, np.ndarray):
        return [_plain(element) for element in value.tolist()]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str) and value[:1] in ("{", "n", '"'):
        with suppress(ValueError):
            return json.loads(value)
    return value
