"""Datasets of The Well, written by others.

References:
    Ohana et al., The Well, NeurIPS 2024: docs/data_format.md and the format checker.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.layout import SPLITS
from simulations.datasets.parts import Contents, Part, Variable
from simulations.datasets.recorded import Recorded, describe_axis, describe_parameter
from simulations.datasets.untrusted import DatasetError, open_untrusted

Array = NDArray[np.floating]

SUFFIXES = (".hdf5", ".h5")
BOUNDARIES = ("periodic", "wall", "open")
#: Times that differ by less of their span are the same.
SAME_TIMES = 1e-3
#: The parameter that says how far apart the stored times are, where that differs.
TIME_STEP = "time_step"


def is_well(path: Path) -> bool:
    """Whether a folder looks like a dataset of The Well."""
    return any((path / "data" / split).is_dir() for split in SPLITS)


def read_well(path: Path, time_stride: int, space_stride: int) -> Contents:
    """What is in a dataset of The Well.

    Args:
        path: the folder with ``data/train``, ``data/valid`` and ``data/test``.
        time_stride: every how manieth stored time is read.
        space_stride: every how manieth point along each axis is read.

    Raises:
        DatasetError: a file is unsafe, damaged, not of The Well's format, or of another dataset
            than the first one.
    """
    files: list[tuple[str, _File]] = []
    for split in SPLITS:
        folder = path / "data" / split
        found = sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES)
        files += [(split, _read_file(p)) for p in found]
    if not files:
        raise DatasetError(f"{path}: there are no HDF5 files in data/train, data/valid, data/test")
    first = files[0][1]
    for _, file in files:
        file.refuse_another(first)

    n_times = min(file.times.shape[1] for _, file in files)
    if any(file.times.shape[1] != n_times for _, file in files):
        warnings.warn(
            f"{path}: trajectories are of different lengths; of each, {n_times} times are read",
            stacklevel=4,
        )
    times = _common_times(files, n_times, time_stride)
    parameters = _describe_parameters(files)
    axes = [
        describe_axis(name, points[::space_stride], _agreed(name, [f for _, f in files]))
        for name, points in first.axes.items()
    ]
    declaration = {
        "name": first.name,
        "parameters": parameters,
        "fields": {
            name: {"order": order, "spatial": spatial}
            for name, (order, spatial, in_time) in first.roles.items()
            if in_time
        },
        "coefficients": {
            name: {"order": order}
            for name, (order, _, in_time) in first.roles.items()
            if not in_time
        },
        "axes": axes,
        "times": times.tolist(),
    }
    parts: dict[str, list[Part]] = {split: [] for split in SPLITS}
    position = 0
    for split, file in files:
        stride = (time_stride, space_stride)
        part = Part(file.path, 0, file.n, position, file.parameters, file.variables, stride=stride)
        parts[split].append(part)
        position += file.n
    return Contents(Recorded(declaration), {split: tuple(p) for split, p in parts.items()})


@dataclass
class _File:
    """What one file says of itself.

    Attributes:
        roles: of each variable its tensor order, whether it lives on the grid, and whether it
            changes with time.
        times: ``(1, time)``, or ``(sample, time)`` where they differ.
    """

    path: Path
    name: str
    n: int
    axes: dict[str, Array]
    boundary: dict[str, tuple[str, str]]
    times: Array
    parameters: dict[str, Array]
    roles: dict[str, tuple[int, bool, bool]]
    variables: dict[str, Variable]

    def refuse_another(self, other: "_File") -> None:
        """Raise if the two are not of one dataset."""
        ours = (self.name, self.roles, set(self.parameters), _sizes(self.axes))
        theirs = (other.name, other.roles, set(other.parameters), _sizes(other.axes))
        for what, mine, first in zip(
            ("dataset_name", "fields", "parameters", "grid"), ours, theirs, strict=True
        ):
            if mine != first:
                raise DatasetError(
                    f"{self.path}: {what} is {mine}, but {first} in {other.path.name}"
                )


def _sizes(axes: Mapping[str, Array]) -> dict[str, int]:
    return {name: points.size for name, points in axes.items()}


def _read_file(path: Path) -> _File:
    with open_untrusted(path) as file:
        try:
            return _describe(path, file)
        except DatasetError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, OSError, AttributeError) as error:
            raise DatasetError(f"{path}: not a file of The Well ({error})") from None


def _describe(path: Path, file: h5py.File) -> _File:
    dimensions = file["dimensions"]
    names = _texts(dimensions, "spatial_dims")
    n = int(file.attrs["n_trajectories"])
    axes = {name: _numbers(dimensions[name]).reshape(-1, dimensions[name].shape[-1])[0]
            for name in names}  # fmt: skip
    times = _numbers(dimensions["time"])
    described = _File(
        path,
        _text(file.attrs["dataset_name"]),
        n,
        axes,
        _boundaries(file, names),
        np.atleast_2d(times),
        {},
        {},
        {},
    )
    for name in _texts(file["scalars"], "field_names"):
        scalar = file["scalars"][name]
        by_sample, by_time = _flags(scalar)
        stored = [axis for axis, has in (("sample", by_sample), ("time", by_time)) if has]
        _check_axes(path, scalar, stored)
        if by_time:
            described.roles[name] = (0, False, True)
            described.variables[name] = Variable(f"scalars/{name}", tuple(stored))
        else:
            described.parameters[name] = _values(path, name, _numbers(scalar), n)
    declared = (
        _texts(file, "simulation_parameters") if "simulation_parameters" in file.attrs else []
    )
    for name in declared:
        if name not in {*described.parameters, *described.roles}:
            value = np.asarray(file.attrs[name], dtype=np.float32)
            described.parameters[name] = _values(path, name, value, n)
    for order in range(3):
        group = file[f"t{order}_fields"]
        for name in _texts(group, "field_names"):
            by_sample, by_time = _flags(group[name])
            along = [bool(flag) for flag in group[name].attrs["dim_varying"]]
            space = [axis for axis, varies in zip(names, along, strict=True) if varies]
            stored = [axis for axis, has in (("sample", by_sample), ("time", by_time)) if has]
            if len(stored) + len(names) + order == group[name].ndim > len(stored + space) + order:
                # Axes along which it is constant are there, with a single entry
                stored += [axis if axis in space else "channel" for axis in names]
            else:
                stored += space
            stored += ("component", "component2")[:order]
            _check_axes(path, group[name], stored)
            # What is the same everywhere is still a field of the grid if it never changes
            described.roles[name] = (order, bool(space) or not by_time, by_time)
            described.variables[name] = Variable(f"t{order}_fields/{name}", tuple(stored))
    return described


def _check_axes(path: Path, dataset: h5py.Dataset, axes: list[str]) -> None:
    if dataset.ndim != len(axes):
        raise DatasetError(
            f"{path}: {dataset.name} has shape {dataset.shape}; its flags say that its axes are "
            f"{axes}"
        )


def _flags(dataset: h5py.Dataset) -> tuple[bool, bool]:
    return bool(dataset.attrs["sample_varying"]), bool(dataset.attrs["time_varying"])


def _values(path: Path, name: str, stored: Array, n: int) -> Array:
    """A parameter of each trajectory."""
    if stored.size not in (1, n) or not np.isfinite(stored).all():
        raise DatasetError(f"{path}: {name} must be one finite number or {n}, is {stored!r:.80}")
    return np.broadcast_to(stored.astype(np.float32).ravel(), n).copy()


def _boundaries(file: h5py.File, names: list[str]) -> dict[str, tuple[str, str]]:
    """The condition at the two sides of each axis; what is not said is open."""
    sides: dict[str, list[str]] = {name: ["open", "open"] for name in names}
    for group in file["boundary_conditions"].values():
        along = _texts(group, "associated_dims")
        kind = _text(group.attrs["bc_type"]).lower()
        if kind not in BOUNDARIES:
            raise DatasetError(
                f"{file.filename}: {group.name}: bc_type={kind!r} must be one of {list(BOUNDARIES)}"
            )
        if len(along) != 1 or along[0] not in sides or "mask" not in group:
            continue  # inside the domain, or along no axis: it bounds no side of the grid
        mask = np.asarray(group["mask"], dtype=bool)
        mask = mask.reshape(-1, mask.shape[-1])[0]
        for side in (0, -1):
            if mask[side]:
                sides[along[0]][side] = kind
    return {name: (low, high) for name, (low, high) in sides.items()}


def _agreed(axis: str, files: list[_File]) -> tuple[str, str]:
    """The condition at each side, open where the files disagree."""
    sides = [file.boundary[axis] for file in files]
    if all(pair == sides[0] for pair in sides):
        return sides[0]
    low, high = (s[0] if len(set(s)) == 1 else "open" for s in zip(*sides, strict=True))
    return ("open", "open") if (low == "periodic") != (high == "periodic") else (low, high)


def _common_times(files: list[tuple[str, _File]], n_times: int, stride: int) -> Array:
    """Times of all trajectories: the mean where they differ, and a parameter that says the step."""
    rows = [file.times[:, :n_times:stride] for _, file in files]
    every = np.concatenate(rows)
    times = every[0]
    span = float(np.ptp(times)) or 1.0
    if n_times > 1 and np.abs(every - times).max() > SAME_TIMES * span:
        for (_, file), stored in zip(files, rows, strict=True):
            steps = (stored[:, -1] - stored[:, 0]) / (stored.shape[1] - 1)
            file.parameters[TIME_STEP] = np.broadcast_to(steps, file.n).astype(np.float32)
        times = every.mean(axis=0)
    return times


def _describe_parameters(files: list[tuple[str, _File]]) -> dict[str, Any]:
    described = {}
    for name in files[0][1].parameters:
        seen = [file.parameters[name] for split, file in files if split == "train"]
        every = np.concatenate([file.parameters[name] for _, file in files])
        described[name] = describe_parameter(np.concatenate(seen) if seen else every)
        if every.min() <= 0:  # also where only another split goes there
            described[name]["scale"] = "linear"
    return described


def _numbers(dataset: h5py.Dataset) -> Array:
    if dataset.dtype.kind not in "biuf":
        raise DatasetError(f"{dataset.file.filename}: {dataset.name} holds no numbers")
    values = np.asarray(dataset[()], dtype=np.float64)
    return values


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _texts(target: Any, name: str) -> list[str]:
    return [_text(value) for value in np.atleast_1d(target.attrs[name])]
