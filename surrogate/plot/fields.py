"""Fields of a simulation: maps, curves, phase portraits, all fields of a solution."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import simulations
from simulations.simulation import Simulation
from surrogate.plot.style import (
    FEW_TIMES,
    SOLVER,
    SURROGATE,
    TRIVIAL,
    Array,
    Style,
    axis_label,
    cell_edges,
    colours_of,
    edges_between,
    instant,
    is_logarithmic,
    new_axes,
    time_label,
    with_unit,
)

# Curves over space that are drawn of an evolution
CURVES = 3
# Panels of a picture side by side
MOST_COLUMNS = 4
# What fits into a line of the title above one of them
LETTERS_A_COLUMN = 48


def simulation_of(solution: xarray.Dataset) -> Simulation:
    """The simulation whose solution this is, made again from its attributes.

    Raises:
        ValueError: the attributes do not name one.
    """
    try:
        name, settings = solution.attrs["system"], json.loads(solution.attrs["settings"])
    except KeyError as missing:
        raise ValueError(f"solution: has no attribute {missing}: not one of a simulation") from None
    return simulations.make(name, settings)


def is_number(simulation: Simulation, name: str) -> bool:
    """Whether a field is a single number, of which there is nothing to draw."""
    return simulation.fields[name].shape(simulation.grid) == () and simulation.times.size == 1


def is_line(simulation: Simulation, name: str) -> bool:
    """Whether a field is drawn as curves, on which others can be laid."""
    space = simulation.grid.ndim if simulation.fields[name].spatial else 0
    return space == 0 or (space == 1 and simulation.times.size <= FEW_TIMES)


def plot_field(
    simulation: Simulation | xarray.Dataset,
    name: str,
    values: Array | None = None,
    ax: Axes | None = None,
    *,
    style: Style = "value",
    limits: tuple[float, float] | None = None,
    dashed: bool = False,
    frame: int = -1,
    colour_bar: bool = True,
) -> Axes:
    """Draw one field on its true coordinates.

    Curves over time or over the one axis of space, at some times if there are several; a map of
    space and time if there are many; one frame in two dimensions, its middle plane in three.
    Of a vector the magnitude.

    Args:
        simulation: what declares the field, or a labelled solution, whose values are then drawn.
        name: of the field.
        values: ``(time, *space, *component)``; may be left out beside a solution.
        ax: axes to draw into; new ones by default.
        style: an error has a colour map of its own, centred at zero.
        limits: of the colours; by default those of the values at all times.
        dashed: draw curves dashed and unlabelled, to be laid on others.
        frame: which stored time is drawn in two and three dimensions.
        colour_bar: whether a map has one.

    Raises:
        ValueError: neither values nor a solution that has them are given.
    """
    simulation, values = _given(simulation, name, values)
    ax = ax or new_axes()
    values = magnitude(simulation, name, values)
    field, grid = simulation.fields[name], simulation.grid
    quantity = _quantity(simulation, name, style)
    space = grid.ndim if field.spatial else 0
    if is_line(simulation, name):
        if space:
            plot_profiles(simulation, name, values, ax, dashed=dashed)
            ax.set_ylabel(quantity)
            return ax
        line, colour = ("--", SURROGATE) if dashed else ("-", SOLVER)
        ax.plot(simulation.times, values, line, color=colour)
        if is_logarithmic(simulation.times):
            ax.set_xscale("symlog", linthresh=simulation.times[1])
        ax.set(xlabel=time_label(simulation), ylabel=quantity)
        return ax
    if space == 1:
        return plot_space_time(simulation, name, values, ax, style=style, limits=limits)
    picture = values[frame] if space == 2 else values[frame, ..., grid.shape[-1] // 2]
    horizontal, vertical = (cell_edges(axis) for axis in grid.axes[:2])
    _draw_map(ax, horizontal, vertical, picture.T, values, limits, style, quantity, colour_bar)
    ax.set(xlabel=axis_label(grid.axes[0]), ylabel=axis_label(grid.axes[1]), aspect="equal")
    if simulation.times.size > 1:
        ax.set_title(instant(simulation, frame))
    return ax


def plot_space_time(
    simulation: Simulation | xarray.Dataset,
    name: str,
    values: Array | None = None,
    ax: Axes | None = None,
    *,
    style: Style = "value",
    limits: tuple[float, float] | None = None,
) -> Axes:
    """Draw a field over the first axis of space and time, in the middle of all other axes.

    Args:
        simulation: what declares the field, or a labelled solution, whose values are then drawn.
        name: of a field on a grid.
        values: ``(time, *space, *component)``, of a vector the magnitude is drawn; may be left out
            beside a solution. The components of a vector may have been reduced already.
        ax: axes to draw into; new ones by default.
        style: an error has a colour map of its own, centred at zero.
        limits: of the colours; by default those of the values.

    Raises:
        ValueError: neither values nor a solution that has them are given, or the field has no
            space or a single stored time.
    """
    simulation, values = _given(simulation, name, values)
    grid = simulation.grid
    if not (simulation.fields[name].spatial and grid.ndim) or simulation.times.size < 2:
        raise ValueError(f"name={name!r}: must be a field on a grid at two or more stored times")
    ax = ax or new_axes()
    if values.ndim > 1 + grid.ndim:
        values = magnitude(simulation, name, values)
    lines = values
    for n in grid.shape[1:]:
        lines = lines[:, :, n // 2]
    edges = cell_edges(grid.axes[0]), edges_between(simulation.times)
    quantity = _quantity(simulation, name, style)
    _draw_map(ax, *edges, lines, lines, limits, style, quantity, True)
    ax.set(xlabel=axis_label(grid.axes[0]), ylabel=time_label(simulation))
    return ax


def _given(
    simulation: Simulation | xarray.Dataset, name: str, values: Array | None
) -> tuple[Simulation, Array]:
    if isinstance(simulation, xarray.Dataset):
        if values is None:
            if name not in simulation:
                raise ValueError(f"name={name!r}: must be one of {list(simulation.data_vars)}")
            values = simulation[name].values
        simulation = simulation_of(simulation)
    if values is None:
        raise ValueError(f"values=None: must be an array of {name!r}, or a solution that has it")
    return simulation, values


def _quantity(simulation: Simulation, name: str, style: Style) -> str:
    field = simulation.fields[name]
    what = f"error of {field.description}" if style == "error" else field.description
    return with_unit(f"{what}, magnitude" if field.order else what, field.unit)


def _draw_map(
    ax: Axes,
    horizontal: Array,
    vertical: Array,
    picture: Array,
    values: Array,
    limits: tuple[float, float] | None,
    style: Style,
    quantity: str,
    colour_bar: bool,
    colour_map: str | None = None,
) -> None:
    colours = colours_of(values, limits, style)
    if colour_map is not None:
        colours["cmap"] = colour_map
    mesh = ax.pcolormesh(horizontal, vertical, picture, rasterized=True, **colours)
    if colour_bar:
        bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.9, pad=0.03)
        bar.set_label(quantity)
        bar.outline.set_visible(False)


def plot_profiles(
    simulation: Simulation | xarray.Dataset,
    name: str,
    values: Array | None = None,
    ax: Axes | None = None,
    *,
    dashed: bool = False,
) -> Axes:
    """Draw a field over the one axis of space, at a few stored times.

    Args:
        simulation: what declares the field, or a labelled solution, whose values are then drawn.
        name: of a field on a grid of one axis.
        values: ``(time, space)``; may be left out beside a solution.
        ax: axes to draw into; new ones by default.
        dashed: draw curves dashed and unlabelled, to be laid on others.

    Raises:
        ValueError: neither values nor a solution that has them are given, or the grid has more
            than one axis.
    """
    simulation, values = _given(simulation, name, values)
    if not simulation.fields[name].spatial or simulation.grid.ndim != 1:
        raise ValueError(f"name={name!r}: must be a field on a grid of one axis")
    ax = ax or new_axes()
    n = simulation.times.size
    frames = np.unique(np.linspace(min(1, n - 1), n - 1, CURVES).round().astype(int))
    colours = plt.get_cmap("plasma")(np.linspace(0.3, 0.85, len(frames)))
    axis, line = simulation.grid.axes[0], "--" if dashed else "-"
    for frame, colour in zip(frames, colours, strict=True):
        label = None if dashed else instant(simulation, frame)
        ax.plot(axis.points, values[frame], line, color=colour, label=label)
    if n > 1 and not dashed:
        ax.legend(frameon=False, fontsize="small")
    ax.set(xlabel=axis_label(axis), ylabel=_quantity(simulation, name, "value"))
    return ax


def plot_input(simulation: Simulation, name: str, values: Array, ax: Axes | None = None) -> Axes:
    """Draw a field input, such as a coefficient: a map in two dimensions, a curve in one.

    Args:
        simulation: what declares it.
        name: of the field input.
        values: ``(*space, *component)``; of a vector the magnitude is drawn, of three dimensions
            the middle plane.
        ax: axes to draw into; new ones by default.
    """
    ax = ax or new_axes()
    declared, grid = simulation.field_inputs[name], simulation.grid
    size = (
        np.sqrt((values**2).sum(axis=tuple(range(-declared.order, 0))))
        if declared.order
        else values
    )
    quantity = with_unit(declared.description, declared.unit)
    if grid.ndim == 1:
        ax.plot(grid.axes[0].points, size, color=TRIVIAL)
        ax.set(xlabel=axis_label(grid.axes[0]), ylabel=quantity)
        return ax
    plane = size[..., grid.shape[-1] // 2] if grid.ndim == 3 else size
    horizontal, vertical = (cell_edges(axis) for axis in grid.axes[:2])
    _draw_map(ax, horizontal, vertical, plane.T, plane, None, "value", quantity, True, "cividis")
    ax.set(xlabel=axis_label(grid.axes[0]), ylabel=axis_label(grid.axes[1]), aspect="equal")
    return ax


def magnitude(simulation: Simulation, name: str, values: Array) -> Array:
    """A vector's or tensor's norm over its components; a scalar as it is."""
    order = simulation.fields[name].order
    if order == 0:
        return values
    return np.sqrt((values**2).sum(axis=tuple(range(-order, 0))))


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
    ax = ax or new_axes()
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


def plot_solution(solution: xarray.Dataset) -> list[Axes]:
    """Draw all fields of a labelled solution, one panel each, into a new figure.

    Of a system without space also a phase portrait, which comes first; of particles that alone.

    Args:
        solution: what a simulation or a surrogate has answered.

    Returns:
        The axes, in the order of the panels; none where all fields are numbers.

    Raises:
        ValueError: the solution does not say which simulation it is of.
    """
    return _draw_solution(simulation_of(solution), solution, plt.figure)[1]


def save_solution(simulation: Simulation, solution: xarray.Dataset, path: str | Path) -> None:
    """Write the picture of `plot_solution`, in the format of the file's ending."""
    figure, _ = _draw_solution(simulation, solution, Figure)
    figure.savefig(path, dpi=160)


def _draw_solution(
    simulation: Simulation, solution: xarray.Dataset, make_figure: Callable[..., Figure]
) -> tuple[Figure, list[Axes]]:
    drawn = [name for name in simulation.fields if not is_number(simulation, name)]
    has_portrait = portrait_fields(simulation) is not None
    if has_portrait and simulation.grid.ndim:
        drawn = [name for name in drawn if not simulation.fields[name].spatial]
    panels = len(drawn) + has_portrait
    columns = max(1, min(panels, MOST_COLUMNS))
    rows = max(1, -(-panels // columns))
    figure = make_figure(figsize=(4.6 * columns, 3.6 * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, 1 + panel) for panel in range(panels)]
    if has_portrait:
        plot_portrait(simulation, solution, axes[0])
    for name, ax in zip(drawn, axes[has_portrait:], strict=True):
        plot_field(simulation, name, solution[name].values, ax)
    inputs = [f"{name} = {float(solution[name]):.4g}" for name in simulation.parameters]
    numbers = [
        f"{name} = {solution[name].values.item():.4g}"
        for name in simulation.fields
        if is_number(simulation, name)
    ]
    title = ": ".join([type(simulation).__name__, *filter(None, [", ".join(inputs + numbers)])])
    figure.suptitle(textwrap.fill(title, LETTERS_A_COLUMN * columns))
    return figure, axes
