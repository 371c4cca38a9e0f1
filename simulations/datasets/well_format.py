"""The rules of The Well's file format, and what a file breaks of them.

References:
    Ohana et al., The Well, NeurIPS 2024: its documentation of the format.
"""

from collections.abc import Iterator
from typing import NamedTuple

import h5py
import numpy as np

BOUNDARY_CONDITIONS = ("WALL", "OPEN", "PERIODIC")
ORDERS = {"t0_fields": 0, "t1_fields": 1, "t2_fields": 2}
GROUPS = ("dimensions", "boundary_conditions", "scalars", *ORDERS)
ROOT_ATTRIBUTES = ("dataset_name", "grid_type", "n_spatial_dims", "n_trajectories")


class Variable(NamedTuple):
    """A stored quantity with the axes that it has: ``(sample?, time?, *space, *component)``."""

    name: str
    data: h5py.Dataset
    order: int
    spatial: bool
    sample_varying: bool
    time_varying: bool


def variables(file: h5py.File) -> Iterator[Variable]:
    """Fields and scalars of a file that keeps the rules.

    Raises:
        KeyError: a group, a member or a flag is missing.
    """
    for group, order in {"scalars": 0, **ORDERS}.items():
        for name in _names(file[group], "field_names"):
            data = file[group][name]
            flags = [bool(data.attrs[flag]) for flag in ("sample_varying", "time_varying")]
            yield Variable(name, data, order, group != "scalars", *flags)


def violations(file: h5py.File) -> Iterator[str]:
    """Everything in a file that the format does not allow, in words."""
    missing = [name for name in ROOT_ATTRIBUTES if name not in file.attrs]
    if missing:
        yield f"lacks the attributes {', '.join(missing)}"
    absent = [name for name in GROUPS if not isinstance(file.get(name), h5py.Group)]
    if absent:
        yield f"lacks the groups {', '.join(absent)}"
    if missing or absent:  # nothing else can be judged
        return
    dimensions = file["dimensions"]
    names = _names(dimensions, "spatial_dims")
    axes = [dimensions.get(name) for name in ("time", *names)]
    if lost := [n for n, a in zip(("time", *names), axes, strict=True) if a is None]:
        yield f"lacks dimensions/{', dimensions/'.join(lost)}"
        return
    if len(names) != file.attrs["n_spatial_dims"]:
        yield f"n_spatial_dims={file.attrs['n_spatial_dims']} but spatial_dims are {names}"
    for name, axis in zip(("time", *names), axes, strict=True):
        yield from _broken_flags(f"dimensions/{name}", axis)
        if bool(axis.attrs.get("time_varying")) != (name == "time"):
            yield f"dimensions/{name}: time_varying must be {name == 'time'}"
    sizes = [axis.shape[-1] for axis in axes]
    for group, order in {"scalars": None, **ORDERS}.items():
        if "field_names" not in file[group].attrs:
            yield f"{group}: lacks the attribute field_names"
        listed = _names(file[group], "field_names")
        for name in sorted(set(file[group]) - set(listed)):
            yield f"{group}/{name}: is not listed in field_names"
        for name in listed:
            if name not in file[group]:
                yield f"{group}/{name}: is listed in field_names and missing"
                continue
            yield from _broken_member(file, f"{group}/{name}", order, sizes)
    for name in _names(file, "simulation_parameters"):
        if name not in file.attrs or name not in file["scalars"]:
            yield f"the parameter {name} must be an attribute and a scalar"
    for name, group in file["boundary_conditions"].items():
        kind = str(group.attrs.get("bc_type")).upper()
        if kind not in BOUNDARY_CONDITIONS:
            yield f"boundary_conditions/{name}: bc_type={kind}: must be in {BOUNDARY_CONDITIONS}"
        if "mask" not in group or "associated_dims" not in group.attrs:
            yield f"boundary_conditions/{name}: lacks mask or associated_dims"


def _broken_member(
    file: h5py.File, path: str, order: int | None, sizes: list[int]
) -> Iterator[str]:
    member = file[path]
    flaws = list(_broken_flags(path, member))
    if flaws:
        yield from flaws
        return
    expected = [int(file.attrs["n_trajectories"])] if member.attrs["sample_varying"] else []
    expected += sizes[:1] if member.attrs["time_varying"] else []
    if order is not None:
        varying = np.atleast_1d(member.attrs.get("dim_varying", []))
        if len(varying) != len(sizes) - 1:
            yield f"{path}: dim_varying must have {len(sizes) - 1} flags"
            return
        expected += [size for size, varies in zip(sizes[1:], varying, strict=True) if varies]
        expected += [len(sizes) - 1] * order
    if member.shape != tuple(expected):
        yield f"{path}: has shape {member.shape}, its flags say {tuple(expected)}"


def _broken_flags(path: str, member: h5py.Dataset) -> Iterator[str]:
    for flag in ("sample_varying", "time_varying"):
        if not isinstance(member.attrs.get(flag), (bool, np.bool_)):
            yield f"{path}: {flag} must be a boolean"


def _names(target: h5py.Group, attribute: str) -> list[str]:
    return [
        name.decode() if isinstance(name, bytes) else str(name)
        for name in np.atleast_1d(target.attrs.get(attribute, ()))
    ]
