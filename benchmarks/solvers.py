"""Our solvers against others at equal error, in one process, on one core.

Run in an environment that has the rivals (``requirements-rivals.txt``), on a machine as quiet as it
gets:

    python -m benchmarks.solvers
"""

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from benchmarks import solvers_darcy
from benchmarks.contenders import Contender, compared, fewest_steps, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.systems.burgers import Burgers
from simulations.systems.kuramoto_sivashinsky import KuramotoSivashinsky

Array = NDArray[np.float64]

N, NU, T_END = 1024, 0.01, 1.0
TARGET = 1e-6
# An explicit scheme with this spacing is unstable above dx²/2ν = 4.8e-5
PY_PDE_STEP = 4e-5

# Kuramoto–Sivashinsky until chaos has amplified an error of a step a few times only
KS_N, KS_LENGTH, KS_T_END = 256, 32 * np.pi, 20.0


def grid(n: int) -> Array:
    return np.arange(n) / n


def initial(n: int) -> Array:
    return np.sin(2 * np.pi * grid(n))


def exact(x: Array) -> Array:
    """Cole–Hopf solution at `T_END` from sin 2πx, by its Bessel series."""
    z, m = 1 / (4 * np.pi * NU), np.arange(1, 200)
    weights = 2 * ive(m, z) * np.exp(-NU * (2 * np.pi * m) ** 2 * T_END)
    angles = 2 * np.pi * np.outer(x, m)
    phi = ive(0, z) + np.cos(angles) @ weights
    return 2 * NU * (np.sin(angles) @ (2 * np.pi * m * weights)) / phi


def relative_error(u: Array, x: Array) -> float:
    return float(np.linalg.norm(u - exact(x)) / np.linalg.norm(exact(x)))


def ours(n: int, target: float) -> Contender:
    """The loosest tolerance that meets the target.

    The viscosity changes from call to call, as in a dataset: nothing is prepared in advance.
    """
    inputs, counter = {"u0": initial(n), "nu": NU}, itertools.count()

    def contender(tolerance: float) -> Contender:
        simulation = Burgers(n=n, t_end=T_END, n_times=2, tolerance=tolerance)
        error = relative_error(simulation.solve(inputs)["u"][-1], grid(n))

        def call() -> object:
            return simulation.solve(inputs | {"nu": NU * (1 + 1e-9 * next(counter))})

        settings = f"{n} points, tolerance {tolerance:.1e}"
        return Contender("physurrogate", "ETD5", settings, error, call)

    return first_to_meet(target, map(contender, map(float, 10.0 ** -np.arange(2.0, 12.0, 0.1))))


def exponax(sizes: Iterable[int], target: float) -> Contender:
    """ETDRK4 on the first of the grids that meets the target, with the fewest steps that do.

    Double precision, the loop over the steps compiled as one, coefficients prepared in advance. Its
    schemes of lower order and its non-conservative form are slower at this error.
    """
    import exponax as ex
    import jax

    jax.config.update("jax_enable_x64", True)

    def contender(n: int, steps: int) -> Contender:
        stepper = ex.stepper.Burgers(
            1, 1.0, n, T_END / steps, diffusivity=NU, conservative=True, order=4
        )
        march = jax.jit(ex.repeat(stepper, steps))
        u0 = jax.numpy.asarray(initial(n))[None]
        error = relative_error(np.asarray(march(u0))[0], grid(n))
        call = lambda: march(u0).block_until_ready()  # noqa: E731
        return Contender("exponax", "ETDRK4", f"{n} points, {steps} steps", error, call)

    enough = 128
    for n in sizes:
        if contender(n, enough).error <= target:
            break
    return fewest_steps(lambda steps: contender(n, steps), target, enough)


def py_pde(n: int) -> Contender:
    """Second-order differences and the fastest of its steppers that is stable, compiled once."""
    from pde import PDE, CartesianGrid, ScalarField
    from pde.solvers import EulerSolver

    mesh = CartesianGrid([[0, 1]], n, periodic=True)
    x = mesh.axes_coords[0]
    state = ScalarField(mesh, np.sin(2 * np.pi * x))
    solver = EulerSolver(PDE({"u": f"-u * d_dx(u) + {NU} * laplace(u)"}), backend="numba")
    march = solver.make_stepper(state.copy(), dt=PY_PDE_STEP)

    def call() -> Array:
        u = state.copy()
        march(u, 0.0, T_END)
        return u.data

    error, steps = relative_error(call(), x), round(T_END / PY_PDE_STEP)
    return Contender("py-pde", "explicit Euler", f"{n} points, {steps} steps", error, call)


def ks_initial() -> Array:
    """That of Kassam and Trefethen (2005)."""
    x = KS_LENGTH * grid(KS_N)
    return np.cos(x / 16) * (1 + np.sin(x / 16))


def ks_rows() -> list[dict[str, object]]:
    """Kuramoto–Sivashinsky in conservative form on the same points, against ours at 1e-12."""
    import exponax as ex
    import jax

    jax.config.update("jax_enable_x64", True)
    inputs, counter = {"u0": ks_initial(), "nu": 1.0}, itertools.count()

    def simulation(tolerance: float) -> KuramotoSivashinsky:
        return KuramotoSivashinsky(
            n=KS_N, length=KS_LENGTH, t_end=KS_T_END, n_times=2, tolerance=tolerance
        )

    truth = simulation(1e-12).solve(inputs)["u"][-1]

    def error_of(u: Array) -> float:
        return float(np.linalg.norm(u - truth) / np.linalg.norm(truth))

    def ours(tolerance: float) -> Contender:
        chosen = simulation(tolerance)

        def call() -> object:
            return chosen.solve(inputs | {"nu": 1.0 + 1e-9 * next(counter)})

        error = error_of(chosen.solve(inputs)["u"][-1])
        return Contender("physurrogate", "ETD5", f"tolerance {tolerance:.1e}", error, call)

    def exponax(steps: int) -> Contender:
        stepper = ex.stepper.KuramotoSivashinskyConservative(
            1, KS_LENGTH, KS_N, KS_T_END / steps, conservative=True, order=4
        )
        march = jax.jit(ex.repeat(stepper, steps))
        u0 = jax.numpy.asarray(inputs["u0"])[None]
        error = error_of(np.asarray(march(u0))[0])
        call = lambda: march(u0).block_until_ready()  # noqa: E731
        return Contender("exponax", "ETDRK4", f"{steps} steps", error, call)

    candidates = map(ours, map(float, 10.0 ** -np.arange(2.0, 12.0, 0.1)))
    return compared([first_to_meet(TARGET, candidates), fewest_steps(exponax, TARGET, 1600)])


def darcy_rows() -> list[dict[str, object]]:
    """Those of `solvers_darcy`, with the ratio to the first method of each case."""
    rows, first = [], {}
    for row in solvers_darcy.rows():
        seconds = first.setdefault(row["case"], row["seconds"])
        rows.append(
            {
                "case": row["case"],
                "method": row["method"],
                "iterations": row["iterations"],
                "relative error": f"{row['error']:.1e}",
                "CPU ms": 1e3 * row["seconds"],
                "spread": f"{2 * row['spread'] / row['seconds']:.0%}",
                "CPU time over first": row["seconds"] / seconds,
            }
        )
    return rows


def rows() -> list[dict[str, object]]:
    """Burgers from sin 2πx, ν = 0.01, at t = 1."""
    rival = py_pde(N)
    contenders = [
        ours(N, TARGET),
        exponax([N], TARGET),
        exponax(range(64, N, 16), TARGET),
        rival,
        ours(N, rival.error),
    ]
    return compared(contenders)


def main() -> None:
    pin_to_one_core()
    packages = ("physurrogate", "numba", "rocket-fft", "exponax", "jax", "py-pde", "pyamg")
    here = machine_in_words(*packages)
    text = f"""## Solvers

Side by side in one process pinned to one core; medians of the samples that other processes left
alone, if there were three of them, otherwise of all. Machine: {here}.

### Burgers

u₀ = sin 2πx, ν = {NU}, periodic, t = {T_END:g}; L2 error relative to the Cole–Hopf solution. Each
code takes the cheapest settings with an error of at most {TARGET:g} on {N} points; exponax also on
the fewest points that reach it. py-pde is of second order and stops at the error shown; the last
row is ours at that error. exponax runs in double precision as one compiled loop, XLA confined to
one thread, coefficients of its steps prepared in advance; py-pde with its stepper compiled in
advance. Ours gets another viscosity in every call and computes its coefficients anew.

{table(rows())}

### Kuramoto–Sivashinsky

ν = 1 on an interval of 32π with {KS_N} points, from cos(x/16)(1 + sin(x/16)), t = {KS_T_END:g}; L2
error relative to our solution at a tolerance of 1e-12. Each code takes the cheapest settings with
an error of at most {TARGET:g}; the rest is as above.

{table(ks_rows())}

### Darcy

−∇·(a∇u) = 1 to a relative residual of 1e-8, set-up included; error relative to a direct solution.
Ours starts from the medium, the others from the assembled matrix.

{table(darcy_rows())}
"""
    print(text)
    replace_section("solvers", text)


if __name__ == "__main__":
    main()
