"""Reading a dataset back: numpy arrays for training, xarray for everybody else."""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray

from simulations.datasets import layout
from simulations.datasets.layout import Trajectories
from simulations.designs import Draws
from simulations.simulation import Inputs, Simulation

MANIFEST_KEYS = ("system", "settings", "seed", "splits", "n", "samples_per_shard")


class DatasetError(ValueError):
    """A folder or file is not the dataset it should be; the message says what is wrong."""


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
        return Trajectories.join(
            list(self._each_shard(split, lambda path: layout.read_shard(path, self.simulation)))
        )

    def inputs(self, index: int) -> Inputs:
        """The inputs of one draw at full precision: from the design, and drawn again."""
        return self.draws.inputs(index)

    def to_xarray(self, split: str) -> xarray.Dataset:
        """A split as one labelled dataset along ``sample``, in memory.

        Raises:
            DatasetError: the split is empty, or a shard is missing or unreadable.
        """
        parts = list(self._each_shard(split, _open_and_load))
        joined = xarray.concat(parts, "sample", data_vars="minimal", coords="minimal", join="exact")
        joined.attrs["n_trajectories"] = joined.sizes["sample"]
        for variable in joined.variables.values():
            for flag in layout.WELL_FLAGS:  # booleans, which xarray could not write back
                variable.attrs.pop(flag, None)
        return joined

    def _each_shard(self, split: str, read: Callable[[Path], Any]) -> Iterator[Any]:
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
        if len(shards) != recorded:
            raise DatasetError(
                f"{self.path}: {len(shards)} of {recorded} {split} shards are there; "
                "run generate again to complete them"
            )
        for shard in shards:
            try:
                yield read(shard)
            except (OSError, KeyError) as error:
                raise DatasetError(
                    f"{shard}: not readable as a shard ({error}); run generate again to repair it"
                ) from None


def _open_and_load(path: Path) -> xarray.Dataset:
    with xarray.open_dataset(path, engine="h5netcdf") as shard:
        return shard.load()
