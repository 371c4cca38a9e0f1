"""Datasets that others have made, with the interface of our own."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm.auto import tqdm

from simulations.compilation import user_cache_directory
from simulations.datasets import layout, statistics
from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.parts import Contents, OpenPart, Part, read_part
from simulations.datasets.pdebench import read_pdebench
from simulations.datasets.publish import publish_text
from simulations.datasets.reader import Dataset
from simulations.datasets.recorded import Recorded
from simulations.datasets.untrusted import DatasetError
from simulations.datasets.well import SUFFIXES, is_well, read_well
from simulations.simulation import Inputs, InvalidInput, check_setting

#: What is read at once: a file may be larger than the memory.
PART_BYTES = 256 * 1024**2
#: What is held in memory of a variable while its moments are computed.
BLOCK_BYTES = 64 * 1024**2
STATISTICS_BYTES = 16 * 1024**2
MOMENTS_VERSION = 1

DEFAULT_SPLITS = (0.8, 0.1, 0.1)


def open_dataset(
    path: str | Path,
    *,
    splits: Sequence[float] = DEFAULT_SPLITS,
    time_stride: int = 1,
    space_stride: int = 1,
    boundary: str = "open",
) -> Dataset:
    """Open a dataset: one of ours, one of The Well, or files of PDEBench.

    Args:
        path: the folder of a dataset of this library or of The Well; a file of PDEBench, or a
            folder of such files that differ in their parameters.
        splits: of PDEBench, whose files are not divided: shares of the trajectories of each file,
            in its order, that are for training, validation and testing.
        time_stride: of others' data, every how manieth stored time is read.
        space_stride: of others' data, every how manieth point along each axis is read.
        boundary: of PDEBench, whose files do not say: ``"periodic"``, ``"wall"`` or ``"open"``.

    Raises:
        DatasetError: there is no such dataset, or a file is unsafe or damaged.
        ValueError: an argument is out of range, or not one of this kind of dataset.
    """
    path = Path(path)
    check_setting("time_stride", time_stride, 1, integer=True)
    check_setting("space_stride", space_stride, 1, integer=True)
    given = {"splits": tuple(splits) != DEFAULT_SPLITS, "boundary": boundary != "open"}
    if (path / "dataset.json").exists():
        given |= {"time_stride": time_stride > 1, "space_stride": space_stride > 1}
        _refuse(path, "a dataset of this library", given)
        return Dataset(path)
    if not path.exists():
        raise DatasetError(f"{path}: there is no such dataset")
    try:
        if is_well(path):
            _refuse(path, "a dataset of The Well", given)
            contents = read_well(path, time_stride, space_stride)
        else:
            _check_splits(splits)
            if boundary not in ("periodic", "wall", "open"):
                raise ValueError(f"boundary={boundary!r}: must be periodic, wall or open")
            files = [path]
            if path.is_dir():
                files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
            if not files:
                raise DatasetError(
                    f"{path}: not a dataset: there is no dataset.json, no data/train, no HDF5 file"
                )
            contents = read_pdebench(path.stem, files, splits, time_stride, space_stride, boundary)
    except InvalidInput as error:
        raise DatasetError(f"{path}: {error}") from None
    return RecordedDataset(path, contents)


def _refuse(path: Path, kind: str, given: Mapping[str, bool]) -> None:
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise ValueError(f"{wrong[0]}: {path} is {kind}, which does not take it")


def _check_splits(splits: Sequence[float]) -> None:
    shares = np.asarray(splits, dtype=np.float64)
    if shares.shape != (3,) or not np.all(shares >= 0) or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"splits={tuple(splits)}: must be three fractions that add up to 1")


class RecordedDataset(Dataset):
    """A dataset that another library has made. It is read where it lies and never written to.

    Args:
        path: the folder or file.
        contents: what is in it.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self._simulation = contents.simulation
        length = max(1, PART_BYTES // layout.trajectory_bytes(contents.simulation))
        self._parts = {
            split: [piece for part in contents.parts[split] for piece in part.cut(length)]
            for split in SPLITS
        }
        every = [part for split in SPLITS for part in contents.parts[split]]
        self.manifest: dict[str, Any] = {
            "system": Recorded.__name__,
            "settings": contents.simulation.settings,
            "n": sum(len(part) for part in every),
            "parts": [
                {
                    "file": part.path.name,
                    "bytes": part.path.stat().st_size,
                    "trajectories": [part.start, part.stop],
                    "stride": list(part.stride),
                }
                for part in every
            ],
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {self.count(split)}" for split in SPLITS)
        return f"RecordedDataset({str(self.path)!r}: {self.simulation.name}, {counts})"

    @property
    def simulation(self) -> Recorded:
        """The declarations of the data; there is no solver."""
        return self._simulation

    @property
    def seed(self) -> int:
        raise DatasetError(f"{self.path}: recorded data have no seed")

    def shards(self, split: str) -> list[Path]:
        """The files of a split, in order."""
        return list(dict.fromkeys(part.path for part in self.parts(split)))

    def parts(self, split: str) -> Sequence[Part]:
        """What a split has in each file, in pieces that are small enough to be read at once."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r}: must be one of {list(SPLITS)}")
        return self._parts[split]

    def open_part(self, part: Part) -> OpenPart:
        """A part to read from again and again; to be closed."""
        return OpenPart(part, self.simulation)

    def read(
        self, part: Part, samples: slice = slice(None), times: slice = slice(None)
    ) -> Trajectories:
        """What is in a part of a split, or some of its samples and times, read alone."""
        return read_part(part, self.simulation, samples, times)

    def read_variable(self, part: Part, name: str, key: tuple[slice, ...]) -> NDArray[Any]:
        """A block of a field or coefficient."""
        time = () if name in self.simulation.field_inputs else key[1:2]
        with self.open_part(part) as opened:
            block = opened.block(name, key[0], *time)
        return block[(slice(None),) * (1 + len(time)) + key[1 + len(time) :]]

    def records(self, split: str | None = None) -> Iterator[dict[str, Any]]:
        """What is known of each part; moments of the train split alone.

        They are computed in one pass when they are first asked for, and kept in the folder of
        `user_cache_directory`, because that of the data may be read-only.
        """
        for each in SPLITS if split is None else (split,):
            for number, part in enumerate(self.parts(each)):
                record = {
                    "indices": list(range(part.first, part.first + len(part))),
                    "parameters": {n: v.tolist() for n, v in part.parameters.items()},
                    "wall_time_seconds": [],
                    "failures": [],
                }
                if each == "train":
                    record["moments"] = self._moments[number]
                yield record

    def count(self, split: str) -> int:
        """Number of trajectories in a split."""
        return sum(len(part) for part in self.parts(split))

    @property
    def solver_seconds(self) -> float:
        """Nothing: what the data have cost is not known."""
        return 0.0

    def inputs(self, index: int) -> Inputs:
        """The inputs of one trajectory, as they are stored."""
        for split in SPLITS:
            for part in self.parts(split):
                position = index - part.first
                if 0 <= position < len(part):
                    samples = slice(position, position + 1)
                    stored = self.read(part, samples, slice(1))
                    found = {n: float(v[0]) for n, v in stored.parameters.items()}
                    for name, declared in self.simulation.field_inputs.items():
                        initial = declared.initial_of
                        found[name] = (
                            stored.fields[initial][0, 0]
                            if initial
                            else stored.field_inputs[name][0]
                        )
                    return found
        raise ValueError(f"index={index}: there are trajectories 0 to {len(self) - 1}")

    def each_part(self, split: str, read: Callable[[Any], Any]) -> Iterator[Any]:
        """What a function reads of each of the `parts`."""
        if not self.parts(split):
            raise DatasetError(f"{self.path}: the {split} split has no trajectories")
        for part in self.parts(split):
            yield read(part)

    @cached_property
    def _moments(self) -> list[statistics.Moments]:
        """Of each part of the train split, by variable."""
        parts = self.parts("train")
        known = _published_moments(self.path / "stats.yaml", self.simulation, parts)
        cached = user_cache_directory() / "moments" / f"{self._identity}.json"
        with suppress(OSError, ValueError, TypeError):
            kept = json.loads(cached.read_text(encoding="utf-8"))
            if len(kept) == len(parts) and all(set(k) == set(self._variables) for k in kept):
                return kept
        missing = [name for name in self._variables if name not in known]
        total = len(parts) * len(missing)
        found: list[statistics.Moments] = []
        with tqdm(total=total, desc="moments", unit="variable", delay=5, leave=False) as bar:
            for part in parts:
                moments = {name: known[name](len(part)) for name in known}
                with self.open_part(part) as opened:
                    for name in missing:
                        moments[name] = _variable_moments(opened, name, self.simulation)
                        bar.update()
                found.append(moments)
        with suppress(OSError):  # a cache that cannot be written is none
            cached.parent.mkdir(parents=True, exist_ok=True)
            publish_text(cached, json.dumps(found) + "\n")
        return found

    @cached_property
    def _variables(self) -> list[str]:
        return [*self.simulation.fields, *layout.coefficient_names(self.simulation)]

    @property
    def _identity(self) -> str:
        """Changes when a file does, or what is read of it."""
        described: list[Any] = [MOMENTS_VERSION, self.simulation.settings]
        statistics_file = self.path / "stats.yaml"
        for path in [statistics_file] * statistics_file.exists() + self.shards("train"):
            status = os.stat(path)
            described.append([str(path.resolve()), status.st_size, status.st_mtime_ns])
        described += [[p.start, p.stop, *p.stride] for p in self.parts("train")]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]


def _variable_moments(opened: OpenPart, name: str, simulation: Recorded) -> statistics.Moments:
    """Moments of a variable, block by block, and of its change between frames."""
    shape = opened.shape(name)
    is_field = name in simulation.fields
    frame = 4 * math.prod(shape[2:] if is_field else shape[1:])
    n_times = shape[1] if is_field else 1
    frames = min(n_times, max(2, BLOCK_BYTES // max(1, frame)))
    samples = max(1, BLOCK_BYTES // max(1, frame * frames)) if frames == n_times else 1
    parts: dict[str, list[statistics.Moments]] = {"value": [], "delta": []}
    for start in range(0, shape[0], samples):
        chosen = slice(start, start + samples)
        for first in range(0, n_times, frames):
            # One frame more: the change into the next block belongs to this one
            times = (slice(first, first + frames + 1),) if is_field else ()
            block = opened.block(name, chosen, *times)
            if not np.isfinite(block).all():
                raise DatasetError(f"{opened}: {name} has values that are not finite numbers")
            found = _block_moments(simulation, name, block)
            if is_field and block.shape[1] > frames:
                found["value"] = _block_moments(simulation, name, block[:, :frames])["value"]
            for kind, moments in found.items():
                parts[kind].append(moments)
    return {kind: _as_json(statistics.merge(each)) for kind, each in parts.items() if each}


def _block_moments(simulation: Recorded, name: str, block: NDArray[Any]) -> statistics.Moments:
    held = {name: block}
    is_field = name in simulation.fields
    samples = Trajectories(
        np.arange(len(block)), {}, {} if is_field else held, held if is_field else {}
    )
    return statistics.shard_moments(simulation, samples)[name]


def _as_json(moments: statistics.Moments) -> statistics.Moments:
    return {
        "count": moments["count"],
        "mean": np.asarray(moments["mean"]).tolist(),
        "centred": np.asarray(moments["centred"]).tolist(),
    }


def _published_moments(
    path: Path, simulation: Recorded, parts: Sequence[Part]
) -> dict[str, Callable[[int], statistics.Moments]]:
    """Moments of some trajectories, for each variable whose statistics the dataset comes with."""
    if not path.is_file() or path.stat().st_size > STATISTICS_BYTES:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(f"{path}: not statistics of The Well ({error})") from None
    found: dict[str, Callable[[int], statistics.Moments]] = {}
    if not isinstance(content, dict):
        return found
    grid = simulation.grid
    n_times = simulation.times.size
    for name in [*simulation.fields, *layout.coefficient_names(simulation)]:
        field = simulation.fields.get(name)
        order = (field or simulation.field_inputs[name]).order
        kinds = {"value": ""} | ({"delta": "_delta"} if field and n_times > 1 else {})
        try:
            pairs = {
                kind: [
                    np.array(content[statistic + suffix][name], dtype=np.float64)
                    for statistic in ("mean", "std")
                ]
                for kind, suffix in kinds.items()
            }
        except (KeyError, TypeError, ValueError):
            continue
        arrays = [array for pair in pairs.values() for array in pair]
        shape = (grid.ndim,) * order
        if all(array.shape == shape and np.isfinite(array).all() for array in arrays):
            points = math.prod(grid.shape) if field is None or field.spatial else 1
            found[name] = _Published(pairs, points, n_times if field else 1)
    return found


class _Published:
    """Moments of ``n`` trajectories, from a mean and a deviation of all."""

    def __init__(self, pairs: Mapping[str, Any], points: int, n_times: int) -> None:
        self._pairs, self._points, self._n_times = pairs, points, n_times

    def __call__(self, n: int) -> statistics.Moments:
        moments = {}
        for kind, (mean, deviation) in self._pairs.items():
            count = n * self._points * (self._n_times - (kind == "delta"))
            centred = deviation**2 * count
            moments[kind] = {"count": count, "mean": mean.tolist(), "centred": centred.tolist()}
        return moments
