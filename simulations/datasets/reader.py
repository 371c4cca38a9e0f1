"""Reading a dataset back: numpy arrays for training, xarray for everybody else."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray
from numpy.typing import NDArray

from simulations.datasets import layout
from simulations.datasets.compression import Compression
from simulations.datasets.labels import label, lazy_variables
from simulations.datasets.layout import Trajectories
from simulations.datasets.untrusted import DatasetError, UnsafeFile
from simulations.designs import Draws
from simulations.simulation import Inputs, Simulation

if TYPE_CHECKING:
    from simulations.datasets.frames import Layout, Reader

MANIFEST_KEYS = ("system", "settings", "seed", "splits", "n", "samples_per_shard")


class Dataset:
    """A generated dataset on disk.

    Args:
        path: the folder that holds ``dataset.json``.

    Raises:
        DatasetError: the folder is not a dataset, or one of a newer format.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        manifest = self.path / "dataset.json"
        if not manifest.is_file():
            raise DatasetError(f"{self.path}: not a dataset (there is no dataset.json)")
        try:
            self.manifest: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
            found = self.manifest["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{manifest}: not a dataset description ({error!r})") from None
        if found != layout.FORMAT_VERSION:
            raise DatasetError(
                f"{manifest}: format version {found}; this package reads {layout.FORMAT_VERSION}"
            )
        if missing := [key for key in MANIFEST_KEYS if key not in self.manifest]:
            raise DatasetError(f"{manifest}: not a dataset description (lacks {missing})")

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {self.count(split)}" for split in layout.SPLITS)
        return f"Dataset({str(self.path)!r}: {self.manifest['system']}, {counts})"

    def __len__(self) -> int:
        return int(self.manifest["n"])

    @cached_property
    def simulation(self) -> Simulation:
        """The simulation that made the data, ready to run again."""
        from simulations import make

        return make(self.manifest["system"], self.manifest["settings"])

    @cached_property
    def draws(self) -> Draws:
        """The inputs of every draw."""
        return Draws.described(self.simulation, self.manifest)

    @property
    def seed(self) -> int:
        return int(self.manifest["seed"])

    @property
    def compression(self) -> Compression | None:
        """How fields are stored; None is as they are.

        Raises:
            DatasetError: in a way that this package does not know.
        """
        described = self.manifest.get("compression")
        try:
            return Compression.from_json(described) if described else None
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{self.path}: compression={described}: {error}") from None

    def shards(self, split: str) -> list[Path]:
        """The files of a split, in order."""
        if split not in layout.SPLITS:
            raise ValueError(f"split={split!r}: must be one of {list(layout.SPLITS)}")
        return sorted((self.path / "data" / split).glob("*.hdf5"))

    def records(self, split: str | None = None) -> Iterator[dict[str, Any]]:
        """What was written down about each shard: wall times, checksums, failures."""
        for path in sorted((self.path / "records").glob(f"{split or ''}*.json")):
            try:
                yield json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DatasetError(
                    f"{path}: not a record of a shard ({error}); run generate again to repair it"
                ) from None

    def recorded_shards(self, split: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The files of a split that are complete, each with what was written down about it."""
        for shard in self.shards(split):
            for record in self.records(shard.stem):
                yield shard, record

    def failures(self) -> list[dict[str, Any]]:
        """The draws that failed: the lines of ``failures.jsonl``, also of an unfinished dataset."""
        return [f for split in layout.SPLITS for r in self.records(split) for f in r["failures"]]

    def count(self, split: str) -> int:
        """Number of trajectories on disk in a split."""
        return sum(len(record["indices"]) for record in self.records(split))

    @cached_property
    def solver_seconds(self) -> float:
        """What the data have cost: wall time in the solver, summed over all trajectories."""
        return float(sum(sum(record["wall_time_seconds"]) for record in self.records()))

    def load(self, split: str) -> Trajectories:
        """All trajectories of a split as float32 arrays in memory.

        Raises:
            DatasetError: the split is empty, or a shard is missing or unreadable.
        """
        return Trajectories.join(list(self.each_part(split, self.read)))

    def parts(self, split: str) -> Sequence[Any]:
        """What `read` reads one after the other: the shards of a split."""
        return self.shards(split)

    def read(
        self, part: Any, samples: slice = slice(None), times: slice = slice(None)
    ) -> Trajectories:
        """What is in one of the `parts`, or some of its samples and times, read alone.

        Raises:
            DatasetError: the file is unsafe or damaged, or not of this dataset.
        """
        return layout.read_shard(part, self.simulation, samples, times)

    def read_variable(self, part: Any, name: str, key: tuple[slice, ...]) -> NDArray[Any]:
        """A block of a field, ``(sample, time, *space, *component)``, or of a field input."""
        return layout.read_variable(part, self.simulation, name, key)

    def open_part(self, part: Any) -> "Reader":
        """A shard, or another part, to read from again and again; to be closed.

        Raises:
            OSError: it is not readable.
        """
        from simulations.datasets.frames import open_shard

        return open_shard(part, self._layouts)

    @cached_property
    def _layouts(self) -> dict[Path, "Layout"]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # Another process makes the simulation when it needs it, and may not be able to
        return {key: value for key, value in vars(self).items() if key != "simulation"}

    def inputs(self, index: int) -> Inputs:
        """The inputs of one draw at full precision: from the design, and drawn again."""
        return self.draws.inputs(index)

    def to_xarray(
        self, split: str, chunks: Mapping[str, int] | str | None = None
    ) -> xarray.Dataset:
        """A split as one labelled dataset along ``sample``.

        Args:
            split: ``"train"``, ``"valid"`` or ``"test"``.
            chunks: sizes by dimension of the blocks that are read when they are needed, ``{}`` for
                whole files, ``"auto"`` for some of 128 MiB; needs dask. Without it, all is in
                memory.

        Raises:
            DatasetError: the split is empty, or a shard is missing or unreadable.
            ImportError: there is no dask.
        """
        if chunks is None:
            data = self.load(split)
            return label(self, data.indices, data.parameters, {**data.fields, **data.field_inputs})
        parts = list(self.each_part(split, lambda part: part))
        records = list(self.records(split))
        indices = np.concatenate([record["indices"] for record in records])
        parameters = {
            name: np.concatenate([record["parameters"][name] for record in records])
            for name in self.simulation.parameters
        }
        counts = [len(record["indices"]) for record in records]
        return label(self, indices, parameters, lazy_variables(self, parts, counts, chunks))

    def each_part(self, split: str, read: Callable[[Path], Any]) -> Iterator[Any]:
        """What a function reads of each of the `parts`, which have to be all there.

        Raises:
            DatasetError: the split is empty, or a shard is missing or unreadable.
        """
        shards = self.shards(split)
        recorded = sum(1 for _ in self.records(split))
        found = sum(self.count(each) for each in layout.SPLITS)
        if found < len(self):
            raise DatasetError(
                f"{self.path}: holds {found} of {len(self)} trajectories; "
                "run generate again to complete them"
            )
        if not shards and not recorded:
            raise DatasetError(f"{self.path}: the {split} split has no trajectories")
        if len(shards) > recorded:
            names = {path.stem for path in (self.path / "records").glob(f"{split}*.json")}
            foreign = next(shard for shard in shards if shard.stem not in names)
            raise DatasetError(f"{foreign}: is not a shard of this dataset; take it out")
        if len(shards) < recorded:
            raise DatasetError(
                f"{self.path}: {len(shards)} of {recorded} {split} shards are there; "
                "run generate again to complete them"
            )
        for shard in shards:
            try:
                yield read(shard)
            except UnsafeFile:
                raise
            except (OSError, KeyError, DatasetError) as error:
                raise DatasetError(
                    f"{shard}: not readable as a shard ({error}); run generate again to repair it"
                ) from None
