"""Verification of `KortewegDeVries`."""

from collections.abc import Iterator

import numpy as np

from simulations.simulation import Array
from simulations.systems.korteweg_de_vries import KortewegDeVries
from simulations.verification.check import Finding, at_most, close_to, verifies

GARDNER = "Gardner et al., Physical Review Letters 19 (1967) 1095"


def two_solitons(x: Array, t: float, k1: float, k2: float) -> Array:
    """Exact solution for δ = 1, u = 2 ∂²/∂x² ln τ with Hirota's τ."""
    a = ((k1 - k2) / (k1 + k2)) ** 2
    e1 = np.exp(2 * k1 * (x - 4 * k1**2 * t))
    e2 = np.exp(2 * k2 * (x - 4 * k2**2 * t))
    tau = 1 + e1 + e2 + a * e1 * e2
    first = 2 * k1 * e1 + 2 * k2 * e2 + 2 * (k1 + k2) * a * e1 * e2
    second = 4 * k1**2 * e1 + 4 * k2**2 * e2 + 4 * (k1 + k2) ** 2 * a * e1 * e2
    return 2 * (second / tau - (first / tau) ** 2)


@verifies(KortewegDeVries)
def soliton() -> Iterator[Finding]:
    """A soliton 2δk² sech² k(x − 4δk²t) keeps its shape."""
    for delta in (1.0, 0.5):
        simulation = KortewegDeVries(n=512, length=60.0, t_end=4.0, n_times=2, tolerance=1e-10)
        x, k = simulation.grid.axes[0].points, 0.8
        u0 = 2 * delta * k**2 / np.cosh(k * (x - 20.0)) ** 2
        u = simulation.solve({"delta": delta, "u0": u0})["u"][-1]
        moved = x - 20.0 - 4 * delta * k**2 * 4.0
        error = np.abs(u - 2 * delta * k**2 / np.cosh(k * moved) ** 2).max()
        yield at_most(f"largest error at t = 4, δ = {delta:g}", error, 1e-9, GARDNER)


@verifies(KortewegDeVries)
def phase_shift() -> Iterator[Finding]:
    """After a collision the faster soliton is ln((k₁ + k₂)/(k₁ − k₂))/k₁ ahead of free flight."""
    k, starts = np.array([1.0, 0.5]), np.array([15.0, 35.0])
    simulation = KortewegDeVries(n=512, length=120.0, t_end=20.0, n_times=2, tolerance=1e-8)
    x = simulation.grid.axes[0].points[:, None]
    u0 = (2 * k**2 / np.cosh(k * (x - starts)) ** 2).sum(axis=1)
    u = simulation.solve({"delta": 1.0, "u0": u0})["u"][-1]
    shift = np.log((k[0] + k[1]) / (k[0] - k[1])) / k * [1, -1]
    for name, q, free, expected in zip(
        ("faster", "slower"), k, starts + 4 * k**2 * 20.0, shift, strict=True
    ):
        # u is even about its crest: its logarithm there has no slope
        near = np.abs(x[:, 0] - free - expected) < 1.0 / q
        centre = np.average(x[near, 0], weights=u[near])
        crest = np.polynomial.Polynomial.fit(x[near, 0] - centre, np.log(u[near]), 8).deriv()
        roots = [r.real for r in crest.roots() if abs(r.imag) < 1e-9 and abs(r) < 0.7 / q]
        found = centre + min(roots, key=abs) - free
        yield close_to(f"shift of the {name} one", found, expected, 2e-4, GARDNER)


@verifies(KortewegDeVries)
def collision() -> Iterator[Finding]:
    """Two solitons pass through each other and are displaced: the exact solution of Hirota."""
    simulation = KortewegDeVries(n=768, length=80.0, t_end=10.0, n_times=3, tolerance=1e-10)
    x = simulation.grid.axes[0].points - 40.0
    solution = simulation.solve({"delta": 1.0, "u0": two_solitons(x, -5.0, 1.0, 0.6)})
    error = np.abs(solution["u"][-1] - two_solitons(x, 5.0, 1.0, 0.6)).max()
    yield at_most("largest error after the collision", error, 1e-8, "exact, Hirota's τ function")
    for name, values in simulation.diagnostics(solution).items():
        yield at_most(f"relative drift of {name}", np.ptp(values) / values[0], 1e-8)
