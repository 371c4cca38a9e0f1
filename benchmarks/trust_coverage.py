"""How often bounds hold, over many random splits into calibration and test, and how wide they are.

One of the sections of `benchmarks.trust`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta, norm, spearmanr

import surrogate
from benchmarks.report import table
from benchmarks.trust_cases import Case, cases, solved, trained
from simulations.machine import machine_in_words
from surrogate import Surrogate
from surrogate.trust import conformal, scores
from surrogate.trust.bounds import answers, calibrate, relative_errors
from surrogate.trust.unseen import Solved, training_inputs

SPLITS = 20
CALIBRATION = 200
COVERAGES = (0.8, 0.9, 0.95)
MEMBERS = 3
#: Cases whose surrogate is trained this often, for the spread of an ensemble.
ENSEMBLES = ("darcy", "burgers")

Row = dict[str, object]


class Recalled:
    """A surrogate whose answers to a pool are known: splits need not compute them again."""

    def __init__(self, emulator: Surrogate, pool: Solved) -> None:
        self._emulator = emulator
        self._answers = answers(emulator, pool.inputs)
        self._position = {self._key(pool.inputs, i): i for i in range(len(pool))}

    def __getattr__(self, name: str) -> Any:
        if name == "mean_and_spread":
            raise AttributeError(name)
        return getattr(self._emulator, name)

    @staticmethod
    def _key(inputs: Mapping[str, Any], i: int) -> bytes:
        return b"".join(np.ascontiguousarray(values[i]).tobytes() for values in inputs.values())

    def answer(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        n = len(next(iter(inputs.values())))
        found = [self._position.get(self._key(inputs, i), -1) for i in range(n)]
        if min(found) < 0:
            return self._emulator.answer(inputs)
        return {name: values[found] for name, values in self._answers.items()}


def section(folder: Path, quick: bool) -> str:
    """Shares of test trajectories for which each promise holds, and the widths of the bands."""
    splits, n = (3, 60) if quick else (SPLITS, CALIBRATION)
    rows, ranking = [], []
    for name, case in cases(quick).items():
        emulator, pool = trained(case, folder / name), solved(case, folder / name)
        known = training_inputs(emulator)
        rows += [
            _row(name, Recalled(emulator, pool), pool, known, coverage, splits, n)
            for coverage in COVERAGES
        ]
        ranking.append(_ranking(name, case, folder / name, emulator, pool, known, n))
    outer = 0.01 / len(rows)
    for row in rows:
        row["allowed"] = _allowed(row, splits, outer)
    return f"""## Trust: coverage

{splits} random splits of solved trajectories, {n} of them to calibrate (a third for the shape of
the bounds), the others to test. Mean over splits of the share of test trajectories for which a
promise holds, of the field for which it is farthest from what was asked for; *expected* is
k/(n + 1), and *allowed* where such a mean lies with probability 99 % for all rows together, were
the splits independent. The same for all inputs: one number for all; else in units of a scale of the
input. *Width* is that of the simultaneous band, mean over field and test trajectories, as a share
of the field's standard deviation.
Machine: {machine_in_words("physurrogate", "torch")}.

{table(rows)}

How scales rank the errors of test trajectories (Spearman), one split, mean over fields:

{table(ranking)}
"""


def _row(
    name: str,
    emulator: Any,
    pool: Solved,
    known: Mapping[str, Any],
    coverage: float,
    splits: int,
    n: int,
) -> Row:
    rng = np.random.default_rng(0)
    collected: dict[str, dict[str, list[float]]] = {}
    trials, levels = 0, 0
    for _ in range(splits):
        order = rng.permutation(len(pool))
        calibration = calibrate(emulator, pool[order[:n]], known, coverage)
        test = pool[order[n:]]
        trials, levels = len(test), calibration.n
        for promise, by_field in _kept(emulator, calibration, test).items():
            for field, value in by_field.items():
                collected.setdefault(promise, {}).setdefault(field, []).append(value)
    expected = conformal.rank(levels, coverage) / (levels + 1)

    def shown(promise: str) -> float:
        means = [float(np.mean(values)) for values in collected[promise].values()]
        return max(means, key=lambda mean: abs(mean - expected))

    width = {key: float(np.mean(list(collected[key].values()))) for key in ("width", "same width")}
    return {
        "system": name,
        "asked %": 100 * coverage,
        "expected %": 100 * expected,
        "error %": 100 * shown("error"),
        "same for all %": 100 * shown("same error"),
        "band %": 100 * shown("band"),
        "band, same for all %": 100 * shown("same band"),
        "times %": 100 * shown("times"),
        "all fields %": 100 * shown("joint"),
        "width %": 100 * width["width"],
        "width, same for all %": 100 * width["same width"],
        "_trials": trials,
        "_levels": levels,
    }


def _allowed(row: Row, splits: int, outer: float) -> str:
    """Where the mean over splits of a share may lie, by the normal limit of beta-binomials."""
    levels, trials = int(str(row.pop("_levels"))), int(str(row.pop("_trials")))
    k = conformal.rank(levels, float(str(row["asked %"])) / 100)
    law = beta(k, levels + 1 - k)
    deviation = np.sqrt((law.var() + (law.mean() - law.var() - law.mean() ** 2) / trials) / splits)
    reach = norm.isf(outer / 2) * deviation
    return f"{100 * (law.mean() - reach):.3g} to {100 * min(1.0, law.mean() + reach):.3g}"


def _kept(emulator: Any, calibration: Any, test: Solved) -> dict[str, dict[str, float]]:
    answer = emulator.answer(test.inputs)
    errors = relative_errors(emulator.simulation, answer, test.fields)
    bounds = calibration.bounds(emulator, test.inputs, answer)
    found: dict[str, dict[str, float]] = {}
    joint = np.ones(len(test), dtype=bool)

    def put(promise: str, field: str, value: Any) -> None:
        found.setdefault(promise, {})[field] = float(np.mean(value))

    for name, truth in test.fields.items():
        first = emulator.encoding.first_frame[name]
        apart = np.abs(answer[name].astype("f8") - truth)[:, first:]
        put("error", name, errors[name] <= bounds.error[name])
        put("same error", name, errors[name] <= calibration.error_bound[name])
        joint &= errors[name] <= calibration.joint_error_bound[name]
        for promise, half in (
            ("band", bounds.half_width[name]),
            ("same band", calibration.half_width[name][None]),
        ):
            put(promise, name, (apart <= half[:, first:]).reshape(len(test), -1).all(axis=1))
            deviation = truth[:, first:].std()
            put(promise.replace("band", "width"), name, 2 * half[:, first:] / deviation)
        put("times", name, _times(emulator, calibration, name, apart, truth))
    put("joint", "", joint)
    return found


def _times(emulator: Any, calibration: Any, name: str, apart: Any, truth: Any) -> Any:
    declared, weights = emulator.simulation.fields[name], np.ones(())
    if declared.spatial:
        grid = emulator.simulation.grid.weights
        weights = grid.reshape(grid.shape + (1,) * declared.order)
    space = tuple(range(2, truth.ndim))
    size = np.sqrt((weights * np.square(truth.astype("f8"))).sum(axis=space).mean(axis=1))
    errors = np.sqrt((weights * np.square(apart)).sum(axis=space)) / size[:, None]
    bound = calibration.step_error_bound[name][truth.shape[1] - apart.shape[1] :]
    return (errors <= bound).all(axis=1)


def _ranking(
    name: str,
    case: Case,
    folder: Path,
    emulator: Surrogate,
    pool: Solved,
    known: Mapping[str, Any],
    n: int,
) -> Row:
    """Rank correlations of errors with what could be their scale."""
    calibration = calibrate(emulator, pool[:n], known, 0.9)
    test = pool[n:]
    row: Row = {"system": name}

    def correlation(answerer: Surrogate, scale: Callable[[dict[str, Any]], Any]) -> float:
        answer = answers(answerer, test.inputs)
        errors = relative_errors(case.simulation, answer, test.fields)
        found = scale(answer)
        return float(np.mean([spearmanr(errors[field], found[field])[0] for field in errors]))

    model = calibration.scale
    assert model is not None
    row["model of the error"] = correlation(
        emulator, lambda answer: model(emulator, calibration.domain, test.inputs, answer).error
    )
    p_values = calibration.domain.p_values(test.inputs)
    row["domain check"] = correlation(emulator, lambda answer: dict.fromkeys(answer, 1 - p_values))
    if scores.can_restart(emulator):
        row["self-consistency"] = correlation(
            emulator,
            lambda answer: dict.fromkeys(
                answer, scores.self_consistency(emulator, test.inputs, answer)
            ),
        )
    if name in ENSEMBLES:
        ensemble = surrogate.Ensemble([trained(case, folder, seed) for seed in range(MEMBERS)])
        spread = scores.Spread.fit(ensemble, pool[: n // 3].inputs)
        row[f"spread of {MEMBERS} networks"] = correlation(
            ensemble, lambda answer: spread(ensemble, calibration.domain, test.inputs, answer).error
        )
    return row
