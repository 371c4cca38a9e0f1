"""How wrong an answer is: overall, frame by frame, in what is asked for, and how long it holds.

All of them go through the same functions for everybody, so that no two rows of a table differ in
how an error is normalised.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from simulations.simulation import Array, InvalidInput, Simulation
from surrogate import metrics

#: A functional of a solution, ``(time, …)`` from the fields on the simulation's grid
Functional = Callable[[Simulation, Mapping[str, Array]], Array]

# Frames below this share of the largest one are silence, and have no relative error
SILENCE = 1e-6
# Normalised error from which on a roll-out is lost
LOST = 0.4


def check_answer(simulation: Simulation, answer: Mapping[str, Array], whose: str) -> None:
    """Refuse an answer with other fields, frames or points than the simulation stores.

    A single frame would be broadcast to all others, and fewer points would cost less.

    Raises:
        InvalidInput: naming the field, its shape and the one it must have.
    """
    declared = {
        name: (simulation.times.size, *field.shape(simulation.grid))
        for name, field in simulation.fields.items()
    }
    if missing := declared.keys() - answer.keys():
        raise InvalidInput(f"{whose}: does not answer {sorted(missing)}, of {list(declared)}")
    for name, shape in declared.items():
        if np.shape(answer[name]) != shape:
            raise InvalidInput(
                f"{whose}: answers {name} of shape {np.shape(answer[name])}, must be {shape}"
            )


def solution_errors(
    simulation: Simulation, solution: Mapping[str, Array], truth: Mapping[str, Array]
) -> dict[str, float]:
    """Relative L2 error of each field of one sample over space and time.

    The frame that is an initial condition does not count; points count with the grid's quadrature
    weights. A solution that is not finite has the error NaN.
    """
    errors = {}
    for name in simulation.fields:
        ours, theirs, weights = _counted(simulation, name, solution, truth)
        error = metrics.relative_l2(ours[None], theirs[None], weights)[0]
        errors[name] = float(error) if np.isfinite(error) else math.nan
    return errors


def frame_errors(
    simulation: Simulation, solution: Mapping[str, Array], truth: Mapping[str, Array]
) -> dict[str, float]:
    """nRMSE of each field of one sample: the relative L2 error of each frame, mean over frames.

    A late frame that has decayed counts as much as the first one. Components of a vector are one
    norm. A field without space has no norm but that over time, and is measured as by
    `solution_errors`.
    """
    errors = {}
    for name, field in simulation.fields.items():
        ours, theirs, weights = _counted(simulation, name, solution, truth)
        if not field.spatial:
            ours, theirs = ours[None], theirs[None]
        size = np.sqrt(np.square(theirs).reshape(len(theirs), -1).mean(axis=1))
        heard = size > SILENCE * size.max()
        if not heard.any():
            errors[name] = 0.0 if np.array_equal(ours, theirs) else math.nan
            continue
        error = float(metrics.relative_l2(ours[heard], theirs[heard], weights).mean())
        errors[name] = error if math.isfinite(error) else math.nan
    return errors


def quantities(
    simulation: Simulation,
    solution: Mapping[str, Array],
    functionals: Mapping[str, Functional] | None = None,
) -> dict[str, Array]:
    """What one would ask a solution for, each of shape ``(time, …)``.

    The functionals if any are given; else the fields that are numbers, such as a drag; else of each
    field its root mean square over space.
    """
    if functionals:
        return {name: np.asarray(of(simulation, solution)) for name, of in functionals.items()}
    fields = simulation.fields
    numbers: dict[str, Array] = {
        n: np.asarray(solution[n], np.float64) for n, f in fields.items() if not f.spatial
    }
    if numbers:
        return numbers
    grid = simulation.grid
    sizes = {}
    for name, field in fields.items():
        weights = field.weights(grid)
        axes = tuple(range(1, np.ndim(solution[name])))
        squares = weights * np.square(np.asarray(solution[name], np.float64))
        sizes[f"size of {name}"] = np.sqrt(squares.sum(axis=axes) / grid.weights.sum())
    return sizes


def quantity_errors(
    simulation: Simulation,
    solution: Mapping[str, Array],
    truth: Mapping[str, Array],
    functionals: Mapping[str, Functional] | None = None,
) -> dict[str, float]:
    """Error of each of the `quantities` of one sample, ``‖q − q*‖ / ‖q*‖`` over the stored times.

    A first frame that all fields are given does not count.
    """
    given = {declared.initial_of for declared in simulation.field_inputs.values()}
    first = int(given >= simulation.fields.keys() and simulation.times.size > 1)
    ours, theirs = (quantities(simulation, s, functionals) for s in (solution, truth))
    errors = {}
    for name, target in theirs.items():
        error = metrics.relative_l2(ours[name][None, first:], target[None, first:])[0]
        errors[name] = float(error) if np.isfinite(error) else math.nan
    return errors


def valid_time(
    simulation: Simulation, solution: Mapping[str, Array], truth: Mapping[str, Array]
) -> float:
    """Time until the first of the fields is lost, by `metrics.valid_time`; NaN without evolution.

    The last stored time is a lower bound. A solution that is not finite is lost where that begins.
    """
    times = simulation.times
    if times.size < 3:
        return math.nan
    ndim, first_lost = len(simulation.grid.axes), math.inf
    for name, field in simulation.fields.items():
        ours, theirs = (np.asarray(s[name], np.float64)[None] for s in (solution, truth))
        weights = field.weights(simulation.grid)
        lost = metrics.valid_time(
            np.nan_to_num(ours, nan=np.inf, posinf=np.inf, neginf=np.inf),
            theirs,
            weights,
            ndim=ndim if field.spatial else 0,
            times=times,
            threshold=LOST,
        )
        first_lost = min(first_lost, float(lost[0]))
    return first_lost


def mean_error(errors: Mapping[str, float]) -> float:
    """Mean over fields, as in training."""
    return float(np.mean(list(errors.values())))


def _counted(
    simulation: Simulation, name: str, solution: Mapping[str, Array], truth: Mapping[str, Array]
) -> tuple[Array, Array, Array | None]:
    """A field of both without the frame that is given, and the weights of its points."""
    given = {declared.initial_of for declared in simulation.field_inputs.values()}
    first = int(name in given)
    ours, theirs = (np.asarray(s[name], np.float64)[first:] for s in (solution, truth))
    return ours, theirs, simulation.fields[name].weights(simulation.grid)
