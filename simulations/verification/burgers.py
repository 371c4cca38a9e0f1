"""Verification of `Burgers`."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.polynomial.hermite import hermgauss

from simulations.systems.burgers import Burgers
from simulations.verification.check import Finding, at_most, close_to, verifies

Array = np.ndarray


def cole_hopf(x: Array, t: float, nu: float) -> Array:
    """Exact velocity at time t from u₀ = −sin πx on [−1, 1].

    u = −∫ sin(π(x−s)) f(x−s) e^(−s²/4νt) ds / ∫ f(x−s) e^(−s²/4νt) ds, f(y) = e^(−cos(πy)/2πν)
    """
    nodes, weights = hermgauss(200)
    y = x[:, None] - np.sqrt(4 * nu * t) * nodes
    exponent = -np.cos(np.pi * y) / (2 * np.pi * nu)
    f = weights * np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(f * np.sin(np.pi * y)).sum(axis=1) / f.sum(axis=1)


def _sine(n: int, tolerance: float, t_end: float = 1.0) -> tuple[Burgers, Array]:
    """The interval [−1, 1) with x = 0 at its middle, and −sin πx on it."""
    simulation = Burgers(n=n, length=2.0, t_end=t_end, n_times=2, tolerance=tolerance)
    return simulation, -np.sin(np.pi * (simulation.grid.axes[0].points - 1.0))


@verifies(Burgers)
def exact_solution() -> Iterator[Finding]:
    """Cole–Hopf solution from a sine that steepens to a shock."""
    for nu, n in ((0.05, 256), (0.01 / np.pi, 2048)):
        simulation, u0 = _sine(n, 1e-10)
        u = simulation.solve({"nu": nu, "u0": u0})["u"][-1]
        exact = cole_hopf(simulation.grid.axes[0].points - 1.0, 1.0, nu)
        error = np.linalg.norm(u - exact) / np.linalg.norm(exact)
        yield at_most(f"relative L2 error, ν = {nu:.3g}", error, 1e-8, "Cole 1951; Hopf 1950")


@verifies(Burgers)
def steepest_slope() -> Iterator[Finding]:
    """Largest slope of the shock from −sin πx, ν = 0.01/π."""
    simulation, u0 = _sine(4096, 1e-10, t_end=1.6037 / np.pi)
    u = simulation.solve({"nu": 0.01 / np.pi, "u0": u0})["u"][-1]
    k = np.pi * np.arange(u.size // 2 + 1)
    slope = np.fft.irfft(1j * k * np.fft.rfft(u), u.size)[u.size // 2]
    source = "Basdevant et al., Computers & Fluids 14 (1986) 23"
    yield close_to("|∂u/∂x| at x = 0, t = 1.6037/π", abs(slope), 152.00516, 1e-3, source)


@verifies(Burgers)
def balances() -> Iterator[Finding]:
    """Momentum is conserved, energy never grows."""
    simulation = Burgers(n=512, n_times=21)
    u0 = simulation.sample(np.random.default_rng(0))["u0"]
    found = simulation.diagnostics(simulation.solve({"nu": 0.01, "u0": u0}))
    drift = np.abs(found["momentum"] - found["momentum"][0]).max()
    yield at_most("drift of momentum", drift, 1e-12)
    growth = max(later - earlier for earlier, later in pairwise(found["energy"]))
    yield at_most("growth of energy between frames", max(growth, 0.0), 0.0)
