"""Data bought where it counts: error against the number of simulations, by how they are chosen.

    python -m benchmarks.trust_acquisition [--quick] [--folder FOLDER] [CASE ...]

All arms of a seed begin with the same independent trajectories, validate with the same ones and
train networks of the same seeds; all are tested on the same trajectories, which no arm ever sees.
Growths are kept in FOLDER, and what is there is not made again.
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simulations
import surrogate
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations import Simulation
from simulations.datasets import Trajectories
from simulations.machine import machine_in_words
from simulations.simulation import Sampling
from surrogate import OutOfDomainWarning, PODNet, PODPolynomial, Surrogate, metrics
from surrogate.networks import Network

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "acquisition.svg"
METHODS = ("random", "sobol", "sbal", "lcmd")
SEEDS = (0, 1, 2)
TEST_SEED = 1000

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Case:
    """A problem with easy and hard inputs.

    Attributes:
        simulation: the system.
        networks: the members.
        members: in words.
        initial: trajectories of the first round, half of them for training.
        step: trajectories of each later round.
        rounds: their number.
        recipe: of the trainings.
        test: trajectories of the test.
    """

    simulation: Callable[[], Simulation]
    networks: Callable[[], list[Network]]
    members: str
    initial: int
    step: int
    rounds: int
    recipe: dict[str, Any] = field(default_factory=dict)
    test: int = 128


@cache
def _here(system: type[Simulation], **settings: Any) -> Simulation:
    """A system that is solved in this process: others take longer to start than it to solve.

    One class for each, so that what a folder holds is of the class that asks.
    """

    class Here(system):  # type: ignore[valid-type, misc]
        pass

    Here.__name__, Here.__doc__ = f"{system.__name__}Here", system.__doc__
    return Here(**settings)


def _polynomials(*terms: int) -> list[Network]:
    return [PODPolynomial(modes=24, max_terms=count) for count in terms]


CASES = {
    "natural convection": Case(
        partial(_here, simulations.NaturalConvection, n=24),
        partial(_polynomials, 60, 30),
        "polynomials of two parameters, 60 and 30 terms",
        initial=24,
        step=12,
        rounds=4,
    ),
    "elasticity": Case(
        partial(_here, simulations.LinearElasticity, n=16),
        partial(_polynomials, 120, 60),
        "polynomials of three parameters, 120 and 60 terms",
        initial=32,
        step=16,
        rounds=4,
    ),
    "lid-driven cavity": Case(
        partial(
            _here,
            simulations.LidDrivenCavity,
            n=16,
            sampling=Sampling({"reynolds": (1.0, 1000.0)}),
        ),
        partial(_polynomials, 30, 10),
        "polynomials of one parameter, 30 and 10 terms",
        initial=10,
        step=3,
        rounds=4,
        test=64,
    ),
    "Burgers": Case(
        partial(
            _here,
            simulations.Burgers,
            n=64,
            t_end=0.5,
            n_times=3,
            tolerance=1e-5,
            sampling=Sampling({"nu": (1e-3, 1.0)}),
        ),
        lambda: [PODNet(modes=24, width=64), PODNet(modes=24, width=64)],
        "two PODNets of viscosity and initial state",
        initial=64,
        step=32,
        rounds=4,
        recipe={"epochs": 100},
    ),
}


@dataclass(frozen=True)
class Arm:
    """What one way of choosing has brought with one seed, after each round.

    Attributes:
        simulations: trajectories to train with.
        mean: relative L2 error over test trajectories, mean of fields and members.
        high: of which one in twenty exceeds, the same.
        seconds: in solver, training and selection, of all rounds.
    """

    simulations: list[int]
    mean: list[float]
    high: list[float]
    seconds: tuple[float, float, float]


def arm(case: Case, folder: Path, method: str, seed: int) -> Arm:
    """Grow, and test every member of every round."""
    simulation = case.simulation()
    test = simulations.generate(
        simulation, case.test, folder / "test", seed=TEST_SEED, splits=(0, 0, 1), progress=False
    ).load("test")
    home = folder / f"{method}-{seed}"
    grown = surrogate.grow(
        simulation,
        home,
        budget=case.initial + case.step * case.rounds,
        rounds=case.rounds,
        initial=case.initial,
        splits=(0.5, 0.25, 0.25),
        method=method,
        network=case.networks(),
        seed=seed,
        recipe=case.recipe,
        progress=False,
    )
    mean, high = [], []
    for number in range(case.rounds + 1):
        homes = sorted((home / "rounds" / f"{number:02d}").glob("member-*"))
        errors = np.mean([_errors(surrogate.load(each), test) for each in homes], axis=0)
        mean.append(float(errors.mean()))
        high.append(float(np.quantile(errors, 0.95)))
    costs = ("solver_seconds", "training_seconds", "selection_seconds")
    solver, training, selection = (sum(r.get(key, 0.0) for r in grown.rounds) for key in costs)
    counts = [r["train"] for r in grown.rounds]
    return Arm(counts, mean, high, (solver, training, selection))


def _errors(emulator: Surrogate, test: Trajectories) -> Array:
    """Of each trajectory, relative L2, mean over fields; given frames do not count."""
    simulation, inputs = emulator.simulation, dict(test.parameters)
    for name, declared in simulation.field_inputs.items():
        initial = declared.initial_of
        inputs[name] = test.fields[initial][:, 0] if initial else test.field_inputs[name]
    answer = emulator.predict(**inputs)
    errors = []
    for name, declared_field in simulation.fields.items():
        first = emulator.encoding.first_frame[name]
        weights = None
        if declared_field.spatial:
            weights = simulation.grid.weights
            weights = weights.reshape(weights.shape + (1,) * declared_field.order)
        found, truth = (f[name][:, first:].astype(np.float64) for f in (answer, test.fields))
        errors.append(metrics.relative_l2(found, truth, weights))
    return np.mean(errors, axis=0)


def rows(arms: dict[str, list[Arm]]) -> list[dict[str, object]]:
    """Of each way its errors in the end, and how many simulations give the error of chance."""
    goal = _middle([a.mean for a in arms["random"]])[-1]
    found: list[dict[str, object]] = []
    for method, made in arms.items():
        mean, high = (_middle([getattr(a, kind) for a in made]) for kind in ("mean", "high"))
        ends = [100 * a.mean[-1] for a in made]
        solver, training, selection = np.mean([a.seconds for a in made], axis=0)
        found.append(
            {
                "chosen by": method,
                "error %": f"{100 * mean[-1]:.3g} ({min(ends):.3g} to {max(ends):.3g})",
                "one in 20 above %": f"{100 * high[-1]:.3g}",
                "simulations for the error of random %": needed(made[0].simulations, mean, goal),
                "training / solver": float(training / solver),
                "selection / solver": float(selection / solver),
            }
        )
    return found


def _middle(curves: list[list[float]]) -> Array:
    """Geometric mean over seeds."""
    return np.exp(np.mean(np.log(curves), axis=0))


def needed(counts: list[int], errors: Array, goal: float) -> str:
    """Share of the simulations after which the error is the goal, linear between logarithms."""
    best = np.minimum.accumulate(errors)
    if best[-1] > goal:
        return "> 100"
    place = int(np.argmax(best <= goal))
    if place == 0:
        return f"< {100 * counts[0] / counts[-1]:.0f}"
    share = (np.log(best[place - 1]) - np.log(goal)) / np.log(best[place - 1] / best[place])
    low, high = np.log(counts[place - 1]), np.log(counts[place])
    return f"{100 * np.exp(low + share * (high - low)) / counts[-1]:.0f}"


def draw(found: dict[str, dict[str, list[Arm]]], path: Path) -> None:
    """A panel for each case: geometric mean over seeds, and its range."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "acquisition"
    figure, panels = plt.subplots(
        1, len(found), figsize=(3.2 * len(found), 3.2), layout="constrained", squeeze=False
    )
    for panel, (name, arms) in zip(panels[0], found.items(), strict=True):
        for method, made in arms.items():
            counts, curves = made[0].simulations, np.array([a.mean for a in made])
            (line,) = panel.loglog(counts, 100 * _middle(curves.tolist()), "o-", label=method, ms=3)
            low, high = 100 * curves.min(axis=0), 100 * curves.max(axis=0)
            panel.fill_between(counts, low, high, color=line.get_color(), alpha=0.12, lw=0)
        panel.set(title=name, xlabel="training simulations")
        panel.set_xticks(counts, [str(count) for count in counts])
        panel.minorticks_off()
    panels[0, 0].set_ylabel("test error [%]")
    panels[0, 0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def section(found: dict[str, dict[str, list[Arm]]], seeds: int) -> str:
    body = "\n".join(
        f"### {name}\n\n{CASES[name].members}; {arms['random'][0].simulations[0]} to "
        f"{arms['random'][0].simulations[-1]} simulations.\n\n{table(rows(arms))}\n"
        for name, arms in found.items()
    )
    return f"""## Choosing what to simulate

By `surrogate.grow`: {seeds} seeds, of which the geometric mean is given, and the range at the end.
Of the trajectories chosen by sobol, sbal and lcmd 30 % are drawn independently. The fourth column
says with how many simulations, of those that random draws need, their error is reached. Machine:
{machine_in_words("physurrogate", "numba", "torch")}.

![error against simulations](../docs/images/{PICTURE.name})

{body}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--quick", action="store_true", help="one seed; writes no results")
    parser.add_argument("--folder", type=Path, help="where growths are kept")
    options = parser.parse_args()
    if unknown := [name for name in options.cases if name not in CASES]:
        parser.error(f"{', '.join(unknown)}: no such case; there are {', '.join(CASES)}")
    pin_to_one_core()
    warnings.filterwarnings("ignore", ".*generating in one process")
    warnings.simplefilter("ignore", OutOfDomainWarning)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="acquisition-"))
    seeds = SEEDS[:1] if options.quick else SEEDS
    found: dict[str, dict[str, list[Arm]]] = {}
    for name in options.cases:
        home = folder / name.replace(" ", "-").lower()
        found[name] = {m: [arm(CASES[name], home, m, s) for s in seeds] for m in METHODS}
        print(f"{name}\n{table(rows(found[name]))}", flush=True)
    if options.quick or options.cases != list(CASES):
        return
    draw(found, PICTURE)
    replace_section("trust_acquisition", section(found, len(seeds)))


if __name__ == "__main__":
    main()
