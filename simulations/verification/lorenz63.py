"""Verification of `Lorenz63`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.lorenz63 import Lorenz63
from simulations.verification.check import Finding, at_most, close_to, verifies

CLASSICAL = {"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0}
FROM_ONE = CLASSICAL | {"x0": 1.0, "y0": 1.0, "z0": 1.0}


@verifies(Lorenz63)
def trajectory() -> Iterator[Finding]:
    """The classical trajectory from (1, 1, 1)."""
    expected = {
        1: (-9.37857001, -8.35703379, 29.36232534),
        5: (-6.51211370, -6.97404279, 23.92412957),
        10: (-4.90268754, -3.74387292, 24.69085810),
    }
    solution = Lorenz63(n_times=11, tolerance=1e-13).solve(FROM_ONE)
    for t, state in expected.items():
        for name, value in zip("xyz", state, strict=True):
            found = solution[name][t]
            yield close_to(f"{name}({t})", found, value, 2e-8, "converged calculations")


@verifies(Lorenz63)
def fixed_points() -> Iterator[Finding]:
    """Convection rolls −√(β(ρ − 1)), ρ − 1 at rest; rates along the axes of the origin."""
    size = np.sqrt(CLASSICAL["beta"] * 27.0)
    simulation = Lorenz63(t_end=1.0, n_times=2, tolerance=1e-12)
    inputs = CLASSICAL | {"x0": -size, "y0": -size, "z0": 27.0}
    solution = simulation.solve(inputs)
    for name, value in (("x", -size), ("y", -size), ("z", 27.0)):
        yield at_most(f"change of {name} by t = 1", solution[name][-1] - value, 1e-10, "exact")
    eigenvalue = 0.5 * (-11.0 + np.sqrt(11.0**2 + 4 * 10.0 * 27.0))
    inputs = CLASSICAL | {"x0": 1e-8, "y0": 1e-9 * (10.0 + eigenvalue), "z0": 0.0}
    solution = Lorenz63(t_end=0.5, n_times=2, tolerance=1e-14).solve(inputs)
    found = np.log(solution["x"][-1] / 1e-8) / 0.5
    yield close_to("growth rate from the origin", found, eigenvalue, 1e-5, "exact")
    solution = simulation.solve(CLASSICAL | {"x0": 0.0, "y0": 0.0, "z0": 1.0})
    decay = np.log(solution["z"][-1])
    yield close_to("decay rate along z", decay, -CLASSICAL["beta"], 1e-9, "exact")


@verifies(Lorenz63, slow=True)
def lyapunov_exponent() -> Iterator[Finding]:
    """Largest Lyapunov exponent, from two trajectories that are brought together again."""
    simulation = Lorenz63(t_end=1.0, n_times=2, tolerance=1e-10)
    state, apart = np.array([-5.0, -5.0, 25.0]), np.array([1e-7, 0.0, 0.0])
    total, spans = 0.0, 4000
    for span in range(-20, spans):
        ends = []
        for start in (state, state + apart):
            solution = simulation.solve(
                CLASSICAL | dict(zip(("x0", "y0", "z0"), start, strict=True))
            )
            ends.append(np.array([solution[name][-1] for name in "xyz"]))
        growth = np.linalg.norm(ends[1] - ends[0]) / 1e-7
        state, apart = ends[0], (ends[1] - ends[0]) / growth
        total += np.log(growth) if span >= 0 else 0.0
    source = "Sprott, Chaos and Time-Series Analysis (2003): 0.9056"
    yield close_to("exponent over 4000 units of time", total / spans, 0.9056, 0.015, source)
