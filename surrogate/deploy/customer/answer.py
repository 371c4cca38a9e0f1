"""What a model answers, with coordinates, units and errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Variable(NamedTuple):
    """An array, the names of its axes, and what is said about it."""

    dims: tuple[str, ...]
    values: NDArray
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """Fields by name, ``answer["temperature"]``, and how far they can be trusted.

    Where a batch was asked for, it is the first axis of everything but ``half_width``.

    Attributes:
        fields: of each field ``(time, *space, *component)``, float32.
        inputs: what was asked for.
        in_domain: whether all parameters are in the ranges of the training.
        domain_p_value: how like the training inputs these are, small where they are unlike; None
            where the surrogate was not calibrated.
        half_width: of each field how far the solution may be from it in all points at once, with
            the probability ``coverage``, ``(time, *space, *component)``; empty if not calibrated.
        about: the description of the model.
    """

    fields: dict[str, NDArray]
    inputs: Mapping[str, NDArray]
    in_domain: NDArray
    domain_p_value: NDArray | None
    half_width: Mapping[str, NDArray]
    about: Mapping[str, Any]

    def __getitem__(self, name: str) -> NDArray:
        return self.fields[name]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in self.fields.items())
        return f"Answer({shapes})"

    @property
    def error_bound(self) -> dict[str, float]:
        """Of each field the bound on its relative L2 error, which holds with ``coverage``."""
        calibration = self.about["calibration"]
        return {} if calibration is None else dict(calibration["error_bound"])

    @property
    def coverage(self) -> float | None:
        """Probability with which the bounds hold; None without a calibration."""
        calibration = self.about["calibration"]
        return None if calibration is None else calibration["coverage"]

    @property
    def is_batch(self) -> bool:
        return np.ndim(self.in_domain) == 1

    def coordinates(self) -> dict[str, Variable]:
        """Times, points of the axes, components and parameters."""
        about, batch = self.about, ("sample",) if self.is_batch else ()
        found = {"time": Variable(("time",), np.asarray(about["times"]), _unit(about["time_unit"]))}
        for axis in about["axes"]:
            points = np.asarray(axis["points"])
            found[axis["name"]] = Variable((axis["name"],), points, _unit(axis["unit"]))
        if any(declared["order"] for declared in about["fields"].values()):
            names = np.asarray([axis["name"] for axis in about["axes"]])
            found["component"] = Variable(("component",), names, {})
        for name, declared in about["parameters"].items():
            found[name] = Variable(batch, np.asarray(self.inputs[name]), _said(declared))
        return found

    def variables(self) -> dict[str, Variable]:
        """Fields with their bands, and whether they are inside the domain."""
        about, batch = self.about, ("sample",) if self.is_batch else ()
        space = tuple(axis["name"] for axis in about["axes"])
        found = {}
        for name, declared in about["fields"].items():
            dims = (*batch, "time", *(space if declared["spatial"] else ()))
            dims += ("component", "component2")[: declared["order"]]
            said = _said(declared)
            values = self.fields[name]
            if name in self.half_width:
                bound = {"error_bound": self.error_bound[name], "coverage": self.coverage}
                found[name] = Variable(dims, values, {**said, **bound})
                width = self.half_width[name].astype(np.float32)
                found[f"{name}_lower"] = Variable(dims, values - width, said)
                found[f"{name}_upper"] = Variable(dims, values + width, said)
            else:
                found[name] = Variable(dims, values, said)
        inside = {"long_name": "1 where all parameters are in the ranges of the training"}
        found["in_domain"] = Variable(batch, np.asarray(self.in_domain, np.int8), inside)
        if self.domain_p_value is not None:
            alike = {"long_name": "small where the inputs are unlike those of the training"}
            found["domain_p_value"] = Variable(batch, np.asarray(self.domain_p_value), alike)
        return found


def _unit(unit: str) -> dict[str, Any]:
    return {"units": unit}


def _said(declared: Mapping[str, Any]) -> dict[str, Any]:
    return {"units": declared["unit"], "long_name": declared["description"]}
