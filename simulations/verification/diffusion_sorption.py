"""Verification of `DiffusionSorption`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_bvp
from scipy.special import erfc

from simulations.simulation import Inputs
from simulations.systems.diffusion_sorption import DiffusionSorption
from simulations.verification.check import Finding, at_most, close_to, order, verifies

PDEBENCH = {"diffusivity": 5e-4, "porosity": 0.29, "affinity": 3.5e-4, "exponent": 0.874}


def _front(inputs: dict[str, float], start: float, n: int, tolerance: float) -> np.ndarray:
    """Concentration at t = 20 s, before anything has reached the outlet."""
    simulation = DiffusionSorption(n=n, t_end=20.0, n_times=2, tolerance=tolerance)
    found = simulation.run(inputs | {"u0": np.full(n, start)})
    return np.asarray(found["u"][-1])


@verifies(DiffusionSorption)
def linear_sorption() -> Iterator[Finding]:
    """With an exponent of one the front is u = erfc(x √(R/4Dt)); second order."""
    sizes, errors = (64, 128, 256), []
    retardation = 1 + (1 - 0.29) / 0.29 * 2880 * 3.5e-4
    for n in sizes:
        x = (np.arange(n) + 0.5) / n
        exact = erfc(x * np.sqrt(retardation / (4 * 5e-4 * 20.0)))
        error = _front(PDEBENCH | {"exponent": 1.0}, 0.0, n, 1e-8) - exact
        errors.append(float(np.linalg.norm(error) / np.linalg.norm(exact)))
    yield at_most("relative L2 error, 256 cells", errors[-1], 3e-4, "exact")
    yield order("front", [1 / n for n in sizes], errors, 2.0, 0.1)


@verifies(DiffusionSorption)
def similar_front() -> Iterator[Finding]:
    """Freundlich sorption: the front is a function of ξ = x/√t, −ξ R(u) u′/2 = D u″."""
    far, start = 0.12, 0.1
    for exponent in (0.7, 0.874, 1.3):
        inputs = PDEBENCH | {"exponent": exponent}
        sorbed = exponent * (1 - 0.29) / 0.29 * 2880 * 3.5e-4

        def slopes(xi, state, exponent=exponent, sorbed=sorbed):
            retardation = 1 + sorbed * np.maximum(state[0], 1e-9) ** (exponent - 1)
            return np.stack([state[1], -xi * retardation * state[1] / (2 * 5e-4)])

        mesh = np.linspace(0.0, far, 200)
        guess = np.stack([start + (1 - start) * np.exp(-mesh / 0.02), 0 * mesh])
        truth = solve_bvp(
            slopes,
            lambda a, b: np.array([a[0] - 1, b[0] - start]),
            mesh,
            guess,
            tol=1e-8,
            max_nodes=20000,
        )
        x = (np.arange(128) + 0.5) / 256  # the half at the inlet
        found = _front(inputs, start, 256, 1e-8)[:128]
        exact = truth.sol(x / np.sqrt(20.0))[0]
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        yield at_most(f"n = {exponent}: relative L2 error", error, 3e-4, "SciPy, solve_bvp")


@verifies(DiffusionSorption)
def steady_state() -> Iterator[Finding]:
    """At rest the profile is a straight line to u(1) = D/(1 + D), whatever the soil holds."""
    simulation = DiffusionSorption(n=64, t_end=1e4, n_times=2)
    inputs: Inputs = {**PDEBENCH, "diffusivity": 0.5, "u0": np.zeros(64)}
    u = simulation.run(inputs)["u"][-1]
    slope = (u[-1] - u[0]) * 64 / 63
    yield close_to("slope", slope, -1 / 1.5, 1e-9, "exact")
    yield close_to("u(1)", u[-1] + slope / 128, 1 / 3, 1e-9, "exact")


@verifies(DiffusionSorption)
def balance() -> Iterator[Finding]:
    """What the soil gains is what came in through the inlet less what left at the outlet."""
    n = 128
    simulation = DiffusionSorption(n=n, t_end=50.0, n_times=2001, tolerance=1e-8)
    inputs = PDEBENCH | {"u0": np.full(n, 0.15)}
    u = simulation.run(inputs)["u"]
    amount = (u + simulation.capacity(inputs) * u ** PDEBENCH["exponent"]).mean(axis=1)
    inflow = 5e-4 * (1 - u[:, 0]) * 2 * n
    outflow = 5e-4 * u[:, -1] / (0.5 / n + 5e-4)
    net = inflow - outflow
    later = simulation.times >= 1.0  # until then the inflow changes faster than the frames
    t = simulation.times[later]
    gained = np.trapezoid(net[later], t)
    change = amount[-1] - amount[later][0]
    yield at_most("difference over gain", (gained - change) / change, 1e-5)


@verifies(DiffusionSorption)
def tolerance() -> Iterator[Finding]:
    """Errors of the steps follow the tolerance."""
    truth = _front(PDEBENCH, 0.1, 128, 1e-11)
    for tolerance in (1e-3, 1e-5, 1e-7):
        error = _front(PDEBENCH, 0.1, 128, tolerance) - truth
        size = float(np.sqrt(np.mean(error**2)))
        yield at_most(f"error at tolerance {tolerance:g}", size, 3 * tolerance)
