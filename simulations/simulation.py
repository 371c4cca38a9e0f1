"""The contract: what a physical system declares, and what everybody may ask of it.

Three words are kept apart. *Settings* fix the discretisation and the shapes of the arrays (``n``,
``t_end``): they are constructor arguments, the fields of a frozen dataclass. *Parameters* are
physical scalars (a viscosity). *Inputs* are what a call takes: parameters and field inputs (an
initial condition, a coefficient).
"""

import contextlib
import dataclasses
import json
import math
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal, Self

import numpy as np
import xarray
from numpy.typing import ArrayLike

from simulations.grid import Array, Axis, Grid
from simulations.inputs import Distribution, distribution_from_json

__all__ = [
    "Array",
    "Axis",
    "Field",
    "FieldInput",
    "Grid",
    "Inputs",
    "InvalidInput",
    "Parameter",
    "Simulation",
    "SimulationDiverged",
    "Solution",
    "check_setting",
    "package_version",
]

Inputs = Mapping[str, float | Array]
Solution = dict[str, Array]


class InvalidInput(ValueError):
    """An argument of a simulation is not admissible; the message says which and what is."""


class SimulationDiverged(RuntimeError):
    """A run has left the finite numbers or did not converge.

    Attributes:
        time: physical time (or pseudo-time, or iteration) at which it happened.
        reason: what happened, in words.
    """

    def __init__(self, time: float, reason: str) -> None:
        super().__init__(f"diverged at t={time:.6g}: {reason}")
        self.time = time
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.time, self.reason)  # survives the way home from a worker process


@dataclass(frozen=True)
class Parameter:
    """A scalar physical input.

    Args:
        description: what it is, in words.
        unit: unit in UDUNITS notation, ``"1"`` if it has none.
        admissible: range in which the physics (and the solver) makes sense; outside is an error.
        sampling: narrower range from which a dataset draws by default.
        scale: whether draws are uniform in the value or in its logarithm.
    """

    description: str
    unit: str
    admissible: tuple[float, float]
    sampling: tuple[float, float]
    scale: Literal["linear", "log"] = "linear"

    def check(self, name: str, value: Any) -> float:
        """The value as a float, or `InvalidInput`."""
        low, high = self.admissible
        unit = "" if self.unit == "1" else f" {self.unit}"
        allowed = f"{self.description} must lie in [{low:g}, {high:g}]{unit}"
        if isinstance(value, (bool, np.bool_, str, bytes)):  # float() would take them
            raise InvalidInput(f"{name}={value!r}: {allowed}")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise InvalidInput(f"{name}={value!r}: {allowed}") from None
        if not (low <= number <= high and math.isfinite(number)):
            raise InvalidInput(f"{name}={number!r}: {allowed}")
        return number

    def quantile(self, probability: float) -> float:
        """The value below which a default draw falls with the given probability."""
        low, high = self.sampling
        if self.scale == "log":
            value = math.exp(math.log(low) + probability * (math.log(high) - math.log(low)))
        else:
            value = low + probability * (high - low)
        return min(max(value, low), high)  # rounding may lead out of the range


@dataclass(frozen=True)
class FieldInput:
    """A field that a simulation starts from or is driven by, given on its grid.

    Args:
        description: what it is, in words.
        unit: unit in UDUNITS notation.
        distribution: where default draws come from.
        admissible: range of the values.
        initial_of: name of the output field whose first stored frame this is, if it is one.
        piecewise_constant: whether the values belong to cells (a coefficient with jumps) rather
            than to points of a smooth function; says how it moves between resolutions.
    """

    description: str
    unit: str
    distribution: Distribution
    admissible: tuple[float, float] = (-math.inf, math.inf)
    initial_of: str | None = None
    piecewise_constant: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.distribution, Distribution):
            raise InvalidInput(f"{self.distribution!r}: {self.description} needs a distribution")

    def check(self, name: str, value: ArrayLike, grid: Grid) -> Array:
        """The values as a contiguous float64 array, or `InvalidInput`."""
        low, high = self.admissible
        expected = " x ".join(map(str, grid.shape))
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            array = np.empty((), dtype=object)
        if array.dtype.kind not in "biuf":  # a cast would take text, and drop imaginary parts
            raise InvalidInput(f"{name}: {self.description} must be {expected} real numbers")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if array.shape != grid.shape:
            raise InvalidInput(
                f"{name} has shape {array.shape}: {self.description} must have shape {grid.shape}"
            )
        if not np.all((array >= low) & (array <= high)) or not np.isfinite(array).all():
            raise InvalidInput(
                f"{name} has values from {array.min():g} to {array.max():g}: {self.description} "
                f"must be finite and lie in [{low:g}, {high:g}] {self.unit}"
            )
        return array


@dataclass(frozen=True)
class Field:
    """An output.

    Args:
        description: what it is, in words.
        unit: unit in UDUNITS notation.
        order: 0 scalar, 1 vector, 2 tensor.
        spatial: False for a number per stored time, such as a drag or a mean Nusselt number.
    """

    description: str
    unit: str
    order: int = 0
    spatial: bool = True

    def shape(self, grid: Grid) -> tuple[int, ...]:
        """Shape of the field at one instant."""
        space = grid.shape if self.spatial else ()
        return space + (grid.ndim,) * self.order


def check_setting(
    name: str, value: float, low: float, high: float = math.inf, *, integer: bool = False
) -> None:
    """Refuse a setting outside its range: for ``__post_init__`` of a simulation."""
    kind = "an integer" if integer else "a number"
    numbers = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    is_number = isinstance(value, numbers)
    if not is_number or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInput(f"{name}={value!r}: must be {kind} in [{low:.10g}, {high:.10g}]")


def package_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("physurrogate")
    except PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True)
class Simulation(ABC):
    """A physical system with a solver: the base class of all systems.

    A subclass is a frozen dataclass whose fields are its settings. It declares `parameters`,
    `fields`, `grid` and `times` (and `field_inputs`, if it takes any), and implements `solve` and
    `rescaled`. Calling it validates, draws what is not given, solves and labels.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    fields: ClassVar[Mapping[str, Field]] = {}
    time_unit: ClassVar[str] = "s"

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        """Declared field inputs by name; none by default."""
        return {}

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """Where the fields live."""

    @property
    @abstractmethod
    def times(self) -> Array:
        """Stored instants, shape ``(time,)``; a single element for a steady problem."""

    @abstractmethod
    def solve(self, inputs: Inputs) -> Solution:
        """The hot path: checked inputs to plain float64 arrays, without labels and without I/O.

        Args:
            inputs: every parameter (float) and field input (array of the grid's shape).

        Returns:
            One array for each of `fields`: ``(time, *space)`` for a scalar, with one trailing axis
            for each order of a tensor, ``(time,)`` for a field without space.

        Raises:
            SimulationDiverged: the run blew up or did not converge.
        """

    @abstractmethod
    def rescaled(self, factor: float) -> Self:
        """The same problem with ``factor`` times as many points along each axis.

        Raises:
            InvalidInput: the resolution is not one the solver can run at.
        """

    def coarsened(self) -> Iterator[Self]:
        """The same problem, cheaper: the honest rivals of a surrogate, dearest first.

        By default the grid is halved until the solver refuses.
        """
        factor = 0.5
        while True:
            try:
                yield self.rescaled(factor)
            except InvalidInput:
                return
            factor /= 2

    def coarser_and_looser(self, tolerances: Iterable[float]) -> Iterator[Self]:
        """For `coarsened` of a system with a ``tolerance``: the best pair depends on the input.

        Every pair of one of these tolerances, or the present one, and the full, half, quarter or
        eighth number of points.
        """
        present = self.settings["tolerance"]
        for tolerance in (present, *(t for t in tolerances if t > present)):
            for factor in (1.0, 0.5, 0.25, 0.125):
                try:
                    settings = {**self.rescaled(factor).settings, "tolerance": tolerance}
                    rung = self.from_settings(settings)
                except InvalidInput:
                    break
                if rung != self:
                    yield rung

    def warm_up(self) -> None:
        """Compile the kernels (or load them from the disk cache) on the cheapest version."""
        *_, cheapest = (self, *self.coarsened())
        with contextlib.suppress(SimulationDiverged):
            cheapest.run(cheapest.sample(np.random.default_rng(0)))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Conserved or balanced quantities of a solution, each of shape ``(time,)``."""
        return {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Constructor arguments as JSON values: ``make(name, **settings)`` is this again."""
        described = {}
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, Distribution):
                value = value.to_json()
            elif isinstance(value, np.generic):
                value = value.item()
            described[setting.name] = value
        return described

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Inverse of `settings`, with one clear error for an unknown or impossible one."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                raise InvalidInput(f"{name}: {cls.__name__} has no such setting; it has {known}")
        arguments = dict(settings)
        for name, value in settings.items():
            if isinstance(value, dict):
                try:
                    arguments[name] = distribution_from_json(value)
                except ValueError as error:
                    raise InvalidInput(f"{name}: {error}") from None
            elif isinstance(value, list):  # JSON knows no tuples
                arguments[name] = tuple(value)
        return cls(**arguments)

    def sample(self, rng: np.random.Generator) -> dict[str, float | Array]:
        """Draw one admissible set of inputs, reproducible from the generator alone."""
        drawn: dict[str, float | Array] = {
            name: parameter.quantile(rng.random()) for name, parameter in self.parameters.items()
        }
        for name, field_input in self.field_inputs.items():
            drawn[name] = field_input.distribution.sample(rng, self.grid)
        return drawn

    def check_inputs(self, given: Mapping[str, Any]) -> dict[str, float | Array]:
        """Validate some or all inputs.

        Raises:
            InvalidInput: unknown name, value outside the admissible range, NaN, or wrong shape.
        """
        checked: dict[str, float | Array] = {}
        for name, value in given.items():
            if name in self.parameters:
                checked[name] = self.parameters[name].check(name, value)
            elif name in self.field_inputs:
                checked[name] = self.field_inputs[name].check(name, value, self.grid)
            else:
                known = [*self.parameters, *self.field_inputs]
                raise InvalidInput(f"{name}: {type(self).__name__} has no such input; has {known}")
        return checked

    def complete_inputs(
        self, given: Mapping[str, Any], seed: int | None = None
    ) -> tuple[dict[str, float | Array], int]:
        """Validate what is given and draw the rest; returns the inputs and the seed used.

        The draw does not depend on what is given: ``seed=7`` is the same initial condition for
        every viscosity.
        """
        checked = self.check_inputs(given)
        if seed is None:
            seed = secrets.randbits(32)
        elif not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
            raise InvalidInput(f"seed={seed!r}: must be a non-negative integer")
        return self.sample(np.random.default_rng(int(seed))) | checked, int(seed)

    def run(self, inputs: Inputs) -> Solution:
        """`solve`, and a refusal of any result that is not finite or not what is declared."""
        solution = self.solve(inputs)
        found = {name: values.shape for name, values in solution.items()}
        declared = {n: (self.times.size, *f.shape(self.grid)) for n, f in self.fields.items()}
        if found != declared:
            raise TypeError(f"{type(self).__name__}.solve returned {found}, declared {declared}")
        for name, values in solution.items():
            # A blow-up that float64 still holds would be infinite on disk
            size = np.abs(values.reshape(self.times.size, -1))
            finite = (size <= np.finfo(np.float32).max).all(axis=1)
            if not finite.all():
                first = float(self.times[np.argmin(finite)])
                raise SimulationDiverged(first, f"{name} is not finite in float32")
        return solution

    def __call__(self, *, seed: int | None = None, **inputs: Any) -> xarray.Dataset:
        """Solve for the given inputs, those not given being drawn from ``seed``.

        Args:
            seed: non-negative integer; without one, a fresh seed is drawn and recorded.
            **inputs: parameters (numbers) and field inputs (arrays of the grid's shape).

        Returns:
            Labelled solution with units, coordinates and provenance.

        Raises:
            InvalidInput: naming the argument, its value and what is allowed.
            SimulationDiverged: with the time at which it happened.
        """
        complete, seed = self.complete_inputs(inputs, seed)
        start = time.perf_counter()
        solution = self.run(complete)
        wall_time = time.perf_counter() - start
        return self.label(solution, complete, {"seed": seed, "wall_time_seconds": wall_time})

    def label(
        self, solution: Mapping[str, Array], inputs: Inputs, attributes: Mapping[str, Any]
    ) -> xarray.Dataset:
        """Dress plain arrays as an `xarray.Dataset` with dimensions, units and provenance."""
        space = self.grid.names
        variables: dict[str, Any] = {}
        for name, field in self.fields.items():
            dims = ("time", *(space if field.spatial else ()))
            dims += ("component", "component2")[: field.order]
            described = {"units": field.unit, "long_name": field.description}
            variables[name] = (dims, solution[name], described)
        for name, field_input in self.field_inputs.items():
            if field_input.initial_of is None:
                described = {"units": field_input.unit, "long_name": field_input.description}
                variables[name] = (space, inputs[name], described)
        parameters = {name: float(inputs[name]) for name in self.parameters}
        coordinates: dict[str, Any] = {
            name: ((), value, {"units": declared.unit, "long_name": declared.description})
            for (name, declared), value in zip(
                self.parameters.items(), parameters.values(), strict=True
            )
        }
        coordinates["time"] = ("time", self.times, {"units": self.time_unit})
        for axis in self.grid.axes:
            coordinates[axis.name] = (axis.name, axis.points, {"units": axis.unit})
        if any(field.order for field in self.fields.values()):
            coordinates["component"] = ("component", list(space))
        provenance = {
            "system": type(self).__name__,
            "settings": json.dumps(self.settings),
            "parameters": json.dumps(parameters),
            "package": f"physurrogate {package_version()}",
            **attributes,
        }
        return xarray.Dataset(variables, coordinates, provenance)

    def transfer_inputs(self, inputs: Inputs, target: "Simulation") -> dict[str, float | Array]:
        """The same inputs on the grid of ``target``, a rescaled version of this simulation."""
        moved = dict(inputs)
        for name, field_input in self.field_inputs.items():
            move = self.grid.average if field_input.piecewise_constant else self.grid.interpolate
            moved[name] = move(np.asarray(inputs[name]), target.grid)
        return moved

    def transfer_solution(self, solution: Mapping[str, Array], target: "Simulation") -> Solution:
        """A solution on this grid, evaluated at the points of ``target``'s grid."""
        return {
            name: self.grid.interpolate(solution[name], target.grid, first_axis=1)
            if field.spatial
            else np.asarray(solution[name])
            for name, field in self.fields.items()
        }
