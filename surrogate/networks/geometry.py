"""Where the points of a grid are, in units of the domain, and what each of them stands for.

Computed in float64 whatever the precision of the network.
"""

import math
from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogate.networks.network import Placement


def positions(n: int, periodic: bool, placement: Placement) -> Tensor:
    """Position of each of ``n`` points in [0, 1].

    Cells are at ``(i + 1/2) / n``, nodes at ``i / (n - 1)`` or, on a periodic axis, ``i / n``, and
    Chebyshev nodes at ``(1 - cos(π i / (n - 1))) / 2``.
    """
    i = torch.arange(n, dtype=torch.float64)
    if placement == "cells":
        return (i + 0.5) / n
    if placement == "nodes":
        return i / (n if periodic else max(n - 1, 1))
    return (1 - torch.cos(math.pi * i / max(n - 1, 1))) / 2


def quadrature(n: int, periodic: bool, placement: Placement) -> Tensor:
    """Share of the axis that each point stands for: from halfway to one neighbour to the other."""
    if periodic or placement == "cells":
        return torch.full((n,), 1 / n, dtype=torch.float64)
    x = positions(n, periodic, placement)
    ends = x.new_tensor([0.0]), x.new_tensor([1.0])
    return torch.cat([ends[0], (x[1:] + x[:-1]) / 2, ends[1]]).diff()


def representable(n: int, periodic: bool, placement: Placement) -> float:
    """Waves on the domain below which two points fall on each everywhere: ``1 / 2 max Δx``."""
    if periodic or placement == "cells":
        return n / 2
    return (n - 1) / 2 if placement == "nodes" else (n - 1) / math.pi


def placement_of(
    points: NDArray[np.floating], bounds: tuple[float, float], periodic: bool
) -> Placement:
    """The placement that gives these points; cells if there is none."""
    low, high = bounds
    x = (torch.as_tensor(points, dtype=torch.float64) - low) / (high - low)
    known: tuple[Placement, ...] = get_args(Placement)
    for placement in known[: 2 if periodic else 3]:
        if torch.allclose(x, positions(len(x), periodic, placement), rtol=0, atol=1e-9):
            return placement
    return "cells"


def weights(
    grid: Sequence[int], periodic: Sequence[bool], placement: Sequence[Placement]
) -> Tensor:
    """Share of the domain that each point stands for, shape ``(points,)``, with sum 1."""
    product = torch.ones(1, dtype=torch.float64)
    for axis in zip(grid, periodic, placement, strict=True):
        product = torch.outer(product, quadrature(*axis)).flatten()
    return product


def coordinates(
    grid: Sequence[int],
    periodic: Sequence[bool],
    placement: Sequence[Placement],
    located: Sequence[bool],
    frequencies: int = 1,
) -> Tensor:
    """Coordinates of each point along the located axes, shape ``(*grid, coordinates)``.

    ``sin 2πkx, cos 2πkx`` for ``k = 1 … frequencies`` on periodic axes; ``2x - 1`` and
    ``cos πkx`` for ``k = 2 … frequencies`` on the others.
    """
    columns = [torch.empty(*grid, 0, dtype=torch.float64)]
    for axis, n in enumerate(grid):
        if not located[axis]:
            continue
        x = positions(n, periodic[axis], placement[axis])[:, None]
        k = torch.arange(1, frequencies + 1, dtype=torch.float64)
        if periodic[axis]:
            waves = torch.stack([(2 * math.pi * k * x).sin(), (2 * math.pi * k * x).cos()], dim=-1)
            column = waves.flatten(1)
        else:
            column = torch.cat([2 * x - 1, (math.pi * k[1:] * x).cos()], dim=1)
        shape = [n if other == axis else 1 for other in range(len(grid))]
        columns.append(column.reshape(*shape, -1).expand(*grid, -1))
    return torch.cat(columns, dim=-1)


def resampling(n: int, m: int, periodic: bool) -> tuple[Tensor, Tensor]:
    """Matrices from ``n`` equal cells to ``m ≤ n`` larger ones over the same axis, and back.

    There by averages, back by linear interpolation between the centres; constants stay constants.

    Returns:
        Matrices ``(m, n)`` and ``(n, m)``.
    """
    edges = [torch.arange(cells + 1, dtype=torch.float64) / cells for cells in (m, n)]
    lower = torch.maximum(edges[0][:-1, None], edges[1][None, :-1])
    upper = torch.minimum(edges[0][1:, None], edges[1][None, 1:])
    down = m * (upper - lower).clamp_min(0)
    centre = (torch.arange(n, dtype=torch.float64) + 0.5) * m / n - 0.5
    if not periodic:
        centre = centre.clamp(0, m - 1)
    left = centre.floor()
    share = centre - left
    up = torch.zeros(n, m, dtype=torch.float64)
    rows = torch.arange(n)
    up[rows, left.long() % m] = 1 - share
    up[rows, (left.long() + 1) % m] += share
    return down, up
