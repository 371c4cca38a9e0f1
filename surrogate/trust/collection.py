"""Solved answers kept as training data: a dataset that grows by one trajectory at a time."""

import hashlib
import io
import json
from pathlib import Path

from simulations.datasets import Dataset, DatasetError, layout, provenance, statistics
from simulations.datasets.publish import publish_text, published
from simulations.simulation import Inputs, Simulation, Solution

# Eight of ten trajectories are for training, and one each to select weights and to test
PERIOD = 10
VALID, TEST = 8, 9

#: In the place of a design: the inputs were asked for, and no seed makes them again.
DESIGN = {"design": "Collected"}


class Collection:
    """A folder of solved trajectories that `simulations.open_dataset` reads.

    Each trajectory is a shard of its own, written when it is there: a run that is killed loses
    nothing. Since the inputs were not drawn, `Dataset.inputs` and `generate` refuse it.

    Args:
        folder: to begin or to continue.
        simulation: what is solved.

    Raises:
        DatasetError: the folder holds something else.
    """

    def __init__(self, folder: str | Path, simulation: Simulation) -> None:
        self.folder, self.simulation = Path(folder), simulation
        if (self.folder / "dataset.json").exists():
            manifest = Dataset(self.folder).manifest
            ours = {"system": type(simulation).__name__, "settings": simulation.settings}
            ours = json.loads(json.dumps({**ours, "design": DESIGN}))
            if any(manifest.get(key) != value for key, value in ours.items()):
                raise DatasetError(
                    f"collect={self.folder}: holds another dataset; choose another folder"
                )
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise DatasetError(f"collect={self.folder}: is not empty and not a collection")
        self.folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(list((self.folder / "records").glob("*.json")))

    def add(self, inputs: Inputs, solution: Solution, seconds: float) -> None:
        """Store one trajectory."""
        index = len(self)
        samples = layout.empty_trajectories(self.simulation, 1)
        samples.indices[0] = index
        for name, stored in (*samples.parameters.items(), *samples.field_inputs.items()):
            stored[0] = inputs[name]
        for name, stored in samples.fields.items():
            stored[0] = solution[name]
        shard = io.BytesIO()
        layout.write_shard(shard, self.simulation, samples, 0)
        content = shard.getbuffer()
        split = {VALID: "valid", TEST: "test"}.get(index % PERIOD, "train")
        name = f"{split}-{index:06d}"
        record = {
            "planned": [index],
            "indices": [index],
            "parameters": {key: values.tolist() for key, values in samples.parameters.items()},
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": content.nbytes,
            "wall_time_seconds": [seconds],
            "made": provenance.of_shard(),
            "failures": [],
            "moments": statistics.shard_moments(self.simulation, samples),
        }
        for part in ("records", f"data/{split}"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        with published(self.folder / "data" / split / f"{name}.hdf5") as temporary:
            temporary.write_bytes(content)
        publish_text(self.folder / "records" / f"{name}.json", json.dumps(record) + "\n")
        self._describe(index + 1)

    def _describe(self, n: int) -> None:
        manifest = {
            "format_version": layout.FORMAT_VERSION,
            "system": type(self.simulation).__name__,
            "settings": self.simulation.settings,
            "seed": 0,
            "design": DESIGN,
            "splits": [PERIOD - 2, 1, 1],
            "n": n,
            "samples_per_shard": 1,
            "compression": None,
            **provenance.of_dataset(self.simulation),
        }
        publish_text(self.folder / "dataset.json", json.dumps(manifest, indent=2) + "\n")
