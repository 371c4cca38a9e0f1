"""The loop: solve, train, choose, and again; killed at any moment it continues to the same data.

A folder holds everything::

    dataset/                      all rounds; what every other part of the library opens
    rounds/00/member-0/ …         the surrogates that were trained after each round
    growth.json                   what was asked for, and of each round its costs and errors

What has been decided is in the description of the dataset, which appears complete or not at all,
so that a choice is made once. What has been trained is in saved surrogates. The rest is repeated,
and comes out the same because every part of it knows its seed.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

import simulations
from simulations.datasets import Dataset, DatasetError, layout
from simulations.datasets.publish import publish_text
from simulations.designs import INDEPENDENT
from simulations.generation.plan import plan_shards
from simulations.grown import Grown
from simulations.simulation import InvalidInput, Simulation, check_setting
from surrogate.emulator import Surrogate, load
from surrogate.recipe import Recipe
from surrogate.training import train
from surrogate.trust.acquisition.selection import Selection, acquire

SPLITS = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Growth:
    """A dataset that has grown, and what was trained on it.

    Attributes:
        dataset: all rounds.
        members: the surrogates that were trained on all of it.
        rounds: of each round the trajectories it has trained with (``train``), ``solver_seconds``,
            ``training_seconds`` of all members, ``selection_seconds``, and ``error``, the mean over
            members of the relative L2 error of each field on the test split, which no round
            touches.
    """

    dataset: Dataset
    members: list[Surrogate]
    rounds: list[dict[str, Any]]

    def rows(self) -> list[tuple[str, ...]]:
        """Of each round the number of training trajectories, seconds and error, as text."""
        rows = []
        for r in self.rounds:
            seconds = (r["solver_seconds"], r["training_seconds"], r.get("selection_seconds", 0.0))
            error = sum(r["error"].values()) / len(r["error"])
            rows.append((str(r["train"]), *(f"{s:.3g}" for s in seconds), f"{100 * error:.3g} %"))
        return rows


def grow(
    simulation: Simulation,
    folder: str | Path,
    *,
    budget: int,
    rounds: int = 4,
    method: str = "sbal",
    initial: int | None = None,
    splits: Sequence[float] = SPLITS,
    network: nn.Module | Sequence[nn.Module] | None = None,
    members: int | None = None,
    seed: int = 0,
    recipe: Mapping[str, Any] | None = None,
    selection: Mapping[str, Any] | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Growth:
    """Generate, train and acquire in rounds until the budget is spent, and train on all of it.

    Called again after a kill it continues; called again with more budget and more rounds, it adds
    those.

    Args:
        simulation: the system and its settings.
        folder: for everything, made if it does not exist.
        budget: trajectories to solve in all, those that validate and test included.
        rounds: by how many the first trajectories are followed, as equal in size as can be.
        method: how they are chosen, see `acquire`.
        initial: trajectories of the first round, drawn independently; a third of the budget by
            default.
        splits: fractions of them for train, valid and test. All later ones are for training.
        network: unbuilt; several are one member each. By default what `train` chooses.
        members: surrogates to train after each round, which differ in their seeds; by default two
            where the method needs them to disagree, one otherwise.
        seed: of the dataset; member ``m`` is trained with seed ``seed + m``.
        recipe: of the trainings, see `surrogate.recipe.Recipe`.
        selection: further arguments of `acquire`: ``pool``, ``independent``, ``sharpness``, …
        workers: processes that solve, see `simulations.generate`.
        device: of the trainings.
        progress: show progress bars on stderr.

    Raises:
        InvalidInput: an argument is out of range.
        DatasetError: the folder holds something else.
    """
    folder, path = Path(folder), Path(folder) / "dataset"
    networks = _committee(network, members, method)
    chosen_by = Selection.of({"seed": seed, **(selection or {}), "method": method})
    splits = [float(fraction) for fraction in splits]
    recipe = dict(recipe or {})
    if "seed" in recipe:
        raise InvalidInput(f"recipe: seed={recipe['seed']}: members have seeds of their own")
    for each in networks:
        Recipe.of(each or nn.Module(), recipe)
    asked = {
        "system": type(simulation).__name__,
        "settings": simulation.settings,
        "splits": splits,
        "networks": [_named(each) for each in networks],
        "seed": seed,
        "recipe": recipe,
        "selection": asdict(chosen_by),
    }
    log = _Log.open(folder, asked, budget, rounds, initial)
    design = _held(path) or Grown.after(INDEPENDENT, log.rounds[0]["n"])
    sizes = [r["n"] for r in log.rounds]
    if [len(draws) for draws in design.rounds] != sizes[: len(design.rounds)]:
        raise DatasetError(f"{path}: does not hold the rounds that {folder}/growth.json speaks of")
    for number in range(len(design.rounds) - 1, len(sizes)):
        dataset = simulations.generate(
            simulation,
            len(design),
            path,
            seed=seed,
            design=design,
            splits=splits,
            workers=workers,
            progress=progress,
        )
        homes = [folder / "rounds" / f"{number:02d}" / f"member-{m}" for m in range(len(networks))]
        emulators = [
            _trained(dataset, each, home, device, progress, {**recipe, "seed": seed + member})
            for member, (each, home) in enumerate(zip(networks, homes, strict=True))
        ]
        log.note(number, **_measured(dataset, emulators, log.rounds[:number]))
        if number + 1 < len(sizes):
            chosen = acquire(simulation, emulators, budget=sizes[number + 1], **asdict(chosen_by))
            log.note(number, selection_seconds=chosen.seconds)
            design = chosen.design
    return Growth(dataset, emulators, log.rounds)


def _divided(budget: int, rounds: int, initial: int | None, splits: Sequence[float]) -> list[int]:
    """Trajectories of each round.

    Raises:
        InvalidInput: the first has none to train, to validate or to test with, or a later one none.
    """
    check_setting("rounds", rounds, 0, 10_000, integer=True)
    check_setting("budget", budget, rounds + 1, 1e9, integer=True)
    first = (max(1, budget // 3) if rounds else budget) if initial is None else initial
    check_setting("initial", first, 1 if rounds else budget, budget - rounds, integer=True)
    manifest = {"n": first, "splits": splits, "samples_per_shard": first}
    filled = {plan.split for plan in plan_shards(manifest)}
    if empty := [split for split in layout.SPLITS if split not in filled]:
        raise InvalidInput(
            f"initial={first}, splits={tuple(splits)}: leave nothing for {', '.join(empty)}"
        )
    return [first, *_shares(budget - first, rounds)]


def _shares(total: int, parts: int) -> list[int]:
    """As equal as can be, the larger ones first."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _committee(
    network: nn.Module | Sequence[nn.Module] | None, members: int | None, method: str
) -> list[nn.Module | None]:
    if members is not None:
        check_setting("members", members, 1, 1000, integer=True)
    if network is not None and not isinstance(network, nn.Module):
        if members not in (None, len(network)) or not network:
            raise InvalidInput(f"members={members}: {len(network)} networks are given")
        return list(network)
    return [network] * (members or (2 if method == "sbal" else 1))


def _named(network: nn.Module | None) -> Any:
    if network is None:
        return None
    return [type(network).__name__, getattr(network, "config", None)]


def _held(path: Path) -> Grown | None:
    """All rounds that have been decided on."""
    if not (path / "dataset.json").exists():
        return None
    draws = Dataset(path).draws
    return Grown.after(draws.design, draws.n)


def _trained(
    dataset: Dataset,
    network: nn.Module | None,
    home: Path,
    device: str,
    progress: bool,
    recipe: dict[str, Any],
) -> Surrogate:
    """The saved surrogate, or a new one; ``config.json`` is what is written last."""
    checkpoint = home / "checkpoint.safetensors"
    if not (home / "config.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        emulator = train(
            dataset,
            copy.deepcopy(network),
            checkpoint=checkpoint,
            device=device,
            progress=progress,
            **recipe,
        )
        emulator.save(home)
    checkpoint.unlink(missing_ok=True)
    return load(home)


def _measured(
    dataset: Dataset, emulators: Sequence[Surrogate], earlier: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    errors = [emulator.training["test_relative_l2"] for emulator in emulators]
    return {
        "train": dataset.count("train"),
        "solver_seconds": dataset.solver_seconds - sum(r["solver_seconds"] for r in earlier),
        "training_seconds": sum(emulator.training["seconds"] for emulator in emulators),
        "error": {name: sum(e[name] for e in errors) / len(errors) for name in errors[0]},
    }


class _Log:
    """``growth.json``: what was asked for, and what each round has cost and brought."""

    def __init__(self, path: Path, asked: dict[str, Any], rounds: list[dict[str, Any]]) -> None:
        self._path, self._asked, self.rounds = path, asked, rounds

    @classmethod
    def open(
        cls, folder: Path, asked: dict[str, Any], budget: int, rounds: int, initial: int | None
    ) -> "_Log":
        """Begin one, or check that what is there was asked for in the same words.

        Raises:
            InvalidInput: the budget cannot be divided like this.
            DatasetError: the folder holds another growth, or something else.
        """
        path = folder / "growth.json"
        asked = json.loads(json.dumps(asked))
        if not path.exists():
            sizes = _divided(budget, rounds, initial, asked["splits"])
            if folder.exists() and (not folder.is_dir() or _is_taken(folder)):
                raise DatasetError(f"{folder}: is not empty and no growth; choose another folder")
            folder.mkdir(parents=True, exist_ok=True)
            log = cls(path, asked, [{"n": size} for size in sizes])
            log._publish()
            return log
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            before, noted = dict(found["asked"]), [dict(r) for r in found["rounds"]]
            sizes = [int(r["n"]) for r in noted]
            first = sizes[0]
        except (ValueError, KeyError, TypeError, IndexError):
            raise DatasetError(f"{path}: not the record of a growth") from None
        for key, value in asked.items():
            if before.get(key) != value:
                raise DatasetError(
                    f"{folder}: has grown with {key}={before.get(key)}, not {value}; choose "
                    "another folder"
                )
        more, later = budget - sum(sizes), rounds - len(sizes) + 1
        if (more, later) != (0, 0) and not (later > 0 and more >= later):
            raise DatasetError(
                f"{folder}: has a budget of {sum(sizes)} in {len(sizes) - 1} rounds, not {budget} "
                f"in {rounds}; give the same, or more of both"
            )
        if initial not in (None, first):
            raise DatasetError(f"{folder}: has grown from initial={first}, not {initial}")
        return cls(path, asked, noted + [{"n": size} for size in _shares(more, later)])

    def note(self, number: int, **measured: Any) -> None:
        """Keep what is known of a round now."""
        self.rounds[number] |= measured
        self._publish()

    def _publish(self) -> None:
        content = {"asked": self._asked, "rounds": self.rounds}
        publish_text(self._path, json.dumps(content, indent=2) + "\n")


def _is_taken(folder: Path) -> bool:
    """Whether there is more in a folder than a record that was being written."""
    return any(not each.name.startswith(".growth.json.") for each in folder.iterdir())
