"""Files of PDEBench, in the three layouts that it has.

One file is one split there. Here the trajectories of a file are divided in their order: the first
ones for training, the next for validation, the last for testing.

References:
    Takamoto et al., PDEBench, NeurIPS 2022.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.layout import SPLITS
from simulations.datasets.parts import Contents, Part, Variable
from simulations.datasets.recorded import Recorded, describe_axis, describe_parameter
from simulations.datasets.untrusted import DatasetError, open_untrusted

Array = NDArray[np.floating]

COORDINATE = "-coordinate"


def read_pdebench(
    name: str,
    paths: Sequence[Path],
    splits: Sequence[float],
    time_stride: int,
    space_stride: int,
    boundary: str,
) -> Contents:
    """What is in one file of PDEBench, or in several that differ in their parameters.

    Args:
        name: what the data are called.
        paths: the files.
        splits: shares of train, valid and test, of each file.
        time_stride: every how manieth stored time is read.
        space_stride: every how manieth point along each axis is read.
        boundary: condition at all sides, of which the files say nothing.

    Raises:
        DatasetError: a file is unsafe, damaged, of no layout of PDEBench, or not like the first.
    """
    files = [_read_file(path) for path in paths]
    first = files[0]
    for file in files:
        for what, mine, theirs in (
            ("fields", file.roles, first.roles),
            ("parameters", set(file.parameters), set(first.parameters)),
            ("grid", [a.size for a in file.axes.values()], [a.size for a in first.axes.values()]),
            ("number of times", file.times.size, first.times.size),
        ):
            if mine != theirs:
                raise DatasetError(
                    f"{file.path}: {what} is {mine}, but {theirs} in {first.path.name}"
                )
    declaration = {
        "name": name,
        "parameters": {
            parameter: describe_parameter(np.array([file.parameters[parameter] for file in files]))
            for parameter in first.parameters
        },
        "fields": {
            field: {"order": order, "spatial": True}
            for field, (order, in_time) in first.roles.items()
            if in_time
        },
        "coefficients": {
            field: {"order": order}
            for field, (order, in_time) in first.roles.items()
            if not in_time
        },
        "axes": [
            describe_axis(axis, points[::space_stride], (boundary, boundary))
            for axis, points in first.axes.items()
        ],
        "times": first.times[::time_stride].tolist(),
    }
    parts: dict[str, list[Part]] = {split: [] for split in SPLITS}
    position = 0
    for file in files:
        ends = divide(file.n, splits)
        for split, start, stop in zip(SPLITS, (0, *ends), ends, strict=False):
            if start < stop:
                parameters = {
                    parameter: np.full(stop - start, value, np.float32)
                    for parameter, value in file.parameters.items()
                }
                parts[split].append(
                    Part(
                        file.path,
                        start,
                        stop,
                        position + start,
                        parameters,
                        file.variables,
                        file.groups,
                        (time_stride, space_stride),
                    )
                )
        position += file.n
    return Contents(Recorded(declaration), {split: tuple(p) for split, p in parts.items()})


def divide(n: int, splits: Sequence[float]) -> tuple[int, int, int]:
    """Where train, valid and test end among ``n`` trajectories in their order."""
    train = min(n, max(1, int(splits[0] * n + 1e-9)))
    rest = splits[1] + splits[2]
    valid = int(np.ceil((n - train) * splits[1] / rest - 1e-9)) if rest else 0
    return train, train + valid, n


@dataclass
class _File:
    """What one file says of itself.

    Attributes:
        roles: of each variable its tensor order, and whether it changes with time.
    """

    path: Path
    n: int
    axes: dict[str, Array]
    times: Array
    parameters: dict[str, float]
    roles: dict[str, tuple[int, bool]]
    variables: dict[str, Variable]
    groups: tuple[str, ...] = ()


def _read_file(path: Path) -> _File:
    with open_untrusted(path) as file:
        try:
            members = list(file.values())
            if members and all(isinstance(member, h5py.Group) for member in members):
                return _grouped(path, file)
            if any(name.endswith(COORDINATE) for name in file):
                return _by_coordinates(path, file)
            return _incompressible(path, file)
        except DatasetError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, OSError, AttributeError) as error:
            raise DatasetError(f"{path}: of no layout of PDEBench ({error})") from None


def _by_coordinates(path: Path, file: h5py.File) -> _File:
    """``tensor`` or one dataset a field, ``(sample, time, *space)``; coefficients without time."""
    space = [axis for axis in "xyz" if f"{axis}{COORDINATE}" in file]
    arrays = {
        name: member
        for name, member in file.items()
        if isinstance(member, h5py.Dataset) and not name.endswith(COORDINATE)
    }
    variables, roles = {}, {}
    for name, array in arrays.items():
        in_time = array.ndim == 2 + len(space)
        if not in_time and array.ndim != 1 + len(space):
            raise DatasetError(
                f"{path}: {name} has shape {array.shape}; expected (sample, time, "
                f"{', '.join(space)}), or that without time"
            )
        variables[name] = Variable(name, ("sample", *["time"] * in_time, *space))
        roles[name] = (0, in_time)
    fields = [array for name, array in arrays.items() if roles[name][1]]
    if not fields:
        raise DatasetError(f"{path}: has no field (sample, time, {', '.join(space)})")
    n, n_times = fields[0].shape[:2]
    axes = {
        axis: _points(file[f"{axis}{COORDINATE}"], size)
        for axis, size in zip(space, fields[0].shape[2:], strict=True)
    }
    stored = file.get(f"t{COORDINATE}")
    times = np.arange(n_times) if stored is None else np.asarray(stored, np.float64)[:n_times]
    return _File(path, n, axes, _ascending(times, n_times), _parameters(file), roles, variables)


def _grouped(path: Path, file: h5py.File) -> _File:
    """A group for each trajectory: ``data`` ``(time, *space, channel)``, ``grid/x``, ``grid/t``."""
    groups = tuple(sorted(file))
    first = file[groups[0]]
    data, grid = first["data"], first["grid"]
    space = [axis for axis in "xyz" if axis in grid]
    if data.ndim != 2 + len(space):
        raise DatasetError(
            f"{path}: {data.name} has shape {data.shape}; expected (time, {', '.join(space)}, "
            "channel)"
        )
    n_times, channels = data.shape[0], data.shape[-1]
    names = ["data"] if channels == 1 else [f"data{channel}" for channel in range(channels)]
    variables = {
        name: Variable("data", ("time", *space, "channel"), channel)
        for channel, name in enumerate(names)
    }
    axes = {
        axis: _points(grid[axis], size) for axis, size in zip(space, data.shape[1:-1], strict=True)
    }
    times = np.asarray(grid["t"], np.float64)[:n_times] if "t" in grid else np.arange(n_times)
    return _File(
        path,
        len(groups),
        axes,
        _ascending(times, n_times),
        _parameters(file),
        dict.fromkeys(names, (0, True)),
        variables,
        groups,
    )


def _incompressible(path: Path, file: h5py.File) -> _File:
    """``velocity`` ``(sample, time, *space, component)`` and its companions, ``t``."""
    if "velocity" not in file or "t" not in file:
        raise DatasetError(
            f"{path}: of no layout of PDEBench: has {sorted(file)}, expected coordinates, a group "
            "for each trajectory, or velocity and t"
        )
    velocity = file["velocity"]
    space = list("xyz"[: velocity.ndim - 3])
    n, n_times, *sizes = velocity.shape[:-1]
    variables, roles = {}, {}
    for name, array in file.items():
        if name == "t":
            continue
        in_time = array.ndim == velocity.ndim
        last = "component" if array.shape[-1] == len(space) else "channel"
        if array.shape[-1] not in (1, len(space)) or array.ndim - in_time != 2 + len(space):
            raise DatasetError(f"{path}: {name} has shape {array.shape}, not one like velocity")
        variables[name] = Variable(name, ("sample", *["time"] * in_time, *space, last))
        roles[name] = (int(last == "component"), in_time)
    axes = {axis: (np.arange(size) + 0.5) / size for axis, size in zip(space, sizes, strict=True)}
    times = np.atleast_2d(np.asarray(file["t"], np.float64))[0, :n_times]
    return _File(path, n, axes, _ascending(times, n_times), _parameters(file), roles, variables)


def _parameters(file: h5py.File) -> dict[str, float]:
    """Attributes that are one number each."""
    found = {}
    for name in file.attrs:
        stored = file.attrs.get_id(name)  # text is not even read
        if stored.dtype.kind in "iuf" and math.prod(stored.shape or ()) == 1:
            value = float(np.ravel(file.attrs[name])[0])
            if math.isfinite(value):
                found[name] = value
    return found


def _points(stored: h5py.Dataset, size: int) -> Array:
    """Coordinates of ``size`` points, given themselves or as the sides of cells."""
    points = np.asarray(stored, np.float64).ravel()
    if points.size == size + 1:
        return 0.5 * (points[1:] + points[:-1])
    return points if points.size == size else np.arange(size) + 0.5


def _ascending(times: Array, n_times: int) -> Array:
    """Stored times, or their numbers where the file has none that ascend."""
    sound = times.shape == (n_times,) and np.isfinite(times).all() and np.all(np.diff(times) > 0)
    return np.asarray(times if sound else np.arange(n_times), np.float64)
