"""Verification of `CahnHilliard`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.cahn_hilliard import CahnHilliard
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(CahnHilliard)
def growth() -> Iterator[Finding]:
    """Waves about a mixture u₀ grow at the rate Mk²(1 − 3u₀² − κk²)."""
    simulation = CahnHilliard(n=64, length=40.0, t_end=2.0, n_times=2, tolerance=1e-11)
    x = simulation.grid.axes[0].points
    kappa, mobility, mean = 0.7, 1.5, 0.3
    for mode in (2, 6):
        k = 2 * np.pi * mode / 40.0
        inputs = {"kappa": kappa, "mobility": mobility, "u0": mean + 1e-6 * np.cos(k * x)}
        u = simulation.solve(inputs)["u"][-1]
        found = np.log(2e6 * np.mean((u - mean) * np.cos(k * x))) / 2.0
        expected = mobility * k**2 * (1 - 3 * mean**2 - kappa * k**2)
        yield close_to(f"growth rate of mode {mode}", found, expected, 1e-5, "exact")


@verifies(CahnHilliard)
def interface_at_rest() -> Iterator[Finding]:
    """Interfaces tanh(x/√2κ) stay where they are."""
    simulation = CahnHilliard(n=512, length=80.0, t_end=20.0, n_times=2, tolerance=1e-10)
    distance = 20.0 - np.abs(simulation.grid.axes[0].points - 40.0)
    u0 = np.tanh(distance / np.sqrt(2 * 0.8))
    u = simulation.solve({"kappa": 0.8, "mobility": 1.0, "u0": u0})["u"][-1]
    yield at_most("largest change by t = 20", np.abs(u - u0).max(), 1e-6, "exact")


@verifies(CahnHilliard)
def balances() -> Iterator[Finding]:
    """Mass is conserved; the energy ∫(1 − u²)²/4 + κ/2 (∂u/∂x)² dx never grows."""
    simulation = CahnHilliard()
    drawn = simulation.sample(np.random.default_rng(0))
    solution = simulation.solve(drawn | {"u0": np.asarray(drawn["u0"]) + 0.1})
    found = simulation.diagnostics(solution)
    yield at_most("drift of mass", np.ptp(found["mass"]), 1e-9)
    gradient = simulation.derivative(solution["u"]) ** 2
    kappa = float(drawn["kappa"])
    energy = found["bulk_energy"] + simulation.integral(0.5 * kappa * gradient)
    yield at_most("growth of energy between frames", max(np.diff(energy).max(), 0.0), 1e-9)
