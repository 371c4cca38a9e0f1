"""Moments of the fields, gathered shard by shard and merged without a second pass.

The merge is that of Chan, Golub and LeVeque (1983): means and central second moments combine
without the cancellation of sums of squares.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.datasets.layout import Trajectories
from simulations.simulation import Simulation

Moments = dict[str, Any]


def shard_moments(simulation: Simulation, samples: Trajectories) -> dict[str, dict[str, Moments]]:
    """Count, mean and central second moment of each field and of its change between frames.

    Vectors and tensors have one value for each component.
    """
    moments: dict[str, dict[str, Moments]] = {}
    orders = {name: f.order for name, f in simulation.field_inputs.items()}
    orders |= {name: f.order for name, f in simulation.fields.items()}
    for name, values in {**samples.fields, **samples.field_inputs}.items():
        order = orders[name]
        moments[name] = {"value": _moments(values, order)}
        if name in simulation.fields and values.shape[1] > 1:
            moments[name]["delta"] = _moments(np.diff(values, axis=1), order)
    return moments


def _moments(values: NDArray[np.floating], order: int) -> Moments:
    axes = tuple(range(values.ndim - order))
    # As stored, in float32, but summed in float64
    stored = values.astype(np.float32).astype(np.float64)
    mean = stored.mean(axis=axes)
    centred = ((stored - mean) ** 2).sum(axis=axes)
    count = int(np.prod([values.shape[axis] for axis in axes]))
    return {"count": count, "mean": mean.tolist(), "centred": np.asarray(centred).tolist()}


def merge(parts: Iterable[Moments]) -> Moments:
    """Moments of the union of disjoint parts."""
    total: Moments = {"count": 0, "mean": np.float64(0.0), "centred": np.float64(0.0)}
    for part in parts:
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
