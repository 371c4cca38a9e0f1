"""Roll-outs made elsewhere, by any framework: scored by every metric, and beside the solver.

The file holds, for the trajectories of a split in the order in which the dataset stores them,
what was predicted. Errors are those against the stored trajectories, as they are published
elsewhere; how wrong these are themselves is told by the solver's versions, measured alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from simulations.datasets import Dataset, Recorded
from simulations.simulation import (
    Array,
    InvalidInput,
    Simulation,
    SimulationDiverged,
    check_setting,
)
from surrogate import markdown, metrics
from surrogate.comparison import wording
from surrogate.comparison.equal_error import Estimate, seconds_at_error
from surrogate.comparison.held_out import inputs_of_test_split
from surrogate.comparison.measures import mean_error, quantity_errors, solution_errors, valid_time
from surrogate.comparison.reference import solve_elsewhere
from surrogate.comparison.rivals import trivial_rivals
from surrogate.comparison.timing import Stopwatch, one_thread

SUFFIXES = (".npy", ".npz", ".nc")


@dataclass(frozen=True)
class Rung:
    """A version of the solver against the stored trajectories.

    Attributes:
        name: the settings in which it differs.
        error: relative L2, mean over fields and trajectories; NaN where it failed on one.
        seconds: median processor time of a run.
    """

    name: str
    error: float
    seconds: float


@dataclass(frozen=True)
class Score:
    """What a roll-out is worth.

    Attributes:
        system: name.
        trajectories: that were scored.
        metrics: of each field the metrics by name; NaN where one is not defined.
        error: relative L2, mean over fields and trajectories.
        quantities: error of what is asked for, by name.
        valid_time: median time until which it holds; NaN without evolution.
        trivial: relative L2 error of the rivals that learn nothing.
        ladder: the solver's versions, the dearest first.
        seconds: of one answer, if it was told.
    """

    system: str
    trajectories: int
    metrics: Mapping[str, Mapping[str, float]]
    error: float
    quantities: Mapping[str, float]
    valid_time: float
    trivial: Mapping[str, float]
    ladder: tuple[Rung, ...]
    seconds: float | None = None

    @property
    def solver_seconds(self) -> Estimate | None:
        """Time of the solver at this error."""
        rungs = [rung for rung in self.ladder if math.isfinite(rung.error)]
        if not math.isfinite(self.error):
            return None
        return seconds_at_error(self.error, [r.error for r in rungs], [r.seconds for r in rungs])

    @property
    def verdict(self) -> str:
        """What the figures say, in sentences."""
        if not math.isfinite(self.error):
            return "The roll-out is not finite: it is not usable."
        text = f"The roll-out has an error of {wording.percent(self.error)}"
        better = [name for name, error in self.trivial.items() if error <= self.error]
        if better:
            best = min(better, key=lambda name: self.trivial[name])
            text += f": no skill, {best} has {wording.percent(self.trivial[best])}"
        solver = self.solver_seconds
        if solver is None:
            return text + "; the solver was not run beside it."
        needed = wording.bounded(solver, wording.duration(solver.value))
        text += f"; for that the solver needs {needed} a call"
        if self.seconds is None:
            return text + ", the roll-out's own time was not told."
        speed_up = solver.divided_by(self.seconds)
        times = wording.bounded(speed_up, wording.significant(speed_up.value))
        return (
            text
            + f", it {wording.duration(self.seconds)}: a speed-up of {times}, if both ran alike."
        )

    def table(self) -> str:
        """Metrics by field, and everybody's error, as Markdown."""
        rows = [
            {"field": name, **{key: _shown(value) for key, value in of.items()}}
            for name, of in self.metrics.items()
        ]
        others: list[dict[str, object]] = [{"": "roll-out", "error %": _percent(self.error)}]
        if self.seconds is not None:
            others[0]["per call"] = wording.duration(self.seconds)
        others += [{"": name, "error %": _percent(e)} for name, e in self.trivial.items()]
        others += [
            {"": r.name, "error %": _percent(r.error), "per call": wording.duration(r.seconds)}
            for r in self.ladder
        ]
        return f"{markdown.table(rows)}\n\n{markdown.table(others)}"

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON values."""
        solver = self.solver_seconds
        described = {
            "verdict": self.verdict,
            "solver_seconds_at_equal_error": solver.to_json() if solver else None,
            **asdict(self),
        }
        return _without_nan(described)


def read_rollout(path: str | Path, simulation: Simulation) -> dict[str, Array]:
    """Fields by name from an array file; nothing in it is executed.

    Args:
        path: ``.npy`` with the only field of a system, ``.npz`` with arrays or ``.nc`` with
            variables by the names of the fields, each ``(sample, time, *space, *component)``.
        simulation: the system.

    Raises:
        InvalidInput: the file cannot be read, or lacks a field.
    """
    path, names = Path(path), list(simulation.fields)
    if path.suffix not in SUFFIXES:
        raise InvalidInput(f"{path}: must end in {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".nc":
            with xarray.open_dataset(path, engine="h5netcdf") as opened:
                found = {name: opened[name].values for name in names if name in opened}
        else:
            loaded = np.load(path, allow_pickle=False)
            if path.suffix == ".npy":
                if len(names) > 1:
                    raise InvalidInput(f"{path}: one array for the fields {names}; use .npz")
                found = {names[0]: loaded}
            else:
                with loaded:
                    found = {name: loaded[name] for name in names if name in loaded}
    except InvalidInput:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise InvalidInput(f"{path}: cannot be read ({error})") from None
    if missing := [name for name in names if name not in found]:
        raise InvalidInput(f"{path}: lacks {missing} of the fields {names}")
    return found


def score(
    dataset: Dataset,
    answers: Mapping[str, Array],
    *,
    split: str = "test",
    seconds: float | None = None,
    rungs_on: int = 8,
) -> Score:
    """Score answers to the inputs of a split.

    Args:
        dataset: whose trajectories are the truth.
        answers: fields by name, ``(sample, time, *space, *component)``, in the order of
            ``dataset.load(split)``; fewer samples than it has are the first ones.
        split: ``"test"``, ``"valid"`` or ``"train"``.
        seconds: time of one answer on one thread, for a speed-up.
        rungs_on: trajectories on which the solver's versions are run; 0 runs none.

    Raises:
        InvalidInput: a shape does not fit, or an argument is out of range.
    """
    check_setting("rungs_on", rungs_on, 0, 1e6, integer=True)
    if seconds is not None:
        check_setting("seconds", seconds, 1e-9)
    simulation, stored = dataset.simulation, dataset.load(split)
    n = len(next(iter(answers.values()), ()))
    for name in simulation.fields:
        shape = (min(n, len(stored)), *stored.fields[name].shape[1:])
        if name not in answers or np.shape(answers[name]) != shape or not n:
            given = np.shape(answers[name]) if name in answers else "nothing"
            raise InvalidInput(
                f"{name}: {given} is given, the {split} split has {stored.fields[name].shape}"
            )
    truths = {name: stored.fields[name][:n].astype(np.float64) for name in simulation.fields}
    ours = {name: np.asarray(answers[name], np.float64) for name in simulation.fields}

    def each(of: Mapping[str, Array]) -> list[dict[str, Array]]:
        return [{name: values[i] for name, values in of.items()} for i in range(n)]

    pairs = list(zip(each(ours), each(truths), strict=True))
    errors = [mean_error(solution_errors(simulation, a, b)) for a, b in pairs]
    asked = [quantity_errors(simulation, a, b) for a, b in pairs]
    return Score(
        type(simulation).__name__,
        n,
        {name: field_metrics(simulation, name, ours[name], truths[name]) for name in ours},
        float(np.mean(errors)),
        {name: float(np.mean([a[name] for a in asked])) for name in asked[0]},
        float(np.median([valid_time(simulation, a, b) for a, b in pairs])),
        _trivial(dataset, split, n, truths),
        ()
        if isinstance(simulation, Recorded)
        else _ladder(dataset, split, min(n, rungs_on), truths),
        seconds,
    )


def field_metrics(
    simulation: Simulation, name: str, prediction: Array, target: Array
) -> dict[str, float]:
    """Every metric of `surrogate.metrics` that is defined for a field, the given frame left out."""
    field, grid = simulation.fields[name], simulation.grid
    given = {declared.initial_of for declared in simulation.field_inputs.values()}
    first, ndim = int(name in given), grid.ndim if field.spatial else 0
    p, y = prediction[:, first:], target[:, first:]
    weights = field.weights(grid) if ndim else None
    times = simulation.times[first:]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "relative L2": metrics.relative_l2(p, y, weights),
            "nRMSE": metrics.nrmse(p, y, weights, ndim=ndim),
            "RMSE": metrics.rmse(p, y, weights, ndim=ndim),
            "maximum": metrics.maximum_error(p, y, ndim=ndim).max(),
            "cRMSE": metrics.conserved_rmse(p, y, weights, ndim=ndim),
        }
        if ndim:
            found["VRMSE"] = metrics.vrmse(p, y, weights, ndim=ndim)
            found["bRMSE"] = metrics.boundary_rmse(p, y, ndim=ndim)
            found["correlation"] = metrics.correlation(p, y, weights, ndim=ndim)
        if ndim and all(axis.is_periodic for axis in grid.axes):
            bands = metrics.fourier_rmse(p, y, ndim=ndim).reshape(-1, 3).mean(axis=0)
            found |= dict(zip(("fRMSE low", "fRMSE middle", "fRMSE high"), bands, strict=True))
        if times.size > 1:
            found["valid time"] = metrics.valid_time(p, y, weights, ndim=ndim, times=times)
            if ndim:
                found["correlation time"] = metrics.correlation_time(
                    p, y, weights, ndim=ndim, times=times
                )
    return {key: float(np.mean(value)) for key, value in found.items()}


def _trivial(dataset: Dataset, split: str, n: int, truths: Mapping[str, Array]) -> dict[str, float]:
    simulation, stored = dataset.simulation, dataset.load(split)
    inputs: dict[str, Any] = {k: np.asarray(v)[:n] for k, v in stored.parameters.items()}
    for name, declared in simulation.field_inputs.items():
        initial = declared.initial_of
        source = stored.fields[initial][:, 0] if initial else stored.field_inputs[name]
        inputs[name] = source[:n]
    errors = {}
    for name, rival in trivial_rivals(dataset).items():
        answer = rival.predict(**inputs)
        each = [
            mean_error(
                solution_errors(
                    simulation,
                    {k: v[i] for k, v in answer.items()},
                    {k: v[i] for k, v in truths.items()},
                )
            )
            for i in range(n)
        ]
        errors[name] = float(np.mean(each))
    return errors


def _ladder(dataset: Dataset, split: str, n: int, truths: Mapping[str, Array]) -> tuple[Rung, ...]:
    """The solver's versions on the first trajectories of the test split, drawn again."""
    if n == 0 or split != "test":
        return ()
    simulation = dataset.simulation
    cases, stopwatch = inputs_of_test_split(dataset, n), Stopwatch()
    versions = [simulation, *simulation.coarsened()]
    rungs = []
    with one_thread():
        for name, version in zip(wording.version_names(versions), versions, strict=True):
            version.warm_up()
            errors, seconds = [], []
            for i, case in enumerate(cases):
                prepared = simulation.transfer_inputs(case, version)
                try:
                    seconds.append(stopwatch.time(lambda v=version, p=prepared: v.run(p)).seconds)  # type: ignore[misc]
                    answer = solve_elsewhere(simulation, version, case)
                except SimulationDiverged:
                    errors.append(math.nan)
                    continue
                truth = {k: v[i] for k, v in truths.items()}
                errors.append(mean_error(solution_errors(simulation, answer, truth)))
            if seconds:
                rungs.append(Rung(name, float(np.mean(errors)), float(np.median(seconds))))
    return tuple(rungs)


def _percent(error: float) -> str:
    return wording.percent(error).removesuffix(" %")


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
