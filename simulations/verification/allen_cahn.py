"""Verification of `AllenCahn`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.allen_cahn import AllenCahn
from simulations.verification.check import Finding, at_most, close_to, verifies
from simulations.verification.interval import diagonal_waves


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
    bulk = simulation.diagnostics({"u": u[-1:]})["bulk_energy"][0]
    energy = bulk + simulation.integral(0.5 * epsilon**2 * simulation.gradient_squared(u[-1:]))[0]
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
    """Small waves grow at the rate 1 − ε²|k|²."""
    for ndim in (1, 2, 3):
        simulation = AllenCahn(ndim=ndim, n=16, t_end=2.0, n_times=2, tolerance=1e-10)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        k = 2 * np.pi * np.array([3, 2, 1][:ndim])
        wave = np.cos(sum(q * x for q, x in zip(k, points, strict=True)))
        u = simulation.solve({"epsilon": 0.04, "u0": 1e-8 * wave})["u"][-1]
        found = np.log(2e8 * np.mean(u * wave)) / 2.0
        expected = 1 - 0.04**2 * float(k @ k)
        yield close_to(f"growth rate, {ndim}-D", found, expected, 1e-6, "exact")


@verifies(AllenCahn)
def front_across_a_box() -> Iterator[Finding]:
    """Fronts along the diagonal of a square and a cube are those of an interval."""
    simulation = AllenCahn(n=40, t_end=3.0, n_times=2, tolerance=1e-8)
    yield from diagonal_waves(
        simulation, {"epsilon": 0.07}, lambda p: 0.2 + np.sin(p) + 0.3 * np.cos(2 * p)
    )


@verifies(AllenCahn)
def motion_by_curvature() -> Iterator[Finding]:
    """A disc shrinks as R² = R₀² − 2ε²t."""
    yield _shrinking(2, 96, 0.02)


@verifies(AllenCahn, slow=True)
def shrinking_sphere() -> Iterator[Finding]:
    """A sphere, with twice the curvature, shrinks as R² = R₀² − 4ε²t."""
    yield _shrinking(3, 72, 0.025)


def _shrinking(ndim: int, n: int, epsilon: float) -> Finding:
    """−dR²/dt while R falls from 0.4 to about 0.32, by the volume where u > 0."""
    t_end = 0.06 / (2 * (ndim - 1) * epsilon**2)
    simulation = AllenCahn(ndim=ndim, n=n, t_end=t_end, n_times=7, tolerance=1e-6)
    points = np.meshgrid(*[axis.points - 0.5 for axis in simulation.grid.axes], indexing="ij")
    radius = np.sqrt(sum(x**2 for x in points))
    u0 = np.tanh((0.4 - radius) / (np.sqrt(2) * epsilon))
    u = simulation.solve({"epsilon": epsilon, "u0": u0})["u"][1:]
    volume = simulation.integral((1 + u) / 2)
    squared = volume / np.pi if ndim == 2 else (3 * volume / (4 * np.pi)) ** (2 / 3)
    found = -np.polyfit(simulation.times[1:], squared, 1)[0] / epsilon**2
    expected = 2.0 * (ndim - 1)
    source = "Allen and Cahn, Acta Metallurgica 27 (1979) 1085; exact for thin fronts"
    return close_to(f"−dR²/dt / ε², {ndim}-D", found, expected, 0.015 * expected, source)
