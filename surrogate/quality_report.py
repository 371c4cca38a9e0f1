"""What a check of a dataset has found, as one HTML page that needs nothing but itself."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from simulations.datasets.content import Trajectory
from simulations.datasets.layout import SPLITS
from simulations.datasets.quality import Quality
from simulations.datasets.untrusted import open_untrusted
from surrogate import plot
from surrogate.report import figure, table, write_page

# As many findings of each kind are listed
MOST_FINDINGS = 20
# Trajectories that are shown although nothing is wrong with them, and those with findings
ORDINARY, STRIKING = 2, 4
# Curves of a conserved quantity
MOST_CURVES = 20

COLOURS = {"train": plot.SOLVER, "valid": plot.TRIVIAL, "test": plot.SURROGATE, "": plot.SOLVER}


def write_quality_report(path: str | Path, quality: Quality) -> None:
    """Write a page with the verdict, the findings, and pictures of the data behind them.

    Args:
        path: of the HTML file.
        quality: what `simulations.datasets.quality.check` returned.
    """
    kind = "bad" if quality.errors else "open" if quality.warnings else "good"
    body = [
        "<h1>Quality of a dataset</h1>",
        f'<p class="verdict {kind}">{escape(quality.verdict)}</p>',
        *_findings(quality),
        *_parameters(quality),
        *_drift(quality),
        *_trajectories(quality),
        *_cost(quality),
        *_failures(quality),
    ]
    write_page(path, f"Quality of {quality.path.name}", body)


def _findings(quality: Quality) -> list[str]:
    if not quality.problems:
        return []
    rows: list[Sequence[str]] = []
    counts: dict[str, int] = {}
    for problem in quality.problems:
        counts[problem.kind] = counts.get(problem.kind, 0) + 1
        if counts[problem.kind] <= MOST_FINDINGS:
            rows.append((f"{problem.severity}: {problem.kind}", problem.file, problem.message))
    left_out = sum(max(0, count - MOST_FINDINGS) for count in counts.values())
    more = [f"<p>{left_out} more of the same kinds.</p>"] if left_out else []
    return ["<h2>Findings</h2>", table(rows, numeric=False), *more]


def _parameters(quality: Quality) -> list[str]:
    """Histograms over the train, valid and test trajectories of each parameter."""
    known = quality.trajectories
    names = list(dict.fromkeys(name for t in known for name in t.parameters))
    names = [n for n in names if any(np.isfinite(t.parameters.get(n, np.nan)) for t in known)]
    if not names:
        return []
    pictures = [figure(_histogram(quality, name)) for name in names]
    return ["<h2>Parameters</h2>", f'<div class="row">{"".join(pictures)}</div>']


def _histogram(quality: Quality, name: str) -> Callable[[Axes], None]:
    declared = quality.simulation.parameters.get(name) if quality.simulation else None

    def draw(ax: Axes) -> None:
        by_split = {
            split: [
                t.parameters[name]
                for t in quality.trajectories
                if t.split == split and np.isfinite(t.parameters.get(name, np.nan))
            ]
            for split in ("", *SPLITS)
        }
        values = np.array([v for part in by_split.values() for v in part])
        low, high = float(values.min()), float(values.max())
        if declared is not None and declared.scale == "log" and 0 < low < high:
            edges = np.geomspace(low, high, 17)
            ax.set_xscale("log")
        else:
            edges = np.linspace(low, high, 17) if high > low else np.array([low - 0.5, low + 0.5])
        shown = {split: part for split, part in by_split.items() if part}
        ax.hist(
            list(shown.values()),
            edges.tolist(),
            stacked=True,
            color=[COLOURS[split] for split in shown],
            label=[split or "all" for split in shown],
        )
        label = name if declared is None else f"{name}, {declared.description}"
        ax.set(xlabel=plot.with_unit(label, declared.unit if declared else "1"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set(ylabel="trajectories")
        ax.legend(frameon=False, fontsize="small")

    return draw


def _drift(quality: Quality) -> list[str]:
    """Change of each conserved quantity over time, the worst trajectories among the curves."""
    simulation = quality.simulation
    if simulation is None or not quality.drift or simulation.times.size < 2:
        return []
    parts = ["<h2>What is conserved</h2>", '<div class="row">']
    for name in quality.drift:
        measured = [t for t in _readable(quality) if name in t.drift]
        worst = sorted(measured, key=lambda t: -t.drift[name])[:MOST_CURVES]

        def draw(ax: Axes, name: str = name, worst: list[Trajectory] = worst) -> None:
            for trajectory in worst:
                values = simulation.diagnostics(_read(quality, trajectory))[name]
                change = values - values[0]
                largest = np.abs(change).max()
                scale = trajectory.drift[name] / largest if largest > 0 else 0.0
                ax.plot(simulation.times, change * scale, lw=0.9, color=COLOURS[trajectory.split])
            ax.set(xlabel="time", ylabel=f"drift of {name} by its scale")

        caption = f"{name}: the {len(worst)} that drift most, by {quality.drift[name]:.1e} at most"
        parts.append(figure(draw, caption=caption))
    return [*parts, "</div>"]


def _trajectories(quality: Quality) -> list[str]:
    """Pictures of the trajectories with findings, and of a few others."""
    simulation = quality.simulation
    if simulation is None:
        return []
    striking = {i: p for p in quality.problems for i in p.indices[:STRIKING]}
    readable = _readable(quality)
    shown = [t for t in readable if t.index in striking][:STRIKING]
    shown += [t for t in readable if t.index not in striking][:ORDINARY]
    parts = ["<h2>Trajectories</h2>"]
    for trajectory in shown:
        inputs = ", ".join(f"{k} = {v:.4g}" for k, v in trajectory.parameters.items())
        parts.append(f"<h3>{trajectory.index} in {escape(trajectory.file)}</h3>")
        about = striking.get(trajectory.index)
        said = f"{about.kind}: {about.message}" if about else "nothing to complain about"
        parts.append(f"<p>{escape(said)}</p><p>{escape(inputs)}</p>")
        solution = _read(quality, trajectory)
        pictures = [
            figure(_picture(quality, name, values))
            for name, values in solution.items()
            if not plot.is_number(simulation, name) and np.isfinite(values).any()
        ]
        parts.append(f'<div class="row">{"".join(pictures)}</div>')
    return parts if shown else []


def _picture(quality: Quality, name: str, values: Any) -> Callable[[Axes], Any]:
    simulation = quality.simulation
    assert simulation is not None
    finite = np.where(np.isfinite(values), values, np.nan)
    return lambda ax: plot.plot_field(simulation, name, finite, ax)


def _cost(quality: Quality) -> list[str]:
    times = np.array(
        [t for record in quality.records.values() for t in record.get("wall_time_seconds", ())]
    )
    if times.size == 0 or times.min() <= 0:
        return []

    def draw(ax: Axes) -> None:
        low, high = 0.999 * times.min(), 1.001 * times.max()
        ax.hist(times, np.geomspace(low, high, 25).tolist(), color=plot.SOLVER)
        ax.set(xscale="log", xlabel="wall time of a trajectory in s", ylabel="trajectories")

    said = f"{times.sum():.3g} s in all, {np.median(times):.3g} s in the median"
    return ["<h2>Cost</h2>", figure(draw, caption=said)]


def _failures(quality: Quality) -> list[str]:
    failures = quality.failures
    if not failures:
        return []
    rows = [
        (str(failure["index"]), f"t = {failure['time']:.4g}", str(failure["reason"]))
        for failure in failures[:MOST_FINDINGS]
    ]
    said = f"<p>{len(failures)} draws diverged and were replaced by others.</p>"
    return ["<h2>Draws that diverged</h2>", said, table(rows, numeric=False)]


def _readable(quality: Quality) -> list[Trajectory]:
    """Trajectories of files that are as the simulation declares."""
    broken = {p.file for p in quality.problems if p.kind in ("unreadable", "format", "grid")}
    return [t for t in quality.trajectories if t.file not in broken]


def _read(quality: Quality, trajectory: Trajectory) -> dict[str, Any]:
    """The fields of one trajectory."""
    assert quality.simulation is not None
    path = quality.path if quality.path.is_file() else quality.path / trajectory.file
    with open_untrusted(path) as file:
        position = file["sample"][:].tolist().index(trajectory.index)
        return {name: file[name][position].astype(np.float64) for name in quality.simulation.fields}
