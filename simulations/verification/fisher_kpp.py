"""Verification of `FisherKPP`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.fisher_kpp import FisherKPP
from simulations.verification.check import Finding, at_most, verifies


@verifies(FisherKPP)
def travelling_wave() -> Iterator[Finding]:
    """Two exact fronts that run apart at the speed 5/√6 √(rD)."""
    simulation = FisherKPP(n=1024, length=200.0, t_end=8.0, n_times=2, tolerance=1e-10)
    distance = np.abs(simulation.grid.axes[0].points - 100.0)
    for diffusivity, rate in ((1.0, 1.0), (0.5, 2.0)):
        width, speed = np.sqrt(6 * diffusivity / rate), 5 / np.sqrt(6) * np.sqrt(rate * diffusivity)

        def front(t, width=width, speed=speed):
            return (1 + np.exp((distance - 50.0 - speed * t) / width)) ** -2

        inputs = {"diffusivity": diffusivity, "rate": rate, "u0": front(0.0)}
        error = np.abs(simulation.solve(inputs)["u"][-1] - front(8.0)).max()
        source = "Ablowitz and Zeppetella, Bull. Math. Biol. 41 (1979) 835"
        yield at_most(f"largest error, D = {diffusivity:g}, r = {rate:g}", error, 1e-6, source)


@verifies(FisherKPP)
def logistic_growth() -> Iterator[Finding]:
    """A uniform population grows as 1/(1 + (1/u₀ − 1) e^(−rt))."""
    simulation = FisherKPP(n=16, t_end=1.0, n_times=2, tolerance=1e-11)
    u = simulation.solve({"diffusivity": 1e-3, "rate": 5.0, "u0": np.full(16, 0.1)})["u"][-1]
    exact = 1 / (1 + 9 * np.exp(-5.0))
    yield at_most("largest error at t = 1", np.abs(u - exact).max(), 1e-9, "exact")
