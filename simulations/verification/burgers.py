"""Verification of `Burgers`."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.polynomial.hermite import hermgauss
from scipy.special import ive

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


def from_sine(x: Array, t: float, nu: float) -> Array:
    """Exact velocity at time t from u₀ = sin 2πx on [0, 1].

    u = −2ν φ_x/φ with φ = I₀(z) + 2 Σ I_m(z) e^(−4π²m²νt) cos 2πmx, z = 1/4πν
    """
    z, m = 1 / (4 * np.pi * nu), np.arange(1, 200)
    weights = 2 * ive(m, z) * np.exp(-nu * (2 * np.pi * m) ** 2 * t)
    angles = 2 * np.pi * np.outer(x, m)
    phi = ive(0, z) + np.cos(angles) @ weights
    return 2 * nu * (np.sin(angles) @ (2 * np.pi * m * weights)) / phi


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
    """Largest slope of the shock from −sin πx, ν = 0.01/π: 152.00516 at πt = 1.6037."""
    slopes = []
    for pi_t in (1.59, 1.6037, 1.617):
        simulation, u0 = _sine(2048, 1e-9, t_end=pi_t / np.pi)
        u = simulation.solve({"nu": 0.01 / np.pi, "u0": u0})["u"][-1]
        k = 1j * np.pi * np.arange(1025)
        slopes.append(abs(np.fft.irfft(k * np.fft.rfft(u))[1024]))
    source = "Basdevant et al., Computers & Fluids 14 (1986) 23, table 1"
    yield close_to("|∂u/∂x| at x = 0, πt = 1.6037", slopes[1], 152.00516, 2e-5, source)
    excess = max(slopes[0], slopes[2]) - slopes[1]
    yield at_most("by how much it is larger before or after", max(excess, 0.0), 0.0, source)


@verifies(Burgers)
def tolerance() -> Iterator[Finding]:
    """Every frame from sin 2πx is within about the tolerance of the Cole–Hopf solution."""
    for loose in (1e-4, 1e-7, 1e-10):
        worst = 0.0
        for nu in (0.01, 0.03, 0.1, 1.0):
            simulation = Burgers(n=512, tolerance=loose)
            x = simulation.grid.axes[0].points
            u = simulation.solve({"nu": nu, "u0": np.sin(2 * np.pi * x)})["u"]
            exact = np.array([from_sine(x, t, nu) for t in simulation.times])
            errors = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
            visible = np.abs(exact).max(axis=1) > 1e-3  # the series has an absolute round-off
            worst = max(worst, errors[visible].max())
        quantity = f"largest relative L2 error at tolerance {loose:g}"
        yield at_most(quantity, worst, 2 * loose, "Cole 1951; Hopf 1950")


@verifies(Burgers)
def spectral_convergence() -> Iterator[Finding]:
    """The error falls by a constant factor for every point that is added."""
    points = np.array([48, 72, 96, 120, 144])
    errors = []
    for n in points:
        simulation = Burgers(n=int(n), n_times=2, tolerance=1e-12)
        x = simulation.grid.axes[0].points
        u = simulation.solve({"nu": 0.01, "u0": np.sin(2 * np.pi * x)})["u"][-1]
        exact = from_sine(x, 1.0, 0.01)
        errors.append(np.linalg.norm(u - exact) / np.linalg.norm(exact))
    factors = np.exp(np.diff(np.log(errors)) / np.diff(points))
    yield at_most("relative L2 error with 144 points", errors[-1], 1e-9, "Cole 1951; Hopf 1950")
    yield at_most("factor of the error for each point, the largest", factors.max(), 0.9)
    yield at_most("spread of these factors", np.ptp(factors), 0.05)


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
