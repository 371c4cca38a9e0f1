"""What a comparison has measured, and the conclusions that follow from the figures alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import simulations
from simulations.simulation import Array, Simulation
from surrogate.comparison import equal_error, wording
from surrogate.comparison.equal_error import Estimate
from surrogate.comparison.reference import Reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A smaller lead may be noise of the clock, and is none
CLEAR_LEAD = 1.05
# What half the word length can save a solver at most: less memory to move, twice the lanes
SINGLE_PRECISION = 2.0

#: By which an error is measured, and in words
MEASURES = {
    "l2": "relative L2 over space and time",
    "frames": "nRMSE of the stored times",
    "quantity": "quantity of interest",
}
Measured = Literal["l2", "frames", "quantity"]

Outcome = Literal[
    "unusable",
    "inconclusive",
    "no skill",
    "the solver wins",
    "the surrogate wins",
    "the surrogate wins in batches",
    "undecided",
]


@dataclass(frozen=True)
class Contender:
    """One way to answer, with its errors and its time.

    Attributes:
        name: the settings of a solver, or the name of a surrogate or trivial rival.
        kind: which of these it is.
        errors: of each field the relative L2 error of each input, NaN where it failed.
        seconds: median time of one call on one thread.
        batch_seconds: time of one sample in a large batch; None if it was not measured.
        spread: distance between the quartiles of the inputs' times, relative to their median.
        joules: energy of one call, where the machine counts it.
        errors_in: by the name of another of `MEASURES` its errors, as ``errors`` has them.
        valid_times: of each input the time until which it holds; none without evolution.
    """

    name: str
    kind: Literal["solver", "surrogate", "trivial"]
    errors: Mapping[str, tuple[float, ...]]
    seconds: float
    batch_seconds: float | None = None
    spread: float | None = None
    joules: float | None = None
    errors_in: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    valid_times: tuple[float, ...] = ()

    @cached_property
    def headline(self) -> Array:
        """Mean over fields, for each input."""
        return np.mean(list(self.errors.values()), axis=0)

    @cached_property
    def finished(self) -> Array:
        """The headline errors of the inputs on which it did not fail."""
        return self.headline[np.isfinite(self.headline)]

    @property
    def error(self) -> float:
        """Mean over fields and inputs: the figure that training reports, too."""
        return float(self.finished.mean()) if self.finished.size else math.nan

    @property
    def failure_rate(self) -> float:
        return 1 - self.finished.size / self.headline.size

    @property
    def valid_time(self) -> float:
        """Median over inputs; NaN without evolution."""
        return float(np.median(self.valid_times)) if self.valid_times else math.nan

    def quantile(self, probability: float) -> float:
        """Quantile of the headline error over inputs."""
        return float(np.quantile(self.finished, probability)) if self.finished.size else math.nan

    def measured_by(self, measure: Measured) -> "Contender":
        """The same with the errors of another measure."""
        return self if measure == "l2" else replace(self, errors=self.errors_in[measure])

    def to_json(self) -> dict[str, Any]:
        described = asdict(self)
        described["errors"] = _without_nan(self.errors)
        described["errors_in"] = {m: _without_nan(e) for m, e in self.errors_in.items()}
        described["seconds"] = None if math.isnan(self.seconds) else self.seconds
        return described

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Contender":
        seconds = math.nan if described["seconds"] is None else described["seconds"]
        measures = described.get("errors_in", {})
        read = {
            "errors": _with_nan(described["errors"]),
            "seconds": seconds,
            "errors_in": {measure: _with_nan(errors) for measure, errors in measures.items()},
            "valid_times": tuple(described.get("valid_times", ())),
        }
        return cls(**{**described, **read})


def _without_nan(errors: Mapping[str, Sequence[float]]) -> dict[str, list[float | None]]:
    return {name: [None if math.isnan(v) else v for v in values] for name, values in errors.items()}


def _with_nan(errors: Mapping[str, Sequence[float | None]]) -> dict[str, tuple[float, ...]]:
    return {
        name: tuple(math.nan if v is None else v for v in values) for name, values in errors.items()
    }


@dataclass(frozen=True, eq=False)
class Example:
    """One held-out input with the true and the predicted fields.

    Attributes:
        title: why it is shown.
        parameters: its parameters.
        error: headline error of the surrogate.
        truth: fields of the reference on the simulation's grid.
        prediction: fields of the surrogate.
    """

    title: str
    parameters: Mapping[str, float]
    error: float
    truth: Mapping[str, Array]
    prediction: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` has measured, and what follows from it.

    Attributes:
        system: name of the simulation.
        settings: of the simulation whose grid everything is measured on.
        inputs: where the held-out inputs come from, and their parameters.
        ladder: the simulation itself, followed by its cheaper versions and other methods.
        surrogate: the surrogate.
        trivial: the trivial rivals; none if the training data were not at hand.
        reference: what errors are measured against.
        batch_size: samples in the batch behind ``batch_seconds``.
        training: the surrogate's own record: history, seconds, size.
        machine: where, when and with which versions the times were taken.
        cautions: what a reader should know before believing the figures.
        others: further surrogates of the same data, such as other seeds, measured along.
        others_training: the records of those, by name.
        rationale: why the ladder is the strongest rival that is known.
        examples: the median and the worst case, for pictures; not part of the JSON.
    """

    system: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    ladder: tuple[Contender, ...]
    surrogate: Contender
    trivial: tuple[Contender, ...]
    reference: Reference
    batch_size: int
    training: Mapping[str, Any]
    machine: Mapping[str, Any]
    cautions: tuple[str, ...] = ()
    others: tuple[Contender, ...] = ()
    others_training: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rationale: str = ""
    examples: tuple[Example, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        return f"Comparison({self.system}: {self.outcome}. {self.verdict})"

    @cached_property
    def simulation(self) -> Simulation:
        """The simulation whose grid everything is measured on."""
        return simulations.make(self.system, self.settings)

    @property
    def verdict(self) -> str:
        """What has been shown, in sentences with figures."""
        return wording.verdict(self)

    def instead(self, name: str) -> "Comparison":
        """The same with another of the surrogates in the place of the surrogate.

        Raises:
            KeyError: there is no such surrogate.
        """
        if name == self.surrogate.name:
            return self
        chosen = next((other for other in self.others if other.name == name), None)
        if chosen is None:
            raise KeyError(f"{name}: there are {[other.name for other in self.others]}")
        return replace(
            self,
            surrogate=chosen,
            training=self.others_training[name],
            others=(self.surrogate, *(other for other in self.others if other is not chosen)),
            others_training={**self.others_training, self.surrogate.name: self.training},
            examples=(),
        )

    @property
    def measures(self) -> tuple[Measured, ...]:
        """The names in `MEASURES` by which errors were measured."""
        return tuple(m for m in MEASURES if m == "l2" or m in self.surrogate.errors_in)  # type: ignore[misc]

    def measured_by(self, measure: Measured) -> "Comparison":
        """The same comparison with errors of another measure: every conclusion follows from it."""
        if measure == "l2":
            return self
        known = {**asdict(self.reference), "errors_in": {}}
        known["error"] = self.reference.errors_in.get(measure, math.nan)
        return replace(
            self,
            ladder=tuple(rung.measured_by(measure) for rung in self.ladder),
            surrogate=self.surrogate.measured_by(measure),
            trivial=tuple(rival.measured_by(measure) for rival in self.trivial),
            others=tuple(other.measured_by(measure) for other in self.others),
            reference=Reference(**known),
            examples=(),
        )

    @property
    def within_single_precision(self) -> bool:
        """Whether a lead is so small that a solver in single precision might take it."""
        lead = self.speed_up()
        return self.winner() == "surrogate" and lead is not None and lead.value < SINGLE_PRECISION

    @property
    def data_error(self) -> float:
        """Error of the solver that made the training data, against the same reference."""
        return self.ladder[0].error

    @cached_property
    def eligible(self) -> tuple[int, ...]:
        """Positions in the ladder of the solvers that fail on no input."""
        return tuple(i for i, rung in enumerate(self.ladder) if rung.failure_rate == 0)

    @property
    def front(self) -> list[Contender]:
        """The solvers that no other one beats in both error and time, dearest first."""
        errors, seconds = self._points()
        front = equal_error.lower_left_front(errors, seconds)
        return [self.ladder[self.eligible[i]] for i in front]

    @cached_property
    def solver_seconds(self) -> Estimate | None:
        """Time of the solver at the error of the surrogate."""
        return self._in_ladder(
            equal_error.seconds_at_error(self.surrogate.error, *self._points())
            if self.surrogate.finished.size
            else None
        )

    def solver_error(self, *, batched: bool = False) -> Estimate | None:
        """Error of the solver in the time of the surrogate."""
        seconds = self._surrogate_seconds(batched)
        return self._in_ladder(equal_error.error_at_seconds(seconds, *self._points()))

    def speed_up(self, *, batched: bool = False) -> Estimate | None:
        """Time of the solver at equal error over the time of the surrogate."""
        solver = self.solver_seconds
        return None if solver is None else solver.divided_by(self._surrogate_seconds(batched))

    @property
    def invested(self) -> float | None:
        """Seconds that data, tuning and training have cost; what is not known of tuning is 0."""
        parts = [self.training.get(key) for key in ("data_seconds", "seconds")]
        if None in parts:
            return None
        return float(sum(parts) + self.training.get("tuning_seconds", 0.0))  # type: ignore[arg-type]

    def break_even(self, *, batched: bool = False) -> Estimate | None:
        """Calls after which the surrogate has paid for its data and training; None if unknown."""
        if self.invested is None or self.solver_seconds is None:
            return None
        if self.winner(batched=batched) == "solver":
            return Estimate(math.inf)
        seconds = self._surrogate_seconds(batched)
        return equal_error.break_even(self.invested, self.solver_seconds, seconds)

    def winner(self, *, batched: bool = False) -> Literal["solver", "surrogate", "unknown"]:
        """Who is faster at equal error, as far as the ladder can tell."""
        solver, ours = self.solver_seconds, self._surrogate_seconds(batched)
        if solver is None:
            return "unknown"
        surrogate_is_faster = solver.value > CLEAR_LEAD * ours
        if solver.relation == "=":
            return "surrogate" if surrogate_is_faster else "solver"
        if solver.relation == "<":
            return "unknown" if surrogate_is_faster else "solver"
        return "surrogate" if surrogate_is_faster else "unknown"

    @property
    def errors_compared(self) -> list[float]:
        """The errors on which the verdict rests."""
        solver = self.solver_seconds
        rungs = [self.ladder[i].error for i in solver.between] if solver else []
        return [self.surrogate.error, *rungs]

    @property
    def outcome(self) -> Outcome:
        """The verdict in a word or two."""
        if self.surrogate.failure_rate > 0:
            return "unusable"
        if not self.reference.resolves <= min(self.errors_compared):  # also catches NaN
            return "inconclusive"
        if any(rival.error <= self.surrogate.error for rival in self.trivial):
            return "no skill"
        single, batch = self.winner(), self.winner(batched=True)
        if "surrogate" in (single, batch):
            return (
                "the surrogate wins" if single == "surrogate" else "the surrogate wins in batches"
            )
        return "the solver wins" if single == batch == "solver" else "undecided"

    def _points(self) -> tuple[list[float], list[float]]:
        rungs = [self.ladder[i] for i in self.eligible]
        return [rung.error for rung in rungs], [rung.seconds for rung in rungs]

    def _in_ladder(self, estimate: Estimate | None) -> Estimate | None:
        """Positions among the eligible rungs as positions in the ladder."""
        if estimate is None:
            return None
        positions = tuple(self.eligible[i] for i in estimate.between)
        return Estimate(estimate.value, estimate.relation, positions)

    def _surrogate_seconds(self, batched: bool) -> float:
        single, batch = self.surrogate.seconds, self.surrogate.batch_seconds
        return batch if batched and batch is not None else single

    @property
    def contenders(self) -> tuple[Contender, ...]:
        return (self.surrogate, *self.others, *self.trivial, *self.ladder)

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of the table, errors in %: a header, and a row for each of `contenders`."""
        columns: list[tuple[str, list[str]]] = [("", [c.name for c in self.contenders])]

        def column(title: str, of: Callable[[Contender], str]) -> None:
            cells = [of(contender) for contender in self.contenders]
            if any(cells):
                columns.append((title, cells))

        def bare(error: float) -> str:
            return wording.percent(error).removesuffix(" %")

        column("mean", lambda c: bare(c.error))
        for probability, title in ((0.5, "median"), (0.9, "90 %"), (1.0, "worst")):
            column(title, lambda c, q=probability: bare(c.quantile(q)))  # type: ignore[misc]
        for measure, title in (("frames", "nRMSE"), ("quantity", "quantity")):
            if measure in self.measures:
                column(title, lambda c, m=measure: bare(c.measured_by(m).error))  # type: ignore[misc]
        column("holds for", lambda c: f"{c.valid_time:.3g}" if c.valid_times else "")
        column("per call", lambda c: wording.duration(c.seconds))
        column("spread", lambda c: "" if c.spread is None else f"{100 * c.spread:.0f} %")
        column("batched", lambda c: wording.duration(c.batch_seconds) if c.batch_seconds else "")
        column("energy", lambda c: "" if c.joules is None else wording.energy(c.joules))
        column("fails", lambda c: wording.percent(c.failure_rate) if c.failure_rate else "")
        return list(zip(*((title, *cells) for title, cells in columns), strict=True))

    def table(self) -> str:
        """Everybody's errors and times as text."""
        header, *rows = self.rows()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        rule = "  ".join("─" * width for width in widths)
        lines = [f"{self.system}: relative L2 error in % of {len(self.surrogate.headline)} inputs"]
        lines += [_aligned(header, widths)]
        previous = None
        for contender, row in zip(self.contenders, rows, strict=True):
            if contender.kind != previous:
                lines.append(rule)
                previous = contender.kind
            lines.append(_aligned(row, widths))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """All measurements as JSON values, and the conclusions drawn from them."""

        def estimates(of: Callable[..., Estimate | None]) -> dict[str, Any]:
            both = {"single": of(batched=False), "batched": of(batched=True)}
            return {key: e.to_json() if e else None for key, e in both.items()}

        solver = self.solver_seconds
        reference = asdict(self.reference)
        for known in (reference, reference["errors_in"]):
            for key, value in known.items():
                if isinstance(value, float) and math.isnan(value):
                    known[key] = None
        return {
            "verdict": self.verdict,
            "outcome": self.outcome,
            "solver_seconds_at_equal_error": solver.to_json() if solver else None,
            "speed_up_at_equal_error": estimates(self.speed_up),
            "speed_up_in": {
                measure: estimates(self.measured_by(measure).speed_up)
                for measure in self.measures
                if measure != "l2"
            },
            "solver_error_at_equal_time": estimates(self.solver_error),
            "break_even_calls": estimates(self.break_even),
            "system": self.system,
            "settings": dict(self.settings),
            "inputs": dict(self.inputs),
            "ladder": [rung.to_json() for rung in self.ladder],
            "surrogate": self.surrogate.to_json(),
            "trivial": [rival.to_json() for rival in self.trivial],
            "reference": reference,
            "batch_size": self.batch_size,
            "training": dict(self.training),
            "machine": dict(self.machine),
            "cautions": list(self.cautions),
            "others": [other.to_json() for other in self.others],
            "others_training": {name: dict(r) for name, r in self.others_training.items()},
            "rationale": self.rationale,
        }

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> "Comparison":
        """Inverse of `to_json`; conclusions are drawn anew, pictures are lost."""
        reference = _nan_for_none(described["reference"])
        reference["order"] = described["reference"]["order"]
        reference["errors_in"] = _nan_for_none(reference.get("errors_in", {}))
        return cls(
            ladder=tuple(Contender.from_json(rung) for rung in described["ladder"]),
            surrogate=Contender.from_json(described["surrogate"]),
            trivial=tuple(Contender.from_json(rival) for rival in described["trivial"]),
            reference=Reference(**reference),
            cautions=tuple(described["cautions"]),
            others=tuple(Contender.from_json(other) for other in described.get("others", ())),
            others_training=described.get("others_training", {}),
            rationale=described.get("rationale", ""),
            **{
                key: described[key]
                for key in ("system", "settings", "inputs", "batch_size", "training", "machine")
            },
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Accuracy against cost."""
        from surrogate.plot import plot_accuracy_cost

        return plot_accuracy_cost(self, ax)

    def save_report(self, path: str | Path) -> None:
        """Write everything as one self-contained HTML page."""
        from surrogate.report import write_report

        write_report(path, [self])


def _nan_for_none(known: Mapping[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in known.items()}


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "  ".join(padded).rstrip()
