"""Running one trajectory of a dataset again: does it come out as it is stored?

Trajectories are solved in the process that asks. Sums over long arrays may depend on the number of
threads of the linear algebra: generation uses one, and so should who reproduces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from simulations.datasets import layout
from simulations.datasets.layout import Trajectories
from simulations.datasets.provenance import of_shard
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError
from simulations.designs import ATTEMPT_STRIDE
from simulations.simulation import Array, Solution


@dataclass(frozen=True)
class Reproduction:
    """A stored trajectory beside a new run of it.

    Attributes:
        index: of the draw.
        shard: the file that holds the trajectory.
        differences: of each variable that is not the same to the last bit of its stored float32,
            the largest difference.
        then: package, versions, git state and host of the stored run, as far as they are recorded.
        now: of the new one.
    """

    index: int
    shard: Path
    differences: Mapping[str, float]
    then: Mapping[str, Any]
    now: Mapping[str, Any]

    @property
    def is_exact(self) -> bool:
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "shard": str(self.shard),
            "exact": self.is_exact,
            "differences": dict(self.differences),
            "then": dict(self.then),
            "now": dict(self.now),
        }

    def text(self) -> str:
        """What was found, in lines."""
        where = f"sample {self.index} of {self.shard}"
        if self.is_exact:
            return f"{where}: the same to the last bit"
        lines = [f"{where}: not the same"]
        lines += [f"  {name}: differs by up to {d:.3g}" for name, d in self.differences.items()]
        then, now = _flat(self.then), _flat(self.now)
        for key in dict.fromkeys((*then, *now)):
            before, after = then.get(key, "not recorded"), now.get(key, "not recorded")
            if before != after and key != "finished":
                lines.append(f"  {key}: {before} then, {after} now")
        return "\n".join(lines)


def reproduce(dataset: Dataset | str | Path, index: int) -> Reproduction:
    """Solve one trajectory again and compare it, bit for bit, with what is stored.

    Args:
        dataset: the dataset or its folder.
        index: of the draw; the place of a draw that was replaced stands for the replacement.

    Raises:
        DatasetError: there is no such trajectory, or its shard cannot be read.
        SimulationDiverged: the run, which came to its end then, does not now.
    """
    data = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    shard, record, position = _find(data, index)
    draw = record["indices"][position]
    try:
        stored = layout.read_shard(shard, data.simulation)
    except (OSError, KeyError) as error:
        raise DatasetError(f"{shard}: not readable as a shard ({error})") from None
    inputs = data.inputs(draw)
    solution = _as_stored(data, data.simulation.run(inputs))
    differences: dict[str, float] = {}
    for kept in (stored.parameters, stored.field_inputs, stored.fields):
        for name, values in kept.items():
            again = np.asarray(solution[name] if name in solution else inputs[name])
            difference = _difference(np.asarray(values[position]), again.astype(np.float32))
            if difference is not None:
                differences[name] = difference
    return Reproduction(draw, shard, differences, record.get("made", {}), of_shard())


def replay(dataset: Dataset | str | Path, number: int) -> xarray.Dataset:
    """Run a draw that failed again, to see why; one that hung then may do so now.

    Args:
        dataset: the dataset or its folder.
        number: line in ``failures.jsonl``, from 0.

    Returns:
        The solution, if the run comes to its end now.

    Raises:
        DatasetError: there is no such failure, or the draw has other parameters than were recorded.
        SimulationDiverged: it fails again.
    """
    data = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    failures = data.failures()
    if not 0 <= number < len(failures):
        raise DatasetError(f"failure={number}: {data.path} has {len(failures)} failures, from 0")
    recorded = failures[number]
    inputs = data.inputs(recorded["index"])  # large fields are not written out
    for name in data.simulation.parameters:
        if (then := recorded["inputs"].get(name, inputs[name])) != inputs[name]:
            raise DatasetError(
                f"failure={number}: {name}={then} was recorded, draw {recorded['index']} has "
                f"{inputs[name]} now"
            )
    solution = data.simulation.run(inputs)
    return data.simulation.label(solution, inputs, {"draw": recorded["index"], "seed": data.seed})


def _as_stored(dataset: Dataset, solution: Solution) -> Solution:
    """The fields in float32, less the bits that the dataset does not keep."""
    fields = {name: values[None].astype(np.float32) for name, values in solution.items()}
    one = Trajectories(np.zeros(1, dtype=np.int64), {}, {}, fields)
    kept = layout.as_stored(one, dataset.compression).fields
    return {name: values[0] for name, values in kept.items()}


def _find(dataset: Dataset, index: int) -> tuple[Path, dict[str, Any], int]:
    """Shard, its record, and the position of a trajectory in it."""
    for split in layout.SPLITS:
        for shard, record in dataset.recorded_shards(split):
            for position, draw in enumerate(record["indices"]):
                if index in (draw, draw % ATTEMPT_STRIDE):
                    return shard, record, position
    raise DatasetError(f"sample={index}: {dataset.path} holds no such trajectory")


def _difference(stored: Array, again: Array) -> float | None:
    """The largest one, or None if all bits are the same."""
    if stored.shape == again.shape and stored.tobytes() == again.tobytes():
        return None
    return float(np.max(np.abs(stored.astype(np.float64) - again.astype(np.float64)), initial=0.0))


def _flat(described: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in described.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {key: value}
    return flat
