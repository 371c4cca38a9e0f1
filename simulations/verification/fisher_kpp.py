"""Verification of `FisherKPP`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.fisher_kpp import FisherKPP
from simulations.verification.check import Finding, at_most, close_to, verifies
from simulations.verification.interval import diagonal_waves


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
    """A uniform population grows as 1/(1 + (1/u₀ − 1) e^(−rt)), whatever the dimension."""
    exact = 1 / (1 + 9 * np.exp(-5.0))
    for ndim in (1, 2, 3):
        simulation = FisherKPP(ndim=ndim, n=16, t_end=1.0, n_times=2, tolerance=1e-11)
        u0 = np.full(simulation.grid.shape, 0.1)
        u = simulation.solve({"diffusivity": 1e-3, "rate": 5.0, "u0": u0})["u"][-1]
        yield at_most(f"largest error, {ndim}-D", np.abs(u - exact).max(), 1e-9, "exact")


@verifies(FisherKPP)
def decay() -> Iterator[Finding]:
    """About the full population, waves decay at the rate r + D|k|²."""
    for ndim in (1, 2, 3):
        simulation = FisherKPP(ndim=ndim, n=16, t_end=0.5, n_times=2, tolerance=1e-12)
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        k = 2 * np.pi * np.array([1, 2, 3][:ndim])
        wave = np.cos(sum(q * x for q, x in zip(k, points, strict=True)))
        u = simulation.solve({"diffusivity": 0.02, "rate": 2.0, "u0": 1 + 1e-6 * wave})["u"][-1]
        found = np.log(2e6 * np.mean((u - 1) * wave)) / 0.5
        yield close_to(f"rate, {ndim}-D", found, -2 - 0.02 * float(k @ k), 1e-4, "exact")


@verifies(FisherKPP)
def front_across_a_box() -> Iterator[Finding]:
    """Fronts along the diagonal of a square and a cube are those of an interval."""
    simulation = FisherKPP(n=40, t_end=0.6, n_times=2, tolerance=1e-8)
    parameters = {"diffusivity": 4e-3, "rate": 5.0}
    yield from diagonal_waves(simulation, parameters, lambda p: 0.5 + 0.5 * np.tanh(3 * np.cos(p)))
