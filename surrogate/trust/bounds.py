"""`calibrated`: solve what training never saw, compare, and promise what follows from it."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from simulations.datasets import Dataset, open_dataset
from simulations.simulation import InvalidInput, Simulation, check_setting
from surrogate.comparison.reference import solution_errors
from surrogate.emulator import Surrogate
from surrogate.trust import conformal, scores
from surrogate.trust.calibration import Calibration, Promise
from surrogate.trust.domain import Domain
from surrogate.trust.unseen import Solved, given_trajectories, training_inputs

Array = NDArray[np.floating]

# This share of the trajectories says where errors lie and which are large; the rest, how large
SHAPING = 1 / 3
LEAST_SHAPING = 4
# A point's own errors weigh as much as this many of all points together
PRIOR_TRAJECTORIES = 10
BATCH = 32


def calibrated(
    emulator: Surrogate,
    n: int = 200,
    coverage: float = 0.9,
    *,
    promise: Promise = "simultaneous",
    fraction: float = 0.9,
    scale: Literal["auto", "none"] = "auto",
    data: Dataset | str | Path | None = None,
    split: str | None = None,
    training: Dataset | str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Surrogate:
    """The surrogate with bounds that hold with a given probability, and a check of its domain.

    Of ``n`` trajectories that training never saw, a third says where errors are and which inputs
    have large ones; the errors of the rest, in units of that, have a quantile that the error of
    the next answer does not exceed with probability ``coverage`` (split conformal prediction). The
    unit is the trajectory. Each bound of each field is a promise of its own: the relative L2 error;
    the same for all fields jointly; the error of each stored time, for all times jointly; and the
    band of the field, which means what ``promise`` says. Two of them hold together less often.

    Args:
        emulator: a trained surrogate; it stays as it is.
        n: trajectories to solve, if no ``data`` are given.
        coverage: probability of each promise.
        promise: of the bands: ``"simultaneous"``: the field lies in the band everywhere and at all
            times. ``"fraction"``: in a share ``fraction`` of the stored points at least.
            ``"cell"``: in any point that was chosen beforehand; a tenth of all points may be
            outside every time.
        fraction: for the promise of this name.
        scale: whether bounds follow the input: by the spread of an ensemble, or by a model of the
            error that is fitted to the third of the trajectories (``"auto"``); or are the same for
            all inputs (``"none"``).
        data: solved trajectories to take instead: a dataset of the surrogate's simulation.
        split: of ``data``, by default all of them. No trajectory may be among the training data,
            of which the ``"test"`` split is not one.
        training: the training data, by default where the surrogate's record says they are. If they
            are gone, the record itself says which draws they were.
        seed: of the fresh draws. Calibrations with one seed share their trajectories.
        progress: show a progress bar on stderr.

    Raises:
        InvalidInput: an argument is out of range, or ``n`` too small for the coverage.
        DataLeak: trajectories of ``data`` are among the training data.
        DatasetError: the data are of another problem, or it is not known what was trained on.
        SimulationDiverged: half of the draws fail.

    References:
        Vovk, Gammerman, Shafer (2005); Lei et al., Distribution-free predictive inference for
        regression, JASA 113 (2018) 1094; Diquigiovanni, Fontana, Vantini, Conformal prediction
        bands for multivariate functional data, JMVA 189 (2022); Ma et al., Calibrated uncertainty
        quantification for operator learning, TMLR 2024 (fraction); Gopakumar et al.,
        arXiv:2408.09881 (cell).
    """
    check_setting("n", n, 1, 1e7, integer=True)
    check_setting("seed", seed, 0, integer=True)
    simulation = emulator.simulation
    origin: dict[str, Any]
    if data is None:
        conformal.rank(n - shaping_count(n), coverage)  # before anything is solved
        known = training_inputs(emulator, training)
        solved = Solved.fresh(simulation, n, seed, progress)
        origin = {"kind": "fresh draws", "seed": seed, "failures": solved.failures}
    else:
        dataset = data if isinstance(data, Dataset) else open_dataset(data)
        solved = given_trajectories(emulator, dataset, split, training)
        known = training_inputs(emulator, training)
        origin = {"kind": "dataset", "path": str(dataset.path.resolve())}
    calibration = calibrate(
        emulator, solved, known, coverage, promise=promise, fraction=fraction, scale=scale
    )
    calibration.origin.update(origin)
    return with_calibration(emulator, calibration)


def with_calibration(emulator: Surrogate, calibration: Calibration | None) -> Surrogate:
    """The same surrogate with another calibration."""
    other = copy.copy(emulator)
    other.calibration = calibration
    return other


def shaping_count(n: int) -> int:
    """How many of ``n`` trajectories give bounds their shape."""
    return min(n, max(LEAST_SHAPING, round(SHAPING * n)))


def calibrate(
    emulator: Surrogate,
    solved: Solved,
    training: Mapping[str, Array],
    coverage: float = 0.9,
    *,
    promise: Promise = "simultaneous",
    fraction: float = 0.9,
    scale: Literal["auto", "none"] = "auto",
) -> Calibration:
    """The calibration by trajectories that are at hand; see `calibrated`.

    Args:
        emulator: a trained surrogate.
        solved: trajectories in the order in which they were drawn, exchangeable with those that
            the bounds are to hold for.
        training: the inputs that the surrogate was trained on, as `Solved.inputs`.
        coverage: probability of each promise.
        promise, fraction, scale: as for `calibrated`.

    Raises:
        InvalidInput: an argument is out of range, or there are too few trajectories.
    """
    conformal.check_share("fraction", fraction)
    for name, value, allowed in (
        ("promise", promise, get_args(Promise)),
        ("scale", scale, ("auto", "none")),
    ):
        if value not in allowed:
            raise InvalidInput(f"{name}={value!r}: must be one of {list(allowed)}")
    first = shaping_count(len(solved))
    conformal.rank(len(solved) - first, coverage)
    shaping, levels = solved[:first], solved[first:]
    domain = _domain(emulator, training, levels)

    seen = _Seen.of(emulator, shaping)
    shape = _shape(emulator.simulation, seen)
    model: scores.Scale | None = None
    if scale == "auto":
        if hasattr(emulator, "mean_and_spread"):
            model = scores.Spread.fit(emulator, shaping.inputs)
        else:
            model = scores.ErrorModel.fit(domain, shaping.inputs, seen.answer, seen.errors)
    tested = _Seen.of(emulator, levels)
    domain = _with_consistency(emulator, domain, shaping, seen, levels, tested)

    def scale_of(part: Solved, answer: dict[str, Array]) -> scores.Scales:
        assert model is not None
        return model(emulator, domain, part.inputs, answer)

    half_width = {
        name: _band(tested.apart[name], shape[name], coverage, promise, fraction) for name in shape
    }
    steps = {name: _steps(seen.frames[name], tested.frames[name], coverage) for name in shape}
    scaled_error: dict[str, float] = {}
    scaled_half_width: dict[str, Array] = {}
    difficulty: Array = np.zeros(len(levels))
    candidates: Array = np.zeros(1)
    if model is not None:
        found = scale_of(levels, tested.answer)
        units = scores.cells(found, tested.answer, half_width)
        for name in shape:
            ratio = _ratio(tested.errors[name], found.error[name])
            scaled_error[name] = float(conformal.quantile(ratio, coverage))
            ratios = _ratio(tested.apart[name], units[name])
            scaled_half_width[name] = np.asarray(_level(ratios, coverage, promise, fraction))
        difficulty = scores.largest(found.error)
        before = scores.largest(scale_of(shaping, seen.answer).error)
        candidates = np.append(np.quantile(before, np.arange(1, 10) / 10, method="higher"), np.inf)
    return Calibration(
        coverage=float(coverage),
        n=len(levels),
        error_bound={
            name: float(conformal.quantile(e, coverage)) for name, e in tested.errors.items()
        },
        half_width=half_width,
        domain=domain,
        promise=promise,
        fraction=float(fraction),
        joint_error_bound=_jointly(seen.errors, tested.errors, coverage),
        step_error_bound=steps,
        scale=model,
        scaled_error_bound=scaled_error,
        scaled_half_width=scaled_half_width,
        errors=tested.errors,
        difficulty=difficulty,
        difficulty_levels=candidates,
        weights_sha256=emulator.weights_sha256(),
        origin={"trajectories": len(solved)},
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """Answers beside the truth.

    Attributes:
        answer: of each field ``(n, time, *space, *component)``.
        errors: relative L2 of each field, ``(n,)``; infinite where an answer is not finite.
        apart: absolute error in each point.
        frames: error of each frame relative to the root mean square of all frames, ``(n, time)``.
    """

    answer: dict[str, Array]
    errors: dict[str, Array]
    apart: dict[str, Array]
    frames: dict[str, Array]

    @classmethod
    def of(cls, emulator: Surrogate, solved: Solved) -> "_Seen":
        simulation = emulator.simulation
        answer = answers(emulator, solved.inputs)
        errors = relative_errors(simulation, answer, solved.fields)
        apart, frames = {}, {}
        for name, declared in simulation.fields.items():
            truth = np.asarray(solved.fields[name], np.float64)
            distance = np.abs(answer[name] - truth)
            distance = np.where(np.isfinite(distance), distance, np.inf)
            first = emulator.encoding.first_frame[name]
            distance[:, :first] = 0.0  # they are given
            apart[name] = distance
            weights: Array = np.ones(())
            if declared.spatial:
                grid = simulation.grid.weights
                weights = grid.reshape(grid.shape + (1,) * declared.order)
            space = tuple(range(2, truth.ndim))
            energy = (weights * np.square(truth)).sum(axis=space)
            size = np.sqrt(energy.mean(axis=1, keepdims=True))
            frames[name] = _ratio(np.sqrt((weights * np.square(distance)).sum(axis=space)), size)
        return cls(answer, errors, apart, frames)


def answers(emulator: Surrogate, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Of each field ``(n, time, *space, *component)``, a few inputs at a time and unwarned."""
    n = len(next(iter(inputs.values())))
    parts = [
        emulator.answer({name: v[i : i + BATCH] for name, v in inputs.items()})
        for i in range(0, n, BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def relative_errors(
    simulation: Simulation, answer: Mapping[str, Array], truth: Mapping[str, Array]
) -> dict[str, Array]:
    """Relative L2 error of each field of each answer, ``(n,)``; infinite where not finite."""
    n = len(next(iter(truth.values())))
    found = [
        solution_errors(
            simulation, {k: v[i] for k, v in answer.items()}, {k: v[i] for k, v in truth.items()}
        )
        for i in range(n)
    ]
    errors = {name: np.array([each[name] for each in found]) for name in simulation.fields}
    return {name: np.where(np.isnan(e), np.inf, e) for name, e in errors.items()}


def _shape(simulation: Simulation, seen: _Seen) -> dict[str, Array]:
    """Root mean square error in each point, drawn towards that of all; 0 where it is given."""
    shapes: dict[str, Array] = {}
    for name, apart in seen.apart.items():
        usable = np.isfinite(apart).reshape(len(apart), -1).all(axis=1)
        if not usable.any():
            shapes[name] = np.ones(apart.shape[1:])
            continue
        squares = np.square(apart[usable])
        each, first = squares.mean(axis=0), int((squares[:, 0] == 0).all())
        all_together = each[first:].mean() if first < len(each) else 0.0
        m = len(squares)
        mixed = (m * each + PRIOR_TRAJECTORIES * all_together) / (m + PRIOR_TRAJECTORIES)
        shape = np.sqrt(mixed) if all_together > 0 else np.ones_like(mixed)
        shape[:first] = 0.0
        shapes[name] = shape
    return shapes


def _band(apart: Array, shape: Array, coverage: float, promise: Promise, fraction: float) -> Array:
    """Half of the width, rounded up to float32."""
    level = _level(_ratio(apart, shape), coverage, promise, fraction)
    with np.errstate(invalid="ignore"):
        width = np.where(shape > 0, level * shape, 0.0)
    rounded = width.astype(np.float32)
    return np.where(rounded < width, np.nextafter(rounded, np.float32(np.inf)), rounded)


def _level(ratios: Array, coverage: float, promise: Promise, fraction: float) -> Array:
    """What errors in units of their scale are below: a number, or one for each point."""
    if promise == "cell":
        return conformal.quantile(ratios, coverage)
    flat = np.sort(ratios.reshape(len(ratios), -1), axis=1)
    enough = flat.shape[1] if promise == "simultaneous" else math.ceil(fraction * flat.shape[1])
    return conformal.quantile(flat[:, enough - 1], coverage)


def _steps(before: Array, tested: Array, coverage: float) -> Array:
    """A bound for each stored time that holds for all of them at once."""
    usable = np.where(np.isfinite(before), before, np.nan)
    with np.errstate(invalid="ignore"):
        typical = np.nanmedian(usable, axis=0) if np.isfinite(usable).all(0).any() else usable[0]
    typical = np.where(np.isfinite(typical), typical, 1.0)
    typical = np.where(before.max(axis=0) > 0, np.maximum(typical, 1e-12), 0.0)
    level = conformal.quantile(_ratio(tested, typical).max(axis=1), coverage)
    with np.errstate(invalid="ignore"):
        return np.where(typical > 0, level * typical, 0.0)


def _jointly(
    before: Mapping[str, Array], tested: Mapping[str, Array], coverage: float
) -> dict[str, float]:
    """Bounds of all fields that hold at once, in proportion to their typical errors."""
    typical = {}
    for name, errors in before.items():
        middle = float(np.median(errors))
        typical[name] = middle if 0 < middle < np.inf else 1.0
    ratios = np.stack([tested[name] / typical[name] for name in typical])
    level = float(conformal.quantile(ratios.max(axis=0), coverage))
    return {name: level * size for name, size in typical.items()}


def _ratio(errors: Array, scale: Array) -> Array:
    """With 0 for no error, whatever the scale, and infinity for an infinite one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.asarray(errors, np.float64) / scale
    ratio = np.where(errors == 0, 0.0, ratio)
    return np.where(np.isinf(errors), np.inf, ratio)


def _domain(emulator: Surrogate, training: Mapping[str, Array], levels: Solved) -> Domain:
    simulation = emulator.simulation
    drawn = simulation.drawn_parameters
    return Domain.fit(
        training,
        levels.inputs,
        logarithmic=frozenset(n for n, p in drawn.items() if p.scale == "log"),
        periodic=dict.fromkeys(simulation.field_inputs, simulation.grid.periodic),
    )


def _with_consistency(
    emulator: Surrogate, domain: Domain, shaping: Solved, seen: _Seen, levels: Solved, tested: _Seen
) -> Domain:
    if not scores.can_restart(emulator):
        return domain
    before = scores.self_consistency(emulator, shaping.inputs, seen.answer)
    scale = float(np.quantile(before, 0.95))
    if not 0 < scale < np.inf:
        return domain
    values = scores.self_consistency(emulator, levels.inputs, tested.answer)
    return domain.with_signal(scores.CONSISTENCY, values, scale)
