"""Verification of `Robertson`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.robertson import Robertson
from simulations.verification.check import Finding, at_most, close_to, verifies

CLASSICAL = {"k1": 0.04, "k2": 3e7, "k3": 1e4}


@verifies(Robertson)
def published_values() -> Iterator[Finding]:
    """The classical constants, shortly after the start, later, and nearly at rest."""
    test_set = "Mazzia and Magherini, Test Set for IVP Solvers (2008), II-10"
    cvode = "Hindmarsh et al., CVODE example programs: cvRoberts_dns"
    published = {
        4e-1: ((9.8517e-1, 3.3864e-5, 1.4794e-2), (5e-6, 5e-10, 5e-7), cvode),
        4e1: ((7.1583e-1, 9.1855e-6, 2.8416e-1), (1e-5, 1e-9, 1e-5), cvode),
        1e11: ((2.083340149701255e-8, 8.333360770334713e-14), (2e-14, 8e-20), test_set),
    }
    for t, (values, tolerances, source) in published.items():
        solution = Robertson(t_end=t, n_times=2, tolerance=1e-12).solve(CLASSICAL)
        for name, value, tolerance in zip("ABC", values, tolerances, strict=False):
            yield close_to(f"{name}({t:g} s)", solution[name][-1], value, tolerance, source)


@verifies(Robertson)
def other_constants() -> Iterator[Finding]:
    """Random constants against another implicit code, at all stored times."""
    simulation = Robertson(n_times=41)
    for seed in range(3):
        inputs = simulation.sample(np.random.default_rng(seed))
        k1, k2, k3 = (float(inputs[name]) for name in ("k1", "k2", "k3"))

        def rates(t, y, k1=k1, k2=k2, k3=k3):
            first, second, third = k1 * y[0], k2 * y[1] ** 2, k3 * y[1] * y[2]
            return [third - first, first - second - third, second]

        span = (0.0, simulation.t_end)
        truth = solve_ivp(
            rates, span, [1, 0, 0], "LSODA", simulation.times, rtol=1e-10, atol=1e-15
        ).y
        solution = simulation.solve(inputs)
        for name, expected in zip("ABC", truth, strict=True):
            error = np.abs(solution[name] - expected).max() / expected.max()
            yield at_most(f"draw {seed}: error of {name}", error, 1e-7, "SciPy, LSODA")


@verifies(Robertson)
def conservation() -> Iterator[Finding]:
    """The concentrations add up to one at any tolerance, and errors follow the tolerance."""
    truth = Robertson(tolerance=1e-12).solve(CLASSICAL)
    for tolerance, bound in ((1e-3, 1e-3), (1e-6, 1e-6), (1e-9, 1e-9)):
        simulation = Robertson(tolerance=tolerance)
        solution = simulation.solve(CLASSICAL)
        total = simulation.diagnostics(solution)["total"]
        yield at_most(f"tolerance {tolerance:g}: drift of the sum", np.ptp(total), 1e-13)
        error = max(
            np.abs(solution[name] - truth[name]).max() / truth[name].max() for name in "ABC"
        )
        yield at_most(f"tolerance {tolerance:g}: largest error", error, bound)
