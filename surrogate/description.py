"""What a folder or file is, whichever of the library's it may be."""

from pathlib import Path
from typing import Any

from simulations.datasets import Dataset
from simulations.datasets.description import describe_dataset, describe_shard


def describe(path: str | Path) -> dict[str, Any]:
    """Describe a dataset, a single shard, or a saved surrogate, as JSON values.

    Raises:
        DatasetError: it is none of these, or damaged.
        SurrogateFileError: it is a surrogate, and damaged.
    """
    path = Path(path)
    if (path / "config.json").is_file():
        return _describe_surrogate(path)
    return describe_dataset(Dataset(path)) if path.is_dir() else describe_shard(path)


def _describe_surrogate(path: Path) -> dict[str, Any]:
    import surrogate

    emulator = surrogate.load(path)
    training = dict(emulator.training)
    data = {key: training.get("dataset", {}).get(key) for key in ("path", "seed", "n")}
    promised = {}
    if (calibration := emulator.calibration) is not None:
        promised["calibration"] = {
            "coverage": calibration.coverage,
            "n": calibration.n,
            "promise": calibration.promise,
            "error_bound": calibration.error_bound,
        }
    shown = ("recipe", "epochs", "seconds", "trajectories", "test_relative_l2", "versions")
    return {
        "kind": "surrogate",
        "path": str(path),
        "system": type(emulator.simulation).__name__,
        "settings": emulator.simulation.settings,
        "network": emulator.network_name,
        "network_settings": getattr(emulator.learner, "config", {}),
        "weights": sum(weight.numel() for weight in emulator.network.parameters()),
        "parameters": {
            name: {"min": low, "max": high}
            for name, (low, high) in emulator.encoding.ranges.items()
        },
        "dataset": data,
        "training": {key: training[key] for key in shown if key in training},
        **promised,
    }
