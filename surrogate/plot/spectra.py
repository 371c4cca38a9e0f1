"""Power spectra over space."""

from collections.abc import Mapping

import numpy as np
import xarray
from matplotlib.axes import Axes

from simulations.grid import Grid
from simulations.simulation import Simulation
from surrogate.plot.fields import simulation_of
from surrogate.plot.style import SOLVER, SURROGATE, TRIVIAL, Array, instant, new_axes, with_unit


def power_spectrum(values: Array, grid: Grid) -> tuple[Array, Array]:
    """Mean square of a field by shell of wave number.

    Along an axis that is not periodic a Hann window keeps the jump between its ends from showing
    up at all wave numbers.

    Args:
        values: one frame, ``(*space, *component)``; components add up.
        grid: of equidistant points.

    Returns:
        Wave numbers, in radians over the unit of the first axis, and the mean square in the shell
        around each; on a periodic grid their sum is the mean square of the field without its mean.

    Raises:
        ValueError: a grid without space, or whose points are not equidistant.

    Examples:
        A cosine of amplitude 2 has a mean square of 2, all of it at its own wave number:

        >>> from simulations.grid import Axis
        >>> grid = Grid((Axis.periodic("x", 16, 2 * np.pi),))
        >>> k, power = power_spectrum(2 * np.cos(3 * grid.axes[0].points), grid)
        >>> print(k[power > 1e-12], power[power > 1e-12].round(12))
        [3.] [2.]
    """
    if grid.ndim == 0:
        raise ValueError("grid: has no space, and so no spectrum")
    for axis in grid.axes:
        spacing = np.diff(axis.points)
        if spacing.size == 0 or not np.allclose(spacing, spacing[0], rtol=1e-6):
            raise ValueError(f"grid: the points of {axis.name} are not equidistant")
    space = tuple(range(grid.ndim))
    windowed = values - values.mean(axis=space, keepdims=True)
    for number, axis in enumerate(grid.axes):
        if not axis.is_periodic:
            along = np.ones(values.ndim, int)
            along[number] = -1
            windowed = windowed * _hann(axis.points.size).reshape(along)
    power = np.abs(np.fft.fftn(windowed, axes=space, norm="forward")) ** 2
    power = power.reshape(*grid.shape, -1).sum(axis=-1)
    lengths = [axis.bounds[1] - axis.bounds[0] for axis in grid.axes]
    waves = [
        2 * np.pi * np.fft.fftfreq(n, length / n)
        for n, length in zip(grid.shape, lengths, strict=True)
    ]
    k = np.sqrt(sum(np.square(w) for w in np.meshgrid(*waves, indexing="ij", sparse=True)))
    width = 2 * np.pi / max(lengths)
    sums = np.bincount(np.rint(k / width).astype(int).ravel(), power.ravel())
    return width * np.arange(1, sums.size), sums[1:].astype(np.float64)


def _hann(n: int) -> Array:
    """A window that leaves the mean square of a stationary field as it is."""
    return np.sqrt(8 / 3) * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2


def plot_spectrum(
    simulation: Simulation | xarray.Dataset,
    name: str,
    values: Mapping[str, Array] | None = None,
    ax: Axes | None = None,
    *,
    frame: int = -1,
) -> Axes:
    """Power over wave number of one frame of a field, of one or several answers.

    Args:
        simulation: what declares the field, or a labelled solution, whose values are then drawn.
        name: of a field on equidistant points.
        values: ``(time, *space, *component)`` by the name of who made them; may be left out beside
            a solution.
        ax: axes to draw into; new ones by default.
        frame: which stored time.

    Raises:
        ValueError: neither values nor a solution are given, or the grid is not equidistant.
    """
    if isinstance(simulation, xarray.Dataset):
        values = values or {instant(simulation_of(simulation), frame): simulation[name].values}
        simulation = simulation_of(simulation)
    if not values:
        raise ValueError(f"values={values!r}: must be arrays by name, or a solution be given")
    ax = ax or new_axes()
    colours = [SOLVER, SURROGATE, TRIVIAL]
    for number, (who, frames) in enumerate(values.items()):
        k, power = power_spectrum(frames[frame], simulation.grid)
        colour = colours[number] if number < len(colours) else f"C{number}"
        ax.loglog(k[power > 0], power[power > 0], color=colour, label=who)
    field, unit = simulation.fields[name], simulation.grid.axes[0].unit
    ax.set_xlabel(with_unit("wave number", "1" if unit == "1" else f"rad {unit}-1"))
    squared = "1" if field.unit == "1" else f"({with_unit('', field.unit)[4:]})²"
    ax.set_ylabel(with_unit(f"mean square of the {field.description}", squared))
    ax.legend(frameon=False)
    return ax
