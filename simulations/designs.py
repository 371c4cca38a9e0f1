"""Where the parameters of a dataset lie: sampling designs, and the inputs of each draw.

A design places the parameters that the simulation draws from a range, and the cases of its
`Sampling` if there are several; what the sampling fixes stays fixed. What a design does not place,
fields above all, is drawn at random from the dataset's seed and the index of the draw, as it is
without a design: with one seed, trajectory ``i`` starts from the same random numbers under all.
"""

import csv
import dataclasses
import hashlib
import json
import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simulations.grid import Array
from simulations.simulation import Inputs, InvalidInput, Parameter, Simulation, check_setting

# A replacement draw of index i has index i + attempt · 2³²: its own, whatever the size of the set
ATTEMPT_STRIDE = 2**32

# Replacements that stay at their place in the design, with other fields
MOST_AT_ONE_POINT = 4

# Draws have keys of one number, two words at most; held-out inputs three numbers
DESIGN_STREAM = (0, 0, 0, 0)

SOBOL_BITS = 30

#: Values by parameter, one for each trajectory.
Columns = dict[str, Array]


def sample_generator(seed: int, index: int) -> np.random.Generator:
    """Random numbers of one draw: a pure function of the dataset's seed and the draw's index."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def _design_generator(seed: int, repetition: int = 0) -> np.random.Generator:
    key = (*DESIGN_STREAM, repetition)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class Design(ABC):
    """Where the parameters of the trajectories of a dataset lie."""

    #: Whether the first points stay where they are when there are to be more.
    is_extensible: ClassVar[bool] = True

    @abstractmethod
    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        """Of each parameter that the design places, its value in trajectory ``i``, ``(n,)``.

        NaN stands for a value that is drawn.

        Raises:
            InvalidInput: the design does not fit the simulation, or has no ``n`` points.
        """

    @property
    def later_rounds(self) -> tuple[int, ...]:
        """Numbers of trajectories that came after the first ones and are for training alone."""
        return ()

    def draw(self, place: int) -> int:
        """Index of the random numbers that trajectory ``place`` is drawn with."""
        return place

    def origin(self, place: int) -> tuple[int, str]:
        """In which round trajectory ``place`` came, from 0, and why."""
        return 0, type(self).__name__.lower()

    def continues(self, other: "Design", n: int) -> bool:
        """Whether the ``n`` trajectories of a dataset with another design stay as they are."""
        return self == other

    def to_json(self) -> dict[str, Any]:
        """``{"design": class name, **arguments}``; inverse of `design_from_json`."""
        arguments = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"design": type(self).__name__, **arguments}

    def summary(self) -> dict[str, Any]:
        """What `to_json` says, with a checksum in the place of long lists."""
        return self.to_json()


@dataclass(frozen=True)
class Independent(Design):
    """Each trajectory on its own, uniform in the parameter or in its logarithm: the default."""

    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        return {}


INDEPENDENT = Independent()


class _UnitCube(Design):
    """A design that is a set of points in the unit cube, one axis for each free parameter.

    A point's coordinate is the probability with which a default draw falls below its parameter;
    the cases of the sampling share the last axis equally.
    """

    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        names, cases = _free_parameters(simulation), _cases(simulation)
        dimensions = len(names) + (len(cases) > 1)
        if not dimensions:
            raise InvalidInput(
                f"design={type(self).__name__}: {type(simulation).__name__} draws no parameter "
                "that could be placed"
            )
        cube = self.cube(dimensions, n, seed)
        drawn = simulation.drawn_parameters
        placed = {
            name: _quantiles(drawn[name], coordinates)
            for name, coordinates in zip(names, cube.T, strict=False)
        }
        if len(cases) > 1:
            placed |= _chosen(cases, (cube[:, -1] * len(cases)).astype(int))
        return placed

    @abstractmethod
    def cube(self, dimensions: int, n: int, seed: int) -> Array:
        """``n`` points in [0, 1), ``(n, dimensions)``."""


@dataclass(frozen=True)
class LatinHypercube(_UnitCube):
    """Of ``n`` slices of equal probability of each parameter, every one holds one trajectory.

    Where the trajectories lie depends on their number: such a dataset cannot be extended.

    References:
        McKay, Beckman, Conover, Technometrics 21 (1979) 239.
    """

    is_extensible: ClassVar[bool] = False

    def cube(self, dimensions: int, n: int, seed: int) -> Array:
        rng = _design_generator(seed)
        slices = rng.permuted(np.tile(np.arange(n), (dimensions, 1)), axis=1)
        points = (slices + rng.random((dimensions, n))).T / n
        return np.minimum(points, np.nextafter(1.0, 0.0))  # rounding may reach the end


@dataclass(frozen=True)
class Sobol(_UnitCube):
    """Sobol's sequence, scrambled: fills the ranges evenly at any number of trajectories.

    The first ``n`` points stay when there are more, and are spread best if ``n`` is a power of two.

    References:
        Sobol', USSR Computational Mathematics and Mathematical Physics 7 (1967) 86.
        Owen, Journal of Complexity 14 (1998) 466: scrambling.
    """

    def cube(self, dimensions: int, n: int, seed: int) -> Array:
        from scipy.stats import qmc  # takes half a second to import

        if n > 2**SOBOL_BITS:
            raise InvalidInput(f"n={n}: Sobol has {2**SOBOL_BITS} points")
        sequence = qmc.Sobol(dimensions, bits=SOBOL_BITS, seed=_design_generator(seed))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The balance properties", UserWarning)
            return sequence.random(n)


@dataclass(frozen=True)
class FullGrid(Design):
    """Every combination of chosen values, with as many draws of the rest for each.

        FullGrid(8)  # eight values of each free parameter, from end to end of its range
        FullGrid({"reynolds": [1e4, 5e4, 1e5], "schmidt": 7})

    The cases of the sampling, if there are several, are one more axis. Parameters that are not
    named are drawn. Trajectories come in rounds, each of which visits all points once in an order
    of its own, so that every split holds points from everywhere.

    Args:
        levels: number of values of each free parameter; or, of those that are named, the values or
            their number. Numbered values are equidistant in the parameter or in its logarithm.
    """

    levels: (
        int | Mapping[str, int | Sequence[float]] | tuple[tuple[str, int | tuple[float, ...]], ...]
    )

    def __post_init__(self) -> None:
        if isinstance(self.levels, (int, np.integer)):
            check_setting("levels", self.levels, 1, 1e9, integer=True)
            object.__setattr__(self, "levels", int(self.levels))
            return
        try:
            given = dict(self.levels)
        except (TypeError, ValueError):
            raise InvalidInput(
                f"levels={self.levels!r}: must be a number of values, or by parameter the values "
                "or their number"
            ) from None
        for name, values in given.items():
            if isinstance(values, (int, np.integer)):
                check_setting(f"levels of {name}", values, 1, 1e9, integer=True)
                given[name] = int(values)
            else:
                given[name] = tuple(finite_numbers(f"levels of {name}", values).tolist())
        object.__setattr__(self, "levels", tuple(given.items()))

    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        axes, cases = self._axes(simulation), _cases(simulation)
        shape = [values.size for values in axes.values()]
        if len(cases) > 1:
            shape.append(len(cases))
        size = math.prod(shape)
        if n % size:
            raise InvalidInput(f"n={n}: the grid has {size} points; n must be a multiple of that")
        names = [*axes, *(cases[0] if len(cases) > 1 else ())]
        if n > size and not _something_is_drawn(simulation, names):
            raise InvalidInput(
                f"n={n}: the grid has {size} points and {type(simulation).__name__} draws nothing "
                f"else, so that trajectories would repeat; choose n={size}"
            )
        rounds = [_design_generator(seed, r).permutation(size) for r in range(n // size)]
        places = np.unravel_index(np.concatenate(rounds), shape or (1,))
        # Fewer axes than coordinates if the last one chooses among the cases, or if there are none
        placed = {
            name: axes[name][positions] for name, positions in zip(axes, places, strict=False)
        }
        return placed | (_chosen(cases, places[-1]) if len(cases) > 1 else {})

    def _axes(self, simulation: Simulation) -> Columns:
        free, drawn = _free_parameters(simulation), simulation.drawn_parameters
        by_name: dict[str, Any] = dict.fromkeys(free, self.levels)
        if not isinstance(self.levels, int):
            by_name = dict(self.levels)
        axes = {}
        for name, values in by_name.items():
            if name not in drawn:
                raise InvalidInput(f"levels={name}: no such parameter; has {list(drawn)}")
            if name not in free:
                raise InvalidInput(f"levels={name}: is fixed by the sampling of the simulation")
            if isinstance(values, int):
                axes[name] = _equidistant(drawn[name], values)
            else:
                axes[name] = np.array([drawn[name].check(name, value) for value in values])
        return axes

    def to_json(self) -> dict[str, Any]:
        levels = self.levels
        if not isinstance(levels, int):
            levels = {n: v if isinstance(v, int) else list(v) for n, v in dict(levels).items()}
        return {"design": "FullGrid", "levels": levels}


@dataclass(frozen=True)
class Table(Design):
    """Points of the user's: trajectory ``i`` has the parameters of row ``i``.

    Parameters without a column are drawn. The dataset keeps the table, and can be extended up to
    its last row.

    Args:
        columns: values by parameter, all of the same length: a dictionary of arrays, or a
            data frame.

    Raises:
        InvalidInput: no numbers, or columns of different lengths.
    """

    columns: Mapping[str, Sequence[float]] | tuple[tuple[str, tuple[float, ...]], ...]

    def __post_init__(self) -> None:
        try:
            given = dict(self.columns)
        except (TypeError, ValueError):
            raise InvalidInput(
                f"table={type(self.columns).__name__}: must give values by parameter"
            ) from None
        # Tuples, so that a design can be hashed and compared
        columns = tuple(
            (str(n), tuple(finite_numbers(f"{n}", v).tolist())) for n, v in given.items()
        )
        if len(lengths := {name: len(values) for name, values in columns}) == 0:
            raise InvalidInput("table: has no columns")
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"table: columns must be of the same length, not {lengths}")
        object.__setattr__(self, "columns", columns)

    @classmethod
    def read(cls, path: str | Path) -> "Table":
        """A table from a CSV file with names in its first line, or from a Parquet file.

        Raises:
            InvalidInput: the file is neither, or holds what is no number.
        """
        path = Path(path)
        if path.suffix not in TABLE_FILES:
            raise InvalidInput(f"{path}: must be a file of {list(TABLE_FILES)}")
        return cls(TABLE_FILES[path.suffix](path))

    def __len__(self) -> int:
        return len(next(iter(dict(self.columns).values())))

    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        if n > len(self):
            raise InvalidInput(f"n={n}: the table has {len(self)} rows")
        placed = {}
        for name, values in dict(self.columns).items():
            if name not in simulation.parameters:
                known = list(simulation.parameters)
                raise InvalidInput(
                    f"table={name}: {type(simulation).__name__} has no such parameter; has {known}"
                )
            for extreme in (min(values), max(values)):
                simulation.parameters[name].check(name, extreme)
            placed[name] = np.array(values[:n])
        return placed

    def to_json(self) -> dict[str, Any]:
        columns = {name: list(values) for name, values in dict(self.columns).items()}
        return {"design": "Table", "columns": columns}

    def summary(self) -> dict[str, Any]:
        content = json.dumps(self.to_json()).encode()
        return {
            "design": "Table",
            "columns": list(dict(self.columns)),
            "rows": len(self),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


DESIGNS: dict[str, type[Design]] = {
    design.__name__: design for design in (Independent, LatinHypercube, Sobol, FullGrid, Table)
}


def design_from_json(description: Mapping[str, Any]) -> Design:
    """Rebuild a design from `Design.to_json`.

    Raises:
        InvalidInput: there is no such design, or no such argument of it.
    """
    from simulations.grown import Grown  # is built on the designs here

    known: dict[str, type[Design]] = {**DESIGNS, "Grown": Grown}
    arguments = dict(description)
    name = arguments.pop("design", None)
    if not isinstance(name, str) or name not in known:
        raise InvalidInput(f"design={name!r}: must be one of {list(known)}")
    try:
        return known[name](**arguments)
    except TypeError as error:  # one is missing, or unknown
        raise InvalidInput(f"design={name}: {error}") from None


def by_name(name: str, levels: int | Mapping[str, int | Sequence[float]] | None = None) -> Design:
    """A design as the command line names it.

    Args:
        name: ``independent``, ``latin-hypercube``, ``sobol``, ``grid``, or the file of a table.
        levels: of a grid.

    Raises:
        InvalidInput: there is no such design, or it needs levels or takes none.
    """
    if (levels is None) != (name != "grid"):
        raise InvalidInput(f"design={name}, levels={levels}: a grid needs levels, others take none")
    if levels is not None:
        return FullGrid(levels)
    known: dict[str, Callable[[], Design]]
    known = {"independent": Independent, "latin-hypercube": LatinHypercube, "sobol": Sobol}
    if name in known:
        return known[name]()
    if Path(name).suffix in TABLE_FILES:
        return Table.read(name)
    raise InvalidInput(
        f"design={name}: must be one of {[*known, 'grid']} or a file of {list(TABLE_FILES)}"
    )


@dataclass(frozen=True)
class Draws:
    """The inputs of each draw of a dataset: a pure function of its index.

    A draw that diverges is replaced by one of its own index. That one lies at the same point of
    the design with other fields, as long as fields (or a parameter) are drawn and up to four times;
    afterwards the point has failed, and an independent draw takes its place.
    """

    simulation: Simulation
    seed: int
    design: Design
    n: int

    @classmethod
    def described(cls, simulation: Simulation, manifest: Mapping[str, Any]) -> "Draws":
        """Those of the dataset with this description."""
        design = design_from_json(manifest.get("design", INDEPENDENT.to_json()))
        return cls(simulation, int(manifest["seed"]), design, int(manifest["n"]))

    @cached_property
    def _points(self) -> Columns:
        return self.design.points(self.simulation, self.n, self.seed)

    def given(self, index: int) -> dict[str, float]:
        """What the design says about a draw."""
        attempt, place = divmod(index, ATTEMPT_STRIDE)
        kept = MOST_AT_ONE_POINT if _something_is_drawn(self.simulation, self._points) else 0
        if attempt > kept:
            return {}
        placed = {name: float(values[place]) for name, values in self._points.items()}
        return {name: value for name, value in placed.items() if not math.isnan(value)}

    def inputs(self, index: int) -> Inputs:
        """All inputs of a draw, at full precision."""
        attempt, place = divmod(index, ATTEMPT_STRIDE)
        drawn_with = self.design.draw(place) + attempt * ATTEMPT_STRIDE
        return self.simulation.sample(sample_generator(self.seed, drawn_with), self.given(index))


def _cases(simulation: Simulation) -> list[dict[str, float]]:
    return [dict(case) for case in simulation.sampling.cases]


def _chosen(cases: Sequence[Mapping[str, float]], positions: NDArray[np.integer]) -> Columns:
    """The parameters of the chosen cases."""
    return {name: np.array([cases[p][name] for p in positions]) for name in cases[0]}


def _free_parameters(simulation: Simulation) -> list[str]:
    """Those that are drawn from a range."""
    cases, drawn = _cases(simulation), simulation.drawn_parameters
    tied = cases[0] if cases else {}
    return [n for n, p in drawn.items() if n not in tied and p.sampling[0] < p.sampling[1]]


def _something_is_drawn(simulation: Simulation, placed: Iterable[str]) -> bool:
    """Whether two trajectories with the same values of these parameters may differ."""
    cases = _cases(simulation)
    drawn = {*_free_parameters(simulation), *(cases[0] if len(cases) > 1 else ())}
    return bool(simulation.field_inputs) or not drawn <= set(placed)


def _quantiles(parameter: Parameter, probabilities: Array) -> Array:
    """`Parameter.quantile` of many."""
    low, high = parameter.sampling
    if parameter.scale == "log":
        values = np.exp(np.log(low) + probabilities * (np.log(high) - np.log(low)))
    else:
        values = low + probabilities * (high - low)
    return np.clip(values, low, high)


def _equidistant(parameter: Parameter, count: int) -> Array:
    """Values from end to end of the range, or its middle."""
    if count == 1:
        return _quantiles(parameter, np.array([0.5]))
    space = np.geomspace if parameter.scale == "log" else np.linspace
    return space(*parameter.sampling, count)


def finite_numbers(name: str, values: Any) -> Array:
    """At least one finite number, or `InvalidInput`."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        array = np.empty((), dtype=object)
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not array.size:
        raise InvalidInput(f"{name}={values!r:.60}: must be a list of numbers")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array)))
        raise InvalidInput(f"{name}={array[row]}: row {row} must be a finite number")
    return array.astype(np.float64)


def _read_csv(path: Path) -> dict[str, list[float]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, skipinitialspace=True)
        names = [name.strip() for name in next(lines, [])]
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"{path}: the first line must name the columns, each once")
        columns: dict[str, list[float]] = {name: [] for name in names}
        for values in lines:
            if not values:
                continue
            try:
                for name, value in zip(names, values, strict=True):
                    columns[name].append(float(value))
            except ValueError:
                raise InvalidInput(
                    f"{path}, line {lines.line_num}: {values} must be {len(names)} numbers"
                ) from None
    return columns


def _read_parquet(path: Path) -> dict[str, Any]:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InvalidInput(f"{path}: Parquet files need pyarrow (pip install pyarrow)") from None
    try:
        table = pyarrow.parquet.read_table(path)
        return {name: table[name].to_numpy() for name in table.column_names}
    except pyarrow.ArrowInvalid as error:
        raise InvalidInput(f"{path}: not a Parquet file ({error})") from None


TABLE_FILES: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
