"""Inputs that a surrogate has not seen, and the proof that it has not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import simulations
from simulations.datasets import Dataset, layout
from simulations.designs import Draws
from simulations.simulation import Array, Inputs, Simulation

# A dataset draws from keys of one number, which fills two words at most: three never coincide
FRESH_STREAM = (0, 0)

# Initial conditions are stored in float32 and may have been through a transform and back
SAME_FIELD = 1e-5


class DataLeak(ValueError):
    """Inputs that should be held out are among the training data."""


def fresh_inputs(simulation: Simulation, n: int, seed: int) -> list[Inputs]:
    """Draws from a stream of random numbers that no dataset uses, whatever its seed."""
    return [
        simulation.sample(
            np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*FRESH_STREAM, i)))
        )
        for i in range(n)
    ]


def inputs_of_test_split(dataset: Dataset, n: int) -> list[Inputs]:
    """The first draws of a dataset's test split, at full precision."""
    indices = [index for record in dataset.records("test") for index in record["indices"]]
    return [dataset.inputs(index) for index in indices[:n]]


def refuse_leaks(inputs: Sequence[Inputs], dataset: Dataset) -> None:
    """Compare inputs, value by value, with everything stored in the train and valid splits.

    Raises:
        DataLeak: some of them are there.
    """
    for split in ("train", "valid"):
        found = sorted({p for batch in _stored(dataset, split) for p in _matches(inputs, batch)})
        if found:
            raise DataLeak(
                f"held_out: {len(found)} of {len(inputs)} inputs are in the {split} split of "
                f"{dataset.path}, the first at position {found[0]}"
            )


def refuse_redrawn(inputs: Sequence[Inputs], manifest: Mapping[str, Any]) -> None:
    """Compare inputs with the draws that a dataset's description stands for, made again.

    Raises:
        DataLeak: some of them are the same.
    """
    simulation = simulations.make(manifest["system"], manifest["settings"])
    draws = Draws.described(simulation, manifest)
    for index in range(draws.n):
        batch = {name: np.asarray(value)[None] for name, value in draws.inputs(index).items()}
        if found := list(_matches(inputs, batch)):
            raise DataLeak(f"held_out: input {found[0]} is draw {index} of the training dataset")


def _stored(dataset: Dataset, split: str) -> Iterator[dict[str, Array]]:
    """The inputs of each shard: parameters at full precision, from its record."""
    simulation = dataset.simulation
    for path, record in zip(dataset.shards(split), dataset.records(split), strict=True):
        samples = layout.read_shard(path, simulation)
        batch = {name: np.asarray(values) for name, values in record["parameters"].items()}
        for name, declared in simulation.field_inputs.items():
            initial = declared.initial_of
            batch[name] = samples.fields[initial][:, 0] if initial else samples.field_inputs[name]
        yield batch


def _matches(inputs: Sequence[Inputs], batch: Mapping[str, Array]) -> Iterator[int]:
    """Positions of the inputs that are in the batch."""
    for position, candidate in enumerate(inputs):
        same = np.ones(len(next(iter(batch.values()))), dtype=bool)
        for name, stored in batch.items():
            value = np.asarray(candidate[name])
            if value.ndim == 0:
                same &= stored == value
            elif same.any():
                difference = (stored[same] - value).reshape(same.sum(), -1)
                size = np.linalg.norm(value)
                same[same] = np.linalg.norm(difference, axis=1) <= SAME_FIELD * size
        if same.any():
            yield position
