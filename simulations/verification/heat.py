"""Verification of `Heat`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.heat import Heat
from simulations.verification.check import Finding, at_most, verifies


@verifies(Heat)
def product_of_waves() -> Iterator[Finding]:
    """A product of cosines decays as e^(−α|k|²t), in one to three dimensions."""
    modes, alpha = (1, 2, 3), 0.01
    for ndim in (1, 2, 3):
        simulation = Heat(ndim=ndim, n=24, length=2.0, n_times=3)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        k = np.pi * np.array(modes[:ndim])
        u0 = np.prod([np.cos(q * x) for q, x in zip(k, points, strict=True)], axis=0)
        u = simulation.solve({"alpha": alpha, "u0": u0 + 0.5})["u"][-1]
        exact = 0.5 + u0 * np.exp(-alpha * (k**2).sum())
        yield at_most(f"largest error, {ndim}-D", np.abs(u - exact).max(), 1e-14, "exact")


@verifies(Heat)
def spreading_pulse() -> Iterator[Finding]:
    """A Gaussian of variance s² becomes one of variance s² + 2αt."""
    simulation = Heat(ndim=2, n=128, t_end=0.5, n_times=2)
    x, y = np.meshgrid(*[axis.points - 0.5 for axis in simulation.grid.axes], indexing="ij")

    def pulse(variance: float) -> np.ndarray:
        return np.exp(-(x**2 + y**2) / (2 * variance)) / variance

    u = simulation.solve({"alpha": 1e-3, "u0": pulse(0.001)})["u"][-1]
    exact = pulse(0.001 + 2 * 1e-3 * 0.5)
    yield at_most("relative error", np.abs(u - exact).max() / exact.max(), 1e-12, "exact")
