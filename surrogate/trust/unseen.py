"""Trajectories that training never saw, solved or given, and the proof that it has not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

import simulations
from simulations.datasets import SPLITS, Dataset, DatasetError, open_dataset
from simulations.designs import Draws
from simulations.simulation import Inputs, Simulation, SimulationDiverged
from surrogate.comparison.held_out import SAME_FIELD, DataLeak, refuse_redrawn
from surrogate.emulator import Surrogate
from surrogate.trust.domain import MOST_REFERENCES

Array = NDArray[np.floating]

# Held-out inputs of comparisons draw from (0, 0, i), datasets from keys of one number
CALIBRATION_STREAM = (0, 1)

# More than this share of draws that fail is not a distribution to be calibrated for
MOST_FAILURES = 0.5


@dataclass(frozen=True, eq=False)
class Solved:
    """Inputs and what the simulation answers.

    Attributes:
        inputs: every parameter, ``(n,)``, and field input, ``(n, *space, *component)``.
        fields: of each field ``(n, time, *space, *component)``.
        failures: draws that could not be solved and are not here.
    """

    inputs: dict[str, Array]
    fields: dict[str, Array]
    failures: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def __getitem__(self, part: slice | NDArray[Any]) -> "Solved":
        """Some of them."""
        return Solved(
            {name: values[part] for name, values in self.inputs.items()},
            {name: values[part] for name, values in self.fields.items()},
            self.failures,
        )

    @classmethod
    def fresh(cls, simulation: Simulation, n: int, seed: int, progress: bool = False) -> "Solved":
        """Draws from a stream of random numbers that no dataset uses, whatever its seed.

        Draws on which the solver fails are left out: there is no truth that could be bounded.

        Raises:
            SimulationDiverged: half of the draws fail.
        """
        drawn: list[Inputs] = []
        solutions = []
        failures = 0
        with tqdm(total=n, desc="calibrate", unit="run", disable=not progress) as bar:
            while len(drawn) < n:
                key = (*CALIBRATION_STREAM, len(drawn) + failures)
                rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
                inputs = simulation.sample(rng)
                try:
                    solution = simulation.run(inputs)
                except SimulationDiverged as error:
                    failures += 1
                    if failures > MOST_FAILURES * n:
                        raise SimulationDiverged(
                            error.time, f"{failures} draws, the last with {error.reason}"
                        ) from None
                    continue
                drawn.append(inputs)
                # As datasets have them: to the rounding of the answers
                solutions.append({k: v.astype(np.float32) for k, v in solution.items()})
                bar.update()
        return cls(
            {name: np.stack([np.asarray(d[name]) for d in drawn]) for name in drawn[0]},
            {name: np.stack([s[name] for s in solutions]) for name in solutions[0]},
            failures,
        )

    @classmethod
    def of_split(cls, dataset: Dataset, split: str) -> "Solved":
        """The trajectories of one split of a dataset.

        Raises:
            DatasetError: the split is empty or incomplete.
        """
        samples = dataset.load(split)
        inputs = [_stored_inputs(dataset, *part) for part in _parts(dataset, split)]
        return cls(_joined(inputs), dict(samples.fields))


def training_inputs(
    emulator: Surrogate, training: Dataset | str | Path | None = None
) -> dict[str, Array]:
    """What the surrogate was trained on, ``(m, …)`` by name: at most as many as a domain takes.

    Raises:
        DatasetError: the data are not there, and their description does not say what they were.
    """
    dataset = _training_data(emulator, training)
    if dataset is not None:
        inputs: list[dict[str, Array]] = []
        for part in _parts(dataset, "train"):
            inputs.append(_stored_inputs(dataset, *part))
            if sum(len(next(iter(found.values()))) for found in inputs) >= MOST_REFERENCES:
                break
        if inputs:
            return _joined(inputs)
    manifest = emulator.training.get("dataset", {})
    try:
        draws = Draws.described(
            simulations.make(manifest["system"], manifest["settings"]), manifest
        )
        share = manifest["splits"][0] / sum(manifest["splits"])
        count = min(max(1, int(share * draws.n)), MOST_REFERENCES)
        drawn = [draws.inputs(index) for index in range(count)]
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"training: the data of the surrogate are not at {manifest.get('path')!r}, and it does "
            f"not say what they were ({error}); give the dataset"
        ) from None
    return {name: np.stack([np.asarray(d[name]) for d in drawn]) for name in drawn[0]}


def _training_data(emulator: Surrogate, given: Dataset | str | Path | None) -> Dataset | None:
    """The dataset of the surrogate, if it can be found.

    Raises:
        DatasetError: the one that is given is another.
    """
    recorded = emulator.training.get("dataset", {})
    if given is None:
        path = recorded.get("path")
        if path is None or not Path(path).exists():
            return None
        try:
            found = open_dataset(path)
        except (DatasetError, ValueError):
            return None
        return found if _is_same(found, recorded) else None
    dataset = given if isinstance(given, Dataset) else open_dataset(given)
    if recorded and not _is_same(dataset, recorded):
        raise DatasetError(f"training={dataset.path}: is not what the surrogate was trained on")
    return dataset


def _is_same(dataset: Dataset, recorded: Mapping[str, Any]) -> bool:
    # It may have been continued since: its first trajectories are the same
    keys = ("system", "settings", "seed", "design")
    return all(dataset.manifest.get(key) == recorded.get(key) for key in keys)


def given_trajectories(
    emulator: Surrogate,
    dataset: Dataset,
    split: str | None,
    training: Dataset | str | Path | None,
) -> Solved:
    """The trajectories of a dataset, after proof that they were not trained on."""
    simulation = emulator.simulation
    ours = (type(dataset.simulation), dataset.simulation.settings)
    if ours != (type(simulation), simulation.settings):
        raise DatasetError(f"data={dataset.path}: is of {dataset.simulation}, not of {simulation}")
    splits = SPLITS if split is None else (split,)
    parts = [Solved.of_split(dataset, name) for name in splits if dataset.count(name)]
    if not parts:
        raise DatasetError(f"data={dataset.path}: has no trajectories")
    solved = Solved(_joined([p.inputs for p in parts]), _joined([p.fields for p in parts]))
    cases = list(_each(solved.inputs))
    known = _training_data(emulator, training)
    if known is not None:
        _refuse_leaks(cases, known)
    elif emulator.training.get("dataset"):
        refuse_redrawn(cases, emulator.training["dataset"])
    else:
        raise DatasetError("training: it is not known what was trained on; give the dataset")
    # Splits may lie in an order of their own
    return solved[np.random.default_rng(0).permutation(len(solved))]


def _each(inputs: Mapping[str, Array]) -> Iterator[Inputs]:
    for i in range(len(next(iter(inputs.values())))):
        yield {name: values[i] for name, values in inputs.items()}


def _parts(dataset: Dataset, split: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """What is read at once of a split, and what is known of it."""
    yield from zip(dataset.parts(split), dataset.records(split), strict=True)


def _stored_inputs(dataset: Dataset, part: Any, record: Mapping[str, Any]) -> dict[str, Array]:
    """The inputs of a part: parameters at full precision, which is that of the record."""
    samples = dataset.read(part, times=slice(0, 1))
    inputs = {name: np.asarray(values) for name, values in record["parameters"].items()}
    for name, declared in dataset.simulation.field_inputs.items():
        initial = declared.initial_of
        inputs[name] = samples.fields[initial][:, 0] if initial else samples.field_inputs[name]
    return inputs


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _refuse_leaks(cases: Sequence[Inputs], dataset: Dataset) -> None:
    """Compare inputs with everything that the surrogate was fitted to or selected by.

    Raises:
        DataLeak: some of them are there.
    """
    for split in ("train", "valid"):
        for part in _parts(dataset, split):
            stored = _stored_inputs(dataset, *part)
            for position, case in enumerate(cases):
                if _is_among(case, stored):
                    raise DataLeak(
                        f"data: trajectory {position} is in the {split} split of {dataset.path}"
                    )


def _is_among(case: Inputs, stored: Mapping[str, Array]) -> bool:
    same = np.ones(len(next(iter(stored.values()))), dtype=bool)
    for name, values in stored.items():
        value = np.asarray(case[name])
        apart = np.linalg.norm((values[same] - value).reshape(-1, value.size), axis=1)
        # Fields may have been stored in another precision, parameters are not
        same[same] = apart <= (SAME_FIELD * np.linalg.norm(value) if value.ndim else 0.0)
    return bool(same.any())
