"""Inverse problems: are posteriors as wide as they should be (simulation-based calibration)?

    python -m benchmarks.trust_inverse [--folder FOLDER] [--quick]

Parameters are drawn from the prior, the solver makes observations of them, and the posterior says
which share of it lies below the truth. Over many draws these ranks are uniform if, and only if,
posteriors are neither too narrow nor too wide nor shifted. The noise is of the size of the
surrogate's error at the observations, so that leaving that out shows.

Talts et al., Validating Bayesian inference algorithms with simulation-based calibration (2018).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
import torch

import simulations
import surrogate
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations import Simulation
from simulations.machine import machine_in_words
from surrogate.emulator import Surrogate
from surrogate.inverse.box import Box
from surrogate.inverse.likelihood import ModelError, measure_model_error
from surrogate.inverse.observations import Observations

BINS = 10


@dataclass(frozen=True)
class Case:
    """A system, what is observed of it, and a surrogate that is not too good."""

    title: str
    simulation: Simulation
    trajectories: int
    network: Callable[[], Any]
    recipe: Mapping[str, Any]
    known: Callable[[Simulation], dict[str, Any]]
    observed: Callable[[Any], Any]


def _start(simulation: Simulation) -> dict[str, Any]:
    """One initial condition, the same for all observations."""
    return {"u0": simulation.sample(np.random.default_rng(7))["u0"]}


CASES = {
    "natural-convection": Case(
        "Natural convection: Ra and Pr from 9 temperatures",
        simulations.NaturalConvection(n=24, tolerance=1e-3),
        100,
        lambda: surrogate.PODPolynomial(max_terms=12),
        {},
        lambda _: {},
        lambda answer: answer[["temperature"]].isel(x=slice(3, 24, 7), y=slice(3, 24, 7)),
    ),
    "burgers": Case(
        "Burgers: viscosity from 8 values at the last time",
        simulations.Burgers(n=64, n_times=6),
        400,
        lambda: surrogate.FNO(modes=12, width=16, layers=3),
        {"epochs": 60},
        _start,
        lambda answer: answer[["u"]].isel(time=[-1], x=slice(0, 64, 8)),
    ),
}


def emulator_of(case: Case, folder: Path, quick: bool) -> Surrogate:
    data = simulations.generate(case.simulation, case.trajectories, folder / "data", progress=False)
    kept = folder / "model"
    if not (kept / "config.json").exists():
        recipe = {"epochs": 4} if quick and case.recipe else case.recipe
        surrogate.train(data, case.network(), progress=False, **recipe).save(kept)
    return surrogate.load(kept)


def rows(case: Case, folder: Path, quick: bool, count: int) -> list[dict[str, object]]:
    """For each treatment of the surrogate's error how uniform the ranks are."""
    emulator, simulation = emulator_of(case, folder, quick), case.simulation
    known = case.known(simulation)
    box = Box.of(emulator, inputs=known)
    runs = 8 if quick else 64
    rng = np.random.default_rng(0)
    # The error is measured at draws of its own, once for all observations
    probe = case.observed(simulation(**known, **_named(box, np.full(len(box.names), 0.5))))
    pattern = Observations.of_dataset(simulation, probe, 1.0)
    error = measure_model_error(box, pattern, rng.random((runs, len(box.names))))
    size = float(np.sqrt(np.mean(np.diag(error.covariance) + error.mean**2)))
    truths = rng.random((count, len(box.names)))
    seen = [pattern.seen_in(box.solved(z)) for z in truths]
    noisy = np.stack(seen) + size * rng.standard_normal((count, len(pattern)))
    treatments: dict[str, dict[str, Any]] = {
        "left out": {"model_error": ModelError.none(len(pattern))},
        "measured": {"model_error": error},
        "error of the test split": {},
        "corrected by the solver": {"model_error": error, "method": "delayed"},
    }
    measured = []
    for name, treatment in treatments.items():
        is_delayed = "method" in treatment
        ranks, inside, calls = [], [], []
        start = time.perf_counter()
        for number, (z, values) in enumerate(zip(truths, noisy, strict=True)):
            observations = Observations(
                values, np.full(len(values), size), pattern.fields, pattern.operators
            )
            posterior = surrogate.calibrate(
                emulator,
                observations,
                inputs=known,
                draws=(30 if quick else 60) if not is_delayed else (10 if quick else 40),
                starts=1,
                seed=number,
                **treatment,
            )
            drawn, truth = posterior.draws, box.values(z)
            ranks.append((drawn < truth).mean(axis=0))
            low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
            inside.append((low <= truth) & (truth <= high))
            calls.append(posterior.solver_calls)
        for i, parameter in enumerate(box.names):
            mine = np.array(ranks)[:, i]
            counts = np.histogram(mine, BINS, (0, 1))[0]
            measured.append(
                {
                    "surrogate's error": name,
                    "parameter": parameter,
                    "p (χ²)": float(scipy.stats.chisquare(counts).pvalue),
                    "p (KS)": float(scipy.stats.kstest(mine, "uniform").pvalue),
                    "truths in 90 % interval %": 100 * float(np.mean(np.array(inside)[:, i])),
                    "solver runs each": float(np.mean(calls)),
                    "s each": (time.perf_counter() - start) / count,
                }
            )
    return measured


def _named(box: Box, z: np.ndarray) -> dict[str, float]:
    return dict(zip(box.names, map(float, box.values(z)), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="see whether it works; no results")
    parser.add_argument("--observations", type=int, default=100, help="of each system")
    chosen = parser.parse_args()
    pin_to_one_core()
    torch.set_num_threads(1)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="inverse-"))
    parts = []
    for name, case in CASES.items():
        measured = table(rows(case, folder / name, chosen.quick, chosen.observations))
        print(measured, flush=True)
        parts.append(f"### {case.title}\n\n{measured}\n")
    text = f"""## Inverse problems

Simulation-based calibration over {chosen.observations} synthetic observations of the solver, with
noise of the size of the surrogate's error. The ranks of the truths are uniform where posteriors are
right: p-values below 0.01 say that they are not. Machine: {machine_in_words("torch")}.

{"".join(part + chr(10) for part in parts)}"""
    print(text)
    if not chosen.quick:
        replace_section("inverse problems", text)


if __name__ == "__main__":
    main()
