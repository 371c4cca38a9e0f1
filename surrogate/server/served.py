"""A surrogate under a name, and everything about it that is worked out once."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from simulations.datasets import Recorded
from simulations.simulation import Array, InvalidInput, Solution
from surrogate.deploy.metadata import describe
from surrogate.deploy.whole import Whole
from surrogate.emulator import Surrogate
from surrogate.server.options import Options

#: Inputs by name, complete and checked.
Row = dict[str, float | Array]

SOLVER = "simulation"


@dataclass(slots=True)
class Prediction:
    """The answer to one set of inputs.

    Attributes:
        fields: of each field ``(time, *space, *component)``.
        answered_by: the surrogate with its network, or the simulation.
        seconds: that answering took, the whole batch for a sample of a batch.
        outside: parameters outside the range that the surrogate was trained in.
        p_value: how often training inputs are as unusual as these, if the surrogate knows.
        error_bound: of each field, on the relative L2 error, if the surrogate knows; of the
            simulation none.
        half_width: of each field half of the band's width, shaped like it.
        reason: why the simulation has answered in the surrogate's place.
    """

    fields: Solution
    answered_by: str
    seconds: float
    outside: list[str] = field(default_factory=list)
    p_value: float | None = None
    error_bound: Mapping[str, float] | None = None
    half_width: Mapping[str, Array] | None = None
    reason: str | None = None


class Served:
    """What a service has to know of a surrogate.

    Args:
        name: by which clients ask for it.
        emulator: the surrogate.
    """

    def __init__(self, name: str, emulator: Surrogate) -> None:
        self.name, self.emulator = name, emulator
        self.simulation = emulator.simulation
        self.calibration = emulator.calibration
        self.answered_by = f"surrogate ({emulator.network_name})"
        self.can_solve = not isinstance(self.simulation, Recorded)
        self.ranges = emulator.encoding.ranges
        self.defaults = {
            name: _middle(*self.ranges[name], p.scale == "log")
            for name, p in self.simulation.parameters.items()
        }
        self._whole = Whole(emulator)
        self._n_inputs = len(self.simulation.parameters) + len(self.simulation.field_inputs)
        # Of the first answer other threads and buffers: not at the expense of a client
        self.predict([self.complete({}, 0)])

    @property
    def variables(self) -> list[str]:
        """What can be asked for: the fields, and the band around each where it is known."""
        names = list(self.simulation.fields)
        if self.calibration is None:
            return names
        return names + [f"{name}_{end}" for name in names for end in ("lower", "upper")]

    def describe(self) -> dict[str, Any]:
        """For clients and for the page, as JSON values."""
        described = describe(self.emulator)
        for name, value in self.defaults.items():
            described["parameters"][name]["default"] = value
        calibration = self.calibration
        return {
            "name": self.name,
            **described,
            "time_unit": self.simulation.time_unit,
            "variables": self.variables,
            "can_solve": self.can_solve,
            "coverage": None if calibration is None else float(calibration.coverage),
            "error_bound": None if calibration is None else finite(calibration.error_bound),
        }

    def complete(self, given: Mapping[str, Any], seed: int) -> Row:
        """All inputs: parameters that are not given in the middle of their range, fields drawn.

        Raises:
            InvalidInput: as the simulation does.
        """
        row = self.simulation.check_inputs({**self.defaults, **given})
        if len(row) < self._n_inputs:
            row, _ = self.simulation.complete_inputs(row, seed)
        return row

    def predict(self, rows: list[Row]) -> list[Prediction]:
        """Answer some inputs in one call of the network."""
        start = time.perf_counter()
        batch = {name: np.asarray([row[name] for row in rows]) for name in rows[0]}
        answer = self.emulator.predict(**batch)
        outside: list[list[str]] = [[] for _ in rows]
        for name, (low, high) in self.ranges.items():
            beyond = ~((batch[name] >= low) & (batch[name] <= high))
            if beyond.any():
                for position in np.flatnonzero(beyond):
                    outside[position].append(name)
        known = None
        if self.calibration is not None:
            known = self.calibration.bounds(self.emulator, batch, answer)
        seconds = time.perf_counter() - start
        predictions = []
        for i in range(len(rows)):
            fields = {name: values[i] for name, values in answer.items()}
            prediction = Prediction(fields, self.answered_by, seconds, outside[i])
            if known is not None:
                prediction.p_value = float(known.p_values[i])
                prediction.error_bound = {name: float(v[i]) for name, v in known.error.items()}
                prediction.half_width = {name: v[i] for name, v in known.half_width.items()}
            predictions.append(prediction)
        return predictions

    def values(self, prediction: Prediction, variable: str) -> Array:
        """One of `variables`, float32 and contiguous.

        Of the simulation's answer the band has no width.
        """
        if variable in prediction.fields:
            values = prediction.fields[variable]
        else:
            name, _, end = variable.rpartition("_")
            values = prediction.fields[name]
            if prediction.half_width is not None:
                width = prediction.half_width[name]
                values = values - width if end == "lower" else values + width
        return np.ascontiguousarray(values, dtype=np.float32)

    def distrust(self, prediction: Prediction, options: Options) -> str | None:
        """Why the simulation should answer instead, or None."""
        if not all(np.isfinite(values).all() for values in prediction.fields.values()):
            return "the surrogate's answer is not finite"
        if prediction.outside:
            return f"outside the training range: {', '.join(prediction.outside)}"
        if prediction.p_value is not None and prediction.p_value < options.significance:
            return f"p-value of the domain {prediction.p_value:.2g} < {options.significance:g}"
        if options.tolerance is not None and prediction.error_bound is not None:
            name, bound = max(prediction.error_bound.items(), key=lambda item: item[1])
            if not bound <= options.tolerance:
                return f"error bound of {name} {bound:.2g} > {options.tolerance:g}"
        return None

    def vectors(self, inputs: list[list[float]]) -> Row:
        """Inputs from flat lists: all parameters together, then each field input.

        Raises:
            InvalidInput: as the simulation does.
        """
        parameters, *flat = inputs
        given: dict[str, Any] = dict(zip(self.simulation.parameters, parameters, strict=True))
        for (name, declared), values in zip(
            self.simulation.field_inputs.items(), flat, strict=True
        ):
            given[name] = np.reshape(values, declared.shape(self.simulation.grid))
        return self.simulation.check_inputs(given)

    def product(
        self, row: Row, output: str, argument: int, vector: list[float], *, transposed: bool
    ) -> list[float]:
        """The Jacobian of a flat field with respect to flat inputs, times a vector.

        Args:
            row: where the derivative is taken.
            output: name of the field.
            argument: 0 for the parameters together, then each field input.
            vector: as long as the argument, or if ``transposed`` as the field.
            transposed: multiply with the transpose of the Jacobian.
        """
        parameters = list(self.simulation.parameters)
        tensors = {
            k: torch.as_tensor(np.asarray(v), dtype=torch.float32)[None] for k, v in row.items()
        }
        if argument == 0:
            point = torch.tensor([float(row[k]) for k in parameters])
        else:
            changed = list(self.simulation.field_inputs)[argument - 1]
            point = tensors[changed].reshape(-1)

        def answer(flat: torch.Tensor) -> torch.Tensor:
            if argument == 0:
                given = {k: flat[i : i + 1] for i, k in enumerate(parameters)}
            else:
                given = {changed: flat.reshape(tensors[changed].shape)}
            return self._whole({**tensors, **given})[output].reshape(-1)

        times = torch.tensor(vector, dtype=torch.float32)
        with torch.enable_grad():
            if transposed:
                _, product = torch.autograd.functional.vjp(answer, point, times)
            else:
                _, product = torch.autograd.functional.jvp(answer, point, times)
        return product.tolist()


def finite(bounds: Mapping[str, float]) -> dict[str, float | None]:
    """Bounds for JSON, which has no infinity: of too few calibration inputs there may be none."""
    return {name: float(b) if math.isfinite(b) else None for name, b in bounds.items()}


def _middle(low: float, high: float, logarithmic: bool) -> float:
    """A round number in the middle of a range."""
    middle = math.sqrt(low * high) if logarithmic else 0.5 * (low + high)
    return min(max(float(f"{middle:.3g}"), low), high)


def check_name(name: str) -> str:
    """The name if it is one that an address and a log can hold.

    Raises:
        InvalidInput: it is empty, long, or has characters other than ``a-z A-Z 0-9 _ . -``.
    """
    allowed = name.replace("-", "a").replace("_", "a").replace(".", "a")
    if not (allowed.isalnum() and allowed.isascii() and len(name) <= 64 and name[0].isalnum()):
        raise InvalidInput(
            f"model {name!r}: a name has up to 64 letters, digits, dots, dashes and underscores"
        )
    return name
