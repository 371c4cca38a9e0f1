"""Gray–Scott patterns: our spectral solver against py-pde at equal error.

py-pde has second-order differences; its error with explicit Euler on 256 x 256 points is the
target. Ours takes the fewest points, and then as many as py-pde, at the loosest tolerance that
meets it. The reference is ours on 512 x 512 points with a strict tolerance.

    python -m benchmarks.solvers_gray_scott
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, compared, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.systems.gray_scott import GrayScott

Array = NDArray[np.float64]

N, T_END, SEED = 256, 500.0, 1
FEED, KILL = 0.03, 0.06
FINEST, STRICTEST = 512, 1e-7
TOLERANCES = 10.0 ** -np.arange(1.0, 8.0, 0.25)
# On this grid explicit Euler is unstable above dx²/4δ_A = 0.19; half the step costs twice the time
# and takes a fifth of the error away
EULER_STEP = 0.18


def simulation(n: int, tolerance: float) -> GrayScott:
    return GrayScott(n=n, t_end=T_END, n_times=2, tolerance=tolerance)


def inputs(n: int) -> dict[str, float | Array]:
    """The same functions of position on every grid."""
    drawn = simulation(n, STRICTEST).sample(np.random.default_rng(SEED))
    return drawn | {"feed": FEED, "kill": KILL}


def reference() -> Array:
    solution = simulation(FINEST, STRICTEST).solve(inputs(FINEST))
    return np.stack([solution["A"][-1], solution["B"][-1]])


def relative_error(found: Array, reference: Array) -> float:
    """Of both fields, at the points that the grid has in common with that of the reference."""
    every = reference.shape[-1] // found.shape[-1]
    exact = reference[:, ::every, ::every]
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def ours(sizes: Sequence[int], reference: Array, target: float) -> Contender:
    """The coarsest of the grids that meets the target, at the loosest tolerance that does."""

    def contender(n: int, tolerance: float) -> Contender:
        solver, given = simulation(n, tolerance), inputs(n)
        solution = solver.solve(given)
        found = np.stack([solution["A"][-1], solution["B"][-1]])
        settings = f"{n} x {n} points, tolerance {tolerance:.1e}"
        error = relative_error(found, reference)
        return Contender("physurrogate", "ETD5", settings, error, lambda: solver.solve(given))

    strict = target / 100
    for n in sizes:
        if contender(n, strict).error <= target:
            break
    return first_to_meet(target, (contender(n, t) for t in map(float, TOLERANCES)))


def py_pde(reference: Array) -> Contender:
    """Explicit Euler, compiled once.

    The points of py-pde are centres of cells, half a cell beside ours: as the box is periodic, the
    solution is the same half a cell aside.
    """
    from pde import PDE, CartesianGrid, FieldCollection, ScalarField
    from pde.solvers import EulerSolver

    ours = simulation(N, STRICTEST)
    given = inputs(N)
    mesh = CartesianGrid([[0, ours.length]] * 2, N, periodic=True)
    state = FieldCollection([ScalarField(mesh, given[name]) for name in ("A0", "B0")])
    equation = PDE(
        {
            "a": f"{ours.diffusivity_a} * laplace(a) - a * b**2 + {FEED} * (1 - a)",
            "b": f"{ours.diffusivity_b} * laplace(b) + a * b**2 - {FEED + KILL} * b",
        }
    )
    march = EulerSolver(equation, backend="numba").make_stepper(state.copy(), dt=EULER_STEP)

    def call() -> Array:
        fields = state.copy()
        march(fields, 0.0, T_END)
        return fields.data

    settings = f"{N} x {N} points, dt = {EULER_STEP:g}"
    return Contender("py-pde", "explicit Euler", settings, relative_error(call(), reference), call)


def rows() -> list[dict[str, object]]:
    exact = reference()
    euler = py_pde(exact)
    coarse, same_grid = (ours(sizes, exact, euler.error) for sizes in ((64, 128, N), (N,)))
    return compared([coarse, same_grid, euler], samples=7)


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "rocket-fft", "py-pde")
    text = f"""## Gray–Scott

From random blobs up to t = {T_END:g} on the unit square, δ_A = 2e-5, δ_B = 1e-5, f = {FEED},
k = {KILL}; L2 error of both fields relative to ours on {FINEST} x {FINEST} points at a tolerance of
{STRICTEST:g}. py-pde has second-order differences, its stepper is compiled in advance; explicit
Euler takes the longest stable step on {N} x {N} points, and its error is the target. Ours is
spectral and needs fewer points for it; the second row is ours on as many points as py-pde. One
core; machine: {here}.

{table(rows())}
"""
    print(text)
    replace_section("gray–scott", text)


if __name__ == "__main__":
    main()
