"""Verification of `RadiativeLayer`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.numerics import muscl_hancock
from simulations.numerics.ideal_gas import IdealGas
from simulations.simulation import Inputs
from simulations.systems.radiative_layer import RadiativeLayer
from simulations.verification.check import Finding, at_most, order, verifies

Array = np.ndarray
GAMMA = 5 / 3


def _rate(temperature: Array, t_cool: float) -> Array:
    """−dT/dt of resting gas of the default contrast and width."""
    peak = np.exp(-(np.log(temperature / 0.1) ** 2) / (2 * 0.5**2))
    return np.where((temperature > 0.01) & (temperature < 1.0), temperature / t_cool * peak, 0.0)


@verifies(RadiativeLayer)
def uniform_gas() -> Iterator[Finding]:
    """Uniform gas follows the equation of cooling, at any length of the step."""
    for t_cool in (1e-4, 0.002, 0.1, 3.16):
        for start in (0.5, 0.1, 0.03):
            simulation = RadiativeLayer(n=8, t_end=0.5, n_times=6)
            density = np.full(simulation.grid.shape, 1 / start)
            inputs: Inputs = {"t_cool": t_cool, "density0": density}
            found = simulation.run({**inputs, "velocity0": np.zeros((8, 24, 2))})
            temperature = (found["pressure"] / found["density"]).reshape(6, -1)
            exact = solve_ivp(
                lambda _, y, t_cool=t_cool: -_rate(y, t_cool),
                (0.0, 0.5),
                [start],
                "LSODA",
                simulation.times,
                rtol=1e-10,
                atol=1e-14,
            ).y[0]
            error = np.abs(temperature - np.maximum(exact, 0.01)[:, None]) / exact[:, None]
            name = f"error of the temperature from {start}, t_cool={t_cool:g}"
            yield at_most(name, error.max(), 2e-6, "SciPy, LSODA")


@verifies(RadiativeLayer)
def rest() -> Iterator[Finding]:
    """A sharp interface in equilibrium of pressure stays at rest, cooling or not."""
    simulation = RadiativeLayer(n=16, t_end=2.0, n_times=2)
    y = simulation.grid.axes[1].points
    density = np.tile(np.where(y < 0, 100.0, 1.0), (16, 1))
    for t_cool in (0.03, 1e9):
        inputs: Inputs = {"t_cool": t_cool, "density0": density}
        found = simulation.run({**inputs, "velocity0": np.zeros((16, 48, 2))})
        yield at_most(f"velocity, t_cool={t_cool:g}", np.abs(found["velocity"]).max(), 1e-13)
        drift = np.abs(found["density"][-1] - density).max()
        yield at_most(f"change of the density, t_cool={t_cool:g}", drift, 1e-11)


@verifies(RadiativeLayer)
def energy() -> Iterator[Finding]:
    """The energy lost is the integral of the cooling rate; mass and momentum stay."""
    n = 32
    simulation = RadiativeLayer(n=n, t_end=0.5, n_times=101, thickness=0.1)
    inputs = {**simulation.sample(np.random.default_rng(0)), "t_cool": 0.3}
    found = simulation.run(inputs)  # until then, no sound reaches the ends
    balance = simulation.diagnostics(found)
    rate = found["density"] * _rate(found["pressure"] / found["density"], 0.3) / (GAMMA - 1)
    lost = np.trapezoid(rate.sum(axis=(1, 2)) / n**2, simulation.times)
    gained = balance["energy"][-1] - balance["energy"][0]
    yield at_most("energy lost over what is radiated, less 1", gained / lost + 1, 1e-4)
    for name in ("mass", "momentum_x"):
        values = balance[name]  # 1e-9 of the interface is at the ends
        yield at_most(f"drift of {name}", np.ptp(values) / balance["mass"][0], 1e-8)
    warm = simulation.run({**inputs, "t_cool": 1e9})
    drift = np.ptp(simulation.diagnostics(warm)["energy"])
    yield at_most("drift of the energy without cooling", drift, 1e-8)


@verifies(RadiativeLayer)
def convergence() -> Iterator[Finding]:
    """Second order while the layer is smooth; without cooling, the Euler equations."""
    fine = RadiativeLayer(n=128, t_end=0.2, n_times=2, thickness=0.3, contrast=100.0)
    drawn = {**fine.sample(np.random.default_rng(1)), "t_cool": 0.3}
    reference = fine.run(drawn)
    sizes = (16, 32)
    for name in ("density", "pressure"):
        errors = []
        for n in sizes:
            coarse = fine.rescaled(n / 128)
            found = coarse.run(fine.transfer_inputs(drawn, coarse))[name][-1]
            blocks = reference[name][-1].reshape(n, 128 // n, 3 * n, 128 // n).mean(axis=(1, 3))
            errors.append(np.abs(found - blocks).mean())
        yield order(name, [1 / n for n in sizes], errors, 2.0, 0.35)
    layer = RadiativeLayer(t_end=2.0, n_times=3)
    drawn = {**layer.sample(np.random.default_rng(0)), "t_cool": 1e9}
    found = layer.run(drawn)
    _, _, (density, _), velocity = muscl_hancock.evolve(
        IdealGas(GAMMA),
        [np.asarray(drawn["density0"]), np.ones(layer.grid.shape)],
        np.asarray(drawn["velocity0"]),
        layer.times,
        [1 / layer.n] * 2,
        [muscl_hancock.PERIODIC, muscl_hancock.OPEN],
    )
    yield at_most("density: from Euler", np.abs(found["density"] - density).max(), 1e-6)
    yield at_most("velocity: from Euler", np.abs(found["velocity"] - velocity).max(), 1e-7)
