"""Verification of `SwiftHohenberg`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.swift_hohenberg import SwiftHohenberg
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(SwiftHohenberg)
def stripes() -> Iterator[Finding]:
    """Just above onset the stripes have the amplitude √(4r/3) and the wavenumber 1."""
    simulation = SwiftHohenberg(n=64, length=4 * np.pi, t_end=3000.0, n_times=2)
    x, r = simulation.grid.axes[0].points, 0.01
    u = simulation.solve({"r": r, "g": 0.0, "u0": 0.05 * np.cos(x)})["u"][-1]
    found, expected = 2 * np.mean(u * np.cos(x)), np.sqrt(4 * r / 3)
    source = "Cross and Hohenberg, Rev. Mod. Phys. 65 (1993) 851; exact to order r"
    yield close_to("amplitude at r = 0.01", found, expected, 1e-3 * expected, source)


@verifies(SwiftHohenberg)
def growth() -> Iterator[Finding]:
    """Small waves grow at the rate r − (1 − k²)²."""
    simulation = SwiftHohenberg(n=64, t_end=2.0, n_times=2, tolerance=1e-10)
    x = simulation.grid.axes[0].points
    for mode in (5, 10, 13):
        k = mode / 10
        u = simulation.solve({"r": 0.3, "g": 0.5, "u0": 1e-8 * np.cos(k * x)})["u"][-1]
        found = np.log(2e8 * np.mean(u * np.cos(k * x))) / 2.0
        yield close_to(f"growth rate at k = {k:g}", found, 0.3 - (1 - k**2) ** 2, 1e-6, "exact")


@verifies(SwiftHohenberg)
def uniform_field() -> Iterator[Finding]:
    """A uniform field obeys du/dt = (r − 1)u + gu² − u³."""
    simulation = SwiftHohenberg(n=16, t_end=3.0, n_times=2, tolerance=1e-11)
    u = simulation.solve({"r": 0.4, "g": 0.9, "u0": np.full(16, 1.5)})["u"][-1]
    truth = solve_ivp(
        lambda t, u: -0.6 * u + 0.9 * u**2 - u**3, (0, 3), [1.5], "DOP853", rtol=1e-12, atol=1e-12
    ).y[0, -1]
    yield at_most("largest error at t = 3", np.abs(u - truth).max(), 1e-9, "SciPy, DOP853")
