"""Pictures: fields, training curves, accuracy against cost.

Every function draws into the axes it is given, or into new ones, and returns them.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter
from numpy.typing import NDArray

from simulations.grid import Axis
from simulations.simulation import Simulation
from surrogate.comparison import wording

if TYPE_CHECKING:
    from surrogate.comparison import Comparison, Contender

Array = NDArray[np.floating]
Style = Literal["value", "error"]

# Legible on white and on black
SOLVER, SURROGATE, TRIVIAL = "#3a86d6", "#e0671b", "#8a8f98"
# An evolution in one dimension is drawn as curves up to so many stored times, and so many of them
FEW_TIMES, CURVES = 16, 3
# Panels of a picture side by side
MOST_COLUMNS = 4
# What fits into a line of the title above one of them
LETTERS_A_COLUMN = 48
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_number(simulation: Simulation, name: str) -> bool:
    """Whether a field is a single number, of which there is nothing to draw."""
    return simulation.fields[name].shape(simulation.grid) == () and simulation.times.size == 1


def is_line(simulation: Simulation, name: str) -> bool:
    """Whether a field is drawn as curves, on which others can be laid."""
    space = simulation.grid.ndim if simulation.fields[name].spatial else 0
    return space == 0 or (space == 1 and simulation.times.size <= FEW_TIMES)


def plot_field(
    simulation: Simulation,
    name: str,
    values: Array,
    ax: Axes | None = None,
    *,
    style: Style = "value",
    limits: tuple[float, float] | None = None,
    dashed: bool = False,
) -> Axes:
    """Draw one field on its true coordinates.

    Curves over time or over the one axis of space, at some times if there are several; a map of
    space and time if there are many; the last frame in two dimensions, its middle plane in three.
    Of a vector the magnitude.

    Args:
        simulation: what declares the field.
        name: of the field.
        values: ``(time, *space, *component)``.
        ax: axes to draw into.
        style: an error has a colour map of its own, centred at zero.
        limits: of the colours; by default those of the values.
        dashed: draw curves dashed and unlabelled, to be laid on others.
    """
    ax = ax or _new_axes()
    values = magnitude(simulation, name, values)
    field, grid = simulation.fields[name], simulation.grid
    what = f"error of {field.description}" if style == "error" else field.description
    quantity = with_unit(f"{what}, magnitude" if field.order else what, field.unit)
    space = grid.ndim if field.spatial else 0
    if is_line(simulation, name):
        _draw_curves(simulation, ax, values, space, "--" if dashed else "-")
        axis_label = _axis_label(grid.axes[0]) if space else _time_label(simulation)
        if not space and _is_logarithmic(simulation.times):
            ax.set_xscale("symlog", linthresh=simulation.times[1])
        ax.set(xlabel=axis_label, ylabel=quantity)
        return ax
    if space == 1:
        horizontal, vertical = _edges(grid.axes[0]), _edges_of(simulation.times)
        picture, labels = values, (_axis_label(grid.axes[0]), _time_label(simulation))
    else:
        picture = values[-1] if space == 2 else values[-1, ..., grid.shape[-1] // 2]
        picture = picture.T
        horizontal, vertical = (_edges(axis) for axis in grid.axes[:2])
        labels = (_axis_label(grid.axes[0]), _axis_label(grid.axes[1]))
        ax.set_aspect("equal")
    mesh = ax.pcolormesh(
        horizontal, vertical, picture, rasterized=True, **_colours(values, limits, style)
    )
    bar = ax.figure.colorbar(mesh, ax=ax, label=quantity, shrink=0.9, pad=0.03)
    bar.outline.set_visible(False)
    ax.set(xlabel=labels[0], ylabel=labels[1])
    if space > 1 and simulation.times.size > 1:
        ax.set_title(_instant(simulation, -1))
    return ax


def _draw_curves(simulation: Simulation, ax: Axes, values: Array, space: int, line: str) -> None:
    if not space:
        ax.plot(simulation.times, values, line, color=SOLVER if line == "-" else SURROGATE)
        return
    n = simulation.times.size
    frames = np.unique(np.linspace(min(1, n - 1), n - 1, CURVES).round().astype(int))
    colours = plt.get_cmap("plasma")(np.linspace(0.3, 0.85, len(frames)))
    for frame, colour in zip(frames, colours, strict=True):
        label = _instant(simulation, frame) if line == "-" else None
        ax.plot(simulation.grid.axes[0].points, values[frame], line, color=colour, label=label)
    if n > 1 and line == "-":
        ax.legend(frameon=False, fontsize="small")


def magnitude(simulation: Simulation, name: str, values: Array) -> Array:
    """A vector's or tensor's norm over its components; a scalar as it is."""
    order = simulation.fields[name].order
    if order == 0:
        return values
    return np.sqrt((values**2).sum(axis=tuple(range(-order, 0))))


def plot_history(history: Sequence[Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Training and validation loss over epochs, with the epoch whose weights were kept."""
    ax = ax or _new_axes()
    epochs = np.arange(1, len(history) + 1)
    train, valid = (np.array([h[split] for h in history], float) for split in ("train", "valid"))
    ax.semilogy(epochs, train, color=SOLVER, label="train")
    ax.semilogy(epochs, valid, color=SURROGATE, label="validation")
    if np.isfinite(valid).any():
        best = int(np.nanargmin(valid))
        ax.plot(epochs[best], valid[best], "o", color=SURROGATE, ms=5)
    ax.set(xlabel="epoch", ylabel="relative L2 error")
    _percent_axis(ax)
    ax.legend(frameon=False)
    return ax


def plot_accuracy_cost(comparison: "Comparison", ax: Axes | None = None) -> Axes:
    """Error against time per call of everybody, with the front of the solver's versions."""
    ax = ax or _new_axes((6.4, 4.4))
    ax.set(xscale="log", yscale="log")
    ax.margins(0.15)
    _draw_ladder(comparison, ax)
    for rival, marker in zip(comparison.trivial, "sDv", strict=False):
        ax.plot(rival.seconds, rival.error, marker, color=TRIVIAL, ms=6, label=rival.name)
    _draw_surrogate(comparison, ax)
    if comparison.data_error > 0:
        ax.axhline(comparison.data_error, color=SOLVER, ls=":", lw=1, zorder=0)
        ax.annotate(
            "error of the training data",
            (0, comparison.data_error),
            xycoords=ax.get_yaxis_transform(),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize="small",
        )
    if np.isfinite(comparison.reference.resolves) and comparison.reference.resolves > 0:
        bottom, top = ax.get_ylim()
        if comparison.reference.resolves > bottom:
            ax.axhspan(bottom, comparison.reference.resolves, color=TRIVIAL, alpha=0.15, lw=0)
            ax.set_ylim(bottom, top)
    ax.set(xlabel="processor time per call", ylabel="mean relative L2 error")
    ax.xaxis.set_major_formatter(EngFormatter("s"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    _percent_axis(ax)
    ax.legend(frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return ax


def _draw_ladder(comparison: "Comparison", ax: Axes) -> None:
    front = comparison.front
    points = [(rung.seconds, rung.error) for rung in front]
    if points:
        ax.plot(*zip(*points, strict=True), "-", color=SOLVER, lw=1.2)
    whole = [rung for rung in comparison.ladder if rung.failure_rate == 0]
    failing = [rung for rung in comparison.ladder if 0 < rung.failure_rate < 1]
    for rungs, fill, label in ((whole, SOLVER, "solver"), (failing, "none", "solver, fails")):
        if rungs:
            x, y = [r.seconds for r in rungs], [r.error for r in rungs]
            ax.plot(x, y, "o", color=SOLVER, mfc=fill, ms=5, label=label)
    for rung in front:
        _name_point(ax, rung, rung.name, (-6, -7), "right")
    for rung in failing:
        _name_point(ax, rung, f"fails on {wording.percent(rung.failure_rate)}", (5, 3), "left")


def _draw_surrogate(comparison: "Comparison", ax: Axes) -> None:
    model = comparison.surrogate
    solver = comparison.solver_seconds
    if solver is not None and solver.relation == "=":
        ax.plot(
            [model.seconds, solver.value], [model.error] * 2, "--", color=SURROGATE, lw=1, zorder=1
        )
        ax.plot(solver.value, model.error, "|", color=SURROGATE, ms=10, mew=1.5)
    ax.plot(model.seconds, model.error, "*", color=SURROGATE, ms=14, label="surrogate")
    if model.batch_seconds is not None:
        label = f"surrogate, batches of {comparison.batch_size}"
        seconds, error = model.batch_seconds, model.error
        ax.plot(seconds, error, "*", color=SURROGATE, mfc="none", ms=13, label=label)


def _name_point(ax: Axes, rung: "Contender", text: str, offset: tuple[int, int], side: str) -> None:
    ax.annotate(
        text,
        (rung.seconds, rung.error),
        xytext=offset,
        textcoords="offset points",
        fontsize="small",
        ha=side,
    )


def portrait_fields(simulation: Simulation) -> tuple[str, str] | None:
    """The two fields that make a phase portrait: the first two of a system without space.

    Particles count as such; what sits on a lattice does not.
    """
    grid = simulation.grid
    is_swarm = grid.ndim == 1 and grid.axes[0].interpolation == "none"
    names = [name for name, field in simulation.fields.items() if field.spatial or not grid.ndim]
    if simulation.times.size < FEW_TIMES or len(names) < 2 or not (is_swarm or grid.ndim == 0):
        return None
    return names[0], names[1]


def plot_portrait(simulation: Simulation, solution: xarray.Dataset, ax: Axes | None = None) -> Axes:
    """Draw the first two fields against each other: orbits, and where they end.

    Args:
        simulation: a system for which `portrait_fields` names two.
        solution: its fields, ``(time,)`` or ``(time, particle)``.
        ax: axes to draw into.

    Raises:
        ValueError: the system has no phase portrait.
    """
    names = portrait_fields(simulation)
    if names is None:
        raise ValueError(f"{type(simulation).__name__} has no phase portrait")
    ax = ax or _new_axes()
    x, y = (solution[name].values.reshape(simulation.times.size, -1) for name in names)
    few = x.shape[1] <= FEW_TIMES  # the orbits of many particles are a tangle
    if few:
        ax.plot(x, y, lw=0.8, color=SOLVER if x.shape[1] == 1 else None)
    ax.plot(x[-1], y[-1], "o", color=SURROGATE, ms=4 if few else 2)
    labels = [simulation.fields[name] for name in names]
    ax.set_xlabel(with_unit(labels[0].description, labels[0].unit))
    ax.set_ylabel(with_unit(labels[1].description, labels[1].unit))
    if simulation.grid.ndim:
        ax.set_aspect("equal")
    return ax


def save_solution(simulation: Simulation, solution: xarray.Dataset, path: str | Path) -> None:
    """Write a picture of all fields of a labelled solution, in the format of the file's ending.

    Of a system without space also a phase portrait, which comes first; of particles that alone.
    """
    drawn = [name for name in simulation.fields if not is_number(simulation, name)]
    has_portrait = portrait_fields(simulation) is not None
    if has_portrait and simulation.grid.ndim:
        drawn = [name for name in drawn if not simulation.fields[name].spatial]
    panels = len(drawn) + has_portrait
    columns = min(panels, MOST_COLUMNS)
    rows = -(-panels // max(1, columns))
    figure = Figure(figsize=(4.6 * max(1, columns), 3.6 * max(1, rows)), layout="constrained")
    if has_portrait:
        plot_portrait(simulation, solution, figure.add_subplot(rows, columns, 1))
    for position, name in enumerate(drawn, start=1 + has_portrait):
        ax = figure.add_subplot(rows, columns, position)
        plot_field(simulation, name, solution[name].values, ax)
    inputs = [f"{name} = {float(solution[name]):.4g}" for name in simulation.parameters]
    numbers = [
        f"{name} = {solution[name].values.item():.4g}"
        for name in simulation.fields
        if is_number(simulation, name)
    ]
    title = ": ".join([type(simulation).__name__, *filter(None, [", ".join(inputs + numbers)])])
    figure.suptitle(textwrap.fill(title, LETTERS_A_COLUMN * max(1, columns)))
    figure.savefig(path, dpi=160)


def with_unit(quantity: str, unit: str) -> str:
    """``velocity in m s⁻¹`` from UDUNITS notation; without a unit the quantity alone."""
    if unit == "1":
        return quantity
    raised = re.sub(r"(?<=[A-Za-z])-?\d+", lambda m: m[0].translate(SUPERSCRIPTS), unit)
    return f"{quantity} in {raised}"


def _axis_label(axis: Axis) -> str:
    return with_unit(axis.name, axis.unit)


def _time_label(simulation: Simulation) -> str:
    return with_unit("time", simulation.time_unit)


def _is_logarithmic(times: Array) -> bool:
    """Whether the stored times after the first are equidistant in their logarithm."""
    if times.size < FEW_TIMES or times[0] != 0 or times[1] <= 0:
        return False
    return bool(np.allclose(np.diff(np.log(times[1:]), 2), 0, atol=1e-6))


def _instant(simulation: Simulation, frame: int) -> str:
    """``t = 0.5 s``, without a unit if there is none."""
    unit = "" if simulation.time_unit == "1" else f" {simulation.time_unit}"
    return f"t = {simulation.times[frame]:.4g}{unit}"


def _edges(axis: Axis) -> Array:
    """Borders of the cells around an axis's points; at a wall the last one is the wall."""
    if axis.is_periodic:
        return _edges_of(axis.points)
    halfway = 0.5 * (axis.points[1:] + axis.points[:-1])
    return np.concatenate([axis.bounds[:1], halfway, axis.bounds[1:]])


def _edges_of(points: Array) -> Array:
    """Borders halfway between points, the outer cells being symmetric."""
    halfway = 0.5 * (points[1:] + points[:-1])
    return np.concatenate([[2 * points[0] - halfway[0]], halfway, [2 * points[-1] - halfway[-1]]])


def _colours(values: Array, limits: tuple[float, float] | None, style: Style) -> dict[str, Any]:
    """A diverging colour map around zero for what changes sign, a sequential one otherwise."""
    low, high = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
    if low < 0 < high:
        largest = max(-low, high)
        names = {"value": "RdBu_r", "error": "PuOr_r"}
        return {"cmap": names[style], "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis" if style == "value" else "magma", "vmin": low, "vmax": high}


def _percent_axis(ax: Axes) -> None:
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: wording.percent(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _new_axes(size: tuple[float, float] = (5.0, 3.6)) -> Axes:
    return plt.figure(figsize=size, layout="constrained").add_subplot()
