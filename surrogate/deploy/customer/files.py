"""Tables of inputs that are read, and answers that are written."""

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answer import Answer
from .model import InvalidInput
from .netcdf import write_netcdf

WRITTEN = (".csv", ".npz", ".nc")
READ = (".csv", ".parquet")


def check_ending(path: Path, allowed: Iterable[str]) -> None:
    """Refuse a file whose name does not say a known kind."""
    if path.suffix.lower() not in allowed:
        raise InvalidInput(f"{path}: must end in one of {', '.join(allowed)}")


def read_table(path: Path, names: Iterable[str]) -> dict[str, NDArray]:
    """The columns of a table that are called like one of the names.

    Raises:
        InvalidInput: the file is no table, has no row, or a value is not a number.
        ModuleNotFoundError: pyarrow is needed for Parquet.
    """
    check_ending(path, READ)
    if path.suffix.lower() == ".parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
        columns = {name: table[name].to_numpy() for name in names if name in table.column_names}
        rows = table.num_rows
    else:
        columns, rows = _read_csv(path, set(names))
    if not rows:
        raise InvalidInput(f"{path}: has no rows")
    return columns


def _read_csv(path: Path, names: set[str]) -> tuple[dict[str, NDArray], int]:
    columns: dict[str, list[float]] = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        found = [name for name in reader.fieldnames or () if name in names]
        columns = {name: [] for name in found}
        rows = 0
        for row in reader:
            rows += 1
            for name in found:
                try:
                    columns[name].append(float(row[name]))
                except (TypeError, ValueError):
                    raise InvalidInput(
                        f"{path}, line {reader.line_num}: {name}={row[name]!r} is not a number"
                    ) from None
    return {name: np.asarray(values) for name, values in columns.items()}, rows


def write_answer(path: Path, answer: Answer) -> None:
    """Write an answer as ``.csv`` (a row for each point), ``.npz`` or ``.nc`` (NetCDF).

    Raises:
        InvalidInput: the name of the file has another ending.
    """
    check_ending(path, WRITTEN)
    attributes = _attributes(answer)
    kind = path.suffix.lower()
    if kind == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(_rows(answer))
    elif kind == ".npz":
        variables = {**answer.coordinates(), **answer.variables()}
        arrays: dict[str, Any] = {name: variable.values for name, variable in variables.items()}
        np.savez(path, **arrays, attributes=np.asarray(json.dumps(attributes)))
    else:
        write_netcdf(path, {**answer.coordinates(), **answer.variables()}, attributes)


def _attributes(answer: Answer) -> dict[str, Any]:
    about = answer.about
    return {
        "system": about["system"],
        "settings": json.dumps(about["settings"]),
        "answered_by": f"{about['name']} {about['version']}",
        "model_sha256": about["sha256"]["model.onnx"],
        **({} if answer.coverage is None else {"coverage": answer.coverage}),
    }


def _rows(answer: Answer) -> Iterator[list[Any]]:
    """One row for each sample, time and point; what has no such axis is repeated along it."""
    coordinates, variables = answer.coordinates(), answer.variables()
    axes = [name for name in coordinates if name in answer.about["parameters"]]
    labels = [axis["name"] for axis in answer.about["axes"]]
    spatial = any(declared["spatial"] for declared in answer.about["fields"].values())
    space = ["time", *(labels if spatial else ())]
    index = (["sample"] if answer.is_batch else []) + space
    samples = len(answer.in_domain) if answer.is_batch else 1
    sizes = {"sample": samples, **{name: coordinates[name].values.size for name in space}}
    columns: dict[str, Any] = {}
    for name in ("sample",) if answer.is_batch else ():
        columns[name] = (("sample",), np.arange(samples))
    columns |= {name: coordinates[name][:2] for name in [*axes, *space]}
    for name, (dims, values, _) in variables.items():
        order = sum(dim.startswith("component") for dim in dims)
        kept = dims[: len(dims) - order]
        for which in itertools.product(range(len(labels)), repeat=order):
            suffix = "".join(f"_{labels[i]}" for i in which)
            component: Any = (..., *which)
            columns[name + suffix] = (kept, values[component])
    yield list(columns)
    spread = []
    for dims, values in columns.values():
        shape = [sizes[name] if name in dims else 1 for name in index]
        spread.append(np.reshape(values, shape))
    for position in np.ndindex(*(sizes[name] for name in index)):
        yield [
            values[tuple(min(i, n - 1) for i, n in zip(position, values.shape, strict=True))].item()
            for values in spread
        ]
