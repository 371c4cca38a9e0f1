"""Warm start: iterations and time of solvers that start from a surrogate, to the same accuracy.

    python -m benchmarks.trust_warm_start [--folder FOLDER] [--quick]

Beside the surrogate stands the honest rival, a guess that costs nothing to train: the answer to the
nearest training sample. Data and models are kept in FOLDER, and what is there is not made again.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import simulations
import surrogate
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations import Simulation
from simulations.machine import machine_in_words
from surrogate.comparison.held_out import fresh_inputs
from surrogate.comparison.rivals import NearestNeighbour
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoding


@dataclass(frozen=True)
class Case:
    """A system that learns at one resolution and solves at another, to each of some tolerances."""

    title: str
    learnt: Simulation
    solved: Simulation
    tolerances: tuple[float, ...]
    trajectories: int
    network: Callable[[], Any]
    recipe: Mapping[str, Any]


CASES = {
    "natural-convection": Case(
        "Natural convection, Newton steps",
        simulations.NaturalConvection(),
        simulations.NaturalConvection(),
        (1e-4, 1e-6),
        400,
        surrogate.PODPolynomial,
        {},
    ),
    "cavity": Case(
        "Lid-driven cavity, Newton steps",
        simulations.LidDrivenCavity(),
        simulations.LidDrivenCavity(),
        (1e-4, 1e-6),
        60,
        surrogate.PODPolynomial,
        {},
    ),
    "darcy": Case(
        "Darcy flow, conjugate gradients",
        simulations.DarcyFlow(n=32),
        simulations.DarcyFlow(n=32),
        (1e-3, 1e-4, 1e-6, 1e-8),
        1200,
        surrogate.FNO,
        {"minutes": 6.0, "epochs": 1_000_000},
    ),
}


def emulators(case: Case, folder: Path, quick: bool) -> dict[str, Surrogate]:
    """The trained surrogate and the nearest training sample."""
    n = 60 if quick else case.trajectories
    data = simulations.generate(case.learnt, n, folder / "data", progress=False)
    kept = folder / "model"
    if not (kept / "config.json").exists():
        recipe = {**case.recipe, **({"minutes": 0.1} if "minutes" in case.recipe else {})}
        surrogate.train(
            data, case.network(), progress=False, **(recipe if quick else case.recipe)
        ).save(kept)
    encoding = Encoding.of_dataset(data)
    nearest = NearestNeighbour(encoding.encode(data.load("train")), encoding.weights)
    return {
        "surrogate": surrogate.load(kept),
        "nearest sample": Surrogate(case.learnt, nearest, encoding),
    }


def rows(case: Case, folder: Path, quick: bool) -> list[dict[str, object]]:
    """For each tolerance and start the medians over held-out inputs."""
    made = emulators(case, folder, quick)
    count = 4 if quick else 40
    measured = []
    for tolerance in case.tolerances:
        simulation = type(case.solved).from_settings(
            {**case.solved.settings, "tolerance": tolerance}
        )
        simulation.warm_up()
        inputs = fresh_inputs(simulation, count, 0)
        calls: dict[str, Callable[[Any], Any]] = {"none": lambda _: None}
        for name, emulator in made.items():
            calls[name] = surrogate.warm_start(simulation, emulator).guess
        taken, seconds = {}, {}
        for name, guess in calls.items():
            taken[name] = [simulation.run_counted(i, guess(i))[1] for i in inputs]
        chosen = inputs[: 2 if quick else 10]
        timed = {n: partial(_solve_all, simulation, chosen, g) for n, g in calls.items()}
        for name, timing in side_by_side(timed, samples=2 if quick else 9).items():
            seconds[name] = timing.wall / len(chosen)
        cold = float(np.median(taken["none"]))
        for name in calls:
            iterations = float(np.median(taken[name]))
            measured.append(
                {
                    "tolerance": f"{tolerance:g}",
                    "guess": name,
                    "iterations": iterations,
                    "saved %": 100 * (1 - iterations / cold),
                    "mean saved %": 100 * (1 - np.mean(taken[name]) / np.mean(taken["none"])),
                    "ms with the guess": 1e3 * seconds[name],
                    "time saved %": 100 * (1 - seconds[name] / seconds["none"]),
                }
            )
    return measured


def _solve_all(simulation: Simulation, inputs: list[Any], guess: Callable[[Any], Any]) -> None:
    for given in inputs:
        simulation.run(given, guess(given))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="see whether it works; no results")
    chosen = parser.parse_args()
    pin_to_one_core()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="warm-start-"))
    parts = []
    for name, case in CASES.items():
        measured = table(rows(case, folder / name, chosen.quick))
        parts.append(f"### {case.title}\n\n{measured}\n")
    text = f"""## Warm start

Medians over held-out inputs. All starts end at the same tolerance; that of Darcy flow is the
residual of the linear system, of the flows the error of the fields. Time includes making the guess.
Machine: {machine_in_words("torch")}.

{"".join(part + chr(10) for part in parts)}"""
    print(text)
    if not chosen.quick:
        replace_section("warm start", text)


if __name__ == "__main__":
    main()
