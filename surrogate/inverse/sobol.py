"""Which parameters matter: variance-based indices, and how wrong the surrogate may make them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import qmc

from simulations.simulation import Array, InvalidInput, check_setting
from surrogate.emulator import Surrogate
from surrogate.inverse.box import Box

# Base points that are answered at once
BATCH = 64
RESAMPLES = 200


@dataclass(frozen=True)
class Index:
    """Share of the variance of a field that a parameter explains.

    Args:
        value: by the surrogate.
        sampling: its 95 % interval by the bootstrap, as the points are finitely many.
        model: what the index of the solver can be, given value and the surrogate's error; NaN
            without a control by the solver.
    """

    value: float
    sampling: tuple[float, float]
    model: tuple[float, float]


@dataclass(frozen=True)
class Sensitivity:
    """Sobol' indices of each field and parameter.

    Args:
        first: by field and parameter: the share that the parameter explains on its own.
        total: the share that is lost where the parameter is known last: with all interactions.
        error: of each field the surrogate's root mean square error as a share of the deviation of
            the field over the box (with 95 % confidence an upper bound); NaN without a control.
        evaluations: of the surrogate.
        solver_calls: of the control.
    """

    first: dict[str, dict[str, Index]]
    total: dict[str, dict[str, Index]]
    error: dict[str, float]
    evaluations: int
    solver_calls: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def sensitivity(
    emulator: Surrogate,
    *,
    n: int = 1024,
    control: int = 32,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    inputs: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Sensitivity:
    """Sobol' indices of all parameters, for every field.

        S_i = Var E[f | x_i] / Var f,    T_i = E Var[f | all but x_i] / Var f

    Parameters are independent and uniform over the training range, in their scale. The variance of
    a field is summed over space, times and components: its index is the mean of the indices of all
    values, weighted with their variance.

    Both indices are squared lengths of projections of f, so that the triangle inequality bounds
    those of the solver: with an error of the surrogate of r deviations,

        √S ∈ [(√S' − r) / (1 + r), (√S' + r) / (1 − r)].

    Args:
        emulator: the surrogate.
        n: base points, a power of 2; the surrogate answers (parameters + 2) times as many.
        control: runs of the solver that measure r, at least 8, or 0 to do without.
        bounds: ``(low, high)`` by parameter, within the training range.
        inputs: all other inputs: fields, and parameters that do not vary.
        seed: of points, bootstrap and control.

    Raises:
        InvalidInput: naming the argument and what is allowed.

    References:
        Saltelli et al., Computer Physics Communications 181 (2010) 259: S.
        Jansen, Computer Physics Communications 117 (1999) 35: T and the variance.
        Gamboa, Janon, Klein and Lagnoux, Electronic Journal of Statistics 8 (2014) 575: fields.
    """
    check_setting("n", n, 2, 2**20, integer=True)
    check_setting("control", control, 0, integer=True)
    if n & (n - 1):
        raise InvalidInput(f"n={n}: must be a power of 2")
    if 0 < control < 8:
        raise InvalidInput(f"control={control}: must be 0 or at least 8 runs")
    box = Box.of(emulator, bounds, inputs)
    d = len(box.names)
    points = qmc.Sobol(2 * d, scramble=True, rng=seed).random(n)
    parts = [_contributions(box, points[i : i + BATCH]) for i in range(0, n, BATCH)]
    rng = np.random.default_rng(np.random.SeedSequence((seed, 0)))
    errors = _errors(box, rng.random((control, d)))
    first: dict[str, dict[str, Index]] = {}
    total: dict[str, dict[str, Index]] = {}
    ratio = {}
    for name in emulator.simulation.fields:
        terms = np.concatenate([part[name] for part in parts])
        picks = rng.integers(n, size=(RESAMPLES, n))
        resampled = np.stack([terms[pick].mean(axis=0) for pick in picks])
        means = terms.mean(axis=0)
        ratio[name] = _ratio(errors.get(name), means[0], rng)
        for group, offset in ((first, 1), (total, 1 + d)):
            group[name] = {
                parameter: _index(means, resampled, offset + i, ratio[name])
                for i, parameter in enumerate(box.names)
            }
    return Sensitivity(first, total, ratio, n * (d + 2), box.solver_calls)


def _answers(box: Box, z: Array) -> Iterator[tuple[str, Array]]:
    """Of each field ``(n, values)``, scaled so that squares sum to a mean over space."""
    with torch.no_grad():
        answers = box.answers(torch.from_numpy(z))
    for name, answer in answers.items():
        yield name, _scaled(box, name, answer.double().numpy())


def _scaled(box: Box, name: str, values: Array) -> Array:
    simulation = box.emulator.simulation
    declared = simulation.fields[name]
    if declared.spatial:
        weights = simulation.grid.weights
        values = values * np.sqrt(weights).reshape(*weights.shape, *(1,) * declared.order)
    return values.reshape(len(values), -1)


def _contributions(box: Box, points: Array) -> dict[str, Array]:
    """Of each field and base point the terms whose means are Var f, Var f S_i and Var f T_i."""
    n, d = len(points), len(box.names)
    a, b = points[:, :d], points[:, d:]
    mixed = np.repeat(a[None], d, axis=0)
    for i in range(d):
        mixed[i, :, i] = b[:, i]
    found = {}
    for name, values in _answers(box, np.concatenate([a, b, *mixed])):
        f_a, f_b, *f_ab = values.reshape(d + 2, n, -1)
        terms = [0.5 * np.square(f_a - f_b).sum(axis=1)]
        # Centred pairwise: without it the mean of f would dominate the product's scatter
        centre = 0.5 * (f_a + f_b).mean(axis=0)
        terms += [((f_b - centre) * (f - f_a)).sum(axis=1) for f in f_ab]
        terms += [0.5 * np.square(f_a - f).sum(axis=1) for f in f_ab]
        found[name] = np.stack(terms, axis=1)
    return found


def _errors(box: Box, z: Array) -> dict[str, Array]:
    """Of each field the squared error of the surrogate at coordinates ``(n, d)``: ``(n,)``."""
    if not len(z):
        return {}
    solved = [box.solved(point) for point in z]
    return {
        name: np.square(answer - _scaled(box, name, np.stack([s[name] for s in solved]))).sum(1)
        for name, answer in _answers(box, z)
    }


def _ratio(squares: Array | None, variance: float, rng: np.random.Generator) -> float:
    if squares is None:
        return np.nan
    means = rng.choice(squares, (RESAMPLES, len(squares))).mean(axis=1)
    return float(np.sqrt(np.quantile(means, 0.95) / variance)) if variance > 0 else np.inf


def _index(means: Array, resampled: Array, column: int, r: float) -> Index:
    if not means[0] > 0:  # a field that does not vary depends on nothing
        return Index(0.0, (0.0, 0.0), (0.0, 1.0))
    value = float(means[column] / means[0])
    low, high = np.quantile(resampled[:, column] / resampled[:, 0], [0.025, 0.975])
    root = np.sqrt(max(value, 0.0))
    bounds = (np.nan, np.nan)
    if np.isfinite(r):
        least = max(root - r, 0.0) / (1 + r)
        most = (root + r) / (1 - r) if r < 1 else 1.0
        bounds = (float(least**2), float(min(most, 1.0) ** 2))
    return Index(value, (float(low), float(high)), bounds)
