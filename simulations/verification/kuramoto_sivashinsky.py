"""Verification of `KuramotoSivashinsky`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import simpson, solve_ivp

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
def growth_in_a_square() -> Iterator[Finding]:
    """In two dimensions small waves grow and decay at the rates |k|² − ν|k|⁴."""
    simulation = KuramotoSivashinsky(
        ndim=2, n=32, length=32.0, t_end=2.0, n_times=2, tolerance=1e-10
    )
    x, y = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
    for modes in ((3, 2), (0, 4), (5, -4)):
        wave = np.cos(2 * np.pi / 32.0 * (modes[0] * x + modes[1] * y))
        squared = (2 * np.pi / 32.0) ** 2 * (modes[0] ** 2 + modes[1] ** 2)
        u = simulation.solve({"nu": 0.8, "u0": 1e-8 * wave})["u"][-1]
        found = np.log(2e8 * np.mean(u * wave)) / 2.0
        expected = squared - 0.8 * squared**2
        yield close_to(f"growth rate of mode {modes}", found, expected, 1e-6, "exact")


@verifies(KuramotoSivashinsky)
def slope_across_a_square() -> Iterator[Finding]:
    """The slope of a height that varies along a direction of the square is the u of an interval."""
    box = KuramotoSivashinsky(ndim=2, n=48, length=26.0, t_end=8.0, n_times=3, tolerance=1e-9)
    index = np.arange(48)
    height = 2 * np.cos(2 * np.pi * index / 48) + np.sin(4 * np.pi * index / 48)
    cases = {
        "x": (np.add.outer(index, 0 * index), 26.0),
        "the diagonal": (np.add.outer(index, index) % 48, 26.0 / np.sqrt(2)),
    }
    for name, (along, length) in cases.items():
        line = KuramotoSivashinsky(n=96, length=length, t_end=8.0, n_times=3, tolerance=1e-9)
        k = 2j * np.pi / length * np.arange(24)
        slope = np.fft.irfft(k * np.fft.rfft(height)[:24], 96) * 2
        expected = line.solve({"nu": 1.0, "u0": slope})["u"][-1, ::2]
        solution = box.solve({"nu": 1.0, "u0": height[along]})
        found = np.fft.irfft(k * np.fft.rfft(solution["u"][-1, :, 0])[:24], 48)
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        yield at_most(f"relative L2 distance along {name}", error, 1e-6, "1-D")


@verifies(KuramotoSivashinsky)
def another_integrator_in_a_square() -> Iterator[Finding]:
    """In two dimensions, matrices of spectral differences, integrated by SciPy."""
    n, length = 20, 14.0
    simulation = KuramotoSivashinsky(
        ndim=2, n=n, length=length, t_end=6.0, n_times=61, tolerance=1e-10
    )
    x, y = np.meshgrid(*[2 * np.pi / n * np.arange(n)] * 2, indexing="ij")
    u0 = np.cos(x) + 0.7 * np.sin(2 * y) + 0.5 * np.sin(x - y)
    k = 2 * np.pi / length * np.fft.fftfreq(n, 1 / n)
    forward = np.fft.fft(np.eye(n), axis=0)
    second = np.real(forward.conj().T @ (-(k[:, None] ** 2) * forward)) / n
    k[n // 2] = 0.0
    first = np.real(forward.conj().T @ (1j * k[:, None] * forward)) / n

    def rates(t, flat):
        u = flat.reshape(n, n)
        curvature = second @ u + u @ second.T
        biharmonic = second @ curvature + curvature @ second.T
        speed = 0.5 * ((first @ u) ** 2 + (u @ first.T) ** 2)
        return -(speed + curvature + 0.9 * biharmonic).ravel()

    truth = solve_ivp(rates, (0.0, 6.0), u0.ravel(), "DOP853", rtol=1e-9, atol=1e-9).y[:, -1]
    solution = simulation.solve({"nu": 0.9, "u0": u0})
    distance = np.linalg.norm(solution["u"][-1].ravel() - truth)
    error = distance / np.linalg.norm(truth - truth.mean())
    yield at_most("relative L2 distance at t = 6", error, 1e-6, "SciPy, DOP853 at 1e-9")
    found = simulation.diagnostics(solution)
    sunk = simpson(found["energy"] / length**2, x=simulation.times)
    error = found["mean"][0] - found["mean"][-1] - sunk
    yield at_most("mean height that ∫|∇u|²/2 does not account for", error, 1e-5, "exact")


@verifies(KuramotoSivashinsky)
def equilibria() -> Iterator[Finding]:
    """Energies ∫u²/2 dx / L of the steady states with two and three waves on L = 22."""
    source = "Cvitanović, Davidchack, Siminos, SIAM J. Appl. Dyn. Syst. 9 (2010) 1"
    for waves, expected in ((2, 0.4382), (3, 1.5876)):
        # On one wave's part of the interval they are stable
        simulation = KuramotoSivashinsky(
            n=64, length=22.0 / waves, t_end=150.0, n_times=2, tolerance=1e-7
        )
        u0 = -np.sin(2 * np.pi * np.arange(64) / 64)
        u = simulation.solve({"nu": 1.0, "u0": u0})["u"][-1]
        energy = np.mean(u**2) / 2
        yield close_to(f"energy with {waves} waves", energy, expected, 5.1e-5, source)


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
    """The same equation, integrated by SciPy."""
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
