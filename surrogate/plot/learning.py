"""Training, and what a trained surrogate answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.stats import binom

from surrogate.plot.style import (
    SOLVER,
    SURROGATE,
    TRIVIAL,
    new_axes,
    percent_axis,
    with_unit,
)


def plot_history(history: Sequence[Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Training and validation loss over epochs, with the epoch whose weights were kept."""
    ax = ax or new_axes()
    epochs = np.arange(1, len(history) + 1)
    train, valid = (np.array([h[split] for h in history], float) for split in ("train", "valid"))
    ax.semilogy(epochs, train, color=SOLVER, label="train")
    ax.semilogy(epochs, valid, color=SURROGATE, label="validation")
    if np.isfinite(valid).any():
        best = int(np.nanargmin(valid))
        ax.plot(epochs[best], valid[best], "o", color=SURROGATE, ms=5)
    ax.set(xlabel="epoch", ylabel="relative L2 error")
    percent_axis(ax)
    ax.legend(frameon=False)
    return ax


def plot_error_growth(
    times: ArrayLike,
    errors: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    time_unit: str = "1",
    quantity: str = "relative error",
) -> Axes:
    """Errors of roll-outs over time: the median of the samples, and where eight of ten lie.

    Args:
        times: ``(time,)``.
        errors: ``(sample, time)`` by the name of who made them, such as `metrics.nrmse` gives
            them; with two names and more the first ones have the colours of surrogate and solver.
        ax: axes to draw into; new ones by default.
        time_unit: UDUNITS notation.
        quantity: what the errors are.

    Raises:
        ValueError: errors of another shape.
    """
    ax = ax or new_axes()
    instants = np.asarray(times, float)
    colours = [SURROGATE, SOLVER, TRIVIAL]
    for number, (name, values) in enumerate(errors.items()):
        samples = np.asarray(values, float)
        if samples.ndim != 2 or samples.shape[1] != instants.size:
            raise ValueError(
                f"errors[{name!r}]: shape {samples.shape}, must be (sample, {instants.size})"
            )
        # A frame that is exact, as the given first one, has no place on a logarithmic axis
        samples = np.where(samples > 0, samples, np.nan)
        shown = np.isfinite(samples).any(axis=0)
        low, middle, high = np.nanquantile(samples[:, shown], [0.1, 0.5, 0.9], axis=0)
        colour = colours[number] if number < len(colours) else f"C{number}"
        ax.fill_between(instants[shown], low, high, color=colour, alpha=0.2, lw=0)
        ax.semilogy(instants[shown], middle, color=colour, label=name)
    ax.set(xlabel=with_unit("time", time_unit), ylabel=quantity)
    ax.legend(frameon=False)
    return ax


def plot_parity(
    truth: ArrayLike,
    prediction: ArrayLike,
    ax: Axes | None = None,
    *,
    quantity: str = "value",
    unit: str = "1",
) -> Axes:
    """Predicted against true numbers, with the line on which they agree.

    Args:
        truth: any shape.
        prediction: the same shape.
        ax: axes to draw into; new ones by default.
        quantity: what the numbers are.
        unit: UDUNITS notation.

    Raises:
        ValueError: the shapes differ.
    """
    x, y = np.asarray(truth, float), np.asarray(prediction, float)
    if x.shape != y.shape:
        raise ValueError(f"prediction: shape {y.shape}, the truth has {x.shape}")
    ax = ax or new_axes((4.2, 4.0))
    ax.plot(x.ravel(), y.ravel(), ".", color=SURROGATE, ms=4, alpha=0.6, rasterized=x.size > 1000)
    ends = np.nanmin([np.nanmin(x), np.nanmin(y)]), np.nanmax([np.nanmax(x), np.nanmax(y)])
    ax.plot(ends, ends, color=TRIVIAL, lw=1, zorder=0)
    label = with_unit(quantity, unit)
    ax.set(xlabel=f"true {label}", ylabel=f"predicted {label}")
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def plot_coverage(
    nominal: ArrayLike, observed: ArrayLike, n: int | None = None, ax: Axes | None = None
) -> Axes:
    """Share of test samples inside their bounds against the share that was promised.

    Args:
        nominal: promised coverages, between 0 and 1.
        observed: the shares found, the same shape.
        n: number of test samples; draws the range in which nine of ten such tests end even if
            every promise is kept.
        ax: axes to draw into; new ones by default.

    Raises:
        ValueError: the shapes differ, or a value lies outside 0 and 1.
    """
    promised, found = np.asarray(nominal, float), np.asarray(observed, float)
    if promised.shape != found.shape:
        raise ValueError(f"observed: shape {found.shape}, the nominal ones have {promised.shape}")
    for name, values in (("nominal", promised), ("observed", found)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name}={values.tolist()}: must lie in [0, 1]")
    ax = ax or new_axes((4.2, 4.0))
    if n is not None:
        levels = np.linspace(0.0, 1.0, 201)
        low, high = (binom.ppf(q, n, levels) / n for q in (0.05, 0.95))
        ax.fill_between(levels, low, high, color=TRIVIAL, alpha=0.25, lw=0, label="chance")
    ax.plot([0, 1], [0, 1], color=TRIVIAL, lw=1)
    ax.plot(promised, found, "o-", color=SURROGATE, ms=4, label="found")
    ax.set(xlabel="promised coverage", ylabel="coverage found", xlim=(0, 1), ylim=(0, 1))
    ax.set_aspect("equal")
    ax.legend(frameon=False)
    return ax
