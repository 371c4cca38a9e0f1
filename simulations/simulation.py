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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import xarray
from numpy.typing import ArrayLike

from simulations.compilation import denormals_flushed
from simulations.differential import Derivatives, Equations, relative_defects
from simulations.grid import Array, Axis, Grid
from simulations.inputs import Distribution, distribution_from_json

__all__ = [
    "NO_INPUTS",
    "Array",
    "Axis",
    "Field",
    "FieldInput",
    "Grid",
    "Inputs",
    "InvalidInput",
    "Parameter",
    "Sampling",
    "Showcase",
    "Simulation",
    "SimulationDiverged",
    "Solution",
    "check_setting",
    "package_version",
]

Inputs = Mapping[str, float | Array]
Solution = dict[str, Array]

NO_INPUTS: Inputs = MappingProxyType({})


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

    Examples:
        >>> viscosity = Parameter("viscosity", "m2 s-1", (0.0, 1.0), (1e-4, 1e-2), "log")
        >>> print(f"{viscosity.quantile(0.5):g}")
        0.001
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
        order: 0 scalar, 1 vector: as many components as the grid has axes, each drawn on its own.
    """

    description: str
    unit: str
    distribution: Distribution
    admissible: tuple[float, float] = (-math.inf, math.inf)
    initial_of: str | None = None
    piecewise_constant: bool = False
    order: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.distribution, Distribution):
            raise InvalidInput(f"{self.distribution!r}: {self.description} needs a distribution")

    def shape(self, grid: Grid) -> tuple[int, ...]:
        """Shape of the values on a grid."""
        return grid.shape + (grid.ndim,) * self.order

    def draw(self, rng: np.random.Generator, grid: Grid) -> Array:
        """Values drawn from the distribution, shape ``shape(grid)``."""
        if self.order == 0:
            return self.distribution.sample(rng, grid)
        components = [self.distribution.sample(rng, grid) for _ in range(grid.ndim)]
        return np.stack(components, axis=-1)

    def check(self, name: str, value: ArrayLike, grid: Grid) -> Array:
        """The values as a contiguous float64 array, or `InvalidInput`."""
        low, high = self.admissible
        shape = self.shape(grid)
        expected = " x ".join(map(str, shape))
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            array = np.empty((), dtype=object)
        if array.dtype.kind not in "biuf":  # a cast would take text, and drop imaginary parts
            raise InvalidInput(f"{name}: {self.description} must be {expected} real numbers")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if array.shape != shape:
            raise InvalidInput(
                f"{name} has shape {array.shape}: {self.description} must have shape {shape}"
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

    def weights(self, grid: Grid) -> Array | None:
        """Quadrature weights that broadcast over the field; None for what has no space."""
        if not self.spatial:
            return None
        return grid.weights.reshape(grid.shape + (1,) * self.order)


def check_setting(
    name: str, value: float, low: float, high: float = math.inf, *, integer: bool = False
) -> None:
    """Refuse a setting outside its range: for ``__post_init__`` of a simulation."""
    kind = "an integer" if integer else "a number"
    numbers = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    is_number = isinstance(value, numbers)
    if not is_number or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInput(f"{name}={value!r}: must be {kind} in [{low:.10g}, {high:.10g}]")


@dataclass(frozen=True)
class Sampling:
    """Where a dataset draws its parameters from, other than from their default ranges.

        Sampling({"nu": (0.01, 0.02)})  # a range of its own
        Sampling(cases=[{"feed": 0.014, "kill": 0.054}, {"feed": 0.098, "kill": 0.057}])

    Args:
        ranges: lowest and highest value by parameter, inside its admissible range.
        cases: values by parameter; one case is drawn, all with the same probability. A single
            case fixes parameters.

    Raises:
        InvalidInput: a range that is none, or cases that name different parameters.
    """

    ranges: Mapping[str, tuple[float, float]] | tuple[tuple[str, tuple[float, float]], ...] = ()
    cases: Sequence[Mapping[str, float]] | tuple[tuple[tuple[str, float], ...], ...] = ()

    def __post_init__(self) -> None:
        # Tuples, so that a simulation can be hashed and compared
        try:
            given: list[dict[str, Any]] = [dict(self.ranges), *map(dict, self.cases)]
            ranges = tuple((n, (float(a), float(b))) for n, (a, b) in given[0].items())
            cases = tuple(tuple((n, float(v)) for n, v in case.items()) for case in given[1:])
        except (TypeError, ValueError):
            raise InvalidInput(
                f"sampling={self.ranges!r}, {self.cases!r}: must be ranges (low, high) by "
                "parameter, and cases with a number for each of their parameters"
            ) from None
        for name, (low, high) in ranges:
            if not low <= high:
                raise InvalidInput(f"sampling={name}: ({low:g}, {high:g}) must ascend")
        if len({frozenset(name for name, _ in case) for case in cases}) > 1:
            raise InvalidInput(f"sampling={cases!r}: all cases must give the same parameters")
        object.__setattr__(self, "ranges", ranges)
        object.__setattr__(self, "cases", cases)

    def of(self, parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """The parameters with the ranges that draws come from.

        Raises:
            InvalidInput: an unknown parameter, or a value outside its admissible range.
        """
        drawn = dict(parameters)
        spans = dict(self.ranges)
        cases = [dict(case) for case in self.cases]
        for name in cases[0] if cases else ():
            values = [case[name] for case in cases]
            spans[name] = (min(values), max(values))
        for name, span in spans.items():
            if name not in parameters:
                raise InvalidInput(f"sampling={name}: no such parameter; has {list(parameters)}")
            for value in span:
                parameters[name].check(name, value)
            drawn[name] = dataclasses.replace(parameters[name], sampling=span)
        return drawn

    def to_json(self) -> dict[str, Any]:
        """Inverse of the constructor, as JSON values."""
        return {
            "ranges": {name: list(span) for name, span in dict(self.ranges).items()},
            "cases": [dict(case) for case in self.cases],
        }


@dataclass(frozen=True)
class Showcase:
    """The run of a system that a gallery shows: for those whose defaults are cheap, not telling.

    Args:
        preset: of which the settings are, if not the defaults.
        settings: those that differ.
        inputs: those that are not drawn.
        seed: of the inputs that are drawn.
        field: name of the field to show; by default the first.
    """

    preset: str | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inputs: Inputs = dataclasses.field(default_factory=dict)
    seed: int = 0
    field: str | None = None


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

    Args:
        sampling: where datasets draw the parameters from, if not from their default ranges.
    """

    sampling: Sampling = dataclasses.field(default=Sampling(), kw_only=True)

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    fields: ClassVar[Mapping[str, Field]] = {}
    time_unit: ClassVar[str] = "s"
    #: The fields that a guess of the solution consists of, where the solver iterates from one.
    guess_fields: ClassVar[tuple[str, ...]] = ()
    #: Settings under which published data were made, by name.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: What a gallery shows.
    showcase: ClassVar[Showcase] = Showcase()

    @classmethod
    def preset(cls, name: str, **settings: Any) -> Self:
        """The simulation with the settings of a published dataset; those given replace them.

        Raises:
            InvalidInput: there is no such preset or setting.
        """
        if name not in cls.presets:
            raise InvalidInput(f"preset={name!r}: {cls.__name__} has {sorted(cls.presets)}")
        return cls.from_settings({**cls.presets[name], **settings})

    @cached_property
    def drawn_parameters(self) -> dict[str, Parameter]:
        """The parameters with the ranges that datasets draw from, `sampling` considered."""
        return self.sampling.of(self.parameters)

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

    def iterate(self, inputs: Inputs, guess: Solution | None) -> tuple[Solution, int | None]:
        """`solve` by iterations that may start from a guess; of systems that have `guess_fields`.

        How good the guess is changes the number of iterations, not the accuracy of the answer.

        Args:
            inputs: as of `solve`.
            guess: the `guess_fields`, checked, or None to start as `solve` does.

        Returns:
            What `solve` returns and the iterations it took, None where nobody counts them.
        """
        return self.solve(inputs), None

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
        seen: list[Simulation] = [self]
        for tolerance in (present, *(t for t in tolerances if t > present)):
            for factor in (1.0, 0.5, 0.25, 0.125):
                try:
                    settings = {**self.rescaled(factor).settings, "tolerance": tolerance}
                    rung = self.from_settings(settings)
                except InvalidInput:
                    break
                if rung not in seen:  # a system without a grid is the same at every factor
                    seen.append(rung)
                    yield rung

    def warm_up(self) -> None:
        """Compile the kernels (or load them from the disk cache) on the cheapest version."""
        *_, cheapest = (self, *self.coarsened())
        with contextlib.suppress(SimulationDiverged):
            cheapest.run(cheapest.sample(np.random.default_rng(0)))

    def diagnostics(self, solution: Mapping[str, Array]) -> dict[str, Array]:
        """Conserved or balanced quantities of a solution, each of shape ``(time,)``."""
        return {}

    @property
    def conserved(self) -> Mapping[str, float]:
        """The `diagnostics` that stay the same over time, and how far the solver lets them drift.

        The drift is relative to what the quantity would be if nothing in it cancelled: its value
        for the absolute values of the fields. Zero stands for rounding.
        """
        return {}

    def equations(self, fields: Mapping[str, Any], inputs: Inputs, d: Derivatives) -> Equations:
        """The terms of each equation that stored fields fulfil; they add up to zero.

        Written once for arrays of any kind, from arithmetic and the operators of ``d`` alone. Said
        independently of `solve`, wherever that does not solve a discrete equation of its own. None
        by default: of systems whose fields do not suffice, or are not smooth.

        Args:
            fields: ``(…, time, *space)`` and trailing components, by name.
            inputs: as of `solve`, or with batch axes in front, which broadcast with the fields.
            d: derivatives in space and time.

        Returns:
            By equation, its terms by name, each broadcastable to ``(…, time, *space)``.
        """
        return {}

    def residual(
        self, solution: Mapping[str, Any], inputs: Inputs, d: Derivatives | None = None
    ) -> dict[str, Any]:
        """By how much a solution misses each of the `equations`, relative to the largest term.

            r = Σ terms / max_terms (root mean square of a term over time and space)

        It contains the error of the derivatives: in time that of a polynomial through seven stored
        frames, which is large where they are far apart. `simulations.residuals` estimates it.

        Args:
            solution: arrays as of `solve`, or tensors with batch axes in front.
            inputs: those of the solution.
            d: derivatives; by default those of this grid and these times, for NumPy.

        Returns:
            By equation, ``(…, time, *space)``.

        Raises:
            InvalidInput: this system does not say which equations its fields fulfil.
        """
        if d is None:
            d = Derivatives(self.grid, self.times)
        equations = self.equations(solution, inputs, d)
        if not equations:
            raise InvalidInput(f"residual: {type(self).__name__} has no equations for its fields")
        return relative_defects(equations, d)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Constructor arguments as JSON values: ``make(name, **settings)`` is this again."""
        described = {}
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            if value == Sampling():  # the default ranges are part of the system
                continue
            if isinstance(value, (Distribution, Sampling)):
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
            if name == "sampling" and isinstance(value, dict):
                try:
                    arguments[name] = Sampling(**value)
                except TypeError:
                    raise InvalidInput(f"sampling={value!r}: has ranges and cases") from None
            elif isinstance(value, dict):
                try:
                    arguments[name] = distribution_from_json(value)
                except ValueError as error:
                    raise InvalidInput(f"{name}: {error}") from None
            elif isinstance(value, list):  # JSON knows no tuples
                arguments[name] = tuple(value)
        return cls(**arguments)

    def sample(
        self, rng: np.random.Generator, given: Inputs = NO_INPUTS
    ) -> dict[str, float | Array]:
        """Draw one admissible set of inputs, around those that are given.

        What is drawn depends on the generator and, where inputs belong together (a pressure and
        the density it is the pressure of), on what is given: the random numbers are the same
        whatever that is. A system with such inputs overrides this.

        Args:
            rng: source of all random numbers.
            given: inputs that are known already and checked; they come back as they are.
        """
        drawn: dict[str, float | Array] = {
            name: declared.quantile(rng.random())
            for name, declared in self.drawn_parameters.items()
        }
        if cases := self.sampling.cases:
            drawn.update(cases[int(rng.integers(len(cases)))])
        for name, field_input in self.field_inputs.items():
            drawn[name] = field_input.draw(rng, self.grid)
        return {**drawn, **given}

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

        The random numbers do not depend on what is given: ``seed=7`` is the same initial condition
        for every viscosity. Only inputs that belong to a given one follow it, as `sample` says.
        """
        checked = self.check_inputs(given)
        if seed is None:
            seed = secrets.randbits(32)
        elif not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
            raise InvalidInput(f"seed={seed!r}: must be a non-negative integer")
        return self.sample(np.random.default_rng(int(seed)), checked), int(seed)

    def check_guess(self, guess: Mapping[Any, Any]) -> Solution:
        """The `guess_fields` of a guess as float64 arrays; other fields in it are left alone.

        Raises:
            InvalidInput: the solver takes no guess, or a field is missing, of the wrong shape or
                not finite.
        """
        name = type(self).__name__
        if not self.guess_fields:
            raise InvalidInput(f"guess: the solver of {name} does not iterate from a guess")
        if not isinstance(guess, Mapping):
            raise InvalidInput(f"guess={guess!r}: must have arrays by field, as an answer has")
        checked: Solution = {}
        for field in self.guess_fields:
            if field not in guess:
                raise InvalidInput(f"guess={list(guess)}: {name} needs {list(self.guess_fields)}")
            values = np.asarray(guess[field])
            shape = (self.times.size, *self.fields[field].shape(self.grid))
            if values.shape != shape or values.dtype.kind not in "biuf":
                raise InvalidInput(
                    f"guess of {field} has shape {values.shape} and type {values.dtype}: must be "
                    f"real numbers of shape {shape}"
                )
            checked[field] = np.ascontiguousarray(values, dtype=np.float64)
            if not np.isfinite(checked[field]).all():
                raise InvalidInput(f"guess of {field}: must be finite")
        return checked

    def run(self, inputs: Inputs, guess: Mapping[Any, Any] | None = None) -> Solution:
        """`solve`, and a refusal of any result that is not finite or not what is declared.

        Numbers below 1e-308 count as zero meanwhile: processors take up to a hundred times as long
        for them, and diffusion into an empty region makes many.

        Args:
            inputs: as of `solve`.
            guess: what `check_guess` accepts, to start the iterations of the solver from.
        """
        return self.run_counted(inputs, guess)[0]

    def run_counted(
        self, inputs: Inputs, guess: Mapping[Any, Any] | None = None
    ) -> tuple[Solution, int | None]:
        """`run`, and the iterations it took where they are counted."""
        start = None if guess is None else self.check_guess(guess)
        with denormals_flushed():
            solution, iterations = self.iterate(inputs, start)
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
        return solution, iterations

    def __call__(
        self, *, seed: int | None = None, guess: Mapping[Any, Any] | None = None, **inputs: Any
    ) -> xarray.Dataset:
        """Solve for the given inputs, those not given being drawn from ``seed``.

        Args:
            seed: non-negative integer; without one, a fresh seed is drawn and recorded.
            guess: an answer to start from, of systems that have `guess_fields`; a good one saves
                time, and none changes the accuracy.
            **inputs: parameters (numbers) and field inputs (arrays of the grid's shape).

        Returns:
            Labelled solution with units, coordinates and provenance.

        Raises:
            InvalidInput: naming the argument, its value and what is allowed.
            SimulationDiverged: with the time at which it happened.
        """
        complete, seed = self.complete_inputs(inputs, seed)
        start = time.perf_counter()
        solution, iterations = self.run_counted(complete, guess)
        attributes = {"seed": seed, "wall_time_seconds": time.perf_counter() - start}
        if iterations is not None:
            attributes["iterations"] = iterations
        return self.label(solution, complete, attributes)

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
                dims = (*space, *("component", "component2")[: field_input.order])
                described = {"units": field_input.unit, "long_name": field_input.description}
                variables[name] = (dims, inputs[name], described)
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
        orders = [field.order for field in self.fields.values()]
        if any(orders + [field.order for field in self.field_inputs.values()]):
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
