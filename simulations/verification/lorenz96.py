"""Verification of `Lorenz96`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.lorenz96 import Lorenz96
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(Lorenz96)
def growth() -> Iterator[Finding]:
    """Waves e^(ikj) about x = F grow at the rate Re F(e^(ik) − e^(−2ik)) − 1."""
    n, forcing, size = 12, 3.0, 1e-8
    simulation = Lorenz96(n=n, t_end=0.5, n_times=2, tolerance=1e-13)
    for mode in (1, 2, 3):
        angle = 2 * np.pi * mode / n
        start = forcing + size * np.cos(angle * np.arange(n))
        x = simulation.solve({"forcing": forcing, "start": start})["x"][-1]
        found = 2 * np.mean((x - forcing) * np.exp(-1j * angle * np.arange(n))) / size
        rate = forcing * (np.exp(1j * angle) - np.exp(-2j * angle)) - 1
        expected = np.exp(0.5 * rate)
        yield close_to(f"amplitude of mode {mode}", abs(found), abs(expected), 1e-5, "exact")
        yield close_to(f"phase of mode {mode}", np.angle(found), np.angle(expected), 1e-5, "exact")


@verifies(Lorenz96)
def energy() -> Iterator[Finding]:
    """Energy changes by −Σx² + FΣx alone: without forcing it decays as e^(−2t)."""
    simulation = Lorenz96(t_end=3.0, n_times=4, tolerance=1e-12)
    start = np.asarray(simulation.sample(np.random.default_rng(0))["start"])
    solution = simulation.solve({"forcing": 0.0, "start": start})
    found = simulation.diagnostics(solution)["energy"]
    exact = found[0] * np.exp(-2 * simulation.times)
    yield at_most("relative error of the energy", np.abs(found / exact - 1).max(), 1e-10, "exact")


@verifies(Lorenz96)
def another_integrator() -> Iterator[Finding]:
    """The equations written with shifted arrays, integrated by SciPy."""
    simulation = Lorenz96(t_end=2.0, n_times=2, tolerance=1e-12)
    drawn = simulation.sample(np.random.default_rng(1))

    def rates(t, x):
        return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + drawn["forcing"]

    truth = solve_ivp(rates, (0, 2), drawn["start"], "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    error = np.abs(simulation.solve(drawn)["x"][-1] - truth).max()
    yield at_most("largest distance at t = 2", error, 1e-7, "SciPy, DOP853")
