"""Questions in SQL about the trajectories of a dataset: which are there, with what, at what cost.

Two tables are laid out in memory, and DuckDB answers. It is cut off from files and the network
before it sees the question, so that neither the question nor a dataset can do anything but be read.

``samples`` has a row for each trajectory: ``split``, ``index``, ``round`` and ``reason`` of its
being there, ``shard``, ``host``, ``wall_time`` in seconds, each parameter, and of each output
without space (a drag) ``<name>_final`` and ``<name>_mean`` over time. ``failures`` has a row for
each draw that failed: ``number``, as a replay wants it, ``index``, ``kind``, ``time``, ``reason``,
and each parameter.
"""

from pathlib import Path
from typing import Any

import numpy as np

from simulations.datasets import layout
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError, open_untrusted
from simulations.designs import ATTEMPT_STRIDE

Table = dict[str, np.ndarray[Any, Any]]

# Of text, `object`: what DuckDB takes for it
SAMPLES = {
    "split": object,
    "index": int,
    "round": int,
    "reason": object,
    "shard": object,
    "host": object,
    "wall_time": float,
}
FAILURES = {"number": int, "index": int, "kind": object, "time": float, "reason": object}


def query(dataset: Dataset | str | Path, question: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The answer to a question about ``samples`` and ``failures``.

    Args:
        dataset: the dataset or its folder.
        question: a statement of SQL, such as ``select split, avg(wall_time) from samples group by
            all``.

    Returns:
        Names of the columns, and the rows.

    Raises:
        DatasetError: the question is not understood, a shard cannot be read, or a parameter has
            the name of a column.
        RuntimeError: DuckDB is not installed.
    """
    data = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    try:
        import duckdb
    except ModuleNotFoundError:
        raise RuntimeError("query needs DuckDB: pip install 'physurrogate[query]'") from None
    with duckdb.connect(":memory:") as connection:
        for name, table in (("samples", samples(data)), ("failures", failures(data))):
            connection.register("columns_in_memory", table)
            connection.execute(f"create table {name} as from columns_in_memory")
            connection.unregister("columns_in_memory")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        try:
            answer = connection.execute(question)
            if answer.description is None:
                return [], []
            return [column[0] for column in answer.description], answer.fetchall()
        except duckdb.Error as error:
            raise DatasetError(f"query: {error}") from None


def samples(dataset: Dataset) -> Table:
    """Of each trajectory where it is, its parameters and scalar outputs."""
    fields = dataset.simulation.fields.items()
    series = [name for name, field in fields if not field.spatial and not field.order]
    rows: list[dict[str, Any]] = []
    for split in layout.SPLITS:
        for shard, record in dataset.recorded_shards(split):
            made = {"split": split, "shard": shard.name, "host": record.get("made", {}).get("host")}
            places = [index % ATTEMPT_STRIDE for index in record["indices"]]
            origins = [dataset.draws.design.origin(place) for place in places]
            measured = {
                "round": [number for number, _ in origins],
                "reason": [reason for _, reason in origins],
                "index": record["indices"],
                "wall_time": record["wall_time_seconds"],
                **record["parameters"],
                **_outputs(shard, series),
            }
            for values in zip(*measured.values(), strict=True):
                rows.append({**made, **dict(zip(measured, values, strict=True))})
    outputs = [f"{name}_{kind}" for name in series for kind in ("final", "mean")]
    return _table(rows, SAMPLES, [*dataset.simulation.parameters, *outputs])


def failures(dataset: Dataset) -> Table:
    """Of each draw that failed what happened, and its parameters."""
    rows = [
        {**failure["inputs"], "kind": "diverged", **failure, "number": number}
        for number, failure in enumerate(dataset.failures())
    ]
    return _table(rows, FAILURES, list(dataset.simulation.parameters))


def _outputs(shard: Path, series: list[str]) -> dict[str, list[float]]:
    outputs: dict[str, list[float]] = {}
    if series:
        with open_untrusted(shard) as file:
            for name in series:
                values = file[name][:].astype(np.float64)
                outputs[f"{name}_final"] = values[:, -1].tolist()
                outputs[f"{name}_mean"] = values.mean(axis=1).tolist()
    return outputs


def _table(rows: list[dict[str, Any]], own: dict[str, type], numbers: list[str]) -> Table:
    """Rows by column; numbers that are missing are NaN."""
    if clashes := sorted(set(own) & set(numbers)):
        raise DatasetError(f"query: {clashes} are columns already and cannot be parameters too")
    table: Table = {name: np.array([row[name] for row in rows], dtype=own[name]) for name in own}
    for name in numbers:
        table[name] = np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)
    return table
