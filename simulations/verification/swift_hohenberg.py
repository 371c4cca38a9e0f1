"""Verification of `SwiftHohenberg`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.swift_hohenberg import SwiftHohenberg
from simulations.verification.check import Finding, at_most, close_to, verifies
from simulations.verification.interval import diagonal_waves


@verifies(SwiftHohenberg)
def stripes() -> Iterator[Finding]:
    """Just above onset the stripes have the amplitude √(4r/3) and the wavenumber 1."""
    r = 0.01
    expected = np.sqrt(4 * r / 3)
    source = "Cross and Hohenberg, Rev. Mod. Phys. 65 (1993) 851; exact to order r"
    for ndim in (1, 2):
        simulation = SwiftHohenberg(
            ndim=ndim, n=16, length=2 * np.pi * np.sqrt(ndim), t_end=1500.0, n_times=2
        )
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        wave = np.cos(sum(points) / np.sqrt(ndim))
        u = simulation.solve({"r": r, "g": 0.0, "u0": 0.05 * wave})["u"][-1]
        found = 2 * np.mean(u * wave)
        quantity = f"amplitude at r = 0.01, {ndim}-D"
        yield close_to(quantity, found, expected, 1e-3 * expected, source)


@verifies(SwiftHohenberg)
def growth() -> Iterator[Finding]:
    """Small waves grow at the rate r − (1 − |k|²)²."""
    simulation = SwiftHohenberg(n=64, t_end=2.0, n_times=2, tolerance=1e-10)
    x = simulation.grid.axes[0].points
    for mode in (5, 10, 13):
        k = mode / 10
        u = simulation.solve({"r": 0.3, "g": 0.5, "u0": 1e-8 * np.cos(k * x)})["u"][-1]
        found = np.log(2e8 * np.mean(u * np.cos(k * x))) / 2.0
        yield close_to(f"growth rate at k = {k:g}", found, 0.3 - (1 - k**2) ** 2, 1e-6, "exact")
    for ndim in (2, 3):
        simulation = SwiftHohenberg(ndim=ndim, n=16, t_end=2.0, n_times=2, tolerance=1e-10)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        wave = np.cos(0.1 * sum(m * x for m, x in zip((7, 5, 3), points, strict=False)))
        u = simulation.solve({"r": 0.3, "g": 0.5, "u0": 1e-8 * wave})["u"][-1]
        found = np.log(2e8 * np.mean(u * wave)) / 2.0
        squared = 0.74 if ndim == 2 else 0.83
        yield close_to(f"growth rate, {ndim}-D", found, 0.3 - (1 - squared) ** 2, 1e-6, "exact")


@verifies(SwiftHohenberg)
def waves_across_a_box() -> Iterator[Finding]:
    """Waves along the diagonal of a square and a cube are those of an interval."""
    simulation = SwiftHohenberg(n=40, length=20.0, t_end=10.0, n_times=2, tolerance=1e-8)
    parameters = {"r": 0.5, "g": 0.8}
    yield from diagonal_waves(
        simulation, parameters, lambda p: 0.2 + 0.4 * np.sin(p) + 0.3 * np.cos(2 * p)
    )


@verifies(SwiftHohenberg)
def uniform_field() -> Iterator[Finding]:
    """A uniform field obeys du/dt = (r − 1)u + gu² − u³."""
    simulation = SwiftHohenberg(n=16, t_end=3.0, n_times=2, tolerance=1e-11)
    u = simulation.solve({"r": 0.4, "g": 0.9, "u0": np.full(16, 1.5)})["u"][-1]
    truth = solve_ivp(
        lambda t, u: -0.6 * u + 0.9 * u**2 - u**3, (0, 3), [1.5], "DOP853", rtol=1e-12, atol=1e-12
    ).y[0, -1]
    yield at_most("largest error at t = 3", np.abs(u - truth).max(), 1e-9, "SciPy, DOP853")
