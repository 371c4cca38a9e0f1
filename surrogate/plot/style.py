"""What all pictures share: colours, colour maps, words and units on axes."""

import re
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from simulations.grid import Axis
from simulations.simulation import Simulation
from surrogate.comparison import wording

Array = NDArray[np.floating]
Style = Literal["value", "error"]

# Legible on white and on black
SOLVER, SURROGATE, TRIVIAL = "#3a86d6", "#e0671b", "#8a8f98"
# An evolution in one dimension is drawn as curves up to so many stored times
FEW_TIMES = 16
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def with_unit(quantity: str, unit: str) -> str:
    """A quantity with its unit, from UDUNITS notation.

    >>> with_unit("velocity", "m s-1")
    'velocity in m s⁻¹'
    >>> with_unit("Nusselt number", "1")
    'Nusselt number'
    """
    if unit == "1":
        return quantity
    raised = re.sub(r"(?<=[A-Za-z])-?\d+", lambda m: m[0].translate(SUPERSCRIPTS), unit)
    return f"{quantity} in {raised}"


def axis_label(axis: Axis) -> str:
    return with_unit(axis.name, axis.unit)


def time_label(simulation: Simulation) -> str:
    return with_unit("time", simulation.time_unit)


def is_logarithmic(times: Array) -> bool:
    """Whether the stored times after the first are equidistant in their logarithm."""
    if times.size < FEW_TIMES or times[0] != 0 or times[1] <= 0:
        return False
    return bool(np.allclose(np.diff(np.log(times[1:]), 2), 0, atol=1e-6))


def instant(simulation: Simulation, frame: int) -> str:
    """``t = 0.5 s``, without a unit if there is none."""
    unit = "" if simulation.time_unit == "1" else f" {simulation.time_unit}"
    return f"t = {simulation.times[frame]:.4g}{unit}"


def cell_edges(axis: Axis) -> Array:
    """Borders of the cells around an axis's points; at a wall the last one is the wall."""
    if axis.is_periodic:
        return edges_between(axis.points)
    halfway = 0.5 * (axis.points[1:] + axis.points[:-1])
    return np.concatenate([axis.bounds[:1], halfway, axis.bounds[1:]])


def edges_between(points: Array) -> Array:
    """Borders halfway between points, the outer cells being symmetric."""
    halfway = 0.5 * (points[1:] + points[:-1])
    return np.concatenate([[2 * points[0] - halfway[0]], halfway, [2 * points[-1] - halfway[-1]]])


def colours_of(values: Array, limits: tuple[float, float] | None, style: Style) -> dict[str, Any]:
    """A diverging colour map around zero for what changes sign, a sequential one otherwise."""
    low, high = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
    if low < 0 < high:
        largest = max(-low, high)
        names = {"value": "RdBu_r", "error": "PuOr_r"}
        return {"cmap": names[style], "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis" if style == "value" else "magma", "vmin": low, "vmax": high}


def percent_axis(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def new_axes(size: tuple[float, float] = (5.0, 3.6)) -> Axes:
    return plt.figure(figsize=size, layout="constrained").add_subplot()
