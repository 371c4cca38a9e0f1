"""Runs the suite: each system within a stated budget, and from where a killed run has stopped.

Of a system's minutes two fifths go into data, two fifths into training, the rest into the
comparison. What that means in trajectories and held-out inputs is decided once, from the time that
a run takes, and written down before anything is made. Compiling is not counted.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import simulations
import surrogate
from simulations import Dataset, SimulationDiverged
from simulations.datasets import layout
from simulations.datasets.publish import publish_text
from simulations.simulation import InvalidInput, Simulation, check_setting
from surrogate.comparison.cases import Case, Way, cases, default_ways
from surrogate.comparison.protocol import compare
from surrogate.comparison.result import Comparison
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoding
from surrogate.report import write_report
from surrogate.training import evaluate

DATA, TRAINING, COMPARING = 0.4, 0.4, 0.2
FEWEST_TRAJECTORIES, FEWEST_INPUTS, MOST_INPUTS = 30, 4, 32
# A dataset of the suite is small enough for memory, several times over
DATASET_BYTES = 2**28
# What a rung costs at least: short calls are repeated
RUNG_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """What a budget buys, decided before the first trajectory.

    Attributes:
        system: name.
        settings: of its simulation.
        minutes: budget.
        seeds: trainings with random initial weights.
        trajectories: in the dataset, all splits together.
        held_out: inputs of the comparison.
        run_seconds: processor time of a run, from which the two follow.
    """

    system: str
    settings: Mapping[str, Any]
    minutes: float
    seeds: int
    trajectories: int
    held_out: int
    run_seconds: float


@dataclass(frozen=True)
class Entry:
    """What became of a system: a comparison, or the reason why there is none.

    Attributes:
        plan: what was planned; None if that failed already.
        system: name.
        way: the name of the network that was chosen on the validation split.
        comparison: of that network's middle seed.
        seeds: the errors of all its seeds.
        spent: seconds by what they were spent on.
        failure: why there is no comparison.
    """

    system: str
    plan: Plan | None = None
    way: str = ""
    comparison: Comparison | None = None
    seeds: tuple[float, ...] = ()
    spent: Mapping[str, float] | None = None
    failure: str = ""

    @property
    def verdict(self) -> str:
        """A sentence, whatever happened."""
        if self.comparison is None:
            return f"No surrogate: {self.failure}"
        return self.comparison.verdict

    @property
    def outcome(self) -> str:
        return "failed" if self.comparison is None else self.comparison.outcome

    def to_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "verdict": self.verdict,
            "outcome": self.outcome,
            "plan": None if self.plan is None else asdict(self.plan),
            "way": self.way,
            "seeds": [None if math.isnan(error) else error for error in self.seeds],
            "spent": self.spent,
            "failure": self.failure,
            "comparison": None if self.comparison is None else self.comparison.to_json(),
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Entry":
        plan, comparison = described["plan"], described["comparison"]
        return cls(
            described["system"],
            plan=None if plan is None else Plan(**plan),
            way=described["way"],
            comparison=None if comparison is None else Comparison.from_json(comparison),
            seeds=tuple(math.nan if error is None else error for error in described["seeds"]),
            spent=described["spent"],
            failure=described["failure"],
        )


def run_suite(
    systems: Sequence[str] = (),
    *,
    minutes: float,
    seeds: int = 3,
    folder: str | Path,
    again: bool = False,
    progress: bool = True,
    chosen: Mapping[str, Case] | None = None,
) -> Iterator[Entry]:
    """Compare systems with their surrogates, one after another.

    What a former run with the same budget has finished is read, not made again; data and models of
    one that was killed are continued. A system that fails does not end the suite: it has an entry
    that says so, and is tried again by the next run.

    Args:
        systems: names; all of the suite by default.
        minutes: of one core for each system.
        seeds: trainings of a network with random initial weights.
        folder: for data, models and results.
        again: compare again, with the data and models that are there.
        progress: show progress bars on stderr.
        chosen: the suite; by default `surrogate.comparison.cases.cases`.

    Raises:
        InvalidInput: a system is not part of the suite, or an argument is out of range.
    """
    check_setting("minutes", minutes, 0.01, 1e6)
    check_setting("seeds", seeds, 1, 100, integer=True)
    suite = cases() if chosen is None else chosen
    if unknown := [name for name in systems if name not in suite]:
        raise InvalidInput(f"systems={unknown}: the suite has {', '.join(suite)}")
    # A generator's checks would wait for its first item
    return _run_suite(
        {name: suite[name] for name in systems or suite},
        minutes,
        seeds,
        Path(folder),
        again,
        progress,
    )


def _run_suite(
    suite: Mapping[str, Case], minutes: float, seeds: int, folder: Path, again: bool, progress: bool
) -> Iterator[Entry]:
    for name, case in suite.items():
        place = folder / name / _digest(case, minutes, seeds)
        result = place / "result.json"
        if result.exists() and not again:
            entry = Entry.from_json(json.loads(result.read_text(encoding="utf-8")))
            if entry.comparison is not None:
                yield entry
                continue
        try:
            entry = run_case(case, minutes, seeds, place, progress)
        except Exception as error:  # whatever it is, the row says so and the others are compared
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            entry = Entry(name, failure=reason)
        publish_text(result, json.dumps(entry.to_json(), indent=1, allow_nan=False) + "\n")
        yield entry


def run_case(case: Case, minutes: float, n_seeds: int, place: Path, progress: bool) -> Entry:
    """One system: its dataset, models and pages are kept in ``place``."""
    place.mkdir(parents=True, exist_ok=True)
    plan = _planned(case, minutes, n_seeds, place)
    dataset = simulations.generate(
        case.simulation, plan.trajectories, place / "dataset", workers=1, progress=progress
    )
    models, way, spent = _train(case, dataset, plan, place, progress)
    middle = _middle(models, dataset)
    others = {name: model for name, model in models.items() if name != middle}
    start = time.process_time()
    comparison = compare(
        case.simulation,
        models[middle],
        n=plan.held_out,
        dataset=dataset,
        others=others,
        methods=case.methods,
        tuning_seconds=spent["tuning"],
        reference_seconds=60 * minutes,
        progress=progress,
    )
    spent = {
        "data": dataset.solver_seconds,
        **spent,
        "comparison": time.process_time() - start,
    }
    write_report(place / "report.html", [comparison])
    for ending in ("svg", "png"):
        _draw(comparison, place / f"frontier.{ending}")
    seeds = [other for other in comparison.others if other.name.startswith(f"{way}, seed ")]
    errors = tuple(each.error for each in (comparison.surrogate, *seeds))
    return Entry(plan.system, plan, way, comparison, errors, spent)


def _digest(case: Case, minutes: float, seeds: int) -> str:
    """A short name for all that a result depends on."""
    described = [case.simulation.settings, case.trajectories, sorted(case.ways), minutes, seeds]
    text = json.dumps(described, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _planned(case: Case, minutes: float, seeds: int, place: Path) -> Plan:
    """The plan that is there, or a new one."""
    path = place / "plan.json"
    if not path.exists():
        publish_text(path, json.dumps(asdict(make_plan(case, minutes, seeds)), indent=1) + "\n")
    return Plan(**json.loads(path.read_text(encoding="utf-8")))


def make_plan(case: Case, minutes: float, seeds: int) -> Plan:
    """How many trajectories and held-out inputs a budget buys."""
    simulation = case.simulation
    simulation.warm_up()
    run_seconds = _run_seconds(simulation)
    affordable = DATA * 60 * minutes / run_seconds
    size = layout.trajectory_bytes(simulation)
    trajectories = min(affordable, case.trajectories, DATASET_BYTES / size)
    rungs = 1 + sum(1 for _ in simulation.coarsened()) + len(case.methods)
    refined = run_seconds * 2 ** (1 + len(simulation.grid.axes))
    an_input = refined + rungs * max(run_seconds, min(11 * run_seconds, RUNG_SECONDS))
    held_out = COMPARING * 60 * minutes / an_input
    return Plan(
        type(simulation).__name__,
        simulation.settings,
        minutes,
        seeds,
        max(FEWEST_TRAJECTORIES, int(trajectories)),
        int(min(MOST_INPUTS, max(FEWEST_INPUTS, held_out))),
        run_seconds,
    )


def _run_seconds(simulation: Simulation) -> float:
    """Processor time of a run, the median of a few draws."""
    seconds = []
    for seed in range(3):
        inputs = simulation.sample(np.random.default_rng(seed))
        start = time.process_time()
        try:
            simulation.run(inputs)
        except SimulationDiverged:
            continue
        seconds.append(time.process_time() - start)
    if not seconds:
        raise SimulationDiverged(0.0, "three draws in a row failed")
    return max(float(np.median(seconds)), 1e-6)


def _train(
    case: Case, dataset: Dataset, plan: Plan, place: Path, progress: bool
) -> tuple[dict[str, Surrogate], str, dict[str, float]]:
    """Every way once, then the best one with the other seeds.

    Returns:
        The surrogates by name, those of the best way first; its name; and the seconds spent.
    """
    ways = dict(case.ways) or default_ways(Encoding.of_dataset(dataset).signature, case.simulation)
    share = TRAINING * plan.minutes / (len(ways) + plan.seeds - 1)
    tried, complaints = {}, []
    for name, way in ways.items():
        try:
            tried[name] = _trained(way, dataset, 0, share, place / "models" / name, progress)
        except (ValueError, RuntimeError, MemoryError) as error:
            complaints.append(f"{name}: {error}")
    if not tried:
        raise RuntimeError("no network could be trained; " + "; ".join(complaints))
    best = min(tried, key=lambda name: _finite(_valid_error(tried[name], dataset)))
    models = {f"{best}, seed 0": tried[best]}
    if _has_weights(tried[best]):
        for seed in range(1, plan.seeds):
            kept = place / "models" / f"{best}-{seed}"
            models[f"{best}, seed {seed}"] = _trained(
                ways[best], dataset, seed, share, kept, progress
            )
    discarded = {name: model for name, model in tried.items() if name != best}
    spent = {
        "training": tried[best].training["seconds"],
        "other seeds": sum(m.training["seconds"] for m in models.values())
        - tried[best].training["seconds"],
        "tuning": sum(model.training["seconds"] for model in discarded.values()),
    }
    return {**models, **discarded}, best, spent


def _trained(
    way: Way, dataset: Dataset, seed: int, minutes: float, kept: Path, progress: bool
) -> Surrogate:
    """The surrogate that is there, or one trained in so many minutes."""
    if (kept / "config.json").exists():
        return surrogate.load(kept)
    kept.mkdir(parents=True, exist_ok=True)
    checkpoint = kept / "checkpoint.safetensors"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        emulator = surrogate.train(
            dataset,
            way.network(),
            checkpoint=checkpoint,
            progress=progress,
            **{**way.recipe, "minutes": minutes, "seed": seed},
        )
    finally:
        torch.set_num_threads(threads)
    emulator.save(kept)
    checkpoint.unlink(missing_ok=True)
    return emulator


def _middle(models: Mapping[str, Surrogate], dataset: Dataset) -> str:
    """The seed with the median validation error: the test is not looked at to choose."""
    way = next(iter(models)).partition(", seed ")[0]
    seeds = [name for name in models if name.startswith(f"{way}, seed ")]
    ranked = sorted(seeds, key=lambda name: _finite(_valid_error(models[name], dataset)))
    return ranked[(len(ranked) - 1) // 2]


def _valid_error(model: Surrogate, dataset: Dataset) -> float:
    return float(np.mean(list(evaluate(model, dataset, "valid").values())))


def _finite(error: float) -> float:
    return error if math.isfinite(error) else math.inf


def _has_weights(model: Surrogate) -> bool:
    """Whether another seed would give another network."""
    return any(True for _ in model.network.parameters())


def _draw(comparison: Comparison, path: Path) -> None:
    from matplotlib.figure import Figure

    from surrogate.plot import plot_accuracy_cost

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    plot_accuracy_cost(comparison, figure.add_subplot())
    figure.savefig(path, dpi=160)
