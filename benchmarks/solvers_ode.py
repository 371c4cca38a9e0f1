"""Ordinary differential equations: our integrators against numbalsoda and SciPy at equal error.

Each code takes the loosest tolerance, in steps of a quarter of a decade, with an error at the last
of the stored times of at most the target; the reference is an integration of SciPy's DOP853 with a
tolerance of 1e-13. SciPy gets the right-hand side in Python, as its users write it, and compiled.

    python -m benchmarks.solvers_ode
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import cfunc, njit
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.contenders import Contender, compared, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.systems.lorenz63 import Lorenz63

Array = NDArray[np.float64]
Integrate = Callable[[float], Array]

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
START = np.array([1.0, 1.0, 1.0])
TIMES = np.linspace(0.0, 10.0, 201)
TARGETS = (1e-3, 1e-6)
TOLERANCES = 10.0 ** -np.arange(3.0, 13.0, 0.25)


def rates(t: float, y: Array) -> Array:
    return np.array([SIGMA * (y[1] - y[0]), y[0] * (RHO - y[2]) - y[1], y[0] * y[1] - BETA * y[2]])


@cache
def lorenz63(tolerance: float) -> Lorenz63:
    """Made once, like the right-hand sides of the others."""
    return Lorenz63(t_end=TIMES[-1], n_times=TIMES.size, tolerance=tolerance)


def ours(tolerance: float) -> Array:
    inputs = dict(zip(("sigma", "rho", "beta"), (SIGMA, RHO, BETA), strict=True))
    inputs |= dict(zip(("x0", "y0", "z0"), START, strict=True))
    solution = lorenz63(tolerance).solve(inputs)
    return np.stack([solution[name] for name in ("x", "y", "z")], axis=1)


def scipy_with(function: Callable[..., Array], method: str) -> Integrate:
    def integrate(tolerance: float) -> Array:
        solution = solve_ivp(
            function, (0.0, TIMES[-1]), START, method, TIMES, rtol=tolerance, atol=tolerance
        )
        return solution.y.T

    return integrate


def numbalsoda_with(method: str) -> Integrate:
    import numbalsoda

    @cfunc(numbalsoda.lsoda_sig)
    def function(t, y, dy, parameters):
        dy[0] = SIGMA * (y[1] - y[0])
        dy[1] = y[0] * (RHO - y[2]) - y[1]
        dy[2] = y[0] * y[1] - BETA * y[2]

    solver = getattr(numbalsoda, method)

    def integrate(tolerance: float, keep_alive: object = function) -> Array:
        return solver(function.address, START, TIMES, rtol=tolerance, atol=tolerance)[0]

    return integrate


def contender(code: str, integrate: Integrate, reference: Array, target: float) -> Contender:
    """The code at the loosest tolerance that meets the target."""

    def at(tolerance: float) -> Contender:
        error = np.linalg.norm(integrate(tolerance)[-1] - reference) / np.linalg.norm(reference)
        name, method = code.split(maxsplit=1)
        settings = f"tolerance {tolerance:.1e}"
        return Contender(name, method, settings, float(error), lambda: integrate(tolerance))

    return first_to_meet(target, map(at, map(float, TOLERANCES)))


def rows(target: float) -> list[dict[str, object]]:
    """Lorenz's system from (1, 1, 1) up to t = 10, 201 stored times."""
    compiled = njit(rates)
    reference = scipy_with(compiled, "DOP853")(1e-13)[-1]
    codes = {
        "physurrogate order 8 or 5": ours,
        "numbalsoda LSODA": numbalsoda_with("lsoda"),
        "numbalsoda DOP853": numbalsoda_with("dop853"),
        "SciPy DOP853, compiled rates": scipy_with(compiled, "DOP853"),
        "SciPy DOP853": scipy_with(rates, "DOP853"),
        "SciPy RK45": scipy_with(rates, "RK45"),
        "SciPy LSODA": scipy_with(rates, "LSODA"),
    }
    return compared([contender(code, f, reference, target) for code, f in codes.items()])


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "numbalsoda", "scipy")
    text = f"""## Ordinary differential equations

Lorenz's system (σ = 10, ρ = 28, β = 8/3) from (1, 1, 1), 201 stored times up to t = 10; error of
the last state relative to SciPy's DOP853 at a tolerance of 1e-13. Each code takes the loosest
tolerance that meets the target. One core; machine: {here}.

Error at most {TARGETS[0]:g}:

{table(rows(TARGETS[0]))}

Error at most {TARGETS[1]:g}:

{table(rows(TARGETS[1]))}
"""
    print(text)
    replace_section("ordinary differential equations", text)


if __name__ == "__main__":
    main()
