"""Accuracy against cost: the surrogate among the versions of the solver."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter

from surrogate.comparison import wording
from surrogate.plot.style import SOLVER, SURROGATE, TRIVIAL, new_axes, percent_axis

if TYPE_CHECKING:
    from surrogate.comparison import Comparison, Contender


def plot_accuracy_cost(comparison: "Comparison", ax: Axes | None = None) -> Axes:
    """Error against time per call of everybody, with the front of the solver's versions."""
    ax = ax or new_axes((6.4, 4.4))
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
    percent_axis(ax)
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
