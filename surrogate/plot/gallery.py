"""A picture of each system, of the run that it declares as its showcase."""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import simulations
from simulations.datasets.publish import publish_text
from simulations.machine import machine_in_words
from simulations.simulation import InvalidInput, Simulation
from surrogate.plot.fields import (
    magnitude,
    plot_field,
    plot_input,
    plot_portrait,
    plot_profiles,
    plot_space_time,
    portrait_fields,
    simulation_of,
)

# Panels of a picture, and their total width and height in inches
MOST_PANELS, SIZE = 3, (9.6, 3.1)
DRAWING: Any = {"font.size": 8.5, "axes.linewidth": 0.6, "lines.linewidth": 1.0}
# Beside the pictures: what they show and what a call costs
FACTS = "gallery.json"


def save_gallery(folder: str | Path, names: Iterable[str] | None = None) -> Iterator[Path]:
    """Run the showcase of each system, and write its picture.

    Beside the pictures, ``gallery.json`` says which call each of them shows, and the processor
    time of a call with default settings; what it says of other systems stays.

    Args:
        folder: made if there is none; pictures in it are replaced.
        names: of systems; by default those of the library.

    Yields:
        The path of each picture, once it is written.

    Raises:
        InvalidInput: there is no system of such a name.
    """
    folder = Path(folder)
    known = simulations.catalogue()
    if names is None:
        names = [n for n, system in known.items() if system.__module__.startswith("simulations.")]
    chosen = list(names)
    for name in chosen:
        if name not in known:
            raise InvalidInput(f"{name}: no such system; there are {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    facts_path = folder / FACTS
    facts = json.loads(facts_path.read_text("utf-8")) if facts_path.exists() else {}
    for name in chosen:
        simulation, arguments = showcase_of(known[name])
        solution = simulation(**arguments)
        with matplotlib.rc_context(DRAWING):
            figure = Figure(figsize=SIZE, layout="constrained")
            plot_showcase(solution, figure)
            path = folder / f"{name}.webp"
            figure.savefig(path, dpi=110, pil_kwargs={"quality": 82, "method": 6})
        facts[name] = {
            "call": call_in_words(simulation, arguments),
            "seconds": _seconds(known[name]()),
            "machine": machine_in_words("numpy", "numba"),
        }
        publish_text(facts_path, json.dumps(dict(sorted(facts.items())), indent=1) + "\n")
        yield path


def showcase_of(system: type[Simulation]) -> tuple[Simulation, dict[str, Any]]:
    """The simulation that a system shows itself by, and the arguments of the call."""
    declared = system.showcase
    if declared.preset is None:
        simulation = system.from_settings(declared.settings)
    else:
        simulation = system.preset(declared.preset, **declared.settings)
    return simulation, {**declared.inputs, "seed": declared.seed}


def call_in_words(simulation: Simulation, arguments: dict[str, Any]) -> str:
    """The call as Python, with the settings that are not the defaults."""
    declared = simulation.showcase
    given = ", ".join(f"{k}={v!r}" for k, v in declared.settings.items())
    name = type(simulation).__name__
    if declared.preset is not None:
        name, given = f"{name}.preset", ", ".join(filter(None, [repr(declared.preset), given]))
    values = {k: f"{v:.6g}" if isinstance(v, float) else repr(v) for k, v in arguments.items()}
    return f"{name}({given})({', '.join(f'{k}={v}' for k, v in values.items())})"


def _seconds(simulation: Simulation) -> float:
    """Processor time of a call; the first one loads the kernels and does not count."""
    inputs = simulation.sample(np.random.default_rng(0))
    simulation.run(inputs)
    measured = []
    for _ in range(3):
        start = time.process_time()
        simulation.run(inputs)
        measured.append(time.process_time() - start)
    return min(measured)


def plot_showcase(solution: xarray.Dataset, figure: Figure) -> list[Axes]:
    """Draw what is most telling of a solution, side by side.

    Frames of one field where it evolves in two or three dimensions; inputs and outputs where
    nothing evolves; a map of space and time with profiles in one dimension; a phase portrait and a
    course over time where there is no space.

    Args:
        solution: a labelled solution.
        figure: empty figure to draw into.

    Returns:
        The axes.
    """
    simulation = simulation_of(solution)
    name = simulation.showcase.field or next(iter(simulation.fields))
    if portrait_fields(simulation) is not None or simulation.grid.ndim == 0:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.8))
        numbers = [n for n, field in simulation.fields.items() if not field.spatial]
        plot_portrait(simulation, solution, left)
        plot_field(simulation, numbers[0], solution[numbers[0]].values, right)
        return [left, right]
    if simulation.times.size == 1:
        return _inputs_and_outputs(simulation, name, solution, figure)
    if simulation.grid.ndim == 1:
        left, right = figure.subplots(1, 2, width_ratios=(1.4, 1))
        plot_space_time(simulation, name, solution[name].values, left)
        plot_profiles(simulation, name, solution[name].values, right)
        return [left, right]
    return _frames(simulation, name, solution, figure)


def _frames(
    simulation: Simulation, name: str, solution: xarray.Dataset, figure: Figure
) -> list[Axes]:
    """The first, a middle and the last frame, in the colours that the later ones need.

    Of a long channel the last one alone.
    """
    values = solution[name].values
    last = simulation.times.size - 1
    is_long = simulation.grid.shape[0] > 3 * simulation.grid.shape[1]
    frames = [last] if is_long else sorted({0, (last + 1) // 2, last})
    size = magnitude(simulation, name, values[frames[-2:]])
    limits = float(size.min()), float(size.max())
    axes = list(figure.subplots(1, len(frames), squeeze=False)[0])
    for frame, ax in zip(frames, axes, strict=True):
        plot_field(
            simulation, name, values, ax, frame=frame, limits=limits, colour_bar=frame == last
        )
        if ax is not axes[0]:
            ax.set_ylabel("")
    return axes


def _inputs_and_outputs(
    simulation: Simulation, name: str, solution: xarray.Dataset, figure: Figure
) -> list[Axes]:
    """What goes in, as far as it is a field, and then the fields that come out."""
    spatial = [field for field, declared in simulation.fields.items() if declared.spatial]
    given = [field for field in simulation.field_inputs if field in solution]
    drawn = [*given, name, *(field for field in spatial if field != name)][:MOST_PANELS]
    axes = list(figure.subplots(1, len(drawn), squeeze=False)[0])
    for field, ax in zip(drawn, axes, strict=True):
        draw = plot_input if field in given else plot_field
        draw(simulation, field, solution[field].values, ax)
    return axes
