"""How a surrogate is compared: who answers what, against which truth, timed how."""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from simulations.datasets import Dataset, DatasetError
from simulations.machine import machine
from simulations.simulation import (
    Array,
    Inputs,
    InvalidInput,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)
from surrogate.comparison import fairness, held_out, wording
from surrogate.comparison.energy import find_meter
from surrogate.comparison.measures import (
    Functional,
    check_answer,
    frame_errors,
    mean_error,
    quantity_errors,
    solution_errors,
    valid_time,
)
from surrogate.comparison.methods import Method
from surrogate.comparison.reference import (
    Measure,
    Reference,
    doubles,
    interpolation_error,
    own_error,
    refined,
    solve_or_none,
)
from surrogate.comparison.result import Comparison, Contender, Example
from surrogate.comparison.rivals import trivial_rivals
from surrogate.comparison.timing import Stopwatch, one_thread
from surrogate.emulator import OutOfDomainWarning, Surrogate

# Inputs on which the reference's own error is estimated
PILOTS = 3
# Arrays of a timed batch stay below this
BATCH_BYTES = 2**27
BATCH_REPEATS = 3

# What a comparison keeps of a surrogate's own record
KEPT = (
    "seconds",
    "data_seconds",
    "tuning_seconds",
    "trajectories",
    "history",
    "best_epoch",
    "recipe",
)

NOBODY: Mapping[str, Any] = MappingProxyType({})


def compare(
    simulation: Simulation,
    emulator: Surrogate,
    *,
    n: int = 16,
    seed: int = 0,
    inputs: Literal["fresh", "test"] | Sequence[Inputs] = "fresh",
    dataset: Dataset | str | Path | None = None,
    others: Mapping[str, Surrogate] = NOBODY,
    methods: Mapping[str, Method] = NOBODY,
    functionals: Mapping[str, Functional] = NOBODY,
    tuning_seconds: float | None = None,
    reference_seconds: float = math.inf,
    batch_size: int = 64,
    clock: Callable[[], float] = time.process_time,
    progress: bool = True,
) -> Comparison:
    """Measure a surrogate against its simulation, that one's cheaper versions and trivial rivals.

    Errors are relative L2 over space and time on the grid of ``simulation``, against a reference
    of at least twice its resolution; beside them stand those of the stored times and of what is
    asked for, and how long the answers hold, see `surrogate.comparison.measures`. Times are
    processor seconds on one thread after a warm-up; everybody answers the same inputs in turn.

    Args:
        simulation: what the surrogate has learnt, with the same settings.
        emulator: the surrogate.
        n: held-out inputs.
        seed: of fresh inputs.
        inputs: ``"fresh"`` draws from random numbers that no dataset uses, ``"test"`` takes the
            test split of ``dataset``; or the inputs themselves, of which ``n`` are not counted.
        dataset: the training data, needed for trivial rivals. By default where the surrogate's
            record says they are.
        others: further surrogates of the same simulation, such as other seeds, by name; they
            answer along, and `Comparison.instead` gives the comparison with one of them.
        methods: other ways to solve than the simulation's, by name: rivals like its own versions.
        functionals: what is asked of a solution, by name: ``(time, …)`` from a simulation and its
            fields. By default the fields that are numbers, else the size of each field.
        tuning_seconds: what was spent on trainings that were given up. By default what the
            surrogate's record says.
        reference_seconds: what a second refinement of the reference may take; without it errors
            that are too small for the first one are not judged.
        batch_size: samples in a large batch.
        clock: seconds; see `Stopwatch`.
        progress: show a progress bar on stderr.

    Raises:
        InvalidInput: the surrogate has learnt another problem, or an argument is out of range.
        DataLeak: held-out inputs are among the training data.
        Unfair: a surrogate would be timed on other hardware, or answers less than the solver.
        DatasetError: the dataset is not the one the surrogate was trained on.
        SimulationDiverged: the reference failed on every input.
    """
    check_setting("n", n, 1, 1e6, integer=True)
    check_setting("seed", seed, 0, integer=True)
    check_setting("batch_size", batch_size, 1, 1e6, integer=True)
    if tuning_seconds is not None:
        check_setting("tuning_seconds", tuning_seconds, 0)
    models = [_Predictor("surrogate", "surrogate", emulator)]
    models += [_Predictor(name, "surrogate", other) for name, other in others.items()]
    for model in models:
        _check_problem(simulation, model)
        fairness.refuse_other_hardware(model.emulator, model.name)
    dataset = _training_data(emulator, dataset)
    cases, origin = _held_out_inputs(simulation, inputs, n, seed, dataset)
    cautions = [c for model in models for c in _check_leaks(cases, model.emulator, dataset)]
    if dataset is not None:
        cautions += [c for m in models for c in fairness.foreign_normalisation(m.emulator, dataset)]
    cautions = list(dict.fromkeys(cautions))
    meter, energy_in_words = find_meter()
    stopwatch = Stopwatch(clock, meter)
    ruler = _Ruler(simulation, functionals)
    ladder = [simulation, *simulation.coarsened()]
    names = wording.version_names(ladder)
    rungs: list[_Answerer] = [
        *(_Solver(name, simulation, s) for name, s in zip(names, ladder, strict=True)),
        *(_Other(name, simulation, method) for name, method in methods.items()),
    ]

    with (
        one_thread(),
        warnings.catch_warnings(),
        tqdm(total=2 * len(cases), desc="compare", unit="run", disable=not progress) as bar,
    ):
        # Held-out inputs are drawn from the same distribution, if not all within its sample
        warnings.simplefilter("ignore", OutOfDomainWarning)
        trivial = []
        if dataset is not None:
            rivals = trivial_rivals(dataset)
            trivial = [_Predictor(name, "trivial", rival) for name, rival in rivals.items()]
        everybody: list[_Answerer] = [*models, *trivial, *rungs]
        reference, truths = _reference(ruler, cases, everybody, bar, reference_seconds)
        failed = sum(truth is None for truth in truths)
        if failed:
            cautions.append(
                f"The reference diverged on {failed} of {len(cases)} inputs, which are left out."
            )
        solved = [(c, t) for c, t in zip(cases, truths, strict=True) if t is not None]
        tallies = [_Tally() for _ in everybody]
        for case, truth in solved:
            # In turn, so that a disturbance of the machine meets everybody
            for answerer, tally in zip(everybody, tallies, strict=True):
                _measure(ruler, answerer, case, truth, stopwatch, tally)
            bar.update()
        batch_size = _affordable_batch(simulation, batch_size)
        batch_seconds = [
            _batch_seconds(answerer, cases, batch_size, stopwatch)
            if isinstance(answerer, _Predictor)
            else None
            for answerer in everybody
        ]

    contenders = [
        tally.contender(answerer, batch)
        for answerer, tally, batch in zip(everybody, tallies, batch_seconds, strict=True)
    ]
    if complaint := stopwatch.complaint():
        cautions.append(complaint)
    ours, trivials = contenders[: len(models)], contenders[len(models) :][: len(trivial)]
    record = _training_record(emulator)
    if tuning_seconds is not None:
        record["tuning_seconds"] = float(tuning_seconds)
    return Comparison(
        system=type(simulation).__name__,
        settings=simulation.settings,
        inputs={"origin": origin, "parameters": [_parameters(simulation, c) for c, _ in solved]},
        ladder=tuple(contenders[len(models) + len(trivial) :]),
        surrogate=ours[0],
        trivial=tuple(trivials),
        reference=reference,
        batch_size=batch_size,
        training=record,
        machine={**_machine(clock, emulator), "energy": energy_in_words},
        cautions=tuple(cautions),
        others=tuple(ours[1:]),
        others_training={name: _training_record(other) for name, other in others.items()},
        rationale=" ".join(f"{name}: {method.rationale}" for name, method in methods.items()),
        examples=_examples(simulation, models[0], contenders[0], solved),
    )


def _check_problem(simulation: Simulation, model: "_Predictor") -> None:
    learnt = model.emulator.simulation
    if simulation.settings != learnt.settings or type(simulation) is not type(learnt):
        whose = "emulator" if model.name == "surrogate" else f"others={model.name}"
        raise InvalidInput(f"{whose}: has learnt {learnt}, not {simulation}")


class _Answerer(Protocol):
    """Somebody who takes inputs; only `run` is timed."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Literal["solver", "surrogate", "trivial"]: ...

    def prepare(self, inputs: Inputs) -> Any: ...

    def run(self, prepared: Any) -> Any: ...

    def finish(self, answer: Any) -> Mapping[str, Array]: ...


@dataclass(frozen=True)
class _Solver:
    name: str
    simulation: Simulation
    version: Simulation
    kind: Literal["solver"] = "solver"

    def prepare(self, inputs: Inputs) -> Inputs:
        return self.simulation.transfer_inputs(inputs, self.version)

    def run(self, prepared: Inputs) -> Solution:
        return self.version.run(prepared)

    def finish(self, answer: Solution) -> Solution:
        return self.version.transfer_solution(answer, self.simulation)


@dataclass(frozen=True)
class _Predictor:
    name: str
    kind: Literal["surrogate", "trivial"]
    emulator: Surrogate

    def prepare(self, inputs: Inputs) -> dict[str, Array]:
        return {name: np.asarray(value)[None] for name, value in inputs.items()}

    def run(self, prepared: dict[str, Array]) -> dict[str, Array]:
        return self.emulator.predict(**prepared)

    def finish(self, answer: dict[str, Array]) -> dict[str, Array]:
        return {name: values[0] for name, values in answer.items()}


@dataclass(frozen=True)
class _Other:
    """A method that is not the simulation's, on its grid."""

    name: str
    simulation: Simulation
    method: Method
    kind: Literal["solver"] = "solver"

    def prepare(self, inputs: Inputs) -> Inputs:
        return inputs

    def run(self, prepared: Inputs) -> Solution:
        return self.method.solve(self.simulation, prepared)

    def finish(self, answer: Solution) -> Solution:
        return answer


@dataclass(frozen=True)
class _Ruler:
    """All by which an answer is measured: the same for everybody."""

    simulation: Simulation
    functionals: Mapping[str, Functional]

    def in_quantities(
        self, simulation: Simulation, solution: Mapping[str, Array], truth: Mapping[str, Array]
    ) -> dict[str, float]:
        return quantity_errors(simulation, solution, truth, self.functionals)

    @property
    def further(self) -> dict[str, Measure]:
        """The measures beside the headline, by their names in `MEASURES`."""
        return {"frames": frame_errors, "quantity": self.in_quantities}


@dataclass
class _Tally:
    """The measurements of one contender, input by input."""

    of_inputs: list[dict[str, float]] = field(default_factory=list)
    further: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    valid_times: list[float] = field(default_factory=list)
    joules: list[float] = field(default_factory=list)
    calls: int = 0

    def contender(self, answerer: "_Answerer", batch_seconds: float | None) -> Contender:
        finite = [s for s in self.seconds if not math.isnan(s)]
        median = float(np.median(finite)) if finite else math.nan
        quartiles = np.quantile(finite, [0.25, 0.75]) if finite else None
        return Contender(
            answerer.name,
            answerer.kind,
            _by_name(self.of_inputs),
            median,
            batch_seconds,
            spread=None if quartiles is None or not median else float(np.ptp(quartiles) / median),
            joules=sum(self.joules) / self.calls if self.joules else None,
            errors_in={name: _by_name(errors) for name, errors in self.further.items()},
            valid_times=tuple(t for t in self.valid_times if not math.isnan(t)),
        )


def _by_name(errors: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(e[name] for e in errors) for name in errors[0]}


def _measure(
    ruler: _Ruler,
    answerer: _Answerer,
    inputs: Inputs,
    truth: Solution,
    stopwatch: Stopwatch,
    tally: _Tally,
) -> None:
    """Time an answer and add its errors to the tally; only `run` is timed."""
    prepared = answerer.prepare(inputs)
    simulation, answer = ruler.simulation, None
    try:
        timed = stopwatch.time(lambda: answerer.run(prepared))
    except SimulationDiverged:
        tally.seconds.append(math.nan)
    else:
        answer = answerer.finish(timed.result)
        tally.seconds.append(timed.seconds)
        if timed.joules is not None:
            tally.joules.append(timed.joules)
            tally.calls += timed.calls

    def errors(measure: Measure) -> dict[str, float]:
        if answer is None:
            return dict.fromkeys(measure(simulation, truth, truth), math.nan)
        return measure(simulation, answer, truth)

    tally.of_inputs.append(errors(solution_errors))
    for name, measure in ruler.further.items():
        tally.further.setdefault(name, []).append(errors(measure))
    if answer is not None:
        tally.valid_times.append(valid_time(simulation, answer, truth))


def _batch_seconds(
    predictor: _Predictor, cases: Sequence[Inputs], size: int, stopwatch: Stopwatch
) -> float:
    """Median time of one sample in a batch of copies of the inputs."""
    chosen = [cases[i % len(cases)] for i in range(size)]
    batch = {name: np.stack([np.asarray(case[name]) for case in chosen]) for name in chosen[0]}
    predictor.run(batch)
    seconds = [stopwatch.time(lambda: predictor.run(batch)).seconds for _ in range(BATCH_REPEATS)]
    return float(np.median(seconds)) / size


def _affordable_batch(simulation: Simulation, wanted: int) -> int:
    frame = sum(int(np.prod(f.shape(simulation.grid))) for f in simulation.fields.values())
    return max(1, min(wanted, BATCH_BYTES // (4 * frame * simulation.times.size)))


def _reference(
    ruler: _Ruler,
    cases: Sequence[Inputs],
    everybody: Sequence[_Answerer],
    bar: Any,
    patience: float,
) -> tuple[Reference, list[Solution | None]]:
    """Solve all cases with a version fine enough to judge the errors that matter.

    That is the refined simulation or, if its own error is not small enough, that one refined again
    unless it would take longer than ``patience`` seconds.
    Everybody answers a few cases on the way and is warm afterwards.

    Raises:
        SimulationDiverged: it failed on every input.
    """
    simulation, pilots = ruler.simulation, cases[:PILOTS]
    coarse: list[Solution | None] = [None] * len(pilots)
    with suppress(InvalidInput):
        half = simulation.rescaled(0.5)
        coarse = [solve_or_none(simulation, half, case) for case in pilots]
    middle = [solve_or_none(simulation, simulation, case) for case in pilots]
    version = refined(simulation)
    if not doubles(version, simulation):
        coarse = [None] * len(pilots)
    start = time.process_time()
    reference, truths = _solve_reference(ruler, version, cases, coarse, middle, bar)
    # Twice the points along each axis, and as many more steps
    again = (time.process_time() - start) * 2 ** (1 + simulation.grid.ndim)
    if again > patience or reference.resolves <= _smallest_error(
        simulation, pilots, truths, everybody
    ):
        return reference, truths
    with suppress(InvalidInput, SimulationDiverged):
        finer = refined(version)
        if not doubles(finer, version):
            middle = [None] * len(pilots)
        bar.total += len(cases)
        return _solve_reference(ruler, finer, cases, middle, truths[:PILOTS], bar)
    return reference, truths


def _solve_reference(
    ruler: _Ruler,
    version: Simulation,
    cases: Sequence[Inputs],
    coarse: Sequence[Solution | None],
    middle: Sequence[Solution | None],
    bar: Any,
) -> tuple[Reference, list[Solution | None]]:
    """Solve all cases with one version, and tell its error from that of two coarser ones."""
    simulation = ruler.simulation
    truths: list[Solution | None] = []
    native: list[Solution] = []
    for case in cases:
        try:
            solution = version.run(simulation.transfer_inputs(case, version))
        except SimulationDiverged as diverged:
            last = diverged
            truths.append(None)
        else:
            truths.append(version.transfer_solution(solution, simulation))
            if len(native) < PILOTS:
                native.append(solution)
        bar.update()
    if not native:
        raise SimulationDiverged(last.time, f"the reference {version}: {last.reason}")
    error, order = own_error(simulation, coarse, middle, truths[:PILOTS])
    moved = interpolation_error(simulation, version, native)
    errors_in = {
        name: own_error(simulation, coarse, middle, truths[:PILOTS], measure)[0]
        for name, measure in ruler.further.items()
    }
    return Reference(version.settings, error, moved, order, errors_in), truths


def _smallest_error(
    simulation: Simulation,
    pilots: Sequence[Inputs],
    truths: Sequence[Solution | None],
    everybody: Sequence[_Answerer],
) -> float:
    """The smaller one of the surrogate's error and that of the solver next below it."""
    errors: dict[str, list[float]] = {"surrogate": [], "solver": []}
    for answerer in everybody:
        of_pilots = []
        for case, truth in zip(pilots, truths, strict=False):
            try:
                answer = answerer.finish(answerer.run(answerer.prepare(case)))
                check_answer(simulation, answer, answerer.name)
            except SimulationDiverged:
                of_pilots.append(math.nan)
                continue
            if truth is not None:
                of_pilots.append(mean_error(solution_errors(simulation, answer, truth)))
        errors.setdefault(answerer.kind, []).append(float(np.mean(of_pilots or [math.nan])))
    ours = min(errors["surrogate"])
    solvers = [error for error in errors["solver"] if not math.isnan(error)]
    if math.isnan(ours) or not solvers:
        return math.inf
    return min(ours, max((e for e in solvers if e <= ours), default=min(solvers)))


def _training_data(emulator: Surrogate, given: Dataset | str | Path | None) -> Dataset | None:
    """The dataset given, or the one that the surrogate's record points to.

    Raises:
        DatasetError: it is not the one the surrogate was trained on.
    """
    record = emulator.training.get("dataset", {})
    if given is None:
        if not Path(record.get("path", ""), "dataset.json").is_file():
            return None
        given = record["path"]
    dataset = given if isinstance(given, Dataset) else Dataset(given)
    for key in ("system", "settings", "seed"):
        if key in record and record[key] != dataset.manifest[key]:
            raise DatasetError(
                f"{dataset.path}: the surrogate was trained on data with {key}={record[key]}, "
                f"these have {dataset.manifest[key]}"
            )
    return dataset


def _held_out_inputs(
    simulation: Simulation,
    inputs: Literal["fresh", "test"] | Sequence[Inputs],
    n: int,
    seed: int,
    dataset: Dataset | None,
) -> tuple[list[Inputs], str]:
    """The inputs and where they come from, in words."""
    if inputs == "fresh":
        return held_out.fresh_inputs(simulation, n, seed), f"{n} fresh draws, seed {seed}"
    if inputs == "test":
        if dataset is None:
            raise InvalidInput("inputs='test': needs the dataset")
        cases = held_out.inputs_of_test_split(dataset, n)
        if not cases:
            raise InvalidInput(f"inputs='test': {dataset.path} has no test split")
        return cases, f"{len(cases)} trajectories of the test split"
    if isinstance(inputs, str) or not len(inputs):
        raise InvalidInput(f"inputs={inputs!r}: must be 'fresh', 'test' or a list of inputs")
    given = [simulation.check_inputs(case) for case in inputs]
    return list(given), f"{len(given)} given inputs"


def _check_leaks(
    cases: Sequence[Inputs], emulator: Surrogate, dataset: Dataset | None
) -> list[str]:
    """Refuse inputs that were trained on; returns what could not be made sure of."""
    if dataset is not None:
        held_out.refuse_leaks(cases, dataset)
        if "dataset" in emulator.training:
            return []
        return ["That the surrogate was trained on the dataset given is taken on trust."]
    if "seed" in (manifest := emulator.training.get("dataset", {})):
        held_out.refuse_redrawn(cases, manifest)
        return [
            "The training data are not at hand: their draws were made again to check that no input "
            "is among them, and there are no trivial rivals. Pass dataset= to have both."
        ]
    return [
        "The surrogate does not say what it was trained on: nobody has checked that the inputs are "
        "new to it, and there are no trivial rivals. Pass dataset= to have both."
    ]


def _parameters(simulation: Simulation, inputs: Inputs) -> dict[str, float]:
    return {name: float(inputs[name]) for name in simulation.parameters}


def _examples(
    simulation: Simulation,
    model: _Predictor,
    measured: Contender,
    solved: Sequence[tuple[Inputs, Solution]],
) -> tuple[Example, ...]:
    """The median and the worst case."""
    order = np.argsort(measured.headline)
    examples = []
    for title, position in (("median", order[(len(order) - 1) // 2]), ("worst", order[-1])):
        case, truth = solved[position]
        prediction = model.finish(model.run(model.prepare(case)))
        error = float(measured.headline[position])
        examples.append(Example(title, _parameters(simulation, case), error, truth, prediction))
    return tuple(examples)


def _training_record(emulator: Surrogate) -> dict[str, Any]:
    """What the comparison needs of the surrogate's own record."""
    record = {key: emulator.training[key] for key in KEPT if key in emulator.training}
    if "history" in record:  # JSON has no NaN, which a training that broke off ends with
        record["history"] = [
            {key: value if math.isfinite(value) else None for key, value in epoch.items()}
            for epoch in record["history"]
        ]
    if isinstance(network := getattr(emulator, "network", None), torch.nn.Module):
        record["network"] = getattr(emulator, "network_name", type(network).__name__)
        record["weights"] = sum(p.numel() for p in network.parameters())
    return record


def _machine(clock: Callable[[], float], emulator: Surrogate) -> dict[str, Any]:
    return {
        "threads": 1,
        "clock": getattr(clock, "__name__", type(clock).__name__),
        "precision": f"solvers float64, surrogate {fairness.precision(emulator)}",
        **machine("physurrogate", "numpy", "numba", "torch"),
    }
