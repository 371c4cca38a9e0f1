"""Moments of the fields, gathered shard by shard and merged without a second pass.

The merge is that of Chan, Golub and LeVeque (1983): means and central second moments combine
without the cancellation of sums of squares.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.datasets.layout import Trajectories
from simulations.simulation import Simulation

Moments = dict[str, Any]

BLOCK_VALUES = 2**18


def shard_moments(simulation: Simulation, samples: Trajectories) -> dict[str, dict[str, Moments]]:
    """Count, mean and central second moment of each field and of its change between frames.

    They are those of what is stored: of numbers in float32, summed in float64. Vectors and tensors
    have one value for each component.
    """
    found: dict[str, dict[str, Moments]] = {}
    orders = {name: f.order for name, f in simulation.field_inputs.items()}
    orders |= {name: f.order for name, f in simulation.fields.items()}
    for name, values in {**samples.fields, **samples.field_inputs}.items():
        stored = values.astype(np.float32, copy=False)
        if name not in samples.fields:
            stored = stored[:, None]  # a single frame
        components = stored.shape[stored.ndim - orders[name] :]
        parts = (_moments(frames, components) for frames, _ in _blocks(stored))
        found[name] = {"value": _as_json(merge(parts))}
        if stored.shape[1] > 1:
            parts = (_moments(_changes(more), components) for _, more in _blocks(stored))
            found[name]["delta"] = _as_json(merge(parts))
    return found


Block = NDArray[np.float32]


def _blocks(values: Block) -> Iterator[tuple[Block, Block]]:
    """Cut ``(sample, time, …)`` into pieces for the cache, without and with the next frame."""
    samples, times = values.shape[:2]
    frame = max(1, values[0, 0].size)
    few = max(1, BLOCK_VALUES // (frame * times))
    some = max(1, BLOCK_VALUES // frame)
    for i in range(0, samples, few):
        for t in range(0, times, some):
            yield values[i : i + few, t : t + some], values[i : i + few, t : t + some + 1]


def _changes(frames: Block) -> NDArray[np.float64]:
    return np.subtract(frames[:, 1:], frames[:, :-1], dtype=np.float64)


def _moments(values: NDArray[np.floating], components: tuple[int, ...]) -> Moments:
    """Of a block, with one row for each component; the block is used up if it is in float64."""
    table = values.reshape(-1, int(np.prod(components)))
    rows = np.ascontiguousarray(table.T, dtype=np.float64)
    mean = rows.mean(axis=1) if rows.size else np.zeros(len(rows))
    rows -= mean[:, None]
    centred = np.einsum("ij,ij->i", rows, rows)  # the same bits for any number of threads
    return {
        "count": rows.shape[1],
        "mean": mean.reshape(components),
        "centred": centred.reshape(components),
    }


def moments(values: NDArray[np.floating], order: int) -> Moments:
    """Count, mean and central second moment of each component of a field of some order."""
    components = values.shape[values.ndim - order :]
    return _as_json(_moments(values.astype(np.float32, copy=False), components))


def _as_json(moments: Moments) -> Moments:
    mean, centred = moments["mean"].tolist(), moments["centred"].tolist()
    return {"count": moments["count"], "mean": mean, "centred": centred}


def merge(parts: Iterable[Moments]) -> Moments:
    """Moments of the union of disjoint parts."""
    total: Moments = {"count": 0, "mean": np.float64(0.0), "centred": np.float64(0.0)}
    for part in parts:
        if part["count"]:
            total = _union(total, part)
    return total


def _union(first: Moments, second: Moments) -> Moments:
    count, added = first["count"], second["count"]
    total = count + added
    shift = np.asarray(second["mean"]) - first["mean"]
    centred = first["centred"] + np.asarray(second["centred"]) + shift**2 * count * added / total
    return {"count": total, "mean": first["mean"] + shift * added / total, "centred": centred}


def well_statistics(shards: Iterable[Mapping[str, Mapping[str, Moments]]]) -> dict[str, Any]:
    """The content of The Well's ``stats.yaml`` from the moments of all train shards."""
    totals: dict[tuple[str, str], Moments] = {}
    for shard in shards:
        for name, kinds in shard.items():
            for kind, part in kinds.items():
                key = name, kind
                totals[key] = _union(totals[key], part) if key in totals else merge([part])
    found: dict[str, dict[str, Any]] = {}
    for (name, kind), total in totals.items():
        mean, variance = np.asarray(total["mean"]), np.asarray(total["centred"])
        variance = variance / total["count"]
        suffix = "_delta" if kind == "delta" else ""
        for statistic, value in (
            ("mean", mean),
            ("std", np.sqrt(variance)),
            ("rms", np.sqrt(mean**2 + variance)),
        ):
            found.setdefault(statistic + suffix, {})[name] = value.tolist()
    return found
