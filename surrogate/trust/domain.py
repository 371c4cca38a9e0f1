"""Whether inputs are like those that a surrogate has learnt from. Needs numpy and nothing else.

Several signals grow with the distance of an input from the training inputs. Their largest is
compared with what it was for calibration inputs, which were drawn like the training inputs but not
trained on:

    p = (1 + #{calibration inputs at least as far}) / (n + 1)

Where new inputs are drawn like the calibration inputs, ``P(p ≤ a) ≤ a`` exactly, for any number of
signals and whatever they measure: to reject below ``a`` rejects at most a share ``a`` of them.

References:
    Bates, Candès, Lei, Romano, Sesia, Testing for outliers with conformal p-values, Annals of
    Statistics 51 (2023) 149.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# The distance of an input is that to its third nearest neighbour
NEIGHBOURS = 3
# More training inputs than these make no better neighbours, only more work for each answer
MOST_REFERENCES = 2000
# A signal is measured in what this share of the training inputs does not exceed
TYPICAL = 0.95
# Features that hardly vary in training count as varying by this much of the field's deviation
LEAST_DEVIATION = 0.02
# Shares of energy below that of the rounding of float32 are not told apart
ENERGY_FLOOR = 1e-9
# Directions in which training fields vary most; what is left of a field is one feature more
DIRECTIONS = 8
SAME_VALUE = 1e-6
MOST_BASIS_VALUES = 2**20


@dataclass(frozen=True, eq=False)
class FieldFeatures:
    """A few numbers that describe a field input, standardised by the training inputs.

    Of each component: mean, deviation, skewness, kurtosis and extremes; the logarithm of the share
    of energy in each octave of wave numbers (of the even continuation along axes that are not
    periodic); scores along the principal directions of the training fields, and the logarithm of
    what is outside of them.

    Attributes:
        periodic: of each axis of the grid.
        unit: ``(2,)``, mean and deviation of all values in training.
        average: ``(cells,)``, the mean of the training fields in that unit.
        basis: ``(directions, cells)``, orthonormal.
        centre: ``(features,)``.
        deviation: ``(features,)``.
        reference: ``(m, features)``, of the training inputs, standardised.
    """

    periodic: tuple[bool, ...]
    unit: Array
    average: Array
    basis: Array
    centre: Array
    deviation: Array
    reference: Array

    @classmethod
    def fit(cls, values: Array, periodic: tuple[bool, ...]) -> "FieldFeatures":
        """Those of training fields ``(m, *space, *component)``."""
        values = np.asarray(values, np.float64)
        unit = np.array([values.mean(), values.std() or 1.0])
        flat = ((values - unit[0]) / unit[1]).reshape(len(values), -1)
        average = flat.mean(axis=0)
        directions = min(DIRECTIONS, len(flat) // 4, MOST_BASIS_VALUES // flat.shape[1])
        basis = np.linalg.svd(flat - average, full_matrices=False)[2][:directions]
        empty = np.zeros(0)
        raw = cls(periodic, unit, average, basis, empty, empty, empty)
        features = raw.raw(values)
        centre, deviation = features.mean(axis=0), features.std(axis=0)
        deviation = np.maximum(deviation, LEAST_DEVIATION)
        standard = (features - centre) / deviation
        return replace(raw, centre=centre, deviation=deviation, reference=standard)

    def __call__(self, values: Array) -> Array:
        """Standardised features ``(n, features)`` of fields ``(n, *space, *component)``."""
        return (self.raw(values) - self.centre) / self.deviation

    def raw(self, values: Array) -> Array:
        scaled = (np.asarray(values, np.float64) - self.unit[0]) / self.unit[1]
        n, ndim = len(scaled), len(self.periodic)
        components = scaled.reshape(*scaled.shape[: 1 + ndim], -1)
        found = [
            part
            for c in range(components.shape[-1])
            for part in (_moments(components[..., c]), self._octaves(components[..., c]))
        ]
        apart = scaled.reshape(n, -1) - self.average
        scores = apart @ self.basis.T
        left = np.square(apart - scores @ self.basis).mean(axis=1)
        # A score grows with the number of cells; in this unit it does not
        scores = scores / np.sqrt(apart.shape[1])
        return np.concatenate([*found, scores, 0.5 * np.log(left + ENERGY_FLOOR)[:, None]], axis=1)

    def _octaves(self, values: Array) -> Array:
        """Logarithms of the shares of energy with wave numbers in [1, 2), [2, 4), …"""
        for axis, wraps in enumerate(self.periodic, start=1):
            if not wraps:
                values = np.concatenate([values, np.flip(values, axis)], axis)
        axes = tuple(range(1, values.ndim))
        if not axes:
            return np.zeros((len(values), 0))
        power = np.abs(np.fft.rfftn(values, axes=axes)) ** 2
        shape = values.shape[1:]
        numbers = [np.fft.fftfreq(size, 1 / size) for size in shape[:-1]]
        numbers.append(np.arange(shape[-1] // 2 + 1))
        wave = np.sqrt(sum(np.square(k) for k in np.ix_(*numbers))).ravel()
        octaves = np.floor(np.log2(np.maximum(wave, 0.5))).astype(int)  # −1 is the mean
        power = power.reshape(len(values), -1)
        count = max(1, int(np.log2(max(shape) / 2)) + 1)
        member = np.minimum(octaves, count - 1)[:, None] == np.arange(count)
        energy = power @ member
        share = energy / np.maximum(energy.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        return np.log(share + ENERGY_FLOOR) / 2


def _moments(values: Array) -> Array:
    """Of fields ``(n, *space)`` in the unit of their training: ``(n, 6)``."""
    flat = values.reshape(len(values), -1)
    mean, std = flat.mean(axis=1), flat.std(axis=1)
    apart = (flat - mean[:, None]) / np.maximum(std, np.finfo(float).tiny)[:, None]
    skewness, kurtosis = (apart**3).mean(axis=1), (apart**4).mean(axis=1)
    return np.stack(
        [mean, np.log(std + 1e-6), skewness, np.sqrt(kurtosis), flat.min(axis=1), flat.max(axis=1)],
        axis=1,
    )


@dataclass(frozen=True, eq=False)
class Domain:
    """The inputs that a surrogate has learnt from, as far as it takes to recognise others.

    Signals are ``box`` (how far a parameter is outside of its training range), ``parameters`` (the
    distance from the training points), one for each field input (the same among features of
    fields), and those that `with_signal` adds.

    Attributes:
        ranges: of each parameter its smallest and largest value in training.
        logarithmic: the parameters whose logarithm counts.
        points: training parameters in [−1, 1], ``(m, parameters)``.
        fields: the features of each field input.
        scales: of each signal, what is typical in training.
        calibration: of each signal its values for the calibration inputs, ``(n,)``, in units of its
            scale.
    """

    ranges: dict[str, tuple[float, float]]
    logarithmic: frozenset[str]
    points: Array
    fields: dict[str, FieldFeatures]
    scales: dict[str, float] = field(default_factory=dict)
    calibration: dict[str, Array] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        training: Mapping[str, Array],
        calibration: Mapping[str, Array],
        *,
        logarithmic: frozenset[str] = frozenset(),
        periodic: Mapping[str, tuple[bool, ...]] | None = None,
    ) -> "Domain":
        """The domain of some training inputs, with p-values by calibration inputs.

        Args:
            training: every parameter, ``(m,)``, and field input, ``(m, *space, *component)``.
            calibration: the same of ``n`` inputs that were not trained on.
            logarithmic: parameters whose logarithm counts.
            periodic: of each field input whether the axes of its grid are. What is not here is a
                parameter.
        """
        periodic = dict(periodic or {})
        names = [name for name in training if name not in periodic]
        ranges = {n: (float(np.min(training[n])), float(np.max(training[n]))) for n in names}
        m = len(next(iter(training.values())))
        chosen = np.unique(np.linspace(0, m - 1, min(m, MOST_REFERENCES)).astype(int))
        fields = {
            name: FieldFeatures.fit(np.asarray(training[name])[chosen], axes)
            for name, axes in periodic.items()
        }
        empty = cls(ranges, logarithmic & set(names), np.zeros((0, len(names))), fields)
        parameters = {name: np.asarray(training[name])[chosen] for name in names}
        points = empty._encoded(parameters) if names else np.zeros((len(chosen), 0))
        domain = replace(empty, points=points)
        scales = {}
        if names:
            # A range that m draws span is missed by about its m-th part on either side
            scales["box"] = 2.0 / len(chosen)
            scales["parameters"] = _typical(points)
        scales |= {name: _typical(features.reference) for name, features in fields.items()}
        domain = replace(domain, scales=scales)
        return replace(domain, calibration=domain.signals(calibration))

    def __repr__(self) -> str:
        return f"Domain({', '.join(self.scales)}; {len(self.points)} training inputs)"

    @property
    def n(self) -> int:
        """Calibration inputs; no p-value is smaller than ``1 / (n + 1)``."""
        return len(next(iter(self.calibration.values())))

    def with_signal(self, name: str, calibration: Array, scale: float) -> "Domain":
        """The domain with one signal more, which `p_values` then takes by its name.

        Args:
            name: of the signal, not one of the inputs.
            calibration: its values for the calibration inputs, ``(n,)``: large is bad.
            scale: what is typical of it, found without the calibration inputs.

        Raises:
            ValueError: there is such a signal, or the values do not fit.
        """
        if name in self.scales or name in self.ranges:
            raise ValueError(f"signal={name!r}: there is one of this name")
        values = np.asarray(calibration, np.float64) / scale
        if values.shape != (self.n,) or not scale > 0:
            raise ValueError(
                f"signal={name!r}: must have {self.n} values and a positive scale, "
                f"has {values.shape} and {scale}"
            )
        return replace(
            self,
            scales={**self.scales, name: float(scale)},
            calibration={**self.calibration, name: _worst_if_nan(values)},
        )

    def p_values(self, inputs: Mapping[str, Array], /, **signals: Array) -> Array:
        """How usual inputs are, ``(n,)``: small is unlike the training inputs.

        Args:
            inputs: every parameter, ``(n,)``, and field input, ``(n, *space, *component)``.
            **signals: values of signals that were added, ``(n,)``. Those that are left out do not
                count, and the p-values are as exact without.
        """
        found = self.signals(inputs)
        for name, values in signals.items():
            found[name] = _worst_if_nan(np.asarray(values, np.float64) / self.scales[name])
        largest = np.max(list(found.values()), axis=0)
        usual = np.sort(self._largest(list(found)))
        as_far = usual.size - np.searchsorted(usual, largest, side="left")
        return (1.0 + as_far) / (usual.size + 1.0)

    def inside(self, level: float) -> NDArray[np.bool_]:
        """Calibration inputs that lie inside of the one where p-values fall below ``level``.

        Given where that is, they are independent draws of what has a p-value of ``level`` or more:
        the others of a sample are, given one of its order statistics.

        Returns:
            ``(n,)``.

        Raises:
            ValueError: there are too few of them for any p-value to be so small.
        """
        outer = int(np.ceil(level * (self.n + 1) - 1e-9)) - 1
        if outer < 1:
            least = int(np.floor(1 / level - 1 + 1e-9)) + 1
            raise ValueError(
                f"level={level:g}: needs {least} calibration trajectories, there are {self.n}"
            )
        usual = self._largest(list(self.calibration))
        return usual < np.sort(usual)[self.n - outer]

    def _largest(self, names: list[str]) -> Array:
        """Of the calibration inputs, over some signals, ``(n,)``."""
        return np.max([self.calibration[name] for name in names], axis=0)

    def signals(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Each signal that inputs have by themselves, ``(n,)``, in units of its scale."""
        found = {}
        if self.ranges:
            encoded = self._encoded(inputs)
            found["box"] = np.max(np.abs(encoded) - 1.0, axis=1).clip(min=0.0)
            found["parameters"] = _neighbour_distance(encoded, self.points)
        for name, features in self.fields.items():
            found[name] = _neighbour_distance(features(inputs[name]), features.reference)
        return {name: _worst_if_nan(values / self.scales[name]) for name, values in found.items()}

    def features(self, inputs: Mapping[str, Array]) -> Array:
        """Parameters in [−1, 1] and the standardised features of fields, ``(n, features)``."""
        parts = [self._encoded(inputs)] if self.ranges else []
        return np.concatenate([*parts, *(f(inputs[name]) for name, f in self.fields.items())], 1)

    def _encoded(self, inputs: Mapping[str, Array]) -> Array:
        """Parameters so that their training range is [−1, 1], ``(n, parameters)``."""
        columns = []
        for name, bounds in self.ranges.items():
            values, (low, high) = np.asarray(inputs[name], np.float64), bounds
            if name in self.logarithmic:
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = np.log(values)
                low, high = float(np.log(low)), float(np.log(high))
            # A parameter that never varied may vary by its rounding
            half = (high - low) / 2 or SAME_VALUE * max(abs(low), SAME_VALUE)
            columns.append((values - (low + high) / 2) / half)
        n = len(next(iter(inputs.values())))
        return np.stack(columns, axis=1) if columns else np.zeros((n, 0))

    def arrays(self) -> dict[str, Array]:
        """What a file keeps beside `settings`."""
        kept = {"points": self.points}
        kept |= {f"calibration.{name}": values for name, values in self.calibration.items()}
        for name, features in self.fields.items():
            kept |= {f"field.{name}.{part}": getattr(features, part) for part in FIELD_PARTS}
        return kept

    def settings(self) -> dict[str, Any]:
        """What a file keeps beside `arrays`, as JSON values."""
        return {
            "ranges": {name: list(bounds) for name, bounds in self.ranges.items()},
            "logarithmic": sorted(self.logarithmic),
            "periodic": {name: list(features.periodic) for name, features in self.fields.items()},
            "scales": self.scales,
        }

    @classmethod
    def of(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> "Domain":
        """Inverse of `settings` and `arrays`.

        Raises:
            ValueError: they are not those of a domain.
        """
        try:
            kept = {key: np.asarray(values, np.float64) for key, values in arrays.items()}
            ranges = {str(k): (float(a), float(b)) for k, (a, b) in settings["ranges"].items()}
            fields = {
                str(name): FieldFeatures(
                    tuple(bool(axis) for axis in axes),
                    *(kept[f"field.{name}.{part}"] for part in FIELD_PARTS),
                )
                for name, axes in settings["periodic"].items()
            }
            scales = {str(name): float(scale) for name, scale in settings["scales"].items()}
            calibration: dict[str, Array] = {n: kept[f"calibration.{n}"] for n in scales}
            logarithmic = frozenset(map(str, settings["logarithmic"]))
            domain = cls(ranges, logarithmic, kept["points"], fields, scales, calibration)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"domain: not the description of one ({error!r})") from None
        if not domain._is_whole():
            raise ValueError("domain: sizes or numbers that do not belong together")
        return domain

    def _is_whole(self) -> bool:
        """Whether sizes agree and nothing is NaN, so that no file makes a check that passes."""
        shapes = {values.shape for values in self.calibration.values()}
        needed = {*(("box", "parameters") if self.ranges else ()), *self.fields}
        sizes = [
            len(shapes) == 1 and all(len(shape) == 1 and shape[0] > 0 for shape in shapes),
            needed <= self.scales.keys(),
            self.logarithmic <= self.ranges.keys(),
            self.points.ndim == 2 and self.points.shape[1] == len(self.ranges),
            all(0 < scale < np.inf for scale in self.scales.values()),
            all(low <= high for low, high in self.ranges.values()),
            all(self.ranges[name][0] > 0 for name in self.logarithmic & self.ranges.keys()),
            not any(np.isnan(values).any() for values in self.arrays().values()),
        ]
        for features in self.fields.values():
            number, cells = features.centre.size, features.average.size
            sizes += [
                features.unit.shape == (2,) and features.unit[1] > 0,
                features.basis.ndim == 2 and features.basis.shape[1] == cells,
                features.deviation.shape == (number,) and bool((features.deviation > 0).all()),
                features.reference.ndim == 2 and features.reference.shape[1] == number,
            ]
        return all(map(bool, sizes))


FIELD_PARTS = ("unit", "average", "basis", "centre", "deviation", "reference")


def _worst_if_nan(values: Array) -> Array:
    return np.where(np.isnan(values), np.inf, values)


def _neighbour_distance(points: Array, reference: Array, without_self: bool = False) -> Array:
    """From each point to its third nearest among the references, per root of the dimension."""
    squares = np.square(points).sum(1)[:, None] + np.square(reference).sum(1)
    squares = np.maximum(squares - 2.0 * points @ reference.T, 0.0)
    nearest = min(NEIGHBOURS, reference.shape[0] - without_self) - 1 + without_self
    distance = np.partition(squares, nearest, axis=1)[:, nearest]
    return np.sqrt(distance / max(1, points.shape[1]))


def _typical(reference: Array) -> float:
    """What most of the references have as distance from the others."""
    distances = _neighbour_distance(reference, reference, without_self=True)
    return float(np.quantile(distances, TYPICAL)) or 1.0
