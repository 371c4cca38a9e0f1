"""How well stored frames fulfil the equations, and how well that can be known from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulations.differential import SMALLEST, STENCIL, Derivatives
from simulations.grid import Array
from simulations.simulation import Inputs, Simulation

#: Rounding of float32, relative to the value
ROUNDING = 2.0**-24
#: A defect counts where it is larger than so many times its uncertainty, and than this share of
#: the largest term
SURE = 3.0
NEGLIGIBLE = 0.02
#: Fewest frames in which a time derivative and its uncertainty are looked for
FEWEST_FRAMES = 4
#: Spans of time in which trajectories are compared
BINS = 32
#: Frames are looked at in blocks of about so many values
BLOCK_VALUES = 2**21


@dataclass(frozen=True)
class Balance:
    """One equation along one trajectory, relative to the size of its largest term.

    Attributes:
        defect: sum of the terms in each frame, root mean square over space, ``(time,)``.
        uncertainty: by how much the defect may be that of the derivatives and of rounding,
            ``(time,)``.
    """

    defect: Array
    uncertainty: Array

    @property
    def excess(self) -> Array:
        """The defect by what it may be, ``(time,)``: above 1, the equation does not hold."""
        return self.defect / (SURE * self.uncertainty + NEGLIGIBLE)


def has_equations(simulation: Simulation) -> bool:
    """Whether a system says which equations its fields fulfil."""
    return type(simulation).equations is not Simulation.equations


def balances(
    simulation: Simulation,
    solution: Mapping[str, Array],
    inputs: Inputs,
    rounding: float = ROUNDING,
) -> dict[str, Balance]:
    """The balance of each equation of a trajectory.

    The uncertainty is the sum of three estimates. The first is the change of the defect when the
    formulas for derivatives are given two points fewer and values are rounded differently. Frames
    further apart than a period tell nothing about the derivative, which this would not notice. So
    the second is the distance of the rate of change that the equation demands in a frame from what
    the frames around it say. A single wave may hide there too, if frames are a period apart: the
    third, (ωh)⁶/20 of that rate, takes ω from its size and that of what changes.

    Args:
        simulation: whose equations are looked at.
        solution: frames as of `solve`.
        inputs: those of the solution.
        rounding: relative error of the stored values.

    Returns:
        By equation; nothing of a system without equations, and of one that evolves where there are
        fewer than four frames.
    """
    n = simulation.times.size
    if 1 < n < FEWEST_FRAMES or not has_equations(simulation):
        return {}
    rng = np.random.default_rng(0)
    parts: dict[str, list[_Squares]] = {}
    for block, kept in _blocks(simulation):
        frames = {name: np.asarray(v[block], dtype=np.float64) for name, v in solution.items()}
        shaken = {
            name: v * (1.0 + rounding * rng.uniform(-1.0, 1.0, v.shape))
            for name, v in frames.items()
        }
        for name, squares in _squares(simulation, block, frames, shaken, inputs).items():
            parts.setdefault(name, []).append(squares.of(kept))
    found = {}
    for name, blocks in parts.items():
        largest = np.concatenate([block.terms for block in blocks], axis=1).mean(axis=1).max()
        size = np.sqrt(max(float(largest), SMALLEST))
        defect = np.concatenate([block.defect for block in blocks])
        doubt = np.concatenate([block.uncertainty for block in blocks])
        found[name] = Balance(defect / size, doubt / size)
    return found


def profile(values: Array) -> Array:
    """A trajectory in few numbers: the largest value in each of at most `BINS` spans of frames."""
    edges = np.linspace(0, values.size, min(BINS, values.size) + 1).astype(int)[:-1]
    return np.maximum.reduceat(values, edges).astype(np.float32)


@dataclass(frozen=True)
class _Squares:
    """Of frames: defect and uncertainty ``(time,)``, mean squares of terms ``(term, time)``."""

    defect: Array
    uncertainty: Array
    terms: Array

    def of(self, frames: slice) -> "_Squares":
        return _Squares(self.defect[frames], self.uncertainty[frames], self.terms[:, frames])


def _blocks(simulation: Simulation) -> Iterator[tuple[slice, slice]]:
    """Frames to read, with all that their derivatives need, and those of them that are new."""
    n, width = simulation.times.size, STENCIL // 2
    values = max(int(np.prod(simulation.grid.shape)), 1)
    size = max(BLOCK_VALUES // values, STENCIL)
    for start in range(0, n, size):
        stop = min(start + size, n)
        # The formulas are one-sided at the ends alone, and are to find their points there too
        first = max(0, min(start - width, n - STENCIL))
        last = min(n, max(stop + width, STENCIL))
        yield slice(first, last), slice(start - first, stop - first)


def _squares(
    simulation: Simulation,
    block: slice,
    frames: Mapping[str, Array],
    shaken: Mapping[str, Array],
    inputs: Inputs,
) -> dict[str, _Squares]:
    d = Derivatives(simulation.grid, simulation.times[block])
    rough = simulation.equations(shaken, inputs, d.less_accurate())
    varying = _varying(simulation, block, frames, inputs)
    found = {}
    for name, terms in simulation.equations(frames, inputs, d).items():
        total: Any = sum(terms.values())
        doubt = _size(total - sum(rough[name].values()))
        if d.times.size > 1:
            demanded = total - terms.get("rate", 0.0)
            doubt = doubt + _size(demanded - d.from_other_times(demanded))
            if varying.get(name, 0.0) > 0.0:
                phase = _size(demanded) * np.gradient(d.times) / varying[name]
                doubt = doubt + _size(demanded) * np.minimum(phase**6 / 20, 1.0)
        sizes = np.stack([_size(term + 0.0 * total) ** 2 for term in terms.values()])
        found[name] = _Squares(_size(total), doubt, sizes)
    return found


class _Undifferentiated(Derivatives):
    """In the place of rates of change, what changes."""

    def time(self, u: Any) -> Any:
        return u


def _varying(
    simulation: Simulation, block: slice, frames: Mapping[str, Array], inputs: Inputs
) -> dict[str, float]:
    """Standard deviation, over space and a few frames, of what changes, by equation."""
    few = slice(None, None, max(simulation.times[block].size // 5, 1))
    d = _Undifferentiated(simulation.grid, simulation.times[block][few])
    terms = simulation.equations({name: v[few] for name, v in frames.items()}, inputs, d)
    return {name: float(np.std(found["rate"])) for name, found in terms.items() if "rate" in found}


def _size(values: Array) -> Array:
    """Root mean square of each frame."""
    mean: Array = np.sqrt(np.mean(values**2, axis=tuple(range(1, values.ndim))))
    return mean
