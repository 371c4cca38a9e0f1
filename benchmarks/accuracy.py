"""Errors of our surrogates on data made to published specifications, beside the published recipe.

    python -m benchmarks.accuracy CASE [--folder DIR] [--seeds 0 1 2]

Regenerated data are not the original files: a published number is there for orientation, and the
claim is the ratio to neuraloperator's FNO with the published recipe, trained here on the same data.
Data and results are kept in the folder, and what is there is not made again.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

import simulations
import surrogate
from benchmarks.published_recipe import PublishedFNO
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from benchmarks.training import keep_freed_memory
from simulations import Dataset, Simulation
from simulations.datasets.publish import publish_text
from simulations.machine import machine_in_words
from surrogate.networks import Network

VALIDATION = 100


@dataclass(frozen=True)
class Case:
    """A published learning problem.

    Args:
        title: what it is.
        simulation: the system to the published specification.
        trajectories: numbers for training and test.
        published: numbers in the literature, in words.
        network: ours.
        recipe: ours.
        rival: the published recipe.
    """

    title: str
    simulation: Callable[[], Simulation]
    trajectories: tuple[int, int]
    published: str
    network: Callable[[], Network]
    recipe: dict[str, float]
    rival: PublishedFNO


CASES = {
    "burgers-fno-paper": Case(
        "Burgers of the FNO paper, ν = 0.1 on (0, 2π), 1024 points",
        lambda: simulations.Burgers.preset("fno_paper", n=1024),
        (1000, 200),
        "0.0160 (paper), 0.0025 (best FNO), 0.0007 (best)",
        lambda: surrogate.FNO(modes=16, width=64),
        {"epochs": 500, "batch_size": 20, "learning_rate": 3e-3, "weight_decay": 0.0},
        PublishedFNO(modes=16, width=64, halve_every=50),
    ),
}


def dataset(case: Case, folder: Path) -> Dataset:
    """Train and test as published, and a validation split besides, which selects."""
    train, test = case.trajectories
    n = train + VALIDATION + test
    splits = (train / n, VALIDATION / n, test / n)
    return simulations.generate(case.simulation(), n, folder, seed=0, splits=splits)


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        code: whose.
        seed: of weights and batches.
        error: mean relative L2 error on the test split.
        minutes: of training, on one thread.
    """

    code: str
    seed: int
    error: float
    minutes: float


def ours(case: Case, data: Dataset, seed: int) -> Run:
    emulator = surrogate.train(data, case.network(), seed=seed, **case.recipe)
    errors = emulator.training["test_relative_l2"]
    minutes = emulator.training["seconds"] / 60
    return Run("physurrogate", seed, sum(errors.values()) / len(errors), minutes)


def published(case: Case, data: Dataset, seed: int) -> Run:
    errors, minutes = case.rival.train(data, seed)
    return Run("published recipe", seed, sum(errors.values()) / len(errors), minutes)


def runs(case: Case, folder: Path, seeds: Sequence[int]) -> list[Run]:
    """All trainings, each written down when it ends."""
    data = dataset(case, folder / "data")
    made = []
    for seed in seeds:
        for train in (ours, published):
            path = folder / f"{train.__name__}-{seed}.json"
            if not path.exists():
                publish_text(path, json.dumps(asdict(train(case, data, seed))))
            made.append(Run(**json.loads(path.read_text())))
            print(made[-1], flush=True)
    return made


def row(made: Sequence[Run], code: str) -> dict[str, object]:
    errors = [run.error for run in made if run.code == code]
    spread = f" ({min(errors):.2e} to {max(errors):.2e})" if len(errors) > 1 else ""
    return {
        "training": code,
        "relative L2 error": f"{median(errors):.2e}{spread}",
        "seeds": len(errors),
        "CPU minutes": median(run.minutes for run in made if run.code == code),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = parser.parse_args()
    case = CASES[chosen.case]
    pin_to_one_core()
    keep_freed_memory()
    torch.set_num_threads(1)
    folder = chosen.folder or Path(tempfile.mkdtemp())
    made = runs(case, folder / chosen.case, chosen.seeds)
    rows = [row(made, code) for code in dict.fromkeys(run.code for run in made)]
    ratio = median(run.error for run in made if run.code != "physurrogate") / median(
        run.error for run in made if run.code == "physurrogate"
    )
    train, test = case.trajectories
    text = f"""### {case.title}

{train} trajectories for training, {VALIDATION} for validation, {test} for test. Published:
{case.published}. The published recipe's error is {ratio:.2g} times ours. Machine:
{machine_in_words("torch")}.

{table(rows)}
"""
    print(text)
    replace_section(f"accuracy of {chosen.case}", text)


if __name__ == "__main__":
    main()
