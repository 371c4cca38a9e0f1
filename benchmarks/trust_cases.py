"""Surrogates of modest quality, and truths that they have not seen, for the benchmarks of trust.

Everything is kept in a folder, and what is there is not made again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import simulations
import surrogate
from simulations import Simulation
from surrogate import Surrogate
from surrogate.networks import Network
from surrogate.trust.unseen import Solved

# Of fresh draws: not the seed that `surrogate.calibrated` takes by default
POOL_SEED = 20


@dataclass(frozen=True)
class Case:
    """A system, the data and minutes for its surrogate, and how many truths there are."""

    simulation: Simulation
    trajectories: int
    network: Callable[[], Network]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    pool: int = 600


def cases(quick: bool) -> dict[str, Case]:
    """The systems by the names of their folders; small ones to see whether all works."""
    fno = {"epochs": 300, "minutes": 1.5}
    if quick:
        return {
            "natural-convection": Case(
                simulations.NaturalConvection(n=16), 60, surrogate.PODPolynomial, pool=90
            )
        }
    return {
        "natural-convection": Case(
            simulations.NaturalConvection(n=32), 200, surrogate.PODPolynomial
        ),
        "darcy": Case(
            simulations.DarcyFlow(n=32),
            500,
            lambda: surrogate.FNO(modes=8, width=16, layers=3),
            fno,
        ),
        "burgers": Case(
            simulations.Burgers(n=64, n_times=11),
            400,
            lambda: surrogate.FNO(modes=12, width=24, layers=3),
            fno,
        ),
        "gray-scott": Case(
            simulations.GrayScott(n=32, n_times=6),
            300,
            lambda: surrogate.FNO(modes=8, width=16, layers=3),
            fno,
            pool=400,
        ),
    }


def trained(case: Case, folder: Path, seed: int = 0) -> Surrogate:
    """The surrogate of a case; members of an ensemble differ in their seed."""
    kept = folder / f"model-{seed}"
    if (kept / "config.json").exists():
        return surrogate.load(kept)
    data = simulations.generate(
        case.simulation, case.trajectories, folder / "dataset", workers=1, progress=False
    )
    emulator = surrogate.train(
        data, case.network(), progress=False, **{**case.recipe, "seed": seed}
    )
    emulator.save(kept)
    return emulator


def solved(
    case: Case, folder: Path, name: str = "pool", make: Callable[[], Solved] | None = None
) -> Solved:
    """Truths that are made once: fresh draws of the case, or what ``make`` solves."""
    path = folder / f"{name}.npz"
    if not path.exists():
        found = make() if make else Solved.fresh(case.simulation, case.pool, POOL_SEED)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            **{f"input/{key}": values for key, values in found.inputs.items()},
            **{f"field/{key}": values for key, values in found.fields.items()},
        )
    with np.load(path, allow_pickle=False) as kept:
        groups: dict[str, dict[str, Any]] = {"input": {}, "field": {}}
        for key in kept.files:
            group, _, variable = key.partition("/")
            groups[group][variable] = kept[key]
    return Solved(groups["input"], groups["field"])
