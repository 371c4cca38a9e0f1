"""Trajectories as labelled arrays, in memory or read when they are needed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray
from numpy.typing import NDArray

from simulations.datasets.layout import COMPONENTS, coefficient_names
from simulations.simulation import Simulation, package_version

if TYPE_CHECKING:
    from simulations.datasets.reader import Dataset


def label(
    dataset: "Dataset",
    indices: NDArray[np.integer],
    parameters: Mapping[str, NDArray[Any]],
    variables: Mapping[str, Any],
) -> xarray.Dataset:
    """An `xarray.Dataset` along ``sample``, with units and provenance.

    Args:
        dataset: where the arrays are from.
        indices: of each draw, ``(sample,)``.
        parameters: value of each parameter, ``(sample,)``.
        variables: each field, ``(sample, time, *space, *component)``, and each field input that is
            not an initial condition, ``(sample, *space, *component)``.
    """
    simulation = dataset.simulation
    described: dict[str, Any] = {}
    for name, parameter in simulation.parameters.items():
        attributes = {"units": parameter.unit, "long_name": parameter.description}
        described[name] = ("sample", np.asarray(parameters[name], np.float32), attributes)
    for name, dims, declared in _variables(simulation):
        attributes = {"units": declared.unit, "long_name": declared.description}
        described[name] = (dims, variables[name], attributes)
    coordinates: dict[str, Any] = {
        "sample": ("sample", indices, {"units": "1", "long_name": "index of the draw"}),
        "time": (
            "time",
            simulation.times.astype(np.float32),
            {"units": simulation.time_unit, "long_name": "time"},
        ),
    }
    for axis in simulation.grid.axes:
        attributes = {"units": axis.unit, "long_name": f"{axis.name} coordinate"}
        coordinates[axis.name] = (axis.name, axis.points.astype(np.float32), attributes)
    used = {dim for _, dims, _ in _variables(simulation) for dim in dims}
    for component in COMPONENTS:
        if component in used:
            attributes = {"units": "1", "long_name": "vector component"}
            coordinates[component] = (component, np.arange(simulation.grid.ndim), attributes)
    provenance = {
        "Conventions": "CF-1.11",
        "title": f"{dataset.manifest['system']} trajectories",
        "system": dataset.manifest["system"],
        "settings": json.dumps(simulation.settings),
        "source": dataset.manifest.get("package", f"physurrogate {package_version()}"),
        "n_trajectories": len(indices),
    }
    return xarray.Dataset(described, coordinates, provenance)


def _variables(simulation: Simulation) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """Name, dimensions and declaration of all that is stored for each sample."""
    space = simulation.grid.names
    for name in coefficient_names(simulation):
        declared = simulation.field_inputs[name]
        yield name, ("sample", *space, *COMPONENTS[: declared.order]), declared
    for name, field in simulation.fields.items():
        along = space if field.spatial else ()
        yield name, ("sample", "time", *along, *COMPONENTS[: field.order]), field


def lazy_variables(
    dataset: "Dataset",
    parts: Sequence[Any],
    counts: Sequence[int],
    chunks: Mapping[str, int] | str,
) -> dict[str, Any]:
    """Of each variable a dask array over all parts.

    Args:
        dataset: what reads.
        parts: what it reads from.
        counts: samples in each part.
        chunks: as `Dataset.to_xarray` takes it.
    """
    try:
        import dask.array
    except ImportError:
        raise ImportError(
            f"chunks={chunks!r} needs dask: pip install 'physurrogate[dask]'"
        ) from None
    simulation = dataset.simulation
    dimensions = {dim for _, dims, _ in _variables(simulation) for dim in dims}
    if isinstance(chunks, str):
        if chunks != "auto":
            raise ValueError(f"chunks={chunks!r}: must be sizes by dimension, or 'auto'")
    elif unknown := sorted(set(chunks) - dimensions):
        raise ValueError(f"chunks={dict(chunks)}: no such dimension as {unknown[0]}")
    sizes = {axis.name: axis.points.size for axis in simulation.grid.axes}
    sizes |= {"time": simulation.times.size}
    lazy = {}
    for name, dims, _ in _variables(simulation):
        pieces = []
        for part, count in zip(parts, counts, strict=True):
            shape = tuple(
                (sizes | {"sample": count}).get(dim, simulation.grid.ndim) for dim in dims
            )
            wanted: Any = chunks
            if not isinstance(chunks, str):
                wanted = tuple(chunks.get(dim, -1) for dim in dims)
            pieces.append(
                dask.array.from_array(_Stored(dataset, part, name, shape), wanted, name=False)
            )
        lazy[name] = dask.array.concatenate(pieces)
    return lazy


class _Stored:
    """A variable of one part, read by hyperslabs: what dask takes for an array."""

    dtype = np.dtype(np.float32)

    def __init__(self, dataset: "Dataset", part: Any, name: str, shape: tuple[int, ...]) -> None:
        self._dataset, self._part, self._name, self.shape = dataset, part, name, shape
        self.ndim = len(shape)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        return self._dataset.read_variable(self._part, self._name, key)
