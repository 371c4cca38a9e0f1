"""Verification of `AdvectionDiffusion`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.advection_diffusion import AdvectionDiffusion
from simulations.verification.check import Finding, at_most, verifies


@verifies(AdvectionDiffusion)
def carried_and_spread() -> Iterator[Finding]:
    """A wave moves with the wind and decays as e^(−D|k|²t), in one to three dimensions."""
    modes, speed, diffusivity, t = np.array([1, 2, 1]), 0.8, 0.01, 0.6
    for ndim in (1, 2, 3):
        direction = (2.0, 1.0, -1.0)
        simulation = AdvectionDiffusion(ndim=ndim, n=16, t_end=t, n_times=2, direction=direction)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        k = 2 * np.pi * modes[:ndim]
        phase = sum(q * x for q, x in zip(k, points, strict=True))
        unit = np.array(direction[:ndim]) / np.linalg.norm(direction[:ndim])
        inputs = {"speed": speed, "diffusivity": diffusivity, "u0": np.sin(phase) + 0.3}
        u = simulation.solve(inputs)["u"][-1]
        decay = np.exp(-diffusivity * (k**2).sum() * t)
        exact = 0.3 + decay * np.sin(phase - speed * (k @ unit) * t)
        yield at_most(f"largest error, {ndim}-D", np.abs(u - exact).max(), 1e-13, "exact")
