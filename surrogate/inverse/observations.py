"""What was measured: numbers, where they were taken, and how a field gives them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from simulations.simulation import Array, InvalidInput, Simulation, Solution

# Weights of an interpolant below this are rounding
NEGLIGIBLE = 1e-14
# Largest operator that is kept as a full matrix, in numbers
DENSE = 10**5


@dataclass(frozen=True, eq=False)
class Observations:
    """Values of fields at points: in space by the interpolant of the grid, linear in time.

    Args:
        values: what was measured, ``(m,)``.
        noise: standard deviation of each, ``(m,)``.
        fields: of each value, the field it belongs to.
        operators: of each observed field a sparse matrix from its flattened answer ``(time, *space,
            *component)`` to its values; the values of a field stand together.
    """

    values: Array
    noise: Array
    fields: tuple[str, ...]
    operators: Mapping[str, csr_array]

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of_dataset(
        cls,
        simulation: Simulation,
        dataset: xarray.Dataset,
        noise: float | Mapping[str, float] | None = None,
    ) -> "Observations":
        """All finite values of a dataset as the simulation answers with, or of a part of it.

        ``truth[["u"]].sel(time=0.5).isel(x=slice(None, None, 4))`` observes one field at every
        fourth point of one time. Inputs in it are left alone.

        Raises:
            InvalidInput: an unknown variable, a coordinate that is missing, nothing observed, or
                noise that is none.
        """
        columns: dict[str, tuple[Array, dict[str, Any]]] = {}
        for name, variable in dataset.data_vars.items():
            if name in simulation.field_inputs:
                continue
            _check_field(simulation, str(name))
            axes = _axes(simulation, str(name))
            for axis in axes:
                if axis not in variable.coords:
                    raise InvalidInput(f"observations of {name}: the coordinate {axis} is missing")
            if extra := [d for d in variable.dims if d not in axes]:
                raise InvalidInput(f"observations of {name}: {extra} are no axes of the field")
            flat = np.asarray(variable.values, np.float64).ravel()
            grids = np.meshgrid(*(variable.coords[d].values for d in variable.dims), indexing="ij")
            at = dict(zip(variable.dims, (g.ravel() for g in grids), strict=True))
            places = {
                axis: at[axis] if axis in at else np.full(flat.size, variable.coords[axis].values)
                for axis in axes
            }
            kept = np.isfinite(flat)
            points = {axis: values[kept] for axis, values in places.items()}
            columns[str(name)] = (flat[kept], points)
        return cls._joined(simulation, columns, noise)

    @classmethod
    def of_table(
        cls,
        simulation: Simulation,
        rows: Sequence[Mapping[str, Any]],
        noise: float | Mapping[str, float] | None = None,
    ) -> "Observations":
        """One row a value: its ``field``, ``value``, and where: ``time``, the axes, ``component``.

        What has a single possible place (the time of a steady problem) may be left out. A column
        ``noise`` gives each value a standard deviation of its own.

        Raises:
            InvalidInput: as `of_dataset`; the row is named.
        """
        found: dict[str, list[Mapping[str, Any]]] = {}
        for number, row in enumerate(rows, start=1):
            name = str(row.get("field", ""))
            try:
                _check_field(simulation, name)
            except InvalidInput as error:
                raise InvalidInput(f"row {number}: {error}") from None
            found.setdefault(name, []).append({**row, "number": number})
        columns, noises = {}, []
        for name, mine in found.items():
            points: dict[str, Array] = {}
            for axis in _axes(simulation, name):
                is_sole = axis == "time" and simulation.times.size == 1
                sole = [simulation.times[0]] * len(mine)
                is_label = axis.startswith("component")
                points[axis] = (
                    np.array(sole)
                    if is_sole and not any(row.get(axis) for row in mine)
                    else np.array([row.get(axis, "") for row in mine])
                    if is_label
                    else np.array([_number(row, axis) for row in mine])
                )
            columns[name] = (np.array([_number(row, "value") for row in mine]), points)
            if noise is None:
                noises += [_number(row, "noise") for row in mine]
        return cls._joined(simulation, columns, np.array(noises) if noise is None else noise)

    @classmethod
    def read(
        cls,
        simulation: Simulation,
        path: str | Path,
        noise: float | Mapping[str, float] | None = None,
    ) -> "Observations":
        """A file ``.csv``, as `of_table`, or ``.nc``, as `of_dataset`."""
        path = Path(path)
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                return cls.of_table(simulation, list(csv.DictReader(file)), noise)
        if path.suffix == ".nc":
            with xarray.open_dataset(path, engine="h5netcdf") as dataset:
                return cls.of_dataset(simulation, dataset.load(), noise)
        raise InvalidInput(f"{path}: observations are .csv or .nc")

    @classmethod
    def _joined(
        cls,
        simulation: Simulation,
        columns: Mapping[str, tuple[Array, Mapping[str, Any]]],
        noise: Any,
    ) -> "Observations":
        operators, values, fields = {}, [], []
        for name, (measured, points) in columns.items():
            if not measured.size:
                continue
            operators[name] = _operator(simulation, name, points, measured.size)
            values.append(measured)
            fields += [name] * measured.size
        if not fields:
            raise InvalidInput("observations: there is no finite value of any field")
        joined = np.concatenate(values)
        if noise is None:
            raise InvalidInput("noise: must be given, a standard deviation or one by field")
        if isinstance(noise, Mapping):
            if missing := [name for name in operators if name not in noise]:
                raise InvalidInput(f"noise={list(noise)}: must have {missing}")
            noise = np.array([noise[name] for name in fields], np.float64)
        deviations = np.broadcast_to(np.asarray(noise, np.float64), joined.shape)
        if not (np.isfinite(deviations) & (deviations > 0)).all():
            raise InvalidInput(f"noise={noise!r}: must be positive standard deviations")
        return cls(joined, deviations, tuple(fields), operators)

    def seen(self, answer: Mapping[str, Tensor]) -> Tensor:
        """What an answer with fields ``(n, time, …)`` says of the values: ``(n, m)``, float64."""
        parts = [
            (matrix @ answer[name].flatten(1).double().T).T
            for name, matrix in self._tensors.items()
        ]
        return torch.cat(parts, 1)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        """The operators as tensors: dense where they have few columns, which is faster."""
        made = {}
        for name, operator in self.operators.items():
            if operator.shape[0] * operator.shape[1] <= DENSE:
                made[name] = torch.from_numpy(operator.toarray())
                continue
            made[name] = torch.sparse_csr_tensor(
                torch.from_numpy(operator.indptr.astype(np.int64)),
                torch.from_numpy(operator.indices.astype(np.int64)),
                torch.from_numpy(operator.data),
                size=operator.shape,
            )
        return made

    def seen_in(self, solution: Solution) -> Array:
        """The same of one solution ``(time, …)``: ``(m,)``."""
        return np.concatenate([m @ solution[n].ravel() for n, m in self.operators.items()])


def _check_field(simulation: Simulation, name: str) -> None:
    """Refuse what is no field."""
    if name not in simulation.fields:
        raise InvalidInput(
            f"observations of {name!r}: {type(simulation).__name__} has {list(simulation.fields)}"
        )


def _axes(simulation: Simulation, name: str) -> list[str]:
    declared = simulation.fields[name]
    space = simulation.grid.names if declared.spatial else ()
    return ["time", *space, *("component", "component2")[: declared.order]]


def _number(row: Mapping[str, Any], column: str) -> float:
    try:
        number = float(row[column])
    except (KeyError, TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        value = row.get(column)
        raise InvalidInput(f"row {row['number']}: {column}={value!r} must be a finite number")
    return number


def _operator(simulation: Simulation, name: str, points: Mapping[str, Array], m: int) -> csr_array:
    """Rows of weights on the flattened field: products of the weights along each axis."""
    grid = simulation.grid
    factors = []
    for axis in _axes(simulation, name):
        at = points[axis]
        if axis == "time":
            factors.append(_time_weights(simulation.times, at, name))
        elif axis.startswith("component"):
            factors.append(_component_weights(list(grid.names), at, name))
        else:
            declared = grid.axes[grid.names.index(axis)]
            low, high = declared.bounds
            outside = ~((at >= low - 1e-9 * (high - low)) & (at <= high + 1e-9 * (high - low)))
            if outside.any():
                raise InvalidInput(
                    f"observations of {name}: {axis}={at[outside][0]:g} is outside "
                    f"[{low:g}, {high:g}]"
                )
            unique, which = np.unique(at, return_inverse=True)
            factors.append(csr_array(_point_weights(declared, unique)[which]))
    rows = []
    for i in range(m):
        row = factors[0][[i]]
        for factor in factors[1:]:
            other = factor[[i]]
            indices = row.indices[:, None].astype(np.int64) * factor.shape[1] + other.indices
            data = row.data[:, None] * other.data
            row = csr_array(
                (data.ravel(), indices.ravel(), [0, data.size]),
                shape=(1, row.shape[1] * factor.shape[1]),
            )
        rows.append(row)
    return csr_array(vstack(rows))


def _point_weights(axis: Any, points: Array) -> Array:
    """Weights ``(len(points), n)`` of the grid's interpolant; of what is on a point, that alone."""
    distance = np.abs(points[:, None] - axis.points)
    on = distance.min(axis=1) < 1e-9 * (axis.bounds[1] - axis.bounds[0])
    weights = np.zeros(distance.shape)
    weights[on, distance[on].argmin(axis=1)] = 1.0
    if not on.all():
        weights[~on] = axis.interpolation_matrix(points[~on])
    weights[np.abs(weights) < NEGLIGIBLE] = 0.0
    return weights


def _time_weights(times: Array, at: Array, name: str) -> csr_array:
    span = max(times[-1] - times[0], abs(times[-1]), 1.0) * 1e-9
    at = np.asarray(at, np.float64)
    outside = ~((at >= times[0] - span) & (at <= times[-1] + span))
    if outside.any():
        raise InvalidInput(
            f"observations of {name}: time={at[outside][0]:g} is outside "
            f"[{times[0]:g}, {times[-1]:g}]"
        )
    weights = np.zeros((at.size, times.size))
    for column, basis in enumerate(np.eye(times.size)):
        weights[:, column] = np.interp(at, times, basis)
    weights[np.abs(weights) < 1e-9] = 0.0
    return csr_array(weights)


def _component_weights(names: list[str], at: Array, name: str) -> csr_array:
    labels = [str(label) for label in at]
    if wrong := [label for label in labels if label not in names]:
        raise InvalidInput(f"observations of {name}: component={wrong[0]!r} must be one of {names}")
    return csr_array(np.eye(len(names))[[names.index(label) for label in labels]])
