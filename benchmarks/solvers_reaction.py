"""Reaction, diffusion and stiffness: ours against the method of PDEBench and stiff ODE codes.

PDEBench's generators of ``2D_diff-react`` and ``1D_diff-sorp`` take differences of second order and
SciPy's explicit ``solve_ivp`` (RK45, default tolerances) from a right-hand side in NumPy. The same
semi-discrete equations are written here anew. Ours takes the cheapest of its resolutions and
tolerances with at most the error of theirs. The reference is ours on a finer grid with tighter
steps, converged to a small part of either error. For Robertson's kinetics each code takes the
loosest tolerance that meets a target; the reference is SciPy's Radau at 1e-12.

    python -m benchmarks.solvers_reaction
"""

from collections.abc import Callable, Iterable

import numpy as np
from numba import cfunc
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.contenders import Contender, compared, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.simulation import Simulation
from simulations.systems.diffusion_sorption import DiffusionSorption
from simulations.systems.fitzhugh_nagumo import FitzHughNagumo
from simulations.systems.robertson import Robertson

Array = NDArray[np.float64]
Row = dict[str, object]
REACT = {"diffusivity_u": 1e-3, "diffusivity_v": 5e-3, "k": 5e-3}
SORB = {"diffusivity": 5e-4, "porosity": 0.29, "affinity": 3.5e-4, "exponent": 0.874}
KINETICS = {"k1": 0.04, "k2": 3e7, "k3": 1e4}
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5)
TARGET = 1e-5


def distance(found: Array, truth: Array) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def cheapest(
    own: Simulation, ladder: Iterable[Simulation], inputs: dict, truth: Array, target: float
) -> Contender:
    """The first rung, cheapest first, whose error on the grid of ``own`` meets the target."""

    def at(simulation: Simulation) -> Contender:
        moved = own.transfer_inputs(inputs, simulation)
        found = simulation.transfer_solution(simulation.run(moved), own)["u"]
        settings = (
            f"{simulation.grid.shape[0]} points, tolerance {simulation.settings['tolerance']:g}"
        )
        error = distance(found[1:], truth[1:])
        return Contender(
            "physurrogate",
            "order 5 in time" if own.grid.ndim == 2 else "order 4 in time",
            settings,
            error,
            lambda: simulation.run(moved),
        )

    return first_to_meet(target, map(at, ladder))


def diffusion_reaction() -> list[Row]:
    """128² points, 101 frames up to t = 5, from smooth random fields."""
    own = FitzHughNagumo(n=128, n_times=101)
    fine = FitzHughNagumo(n=384, n_times=101, tolerance=1e-7)
    drawn = fine.sample(np.random.default_rng(0)) | REACT
    # Every third centre of the fine grid is one of the coarse grid
    truth = fine.run(drawn)["u"][:, 1::3, 1::3]
    inputs = REACT | {name: np.ascontiguousarray(drawn[name][1::3, 1::3]) for name in ("u0", "v0")}
    n, h2 = own.n, (own.length / own.n) ** 2

    def laplacian(f: Array) -> Array:
        padded = np.pad(f, 1, mode="edge")
        sides = padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]
        return (sides - 4 * f) / h2

    def rates(t: float, state: Array) -> Array:
        u, v = state.reshape(2, n, n)
        return np.stack(
            [
                REACT["diffusivity_u"] * laplacian(u) + u - u * u * u - REACT["k"] - v,
                REACT["diffusivity_v"] * laplacian(v) + u - v,
            ]
        ).ravel()

    start = np.stack([inputs["u0"], inputs["v0"]]).ravel()

    def integrate() -> Array:
        return solve_ivp(rates, (0.0, 5.0), start, "RK45", own.times).y

    theirs = integrate().T.reshape(-1, 2, n, n)[:, 0]
    error = distance(theirs[1:], truth[1:])
    rival = Contender("SciPy RK45", "differences, order 2", "128 points", error, integrate)
    ladder = (
        FitzHughNagumo(n=points, n_times=101, tolerance=tolerance)
        for points in (32, 48, 64, 96, 128)
        for tolerance in TOLERANCES[:5]
    )
    same = FitzHughNagumo(n=128, n_times=101, tolerance=1e-3)
    contenders = [
        cheapest(own, ladder, inputs, truth, error),
        cheapest(own, [same], inputs, truth, error),
        rival,
    ]
    return compared(contenders, samples=7)


def diffusion_sorption() -> list[Row]:
    """1024 cells, 101 frames up to t = 500, from u = 0.1."""
    own = DiffusionSorption.preset("pdebench")
    fine = DiffusionSorption(n=3072, n_times=101, tolerance=1e-8)
    truth = fine.run(SORB | {"u0": np.full(fine.n, 0.1)})["u"][:, 1::3]
    inputs = SORB | {"u0": np.full(own.n, 0.1)}
    n, diffusivity = own.n, SORB["diffusivity"]
    sorbed = SORB["exponent"] * own.capacity(SORB)

    def rates(t: float, u: Array) -> Array:
        # Ghosts that put 1 on the face of the inlet, and −D ∂u/∂x on that of the outlet
        ratio = diffusivity * n
        last = u[-1] * (ratio - 0.5) / (ratio + 0.5)
        padded = np.concatenate([[2.0 - u[0]], u, [last]])
        bend = (padded[2:] - 2 * u + padded[:-2]) * n**2
        retardation = 1 + sorbed * np.maximum(u, 1e-9) ** (SORB["exponent"] - 1)
        return diffusivity / retardation * bend

    def integrate() -> Array:
        return solve_ivp(rates, (0.0, 500.0), inputs["u0"], "RK45", own.times).y

    error = distance(integrate().T[1:], truth[1:])
    rival = Contender("SciPy RK45", "finite volumes, order 2", "1024 points", error, integrate)
    ladder = (
        DiffusionSorption(n=points, n_times=101, tolerance=tolerance)
        for points in (128, 256, 512, 1024)
        for tolerance in TOLERANCES
    )
    same = DiffusionSorption.preset("pdebench", tolerance=1e-2)
    contenders = [
        cheapest(own, ladder, inputs, truth, error),
        cheapest(own, [same], inputs, truth, error),
        rival,
    ]
    return compared(contenders, samples=3)


def kinetics_with(method: str) -> Callable[[float], Array]:
    """SciPy's or numbalsoda's integration of Robertson's equations at a tolerance."""
    times = Robertson().times
    k1, k2, k3 = KINETICS.values()
    start = np.array([1.0, 0.0, 0.0])
    if method == "numbalsoda":
        import numbalsoda

        @cfunc(numbalsoda.lsoda_sig)
        def compiled(t, y, dy, parameters):
            dy[0] = -k1 * y[0] + k3 * y[1] * y[2]
            dy[1] = k1 * y[0] - k3 * y[1] * y[2] - k2 * y[1] * y[1]
            dy[2] = k2 * y[1] * y[1]

        def integrate(tolerance: float, keep_alive: object = compiled) -> Array:
            return numbalsoda.lsoda(
                compiled.address, start, times, rtol=tolerance, atol=1e-5 * tolerance
            )[0].T

        return integrate

    def rates(t: float, y: Array) -> list[float]:
        first, second, third = k1 * y[0], k2 * y[1] * y[1], k3 * y[1] * y[2]
        return [third - first, first - second - third, second]

    return lambda tolerance: (
        solve_ivp(
            rates, (0.0, times[-1]), start, method, times, rtol=tolerance, atol=1e-5 * tolerance
        ).y
    )


def kinetics() -> list[Row]:
    """Largest error of a concentration at 201 times up to t = 1e5, over its largest value."""
    truth = kinetics_with("Radau")(1e-12)

    def ours(tolerance: float) -> Array:
        solution = Robertson(tolerance=tolerance).solve(KINETICS)
        return np.stack([solution[name] for name in "ABC"])

    codes = {"physurrogate Radau IIA": ours, "numbalsoda LSODA": kinetics_with("numbalsoda")}
    codes |= {f"SciPy {method}": kinetics_with(method) for method in ("LSODA", "BDF", "Radau")}
    contenders = []
    for code, integrate in codes.items():

        def at(tolerance: float, code: str = code, integrate=integrate) -> Contender:
            off = np.abs(integrate(tolerance) - truth).max(axis=1) / truth.max(axis=1)
            name, method = code.split(maxsplit=1)
            settings = f"tolerance {tolerance:.1e}"
            return Contender(name, method, settings, off.max(), lambda: integrate(tolerance))

        contenders.append(first_to_meet(TARGET, map(at, 10.0 ** -np.arange(2.0, 12.0, 0.25))))
    return compared(contenders)


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "scipy", "numbalsoda")
    text = f"""## Reaction, diffusion, stiffness

Relative L2 error over all frames but the first, against a reference on a grid three times as fine.
The first row of each table is the cheapest of our resolutions and tolerances with at most the
error of the last row; the second has the same grid as the last row. One core; machine: {here}.

FitzHugh–Nagumo (PDEBench's diff-react), 101 frames, smooth random initial fields, against the
method of PDEBench on 128² points:

{table(diffusion_reaction())}

Diffusion with sorption (PDEBench's diff-sorp), 101 frames, against the method of PDEBench on 1024
points:

{table(diffusion_sorption())}

Robertson's kinetics up to t = 1e5, largest error of at most {TARGET:g}:

{table(kinetics())}
"""
    print(text)
    replace_section("reaction, diffusion, stiffness", text)


if __name__ == "__main__":
    main()
