"""The declarations of data that no solver of this library has made."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from simulations.grid import Array, Axis, Grid
from simulations.inputs import Distribution
from simulations.simulation import (
    NO_INPUTS,
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Simulation,
)

# What a declaration may ask for: it may come from a stranger's file
MAX_AXES = 3
MAX_POINTS = 100_000
MAX_TIMES = 1_000_000
MAX_NAMES = 1000

# Dimensions that every dataset has
RESERVED = ("sample", "time", "component", "component2")


class Unknown(Distribution):
    """Recorded fields: there is nothing to draw them from."""

    def sample(self, rng: np.random.Generator, grid: Grid) -> NoReturn:
        raise InvalidInput("recorded data: there is no distribution to draw a field from")


@dataclass(frozen=True, eq=False)
class Recorded(Simulation):
    """Recorded data: what a file says about them, and no solver.

    Everything that takes its declarations from a simulation (training, surrogates, labels) takes
    them from this one. It cannot be run, and it is not in the catalogue.

    Args:
        declaration: JSON values::

            {
                "name": "active_matter",
                "parameters": {"alpha": {"range": [-5, -1], "scale": "linear"}},
                "fields": {"velocity": {"order": 1, "spatial": true}},
                "coefficients": {"mask": {"order": 0}},
                "axes": [
                    {"name": "x", "points": [...], "bounds": [0, 10],
                     "boundary": ["periodic", "periodic"], "interpolation": "fourier"}
                ],
                "times": [...],
            }

            The range of a parameter is that of the train split. Of a field that changes with
            time, the first frame is an input (`initial_name`); coefficients are inputs that do
            not.

    Raises:
        InvalidInput: the declaration is not of this form.
    """

    declaration: Mapping[str, Any]

    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        try:
            self._declare(json.loads(json.dumps(self.declaration)))
        except InvalidInput:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InvalidInput(f"declaration: not one of recorded data ({error!r})") from None

    def _declare(self, declared: Mapping[str, Any]) -> None:
        sizes = {
            "axes": (len(declared["axes"]), MAX_AXES),
            "times": (len(declared["times"]), MAX_TIMES),
            "points": (max([len(a["points"]) for a in declared["axes"]], default=1), MAX_POINTS),
        }
        for kind in ("parameters", "fields", "coefficients"):
            sizes[kind] = (len(declared[kind]), MAX_NAMES)
        for kind, (size, limit) in sizes.items():
            if size > limit:
                raise InvalidInput(f"declaration: has {size} {kind}, at most {limit} are allowed")
        if not str(declared["name"]).isprintable():
            raise InvalidInput(f"declaration: name={declared['name']!r} must be printable")
        parameters = {name: _parameter(name, p) for name, p in declared["parameters"].items()}
        fields = {
            name: Field(name, "1", _order(name, f), bool(f["spatial"]))
            for name, f in declared["fields"].items()
        }
        if not fields:
            raise InvalidInput("declaration: has no fields")
        times = np.array(declared["times"], dtype=np.float64)
        if times.ndim != 1 or not times.size or not np.isfinite(times).all():
            raise InvalidInput("declaration: times must be finite numbers, at least one")
        grid = Grid(tuple(_axis(axis) for axis in declared["axes"]))
        inputs = {
            name: FieldInput(name, "1", Unknown(), order=_order(name, c))
            for name, c in declared["coefficients"].items()
        }
        for name, field in fields.items():
            if times.size > 1 and field.spatial:
                initial = initial_name(name, [*parameters, *fields, *declared["coefficients"]])
                inputs[initial] = FieldInput(
                    f"{name} at the start", "1", Unknown(), initial_of=name, order=field.order
                )
        names = [*parameters, *fields, *declared["coefficients"], *grid.names, *RESERVED]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInput(f"declaration: the names {twice} are used twice")
        for name, value in (
            ("parameters", parameters),
            ("fields", fields),
            ("_field_inputs", inputs),
            ("_grid", grid),
            ("_times", times),
            ("declaration", declared),
        ):
            object.__setattr__(self, name, value)  # frozen, as every simulation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorded) and self.declaration == other.declaration

    def __hash__(self) -> int:
        return hash(json.dumps(self.declaration, sort_keys=True))

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        if set(settings) != {"declaration"}:
            raise InvalidInput(f"settings={sorted(settings)}: Recorded has declaration alone")
        return cls(settings["declaration"])

    @property
    def name(self) -> str:
        """What the data are called."""
        return str(self.declaration["name"])

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return self._field_inputs  # type: ignore[attr-defined]

    @property
    def grid(self) -> Grid:
        return self._grid  # type: ignore[attr-defined]

    @property
    def times(self) -> Array:
        return self._times  # type: ignore[attr-defined]

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {"declaration": self.declaration}

    def solve(self, inputs: Inputs) -> NoReturn:
        raise InvalidInput(f"{self.name}: recorded data, there is no solver")

    def rescaled(self, factor: float) -> NoReturn:
        raise InvalidInput(f"{self.name}: recorded data, there is no other resolution")

    def sample(self, rng: np.random.Generator, given: Inputs = NO_INPUTS) -> NoReturn:
        raise InvalidInput(f"{self.name}: recorded data, inputs must be given")

    def complete_inputs(
        self, given: Mapping[str, Any], seed: int | None = None
    ) -> tuple[dict[str, float | Array], int]:
        """Validate what is given; nothing can be drawn but what has a single value.

        Raises:
            InvalidInput: an input is missing or not admissible.
        """
        checked = self.check_inputs(given)
        for name, parameter in self.parameters.items():
            if parameter.sampling[0] == parameter.sampling[1]:
                checked.setdefault(name, parameter.sampling[0])
        needed = [*self.parameters, *self.field_inputs]
        if missing := [name for name in needed if name not in checked]:
            raise InvalidInput(
                f"inputs={sorted(given)}: lacks {missing}, which recorded data cannot draw"
            )
        return checked, seed or 0


def initial_name(field: str, taken: list[str]) -> str:
    """What the first frame of a field is called as an input."""
    return f"{field}0" if f"{field}0" not in taken else f"{field}_initial"


def _order(name: str, declared: Mapping[str, Any]) -> int:
    if declared["order"] not in (0, 1, 2):
        raise InvalidInput(f"declaration: {name}: order={declared['order']!r} must be 0, 1 or 2")
    return int(declared["order"])


def _parameter(name: str, declared: Mapping[str, Any]) -> Parameter:
    low, high = (float(limit) for limit in declared["range"])
    scale = declared["scale"]
    if scale not in ("linear", "log"):
        raise InvalidInput(f"declaration: {name}: scale={scale!r} must be linear or log")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InvalidInput(f"declaration: {name}: range=({low}, {high}) must be finite, ascending")
    if scale == "log" and low <= 0:
        raise InvalidInput(f"declaration: {name}: range=({low}, {high}) must be positive")
    smallest = float(np.finfo(np.float64).tiny) if scale == "log" else -math.inf
    return Parameter(name, "1", (smallest, math.inf), (low, high), scale)


def _axis(declared: Mapping[str, Any]) -> Axis:
    points = np.array(declared["points"], dtype=np.float64)
    name = str(declared["name"])
    start, end = (float(bound) for bound in declared["bounds"])
    lower, upper = declared["boundary"]
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise InvalidInput(f"declaration: {name}: points must be finite numbers, at least one")
    if np.any(np.diff(points) <= 0) or not start <= points[0] <= points[-1] <= end:
        raise InvalidInput(f"declaration: {name}: points must ascend from {start} to {end}")
    kinds = ("periodic", "wall", "open")
    if lower not in kinds or upper not in kinds or (lower == "periodic") != (upper == "periodic"):
        raise InvalidInput(f"declaration: {name}: boundary={[lower, upper]} must be of {kinds}")
    if declared["interpolation"] not in ("fourier", "spline"):
        raise InvalidInput(f"declaration: {name}: interpolation must be fourier or spline")
    return Axis(name, points, (start, end), "1", (lower, upper), declared["interpolation"])


def describe_axis(name: str, points: Array, boundary: tuple[str, str] = ("open", "open")) -> Any:
    """The declaration of an axis, from what files say of it.

    Coordinates that do not ascend (angles that start over, or are missing) are replaced by the
    number of the point.
    """
    points = np.asarray(points, dtype=np.float64)
    if not np.isfinite(points).all() or np.any(np.diff(points) <= 0):
        points = np.arange(points.size) + 0.5
    spacing = np.diff(points) if points.size > 1 else np.ones(1)
    is_uniform = bool(np.allclose(spacing, spacing.mean(), rtol=1e-3))
    if "periodic" in boundary:
        boundary = ("periodic", "periodic")
        bounds = [points[0], points[-1] + spacing.mean()]
    else:
        bounds = [points[0] - spacing[0] / 2, points[-1] + spacing[-1] / 2]
    return {
        "name": name,
        "points": points.tolist(),
        "bounds": [float(bound) for bound in bounds],
        "boundary": list(boundary),
        "interpolation": "fourier" if is_uniform and "periodic" in boundary else "spline",
    }


def describe_parameter(values: Array) -> dict[str, Any]:
    """The declaration of a parameter from its values, logarithmic if they span decades."""
    low, high = float(np.min(values)), float(np.max(values))
    return {"range": [low, high], "scale": "log" if low > 0 and high > 30 * low else "linear"}
