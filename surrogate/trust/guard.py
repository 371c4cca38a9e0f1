"""`Guard`: the surrogate where its answer can be relied on, the solver where it cannot."""

import math
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from simulations.simulation import Inputs, InvalidInput, Solution, check_setting
from surrogate.emulator import Surrogate
from surrogate.trust import conformal, scores
from surrogate.trust.bounds import relative_errors
from surrogate.trust.collection import Collection
from surrogate.trust.conformal import DriftAlarm

Array = NDArray[np.floating]

#: Why the solver answers; None where the surrogate does.
BOUND, DOMAIN, ALARM, SPOT_CHECK = "bound", "domain", "alarm", "spot check"

MINUTE = 60.0


class SolverLimitExceeded(RuntimeError):
    """More answers of the solver are needed than are allowed in a minute."""


class DriftWarning(UserWarning):
    """Spot checks say that the surrogate errs more often than it was allowed to."""


class GuardWarning(UserWarning):
    """A guard can rely on no answer of its surrogate."""


@dataclass
class Report:
    """What a guard has done so far.

    Attributes:
        surrogate: answers of the surrogate.
        solver: answers of the solver, by reason.
        surrogate_seconds: spent in the surrogate, also on answers that were not used.
        solver_seconds: spent in the solver.
        spot_errors: relative L2 errors that spot checks have found, the largest over fields.
    """

    surrogate: int = 0
    solver: Counter[str] = field(default_factory=Counter)
    surrogate_seconds: float = 0.0
    solver_seconds: float = 0.0
    spot_errors: list[float] = field(default_factory=list)

    @property
    def answers(self) -> int:
        return self.surrogate + self.solver.total()

    @property
    def speed_up(self) -> float | None:
        """How many times longer the solver would have taken for all; None before it has run."""
        solved = self.solver.total()
        if not solved:
            return None
        alone = self.answers * self.solver_seconds / solved
        return alone / (self.surrogate_seconds + self.solver_seconds)

    def to_json(self) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "surrogate": self.surrogate,
            "solver": dict(self.solver),
            "surrogate_seconds": self.surrogate_seconds,
            "solver_seconds": self.solver_seconds,
            "speed_up": self.speed_up,
            "spot_checks": len(self.spot_errors),
            "largest_spot_error": max(self.spot_errors, default=None),
        }


class Guard:
    """Answers with the surrogate where that is safe, and with the solver elsewhere.

    An input is answered by the surrogate if it is usual (its domain p-value is at least
    ``domain_level``) and easy (the scale of its error is below a threshold). The threshold is the
    largest for which the calibration trajectories prove that

        P(error > tolerance | answered by the surrogate) ≤ 1 − coverage

    with probability ``confidence`` over their draw, for inputs drawn as they were. The error is
    the relative L2 error, the largest over fields. That this goes on to hold is watched by spot
    checks: the solver answers a share of these inputs as well, and a sequential test raises the
    alarm, with `DriftWarning`, if the tolerance is exceeded more often; from then on the solver
    answers everything, until `reset`.

    Attributes:
        threshold: of the scale; None if the surrogate can be relied on nowhere.
        report: what has been answered by whom, why, and how long it took.
        alarm: the test.

    Args:
        emulator: with a calibration of `surrogate.calibrated`.
        tolerance: relative L2 error that is allowed.
        coverage: how often it is to be kept among the surrogate's answers.
        confidence: that the calibration has not made the threshold too large by chance.
        domain_level: at most this share of usual inputs is taken for unusual.
        spot_checks: share of the surrogate's answers that the solver checks.
        false_alarm: probability of ever raising the alarm while all is well.
        solves_per_minute: how many runs of the solver are allowed, spot checks included; without
            one, any number.
        collect: folder to keep the solver's answers in, as training data; see `Collection`.
        seed: of the choice of spot checks.
        clock: seconds, for the report and the limit.

    Raises:
        InvalidInput: an argument is out of range, or the calibration is missing or too small.
        DatasetError: ``collect`` holds something else.

    Warns:
        GuardWarning: the surrogate can be relied on nowhere.

    References:
        Angelopoulos et al., Learn then Test, arXiv:2110.01052; Geifman, El-Yaniv, NeurIPS 2017.
    """

    def __init__(
        self,
        emulator: Surrogate,
        tolerance: float = 0.02,
        coverage: float = 0.9,
        *,
        confidence: float = 0.95,
        domain_level: float = 0.02,
        spot_checks: float = 0.01,
        false_alarm: float = 0.01,
        solves_per_minute: float | None = None,
        collect: str | Path | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        check_setting("tolerance", tolerance, 1e-12, 1e3)
        check_setting("spot_checks", spot_checks, 0, 1)
        if solves_per_minute is not None:
            check_setting("solves_per_minute", solves_per_minute, 1)
        for name, share in (
            ("coverage", coverage),
            ("confidence", confidence),
            ("domain_level", domain_level),
        ):
            conformal.check_share(name, share)
        calibration = emulator.calibration
        if calibration is None or not calibration.errors:
            raise InvalidInput("emulator: has no calibration; make one with surrogate.calibrated")
        self.emulator, self.calibration = emulator, calibration
        self.simulation = emulator.simulation
        self.tolerance, self.coverage = float(tolerance), float(coverage)
        self.domain_level, self.spot_checks = float(domain_level), float(spot_checks)
        self.false_alarm = false_alarm
        self.alarm = DriftAlarm(1 - self.coverage, false_alarm)
        self.report = Report()
        self._rng = np.random.default_rng(seed)
        self._clock = clock
        self._limit = solves_per_minute
        self._recent: deque[float] = deque()
        self._collection = None if collect is None else Collection(collect, self.simulation)
        usual = calibration.domain.inside(self.domain_level)
        self.threshold = conformal.safe_threshold(
            calibration.difficulty[usual],
            scores.largest(calibration.errors)[usual] > self.tolerance,
            calibration.difficulty_levels,
            1 - self.coverage,
            confidence,
        )
        if self.threshold is None:
            warnings.warn(
                f"tolerance={self.tolerance:g}: {usual.sum()} calibration trajectories do not show "
                f"that any answers keep it with probability {self.coverage:g}; the solver will "
                "answer everything",
                GuardWarning,
                stacklevel=2,
            )

    def reset(self) -> None:
        """Rely on the surrogate again, after the reason of an alarm has been dealt with."""
        self.alarm = DriftAlarm(1 - self.coverage, self.false_alarm)

    def __call__(self, *, seed: int | None = None, **inputs: Any) -> xarray.Dataset:
        """Answer like the simulation; the attribute ``answered_by`` says who did, and why.

        Raises:
            InvalidInput: as the simulation does.
            SimulationDiverged: the solver was needed, and failed.
            SolverLimitExceeded: the solver was needed, and must not run now.
        """
        complete, seed = self.simulation.complete_inputs(inputs, seed)
        batch = {name: np.asarray(value)[None] for name, value in complete.items()}
        start = self._clock()
        answer, reasons, p_values = self._decide(batch)
        solutions = self._solve(batch, answer, reasons)
        seconds = self._clock() - start
        if not solutions:
            return self.emulator.label(answer, complete, seed, seconds)
        attributes = {
            "seed": seed,
            "wall_time_seconds": seconds,
            "answered_by": f"solver ({reasons[0]})",
            "domain_p_value": float(p_values[0]),
        }
        return self.simulation.label(solutions[0], complete, attributes)

    def predict(self, **inputs: ArrayLike) -> dict[str, Array]:
        """A batch; arguments, shapes and results as of `Surrogate.predict`.

        Raises:
            InvalidInput, SimulationDiverged, SolverLimitExceeded: as of a call. Nothing is solved
                if the limit does not allow all that is needed.
        """
        batch = {name: np.asarray(value) for name, value in inputs.items()}
        answer, reasons, _ = self._decide(batch)
        for i, solution in self._solve(batch, answer, reasons).items():
            for name, values in solution.items():
                answer[name][i] = values
        return answer

    def reasons(self, **inputs: ArrayLike) -> list[str | None]:
        """Why the solver would have to answer each sample of a batch; None where it would not."""
        batch = {name: np.asarray(value) for name, value in inputs.items()}
        self.emulator.check_batch(batch)
        return self._judge(batch, self.emulator.answer(batch))[0]

    def _judge(
        self, batch: Mapping[str, Array], answer: Mapping[str, Array]
    ) -> tuple[list[str | None], Array]:
        p_values = self.calibration.p_values(self.emulator, batch, answer)
        difficulty = self.calibration.difficulty_of(self.emulator, batch, answer)
        finite = np.ones(len(p_values), dtype=bool)
        for values in answer.values():
            finite &= np.isfinite(values).reshape(len(values), -1).all(axis=1)
        reasons: list[str | None] = []
        for p_value, hard, is_finite in zip(p_values, difficulty, finite, strict=True):
            if self.alarm.raised:
                reasons.append(ALARM)
            elif p_value < self.domain_level:
                reasons.append(DOMAIN)
            elif self.threshold is None or not hard <= self.threshold or not is_finite:
                reasons.append(BOUND)
            else:
                reasons.append(None)
        return reasons, p_values

    def _decide(
        self, batch: Mapping[str, Array]
    ) -> tuple[dict[str, Array], list[str | None], Array]:
        """Answers of the surrogate, why the solver has to give its own, and domain p-values."""
        self.emulator.check_batch(batch)
        start = self._clock()
        answer = self.emulator.answer(batch)
        reasons, p_values = self._judge(batch, answer)
        self.report.surrogate_seconds += self._clock() - start
        allowed = self._allowed()
        needed = sum(reason is not None for reason in reasons)
        if needed > allowed:
            raise SolverLimitExceeded(
                f"solves_per_minute={self._limit:g}: {needed} of {len(reasons)} inputs need the "
                f"solver, and {int(allowed)} runs are left in this minute"
            )
        spare = allowed - needed
        for i, reason in enumerate(reasons):
            if reason is None and spare >= 1 and self._rng.random() < self.spot_checks:
                reasons[i] = SPOT_CHECK
                spare -= 1
        return answer, reasons, p_values

    def _allowed(self) -> float:
        if self._limit is None:
            return math.inf
        now = self._clock()
        while self._recent and now - self._recent[0] >= MINUTE:
            self._recent.popleft()
        return math.floor(self._limit) - len(self._recent)

    def _solve(
        self, batch: Mapping[str, Array], answer: Mapping[str, Array], reasons: list[str | None]
    ) -> dict[int, Solution]:
        """Solutions by position of what the surrogate does not answer."""
        cases: dict[int, Inputs] = {
            i: self.simulation.check_inputs({name: values[i] for name, values in batch.items()})
            for i, reason in enumerate(reasons)
            if reason is not None
        }
        solutions = {}
        for i, case in cases.items():
            start = self._clock()
            if self._limit is not None:
                self._recent.append(start)
            try:
                solutions[i] = self.simulation.run(case)
            finally:
                seconds = self._clock() - start
                self.report.solver_seconds += seconds
                self.report.solver[str(reasons[i])] += 1
            if self._collection is not None:
                self._collection.add(case, solutions[i], seconds)
            if reasons[i] == SPOT_CHECK:
                self._check({name: v[i : i + 1] for name, v in answer.items()}, solutions[i])
        self.report.surrogate += len(reasons) - len(cases)
        return solutions

    def _check(self, answer: Mapping[str, Array], solution: Solution) -> None:
        truth = {name: values[None] for name, values in solution.items()}
        error = float(scores.largest(relative_errors(self.simulation, answer, truth))[0])
        self.report.spot_errors.append(error)
        raised_before = self.alarm.raised
        if self.alarm.update(error > self.tolerance) and not raised_before:
            warnings.warn(
                f"{self.alarm.failures} of {self.alarm.trials} spot checks exceed the tolerance of "
                f"{self.tolerance:g}, which was to be kept with probability {self.coverage:g}; the "
                "solver answers from now on",
                DriftWarning,
                stacklevel=4,
            )


def guard(
    emulator: Surrogate, tolerance: float = 0.02, coverage: float = 0.9, **options: Any
) -> Guard:
    """The surrogate with the solver behind it; ``options`` are those of `Guard`."""
    return Guard(emulator, tolerance, coverage, **options)
