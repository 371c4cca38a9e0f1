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
    found: dict[str, dict[str, Moments]] = {}
    orders = {name: f.order for name, f in simulation.field_inputs.items()}
    orders |= {name: f.order for name, f in simulation.fields.items()}
    for name, values in {**samples.fields, **samples.field_inputs}.items():
        order = orders[name]
        found[name] = {"value": moments(values, order)}
        if name in simulation.fields and values.shape[1] > 1:
            found[name]["delta"] = moments(np.diff(values, axis=1), order)
    return found


def moments(values: NDArray[np.floating], order: int) -> Moments:
    """Count, mean and central second moment over all axes but those of the components."""
    axes = tuple(range(values.ndim - order))
    # As stored, in float32, but summed in float64
    stored = values.astype(np.float32).astype(np.float64)
    mean = stored.mean(axis=axes)
    centred = ((stored - mean) ** 2).sum(axis=axes)
    count = int(np.prod([values.shape[axis] for axis in axes]))
    return {"count": count, "mean": mean.tolist(), "centred": np.asarray(centred).tolist()}


def merge(parts: Iterable[Moments]) -> Moments:
    """Moments of the union of disjoint parts."""
    count, mean, centred = 0, np.float64(0.0), np.float64(0.0)
    for part in parts:
        added = part["count"]
        shift = np.asarray(part["mean"]) - mean
        total = count + added
        mean = mean + shift * added / total
        centred = centred + np.asarray(part["centred"]) + shift**2 * count * added / total
        count = total
    return {"count": count, "mean": mean, "centred": centred}


def well_statistics(shards: list[Mapping[str, Mapping[str, Moments]]]) -> dict[str, Any]:
    """The content of The Well's ``stats.yaml`` from the moments of all train shards."""
    statistics: dict[str, dict[str, Any]] = {}
    for name in shards[0]:
        for kind, suffix in (("value", ""), ("delta", "_delta")):
            if kind not in shards[0][name]:
                continue
            merged = merge(shard[name][kind] for shard in shards)
            mean, variance = np.asarray(merged["mean"]), np.asarray(merged["centred"])
            variance = variance / merged["count"]
            for statistic, value in (
                ("mean", mean),
                ("std", np.sqrt(variance)),
                ("rms", np.sqrt(mean**2 + variance)),
            ):
                statistics.setdefault(statistic + suffix, {})[name] = value.tolist()
    return statistics
