"""Verification of `AllenCahn`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.allen_cahn import AllenCahn
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(AllenCahn)
def front_at_rest() -> Iterator[Finding]:
    """Fronts tanh(x/√2ε) stay where they are, with the energy 2√2/3 ε each."""
    epsilon = 0.02
    simulation = AllenCahn(n=512, t_end=5.0, n_times=2, tolerance=1e-10)
    x = simulation.grid.axes[0].points
    distance = 0.25 - np.abs(x - 0.5)
    u0 = np.tanh(distance / (np.sqrt(2) * epsilon))
    u = simulation.solve({"epsilon": epsilon, "u0": u0})["u"]
    yield at_most("largest change by t = 5", np.abs(u[-1] - u0).max(), 1e-5, "exact")
    slope = simulation.derivative(u[-1:])
    bulk = simulation.diagnostics({"u": u[-1:]})["bulk_energy"][0]
    energy = bulk + simulation.integral(0.5 * epsilon**2 * slope**2)[0]
    expected = 2 * 2 * np.sqrt(2) * epsilon / 3
    yield close_to("energy of two fronts", energy, expected, 1e-6 * expected, "exact")


@verifies(AllenCahn)
def uniform_field() -> Iterator[Finding]:
    """A uniform field relaxes as u₀ e^t / √(1 + u₀²(e^(2t) − 1))."""
    simulation = AllenCahn(n=16, t_end=3.0, n_times=2, tolerance=1e-11)
    for start in (0.1, -1.5):
        u = simulation.solve({"epsilon": 0.02, "u0": np.full(16, start)})["u"][-1]
        exact = start * np.exp(3.0) / np.sqrt(1 + start**2 * np.expm1(6.0))
        yield at_most(f"error at t = 3 from {start:g}", np.abs(u - exact).max(), 1e-9, "exact")


@verifies(AllenCahn)
def growth() -> Iterator[Finding]:
    """Small waves grow at the rate 1 − ε²k²."""
    simulation = AllenCahn(n=64, t_end=2.0, n_times=2, tolerance=1e-10)
    x, k = simulation.grid.axes[0].points, 2 * np.pi * 5
    u = simulation.solve({"epsilon": 0.02, "u0": 1e-8 * np.cos(k * x)})["u"][-1]
    found = np.log(2e8 * np.mean(u * np.cos(k * x))) / 2.0
    yield close_to("growth rate of mode 5", found, 1 - (0.02 * k) ** 2, 1e-6, "exact")
