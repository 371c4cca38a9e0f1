"""Verification of `Advection`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.advection import Advection
from simulations.verification.check import Finding, at_most, verifies


@verifies(Advection)
def pulse() -> Iterator[Finding]:
    """A smooth pattern moves by ct without change of shape, in one to three dimensions."""
    for ndim in (1, 2, 3):
        simulation = Advection(ndim=ndim, n=32, t_end=0.7, n_times=3, direction=(1.0, -2.0, 3.0))
        direction = np.array([1.0, -2.0, 3.0][:ndim])
        velocity = 1.3 * direction / np.linalg.norm(direction)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")

        def pattern(t, points=points, velocity=velocity):
            moved = [x - c * t for x, c in zip(points, velocity, strict=True)]
            return np.prod([np.exp(np.sin(2 * np.pi * x)) for x in moved], axis=0)

        solution = simulation.solve({"speed": 1.3, "u0": pattern(0.0)})
        error = np.abs(solution["u"][-1] - pattern(0.7)).max()
        yield at_most(f"largest error, {ndim}-D", error, 1e-11, "exact")
        found = simulation.diagnostics(solution)
        yield at_most(f"drift of the mean square, {ndim}-D", np.ptp(found["mean_square"]), 1e-12)
