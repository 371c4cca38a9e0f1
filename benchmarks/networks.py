"""All networks of grids on two small datasets, for equal time each.

    python -m benchmarks.networks [FOLDER]

What is compared is what a few hundred trajectories and a minute on one core give; the order changes
with both. Data are kept in FOLDER, and what is there is not made again.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import simulations
import surrogate
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from benchmarks.training import count_parameters, keep_freed_memory
from simulations import Simulation
from simulations.datasets import Dataset
from simulations.machine import machine_in_words
from surrogate import metrics
from surrogate.encoding import Encoding

MINUTES = 1.0
TRAIN, VALID, TEST = 128, 32, 64
CASES: tuple[Simulation, ...] = (simulations.Burgers(n=128), simulations.DarcyFlow(n=32))
NETWORKS = (
    surrogate.FNO,
    surrogate.FactorizedFNO,
    surrogate.TuckerFNO,
    surrogate.UNet,
    surrogate.DilatedResNet,
    surrogate.Transolver,
)


def dataset_of(case: Simulation, folder: Path) -> Dataset:
    total = TRAIN + VALID + TEST
    splits = (TRAIN / total, VALID / total, TEST / total)
    path = folder / type(case).__name__.lower()
    return simulations.generate(case, total, path, splits=splits, progress=False)


def error_of_the_mean(data: Dataset) -> float:
    """Relative L2 error on the test split of the mean of the train split, over fields."""
    train, test = data.load("train"), data.load("test")
    errors = []
    for name, first in Encoding.of_dataset(data).first_frame.items():
        truth = test.fields[name][:, first:].astype(np.float64)
        mean = train.fields[name][:, first:].mean(axis=0, dtype=np.float64)
        errors.append(metrics.relative_l2(np.broadcast_to(mean, truth.shape), truth).mean())
    return float(np.mean(errors))


def rows(data: Dataset) -> Iterator[dict[str, object]]:
    """The mean, and each network with the settings and the recipe that it has by default."""
    yield {"network": "mean of the train split", "test error %": 100 * error_of_the_mean(data)}
    for make in NETWORKS:
        emulator = surrogate.train(data, make(), minutes=MINUTES, epochs=1_000_000, progress=False)
        history = emulator.training["history"]
        yield {
            "network": make.__name__,
            "test error %": 100 * np.mean([*emulator.training["test_relative_l2"].values()]),
            "train error %": 100 * history[-1]["train"],
            "parameters": count_parameters(emulator.network),
            "epochs": len(history),
        }


def main() -> None:
    pin_to_one_core()
    keep_freed_memory()
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="networks-"))
    parts = []
    for case in CASES:
        size = "×".join(map(str, case.grid.shape))
        measured = table(list(rows(dataset_of(case, folder))))
        parts.append(f"### {type(case).__name__}, {size} points\n\n{measured}\n")
    body = "\n".join(parts)
    text = f"""## Networks

{TRAIN} trajectories to train with and {TEST} to test; each network with its default settings, batch
size and learning rate for {MINUTES:g} minutes on one thread, one seed. Errors are relative L2, mean
over fields; the train error is the loss of the last epoch. Machine: {machine_in_words("torch")}.

{body}
"""
    print(text)
    replace_section("networks", text)


if __name__ == "__main__":
    main()
