"""The file on disk: The Well's layout that is netCDF-4 at the same time.

A dataset is a folder::

    dataset.json                      what it is: system, settings, seed, number of trajectories
    data/{train,valid,test}/*.hdf5    shards, each complete or absent
    records/*.json                    of each shard: checksum, wall times, statistics, failures
    failures.jsonl                    the draws that failed, with parameters, kind and reason
    stats.yaml                        mean, deviation, … of the train split, as The Well has it

In a shard the variables and the dimension scales (``sample``, ``time``, ``x``, …) live in the root,
as netCDF-4 wants them. The groups of The Well (``dimensions``, ``scalars``, ``t0_fields``, …) hold
hard links to the same objects, so that nothing is stored twice. Fields are float32 with the axes
``(sample, time, *space, *component)``, each in one piece unless they are compressed: windows over
time are then contiguous in the file. Attributes of the root describe the simulation, the
seed and the design as JSON.

References:
    Ohana et al., The Well, NeurIPS 2024, and its format checker.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.compression import Compression, rounded
from simulations.datasets.provenance import preset_of
from simulations.datasets.untrusted import DatasetError, open_untrusted
from simulations.designs import INDEPENDENT, Design
from simulations.machine import versions
from simulations.simulation import Simulation, package_version

SPLITS = ("train", "valid", "test")
TRAIN_ALONE = (1.0, 0.0, 0.0)
FORMAT_VERSION = 1

# Dimensions of the axes of a vector and of a tensor; a name may not come twice in netCDF
COMPONENTS = ("component", "component2")

# Which axes a variable has, as The Well says it
WELL_FLAGS = ("sample_varying", "time_varying", "dim_varying")

# Readable by the HDF5 1.10 tools of today's clusters
LIBRARY_VERSIONS = ("earliest", "v110")

# Of the description in the root, as JSON: HDF5 has room for 64 KiB, dataset.json for everything
LONGEST_ATTRIBUTE = 60_000

# What is compressed is so in chunks of one frame, or as many as fit here
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Trajectories:
    """Solved samples: what a shard holds.

    Attributes:
        indices: index of each draw, ``(sample,)``.
        parameters: value of each parameter, ``(sample,)``.
        field_inputs: values of each field input that is not an initial condition,
            ``(sample, *space)``.
        fields: values of each output, ``(sample, time, *space, *component)``.
    """

    indices: NDArray[np.int64]
    parameters: Mapping[str, NDArray[np.floating]]
    field_inputs: Mapping[str, NDArray[np.floating]]
    fields: Mapping[str, NDArray[np.floating]]

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def join(cls, parts: Sequence["Trajectories"]) -> "Trajectories":
        """All samples of several shards."""

        def joined(mappings: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
            return {name: np.concatenate([m[name] for m in mappings]) for name in mappings[0]}

        return cls(
            np.concatenate([part.indices for part in parts]),
            joined([part.parameters for part in parts]),
            joined([part.field_inputs for part in parts]),
            joined([part.fields for part in parts]),
        )


class Block(NamedTuple):
    """Trajectories that were planned together: their number and how they are divided."""

    n: int
    splits: Sequence[float]
    samples_per_shard: int


def blocks(manifest: Mapping[str, Any]) -> list[Block]:
    """What a dataset was begun with, and the rounds by which it has grown."""
    rounds = [
        Block(r["n"], TRAIN_ALONE, r["samples_per_shard"]) for r in manifest.get("rounds", ())
    ]
    first = manifest["n"] - sum(block.n for block in rounds)
    return [Block(first, manifest["splits"], manifest["samples_per_shard"]), *rounds]


def coefficient_names(simulation: Simulation) -> list[str]:
    """Field inputs that are stored as such: an initial condition is the first frame already."""
    return [name for name, f in simulation.field_inputs.items() if f.initial_of is None]


def empty_trajectories(simulation: Simulation, n: int) -> Trajectories:
    """Room for ``n`` trajectories: fields in float32, as they are stored."""
    grid, frames = simulation.grid, simulation.times.size
    inputs = simulation.field_inputs
    return Trajectories(
        np.empty(n, dtype=np.int64),
        {name: np.empty(n) for name in simulation.parameters},
        {
            name: np.empty((n, *inputs[name].shape(grid)), dtype=np.float32)
            for name in coefficient_names(simulation)
        },
        {
            name: np.empty((n, frames, *field.shape(grid)), dtype=np.float32)
            for name, field in simulation.fields.items()
        },
    )


def as_stored(samples: Trajectories, compression: Compression | None) -> Trajectories:
    """The samples with the precision that the fields will have in a shard."""
    bits = compression.keep_bits if compression else None
    if bits is None:
        return samples
    return replace(
        samples, fields={name: rounded(values, bits) for name, values in samples.fields.items()}
    )


def write_shard(
    target: Path | BinaryIO,
    simulation: Simulation,
    samples: Trajectories,
    seed: int,
    design: Design = INDEPENDENT,
    compression: Compression | None = None,
) -> None:
    """Write one shard. The bytes depend on the arguments and the versions of the packages alone.

    Args:
        target: the file.
        simulation: what the samples are solutions of.
        samples: what `as_stored` gives.
        seed: of the dataset.
        design: of the dataset.
        compression: how fields and field inputs are stored; None is as they are, each in one piece.
    """
    with h5py.File(target, "w", libver=LIBRARY_VERSIONS) as file:
        _write_root(file, simulation, samples)
        file.attrs["seed"] = str(seed)
        for key, value in {
            "settings": simulation.settings,
            "preset": preset_of(simulation),
            "design": design.summary(),
            "versions": versions(),
        }.items():
            if len(text := json.dumps(value)) <= LONGEST_ATTRIBUTE:
                file.attrs[key] = text
        _write_variables(file, simulation, samples, compression)
        _link_well_groups(file, simulation)


def read_shard(
    path: Path,
    simulation: Simulation,
    samples: slice = slice(None),
    times: slice = slice(None),
) -> Trajectories:
    """What is in one shard, or a part of it, read alone.

    Args:
        path: the file.
        simulation: what the shard holds trajectories of.
        samples: which of them.
        times: which stored times of each.

    Raises:
        UnsafeFile: the file contains what no shard does; see `untrusted`.
        DatasetError: it is not HDF5, or holds no trajectories of this simulation.
    """
    grid, n_times = simulation.grid, simulation.times.size
    with open_untrusted(path) as file:
        parameters = {name: _stored(file, name) for name in simulation.parameters}
        coefficients = {
            name: _stored(file, name, *simulation.field_inputs[name].shape(grid))
            for name in coefficient_names(simulation)
        }
        fields = {
            name: _stored(file, name, n_times, *field.shape(grid))
            for name, field in simulation.fields.items()
        }
        return Trajectories(
            _stored(file, "sample")[samples],
            {name: variable[samples] for name, variable in parameters.items()},
            {name: variable[samples] for name, variable in coefficients.items()},
            {name: variable[samples, times] for name, variable in fields.items()},
        )


def read_variable(
    path: Path, simulation: Simulation, name: str, key: tuple[slice, ...]
) -> NDArray[Any]:
    """A block of one field or field input of a shard.

    Raises:
        DatasetError: as `read_shard`.
    """
    if name in simulation.fields:
        shape = (simulation.times.size, *simulation.fields[name].shape(simulation.grid))
    else:
        shape = simulation.field_inputs[name].shape(simulation.grid)
    with open_untrusted(path) as file:
        return _stored(file, name, *shape)[key]


def trajectory_bytes(simulation: Simulation) -> int:
    """What one trajectory takes in memory, in float32."""
    shapes = [
        (simulation.times.size, *field.shape(simulation.grid))
        for field in simulation.fields.values()
    ]
    shapes += [
        simulation.field_inputs[name].shape(simulation.grid)
        for name in coefficient_names(simulation)
    ]
    return 4 * sum(math.prod(shape) for shape in shapes)


def _stored(file: h5py.File, name: str, *shape: int) -> h5py.Dataset:
    """A variable in a shard, with one entry of this shape for each sample."""
    variable, samples = file.get(name), file.get("sample")
    if not isinstance(variable, h5py.Dataset) or not isinstance(samples, h5py.Dataset):
        raise DatasetError(f"{file.filename}: lacks {name}")
    expected = (samples.size, *shape)
    if variable.shape != expected:
        raise DatasetError(f"{file.filename}: {name} has shape {variable.shape}, not {expected}")
    if variable.dtype.kind not in "iuf":
        raise DatasetError(f"{file.filename}: {name} holds no numbers but {variable.dtype}")
    return variable


def _write_root(file: h5py.File, simulation: Simulation, samples: Trajectories) -> None:
    name = type(simulation).__name__
    file.attrs.update(
        Conventions="CF-1.11",
        title=f"{name} trajectories",
        source=f"physurrogate {package_version()}",
        dataset_name=name,
        grid_type="cartesian",
        n_spatial_dims=simulation.grid.ndim,
        n_trajectories=len(samples),
        format_version=FORMAT_VERSION,
    )
    _text_list(file, "simulation_parameters", [])
    _scale(file, "sample", samples.indices, "1", "index of the draw", time_varying=False)
    time = simulation.times.astype(np.float32)
    _scale(file, "time", time, simulation.time_unit, "time", time_varying=True)
    for axis in simulation.grid.axes:
        points = axis.points.astype(np.float32)
        _scale(file, axis.name, points, axis.unit, f"{axis.name} coordinate", time_varying=False)
    orders = [field.order for field in simulation.fields.values()]
    order = max(orders + [field.order for field in simulation.field_inputs.values()])
    for component in COMPONENTS[:order]:
        components = np.arange(simulation.grid.ndim)
        _scale(file, component, components, "1", "vector component", time_varying=False)


def _scale(
    file: h5py.File, name: str, data: NDArray[Any], unit: str, meaning: str, *, time_varying: bool
) -> None:
    scale = file.create_dataset(name, data=data)
    scale.make_scale(name)
    scale.attrs.update(
        units=unit, long_name=meaning, sample_varying=False, time_varying=time_varying
    )


def _write_variables(
    file: h5py.File,
    simulation: Simulation,
    samples: Trajectories,
    compression: Compression | None,
) -> None:
    space = simulation.grid.names
    for name, parameter in simulation.parameters.items():
        attributes: dict[str, Any] = {"units": parameter.unit, "long_name": parameter.description}
        _variable(file, name, samples.parameters[name], ("sample",), attributes)
    for name in coefficient_names(simulation):
        declared = simulation.field_inputs[name]
        attributes = {"units": declared.unit, "long_name": declared.description}
        dims = ("sample", *space, *COMPONENTS[: declared.order])
        _variable(file, name, samples.field_inputs[name], dims, attributes, compression)
        file[name].attrs["dim_varying"] = [True] * len(space)
    for name, field in simulation.fields.items():
        dims = ("sample", "time", *(space if field.spatial else ()))
        dims += COMPONENTS[: field.order]
        attributes = {"units": field.unit, "long_name": field.description}
        attributes |= compression.attributes if compression else {}
        _variable(file, name, samples.fields[name], dims, attributes, compression)
        if field.spatial:
            file[name].attrs["dim_varying"] = [True] * len(space)


def _variable(
    file: h5py.File,
    name: str,
    values: NDArray[np.floating],
    dims: tuple[str, ...],
    attributes: Mapping[str, Any],
    compression: Compression | None = None,
) -> None:
    values = np.asarray(values, dtype=np.float32)
    filters: dict[str, Any] = {}
    if compression:
        filters = {"chunks": _chunks(values.shape, 1 + ("time" in dims)), **compression.filters}
    variable = file.create_dataset(name, data=values, **filters)
    for position, dim in enumerate(dims):
        variable.dims[position].attach_scale(file[dim])
        variable.dims[position].label = dim
    variable.attrs.update(attributes, sample_varying=True, time_varying="time" in dims)


def _chunks(shape: tuple[int, ...], leading: int) -> tuple[int, ...]:
    """Whole in the axes after the leading ones; of those as much as fits, the last one first."""
    chunk = list(shape)
    size = 4 * int(np.prod(shape[leading:]))
    for axis in reversed(range(leading)):
        chunk[axis] = max(1, min(shape[axis], CHUNK_BYTES // size))
        size *= chunk[axis]
    return tuple(chunk)


def _link_well_groups(file: h5py.File, simulation: Simulation) -> None:
    grid = simulation.grid
    dimensions = file.create_group("dimensions")
    _text_list(dimensions, "spatial_dims", grid.names)
    for name in ("time", *grid.names):
        dimensions[name] = file[name]

    # The Well has no place for a vector or tensor without space: that one is in the root only
    series = [n for n, f in simulation.fields.items() if not f.spatial and not f.order]
    members: dict[str, list[str]] = {"scalars": [*simulation.parameters, *series]}
    for order in range(3):
        members[f"t{order}_fields"] = [
            name for name, f in simulation.fields.items() if f.spatial and f.order == order
        ]
    members["t0_fields"] += coefficient_names(simulation)
    for group_name, names in members.items():
        group = file.create_group(group_name)
        _text_list(group, "field_names", names)
        for name in names:
            group[name] = file[name]

    conditions = file.create_group("boundary_conditions")
    for axis in grid.axes:
        for kind in dict.fromkeys(axis.boundary):
            group = conditions.create_group(f"{axis.name}_{kind}")
            _text_list(group, "associated_dims", [axis.name])
            _text_list(group, "associated_fields", [])
            group.attrs.update(bc_type=kind.upper(), sample_varying=False, time_varying=False)
            mask = np.zeros(axis.points.size, dtype=bool)
            mask[[0, -1]] = [side == kind for side in axis.boundary]
            stored = group.create_dataset("mask", data=mask)
            stored.dims[0].attach_scale(file[axis.name])
            stored.dims[0].label = axis.name


def _text_list(target: h5py.Group, name: str, values: Sequence[str]) -> None:
    target.attrs[name] = np.array(list(values), dtype=h5py.string_dtype())
