"""A worked example from generation to report: natural convection and Burgers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simulations
import surrogate
from simulations import Simulation
from surrogate.comparison import Comparison
from surrogate.networks.network import Network
from surrogate.report import write_report


@dataclass(frozen=True)
class Case:
    """One system of the demonstration, with a budget that suits a laptop."""

    simulation: Simulation
    trajectories: int
    network: Callable[[], Network]
    recipe: dict[str, Any] = field(default_factory=dict)
    held_out: int = 16


def cases() -> dict[str, Case]:
    """The systems of the demonstration by the names of their folders."""
    return {
        "natural-convection": Case(
            simulations.NaturalConvection(),
            trajectories=1500,
            network=surrogate.PODPolynomial,
        ),
        "burgers": Case(
            simulations.Burgers(n=128),
            trajectories=2000,
            network=lambda: surrogate.FNO(modes=16, width=32),
            recipe={"epochs": 40},
        ),
    }


def run(folder: str | Path, *, progress: bool = True) -> Path:
    """Generate, train, compare and report. What a previous run has finished is not done again.

    Returns:
        The report, one HTML file without outside resources.
    """
    folder = Path(folder)
    comparisons = [
        run_case(case, folder / name, progress=progress) for name, case in cases().items()
    ]
    report = folder / "report.html"
    write_report(report, comparisons)
    return report


def run_case(
    case: Case, folder: Path, *, model: str = "model", progress: bool = True
) -> Comparison:
    """One system: the dataset, and the model under its name, are kept in ``folder``."""
    dataset = simulations.generate(
        case.simulation, case.trajectories, folder / "dataset", progress=progress
    )
    kept = folder / model
    if (kept / "config.json").exists():
        emulator = surrogate.load(kept)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        checkpoint = kept / "checkpoint.safetensors"
        emulator = surrogate.train(
            dataset, case.network(), checkpoint=checkpoint, progress=progress, **case.recipe
        )
        emulator.save(kept)
        checkpoint.unlink()
    return surrogate.compare(
        case.simulation, emulator, dataset=dataset, n=case.held_out, progress=progress
    )
