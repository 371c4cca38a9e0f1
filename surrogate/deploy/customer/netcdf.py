"""NetCDF without a library: the classic format with 64-bit offsets.

References:
    NetCDF classic format specification, https://docs.unidata.ucar.edu/netcdf-c/current/
    file_format_specifications.html
"""

import math
from collections.abc import Mapping
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answer import Variable

#: Codes of the format, and the types of numpy in the file's order of bytes
TYPES = {"i1": (1, ">i1"), "S1": (2, "S1"), "i4": (4, ">i4"), "f4": (5, ">f4"), "f8": (6, ">f8")}
DIMENSION, VARIABLE, ATTRIBUTE = 10, 11, 12
LARGEST = 2**32 - 4


def write_netcdf(
    path: Path, variables: Mapping[str, Variable], attributes: Mapping[str, Any]
) -> None:
    """Write variables with named dimensions.

    Raises:
        ValueError: a variable is larger than 4 GB, or dimensions of one name differ.
    """
    stored = {name: _characters(name, variable) for name, variable in variables.items()}
    sizes: dict[str, int] = {}
    for name, variable in stored.items():
        for dim, size in zip(variable.dims, variable.values.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise ValueError(f"{name}: {dim} is {size} long here and {sizes[dim]} elsewhere")
        if variable.values.nbytes > LARGEST:
            raise ValueError(f"{name}: has more than 4 GB, which this format cannot hold")
    # The header is as long for any offsets
    begin = len(_header(stored, sizes, attributes, dict.fromkeys(stored, 0)))
    offsets = {}
    for name, variable in stored.items():
        offsets[name] = begin
        begin += _padded(variable.values.nbytes)
    with open(path, "wb") as file:
        file.write(_header(stored, sizes, attributes, offsets))
        for variable in stored.values():
            content = np.ascontiguousarray(variable.values, _types(variable.values)[1]).tobytes()
            file.write(content.ljust(_padded(len(content)), b"\0"))


def _header(
    variables: Mapping[str, Variable],
    sizes: Mapping[str, int],
    attributes: Mapping[str, Any],
    offsets: Mapping[str, int],
) -> bytes:
    dims = [_text(name) + pack(">i", size) for name, size in sizes.items()]
    order = list(sizes)
    entries = []
    for name, (axes, values, said) in variables.items():
        entry = _text(name) + pack(">i", len(axes))
        entry += b"".join(pack(">i", order.index(axis)) for axis in axes)
        entry += _attributes(said)
        entry += pack(">iIq", _types(values)[0], _padded(values.nbytes), offsets[name])
        entries.append(entry)
    parts = [b"CDF\x02", pack(">i", 0), _list(DIMENSION, dims), _attributes(attributes)]
    return b"".join([*parts, _list(VARIABLE, entries)])


def _attributes(attributes: Mapping[str, Any]) -> bytes:
    entries = []
    for name, value in attributes.items():
        if isinstance(value, str):
            content = value.encode()
            entries.append(_text(name) + pack(">i", 2) + _text(value, content))
        else:
            entries.append(_text(name) + pack(">iid", 6, 1, float(value)))
    return _list(ATTRIBUTE, entries)


def _list(kind: int, entries: list[bytes]) -> bytes:
    return pack(">ii", kind if entries else 0, len(entries)) + b"".join(entries)


def _text(text: str, content: bytes | None = None) -> bytes:
    content = text.encode() if content is None else content
    return pack(">i", len(content)) + content.ljust(_padded(len(content)), b"\0")


def _padded(size: int) -> int:
    return 4 * math.ceil(size / 4)


def _types(values: NDArray) -> tuple[int, str]:
    return TYPES[values.dtype.str[1:]]


def _characters(name: str, variable: Variable) -> Variable:
    """Text as characters along an axis of its own, which readers join by their encoding."""
    if variable.values.dtype.kind != "U":
        return variable
    encoded = np.char.encode(variable.values, "utf-8")
    letters = encoded.view("S1").reshape(*encoded.shape, encoded.dtype.itemsize)
    attributes = {**variable.attributes, "_Encoding": "utf-8"}
    return Variable((*variable.dims, f"{name}_length"), letters, attributes)
