"""Verification of `NavierStokes`."""

from collections.abc import Iterator

import numpy as np

from simulations.simulation import Array
from simulations.systems.navier_stokes import NavierStokes
from simulations.verification.check import Finding, at_most, verifies


def _square(**settings: object) -> tuple[NavierStokes, Array, Array]:
    """A square with sides of 2π, and its coordinates."""
    given = {"n": 32, "length": 2 * np.pi, "n_times": 2, "forcing": "none", "tolerance": 1e-11}
    simulation = NavierStokes(**{**given, **settings})  # type: ignore[arg-type]
    x, y = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
    return simulation, x, y


def _smooth(x: Array, y: Array) -> Array:
    return np.cos(x + 2 * y) + np.sin(2 * x - y) + 0.7 * np.cos(3 * x) + 0.4 * np.sin(y)


@verifies(NavierStokes)
def taylor_green() -> Iterator[Finding]:
    """Vortices 2 cos x cos y decay as e^(−(2ν + μ)t)."""
    simulation, x, y = _square(t_end=2.0, drag=0.3)
    vortices = 2 * np.cos(x) * np.cos(y)
    u = simulation.solve({"nu": 0.1, "vorticity0": vortices})["vorticity"][-1]
    error = np.abs(u - vortices * np.exp(-(0.2 + 0.3) * 2.0)).max()
    yield at_most("largest error at t = 2", error, 1e-13, "exact, Taylor and Green 1937")


@verifies(NavierStokes)
def sign_and_size_of_advection() -> Iterator[Finding]:
    """From sin x + 4 sin 2y the vorticity changes at the rate 6 cos x cos 2y."""
    simulation, x, y = _square(t_end=1e-5)
    start = np.sin(x) + 4 * np.sin(2 * y)
    later = simulation.solve({"nu": 1e-8, "vorticity0": start})["vorticity"][-1]
    error = np.abs((later - start) / 1e-5 - 6 * np.cos(x) * np.cos(2 * y)).max()
    yield at_most("largest error of the rate", error, 1e-3, "exact to order t")


@verifies(NavierStokes)
def forced_parallel_flow() -> Iterator[Finding]:
    """From rest, a force with one wave drives ω = f (1 − e^(−(νk² + μ)t)) / (νk² + μ)."""
    for forcing in ("diagonal", "kolmogorov"):
        simulation, x, y = _square(t_end=3.0, drag=0.2, forcing=forcing)
        if forcing == "diagonal":
            force, squared = 0.1 * (np.sin(x + y) + np.cos(x + y)), 2.0
        else:
            force, squared = -4 * np.cos(4 * y), 16.0
        solution = simulation.solve({"nu": 0.05, "vorticity0": np.zeros_like(x)})
        rate = 0.05 * squared + 0.2
        exact = force * -np.expm1(-rate * 3.0) / rate
        error = np.abs(solution["vorticity"][-1] - exact).max()
        yield at_most(f"largest error at t = 3, {forcing}", error, 1e-9, "exact")


@verifies(NavierStokes)
def invariants() -> Iterator[Finding]:
    """Nearly without viscosity, advection conserves energy and enstrophy."""
    simulation, x, y = _square(t_end=2.0, n_times=5, n=48)
    solution = simulation.solve({"nu": 1e-8, "vorticity0": _smooth(x, y)})
    for name, values in simulation.diagnostics(solution).items():
        drift = np.ptp(values) / max(1.0, abs(values[0]))
        yield at_most(f"relative drift of {name}", drift, 1e-6)


@verifies(NavierStokes)
def convergence() -> Iterator[Finding]:
    """Convergence in space: against a finer grid with a tighter tolerance."""
    fine, x, y = _square(n=96, t_end=1.0, tolerance=1e-12)
    inputs = {"nu": 0.05}
    truth = fine.solve({**inputs, "vorticity0": _smooth(x, y)})["vorticity"][-1]
    errors = []
    for n in (16, 24, 32, 48):
        simulation, x, y = _square(n=n, t_end=1.0)
        found = simulation.solve({**inputs, "vorticity0": _smooth(x, y)})["vorticity"]
        moved = simulation.grid.interpolate(found[-1], fine.grid)
        errors.append(float(np.linalg.norm(moved - truth) / np.linalg.norm(truth)))
    for n, error, bound in zip((16, 24, 32, 48), errors, (0.05, 5e-3, 5e-4, 5e-6), strict=True):
        yield at_most(f"relative L2 error with {n}² points", error, bound)
