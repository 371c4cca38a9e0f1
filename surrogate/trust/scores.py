"""What the error of an answer is likely to be proportional to, found without the truth.

A bound in units of such a scale is narrow where answers are good and wide where they are not, and
is as valid as one without: the scale may be anything that does not look at the calibration errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from surrogate.trust.domain import Domain

if TYPE_CHECKING:
    from surrogate.emulator import Surrogate

Array = NDArray[np.floating]

#: Name of the signal that `self_consistency` gives to a `Domain`.
CONSISTENCY = "consistency"

# No answer is taken to be better than this share of the typical scale
FLOOR = 0.1
# A feature that varies less is constant but for rounding
LEAST_DEVIATION = 1e-5


class Scales(NamedTuple):
    """Scales of the errors of ``n`` answers.

    Attributes:
        error: of the relative L2 error of each field, ``(n,)``.
        spread: of the error in each point, ``(n, time, *space, *component)``; None where nothing is
            known of where in an answer the error is.
    """

    error: dict[str, Array]
    spread: dict[str, Array] | None


class Scale(Protocol):
    """Gives the scales of answers."""

    kind: ClassVar[str]

    def __call__(
        self,
        emulator: "Surrogate",
        domain: Domain,
        inputs: Mapping[str, Array],
        answer: Mapping[str, Array],
    ) -> Scales: ...

    def settings(self) -> dict[str, Any]:
        """What a file keeps beside `arrays`, as JSON values."""

    def arrays(self) -> dict[str, Array]:
        """What a file keeps beside `settings`."""


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """The expected logarithm of an error, by a kernel regression on features of input and answer.

        log e(x) ≈ m + Σ_i α_i exp(−|φ(x) − φ(x_i)|² / 2ℓ²)

    The features are the parameters, those of the field inputs that the domain check uses, and of
    each field of the answer its size and its roughness. It is fitted to a part of the calibration
    trajectories, of which the bounds then make no other use; the length and the regularisation are
    those with the smallest leave-one-out error.

    Attributes:
        fields: names.
        points: features of the trajectories that it was fitted to, ``(m, features)``, standardised.
        centre, deviation: of the features, ``(features,)``.
        weights: α, ``(m, fields)``.
        mean: m, ``(fields,)``.
        length: ℓ, ``(1,)``.
    """

    kind: ClassVar[str] = "error model"

    fields: tuple[str, ...]
    points: Array
    centre: Array
    deviation: Array
    weights: Array
    mean: Array
    length: Array

    @classmethod
    def fit(
        cls,
        domain: Domain,
        inputs: Mapping[str, Array],
        answer: Mapping[str, Array],
        errors: Mapping[str, Array],
    ) -> "ErrorModel":
        """To the relative errors of each field, ``(m,)``; infinite ones count as the largest."""
        raw = _features(domain, inputs, answer)
        usable = np.isfinite(raw).all(axis=1)
        raw = raw[usable] if usable.any() else np.zeros_like(raw[:1])
        errors = {n: e[usable] if usable.any() else np.ones(1) for n, e in errors.items()}
        centre, deviation = raw.mean(axis=0), raw.std(axis=0)
        deviation = np.where(deviation > LEAST_DEVIATION, deviation, 1.0)
        points = (raw - centre) / deviation
        target = np.stack([_logarithm(values) for values in errors.values()], axis=1)
        mean = target.mean(axis=0)
        squares = _squares(points, points)
        typical = np.sqrt(np.median(squares[squares > 0])) if (squares > 0).any() else 1.0
        best: tuple[float, Array, float] = (np.inf, np.zeros_like(target), typical)
        for length in typical * np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0]):
            values, vectors = np.linalg.eigh(np.exp(-squares / (2 * length**2)))
            along = vectors.T @ (target - mean)
            for noise in (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0):
                inverse = 1.0 / (values.clip(min=0.0) + noise)
                weights = vectors @ (inverse[:, None] * along)
                # What is left at each point when it is not fitted to
                left = weights / (np.square(vectors) @ inverse)[:, None]
                loss = float(np.square(left).mean())
                if loss < best[0]:
                    best = (loss, weights, float(length))
        _, weights, length = best
        return cls(tuple(errors), points, centre, deviation, weights, mean, np.array([length]))

    def __call__(
        self,
        emulator: "Surrogate",
        domain: Domain,
        inputs: Mapping[str, Array],
        answer: Mapping[str, Array],
    ) -> Scales:
        raw = _features(domain, inputs, answer)
        unknown = ~np.isfinite(raw).all(axis=1, keepdims=True)
        points = (np.where(unknown, 0.0, raw) - self.centre) / self.deviation
        kernel = np.exp(-_squares(points, self.points) / (2 * self.length[0] ** 2))
        with np.errstate(over="ignore"):
            found = np.exp(self.mean + kernel @ self.weights)
        # What is not finite has no small error
        found = np.where(unknown | np.isnan(found), np.inf, found)
        return Scales({name: found[:, i] for i, name in enumerate(self.fields)}, None)

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def arrays(self) -> dict[str, Array]:
        names = ("points", "centre", "deviation", "weights", "mean", "length")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, Array], fields: Sequence[str]
    ) -> "ErrorModel":
        """Inverse of `settings` and `arrays`.

        Raises:
            ValueError: they are not those of a model of errors.
        """
        points, weights = arrays["points"], arrays["weights"]
        expected = {
            "points": (len(points), arrays["centre"].size),
            "centre": (arrays["centre"].size,),
            "deviation": (arrays["centre"].size,),
            "weights": (len(points), len(fields)),
            "mean": (len(fields),),
            "length": (1,),
        }
        for name, shape in expected.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} of the model of errors: must be {shape} finite numbers")
        if not ((arrays["deviation"] > 0).all() and arrays["length"][0] > 0):
            raise ValueError("the model of errors has a deviation or a length that is none")
        kept = {name: arrays[name].astype(np.float64) for name in expected}
        return cls(
            tuple(fields),
            points=kept.pop("points"),
            weights=weights,
            **{name: values for name, values in kept.items() if name != "weights"},
        )


@dataclass(frozen=True, eq=False)
class Spread:
    """The standard deviation among the members of an ensemble, and a floor.

    Attributes:
        floors: of each field, the least scale of the relative error, and of that in a point.
    """

    kind: ClassVar[str] = "spread"

    floors: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, emulator: "Surrogate", inputs: Mapping[str, Array]) -> "Spread":
        """With floors that are a tenth of what is typical of these inputs."""
        answer, spread = _mean_and_spread(emulator, inputs)
        floors = {}
        for name, found in spread.items():
            relative = float(np.median(_relative_size(found, answer[name])))
            absolute = float(np.median(_size(found)))
            floors[name] = (FLOOR * relative, FLOOR * absolute)
        return cls(floors)

    def __call__(
        self,
        emulator: "Surrogate",
        domain: Domain,
        inputs: Mapping[str, Array],
        answer: Mapping[str, Array],
    ) -> Scales:
        mean, spread = _mean_and_spread(emulator, inputs)
        relative = {
            name: _relative_size(found, mean[name]) + self.floors[name][0]
            for name, found in spread.items()
        }
        return Scales(relative, {n: found + self.floors[n][1] for n, found in spread.items()})

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "floors": {name: list(two) for name, two in self.floors.items()}}

    def arrays(self) -> dict[str, Array]:
        return {}

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, Array], fields: Sequence[str]
    ) -> "Spread":
        """Inverse of `settings` and `arrays`.

        Raises:
            ValueError: they are not those of a spread.
        """
        floors = {name: (float(a), float(b)) for name, (a, b) in settings["floors"].items()}
        if floors.keys() != set(fields) or not all(a >= 0 <= b for a, b in floors.values()):
            raise ValueError(f"floors {settings['floors']!r}: must be two numbers for each field")
        return cls(floors)


def cells(
    found: Scales, answer: Mapping[str, Array], pattern: Mapping[str, Array]
) -> dict[str, Array]:
    """Scales of the error in each point, ``(n, time, *space, *component)``.

    Args:
        found: of the answers.
        answer: the fields.
        pattern: of each field where its errors are large, ``(time, *space, *component)``: used
            where the spread is not known, and zero where there is no error.
    """
    scales = {}
    for name, shape in pattern.items():
        values = np.asarray(answer[name], np.float64)
        if found.spread is not None:
            scales[name] = np.where(shape > 0, found.spread[name], 0.0)
            continue
        size = np.sqrt(np.mean(np.square(shape))) or 1.0
        each = found.error[name] * _size(values)
        with np.errstate(invalid="ignore"):  # infinite times zero, where there is no error
            scaled = each.reshape(-1, *(1,) * shape.ndim) * (shape / size)
        scales[name] = np.where(shape > 0, scaled, 0.0)
    return scales


def largest(errors: Mapping[str, Array]) -> Array:
    """Over the fields, ``(n,)``; NaN counts as infinite."""
    stacked = np.stack([np.asarray(values, np.float64) for values in errors.values()])
    return np.where(np.isnan(stacked), np.inf, stacked).max(axis=0)


def can_restart(emulator: "Surrogate") -> bool:
    """Whether an answer may be continued from its middle: `self_consistency` needs that.

    There must be three stored times at least, equally far apart, and an initial condition whose
    field is answered. A propagator of one frame does by definition the same in both ways.
    """
    simulation = emulator.simulation
    times = simulation.times
    starts = [f for f in simulation.field_inputs.values() if f.initial_of is not None]
    history = getattr(getattr(emulator.network, "problem", None), "history", 2)
    if times.size < 3 or not starts or history < 2:
        return False
    steps = np.diff(times)
    return bool(np.allclose(steps, steps[0], rtol=1e-6))


def self_consistency(
    emulator: "Surrogate", inputs: Mapping[str, Array], answer: Mapping[str, Array]
) -> Array:
    """How much two ways to the same time disagree, ``(n,)``: no truth is needed.

    The answer's own middle frame is a new initial condition; what is answered from there on is
    compared with the second half of the first answer:

        ‖S_τ(S_τ(u₀)) − S_2τ(u₀)‖ / ‖S_2τ(u₀)‖

    The larger one is taken over fields with an initial condition.

    Args:
        emulator: one for which `can_restart` holds.
        inputs: every parameter, ``(n,)``, and field input, ``(n, *space)``.
        answer: of each field ``(n, time, *space, *component)``.
    """
    middle = emulator.simulation.times.size // 2
    starts = {
        name: declared.initial_of
        for name, declared in emulator.simulation.field_inputs.items()
        if declared.initial_of is not None
    }
    again = {name: answer[field][:, middle] for name, field in starts.items()}
    second = emulator.answer({**inputs, **again})
    apart = []
    for field in starts.values():
        direct = np.asarray(answer[field], np.float64)[:, middle:]
        later = np.asarray(second[field], np.float64)[:, : direct.shape[1]]
        apart.append(_relative_size(later - direct, direct))
    return np.max(apart, axis=0)


def _mean_and_spread(
    emulator: "Surrogate", inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    mean_and_spread = getattr(emulator, "mean_and_spread", None)
    if mean_and_spread is None:
        raise ValueError(f"{emulator.network_name}: has no members whose spread could be a scale")
    return mean_and_spread(inputs)


def _features(domain: Domain, inputs: Mapping[str, Array], answer: Mapping[str, Array]) -> Array:
    parts = [domain.features(inputs)]
    for values in answer.values():
        flat = np.asarray(values, np.float64).reshape(len(values), -1)
        flat = np.where(np.isfinite(flat), flat, np.nan)
        size = np.sqrt(np.square(flat).mean(axis=1))
        rough = (
            np.sqrt(np.square(np.diff(flat, axis=1)).mean(axis=1)) if flat.shape[1] > 1 else size
        )
        tiny = np.finfo(np.float32).tiny
        parts.append(np.log(np.stack([size + tiny, rough + tiny], axis=1)))
    return np.concatenate(parts, axis=1)


def _logarithm(errors: Array) -> Array:
    finite = errors[np.isfinite(errors) & (errors > 0)]
    low, high = (finite.min(), finite.max()) if finite.size else (1.0, 1.0)
    return np.log(np.clip(np.where(np.isnan(errors), np.inf, errors), low, high))


def _squares(points: Array, others: Array) -> Array:
    squares = np.square(points).sum(1)[:, None] + np.square(others).sum(1) - 2 * points @ others.T
    return np.maximum(squares, 0.0)


def _size(values: Array) -> Array:
    """Root mean square of each sample, ``(n,)``."""
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    return np.sqrt(np.square(flat).mean(axis=1))


def _relative_size(values: Array, others: Array) -> Array:
    return _size(values) / np.maximum(_size(others), np.finfo(np.float64).tiny)
