"""A law with a source, for the test of what finite volumes do with it."""

import json
from typing import NamedTuple

import numpy as np

from simulations.numerics import muscl_hancock
from simulations.numerics.muscl_hancock import OPEN, PERIODIC
from simulations.numerics.shallow_water import ShallowWaterLaw


class Falling(NamedTuple):
    """Shallow water that is pushed along the last axis and rains in."""

    gravity: float
    push: float
    rain: float

    predict = ShallowWaterLaw.predict
    flux = ShallowWaterLaw.flux
    advance = ShallowWaterLaw.advance

    def source(self, state, duration, per_length, boundary, scratch):
        """dh/dt = rain · h, du/dt = push · h: exact over the time."""
        planes, rows, fields, n = state.shape
        growth = np.exp(self.rain * duration)
        for i in range(planes):
            for j in range(rows):
                for k in range(n):
                    h = state[i, j, 0, k]
                    state[i, j, 0, k] = h * growth
                    gain = duration if self.rain == 0.0 else (growth - 1.0) / self.rain
                    state[i, j, fields - 1, k] += self.push * h * gain


def solve(law, depth, velocity, times, spacing, boundary):
    status, reached, (depth,), velocity = muscl_hancock.evolve(
        law, [depth], velocity, np.asarray(times), spacing, boundary
    )
    assert (status, reached) == (muscl_hancock.COMPLETED, times[-1])
    return depth, velocity


def uniform_error():
    """What is uniform follows the source alone."""
    times = [0.0, 0.1, 0.7, 1.0]
    depth, velocity = solve(
        Falling(2.0, 0.3, 0.5),
        np.full((8, 12), 1.5),
        np.zeros((8, 12, 2)),
        times,
        [1.0, 1.0],
        [PERIODIC, OPEN],
    )
    growth = np.exp(0.5 * np.array(times))[:, None, None]
    errors = [depth - 1.5 * growth, velocity[..., 1] - 0.9 * (growth - 1), velocity[..., 0]]
    return max(float(np.abs(error).max()) for error in errors)


def splitting_errors():
    """Numbers of cells, and mean errors against many cells."""

    def run(n):
        x = (np.arange(n) + 0.5) / n
        depth = 1 + 0.1 * np.sin(2 * np.pi * x)
        law = Falling(1.0, 0.8, 0.6)
        return solve(law, depth, np.zeros((n, 1)), [0.0, 0.15, 0.3], [1 / n], [PERIODIC])[0][-1]

    fine = run(1024)
    return [
        (n, float(np.abs(run(n) - fine.reshape(n, -1).mean(axis=1)).mean())) for n in (32, 64, 128)
    ]


def report():
    return json.dumps({"uniform": uniform_error(), "errors": splitting_errors()})
