"""Verification of `KuramotoSivashinsky`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.kuramoto_sivashinsky import KuramotoSivashinsky
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(KuramotoSivashinsky)
def growth() -> Iterator[Finding]:
    """Small waves grow and decay at the rates k² − νk⁴."""
    simulation = KuramotoSivashinsky(n=64, length=32.0, t_end=2.0, n_times=2, tolerance=1e-10)
    x, nu = simulation.grid.axes[0].points, 0.8
    for mode in (2, 4, 7):
        k = 2 * np.pi * mode / 32.0
        u = simulation.solve({"nu": nu, "u0": 1e-8 * np.cos(k * x)})["u"][-1]
        amplitude = 2 * np.mean(u * np.cos(k * x))
        found, expected = np.log(amplitude / 1e-8) / 2.0, k**2 - nu * k**4
        yield close_to(f"growth rate of mode {mode}", found, expected, 1e-6, "exact")


@verifies(KuramotoSivashinsky)
def galilean_invariance() -> Iterator[Finding]:
    """A constant added to u makes the pattern travel at that speed."""
    simulation = KuramotoSivashinsky(n=128, length=32.0, t_end=4.0, n_times=2, tolerance=1e-10)
    u0 = np.asarray(simulation.sample(np.random.default_rng(0))["u0"])
    still = simulation.solve({"nu": 1.0, "u0": u0})["u"][-1]
    moving = simulation.solve({"nu": 1.0, "u0": u0 + 2.0})["u"][-1]  # by 8 of 32 in t = 4
    error = np.abs(moving - 2.0 - np.roll(still, 32)).max() / np.abs(still).max()
    yield at_most("relative difference", error, 1e-7, "exact")


@verifies(KuramotoSivashinsky)
def another_integrator() -> Iterator[Finding]:
    """Differences of spectral accuracy, integrated by SciPy."""
    simulation = KuramotoSivashinsky(n=96, length=32.0, t_end=10.0, n_times=2, tolerance=1e-11)
    u0 = np.asarray(simulation.sample(np.random.default_rng(1))["u0"])
    k = 2 * np.pi / 32.0 * np.arange(49)
    cut = k < 2 * np.pi / 32.0 * 32

    def rates(t, u):
        v = np.fft.rfft(u)
        advection = -0.5j * k * np.fft.rfft(u**2) * cut
        return np.fft.irfft(advection + (k**2 - k**4) * v, 96)

    u0 = np.fft.irfft(np.fft.rfft(u0) * cut, 96)
    truth = solve_ivp(rates, (0.0, 10.0), u0, "LSODA", rtol=1e-10, atol=1e-10).y[:, -1]
    solution = simulation.solve({"nu": 1.0, "u0": u0})
    error = np.linalg.norm(solution["u"][-1] - truth) / np.linalg.norm(truth)
    yield at_most("relative L2 distance at t = 10", error, 1e-6, "SciPy, LSODA at 1e-10")
    momentum = simulation.diagnostics(solution)["momentum"]
    yield at_most("drift of momentum", np.ptp(momentum), 1e-10)
