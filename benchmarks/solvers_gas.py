"""Euler equations: our finite volumes against PyClaw (Fortran), at equal error and per step.

PyClaw's classic solver is of second order as ours is: wave propagation with Roe's solver and an
entropy fix, the limiter MC and the largest stable steps; in two dimensions dimension by dimension
(its fastest way) and unsplit with transverse waves. Each takes the fewest cells with an error of at
most the target; solvers are made and run once before they are timed.

    python -m benchmarks.solvers_gas
"""

import logging
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, compared, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations.machine import machine_in_words
from simulations.numerics import muscl_hancock
from simulations.numerics.ideal_gas import IdealGas
from simulations.systems.euler import Euler
from simulations.verification.euler import riemann

Array = NDArray[np.float64]
Problem = tuple[Array, Array, Array]  # density, pressure, velocity

GAMMA = 1.4
SOD_TARGET, SOD_CELLS = 1.2e-3, range(200, 1001, 20)
VORTEX_TARGET, VORTEX_CELLS = 5e-4, range(48, 257, 8)
SHEAR_CELLS, SHEAR_TIME = 256, 0.12


def sod(n: int) -> Problem:
    is_left = (np.arange(n) + 0.5) / n < 0.5
    return np.where(is_left, 1.0, 0.125), np.where(is_left, 1.0, 0.1), np.zeros((n, 1))


def sod_exact(n: int) -> Array:
    x = (np.arange(n) + 0.5) / n
    return riemann((1.0, 0.0, 1.0), (0.125, 0.0, 0.1), GAMMA, (x - 0.5) / 0.2)[0]


def vortex(n: int) -> Problem:
    """Isentropic vortex in a periodic box of length 10, carried along the diagonal."""
    x, y = np.meshgrid(*[10.0 * ((np.arange(n) + 0.5) / n - 0.5)] * 2, indexing="ij")
    bell = 2.0 / np.pi * np.exp(0.5 * (1 - x**2 - y**2))
    density = (1 - (GAMMA - 1) / (2 * GAMMA) * bell**2) ** (1 / (GAMMA - 1))
    return density, density**GAMMA, np.stack([1 - bell * y, 1 + bell * x], axis=-1)


def shear(n: int) -> Problem:
    """Two layers that slide along each other in a periodic box of length 1."""
    x, y = np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2, indexing="ij")
    is_inside = np.abs(y - 0.5) < 0.25
    velocity = np.stack([0.1 * np.sin(4 * np.pi * x), np.where(is_inside, 0.5, -0.5)], axis=-1)
    return np.where(is_inside, 2.0, 1.0), np.full((n, n), 2.5), velocity


def ours(problem: Problem, length: float, t_end: float, boundary: str) -> Callable[[], Array]:
    density, pressure, velocity = problem
    simulation = Euler(
        ndim=density.ndim,
        n=len(density),
        length=length,
        boundary=boundary,
        t_end=t_end,
        n_times=2,
    )
    inputs = {"gamma": GAMMA, "density0": density, "pressure0": pressure, "velocity0": velocity}
    return lambda: simulation.solve(inputs)["density"][-1]


def our_steps(problem: Problem, length: float, t_end: float) -> int:
    """Steps on a periodic square, repeated ones included."""
    density, pressure, velocity = problem
    fields = np.stack([density, pressure, *np.moveaxis(velocity, -1, 0)], axis=1)[None]
    frames = np.empty((2, *fields.shape))
    ghosts = ((0, 0), (muscl_hancock.GHOSTS,) * 2, (0, 0), (muscl_hancock.GHOSTS,) * 2)
    _, _, steps, repeated = muscl_hancock.integrate(
        IdealGas(GAMMA),
        np.pad(fields, ghosts, mode="edge"),
        np.array([0.0, t_end]),
        np.full(2, length / len(density)),
        np.full(2, muscl_hancock.PERIODIC),
        frames,
    )
    return steps + repeated


def pyclaw_with(
    method: str, problem: Problem, length: float, t_end: float, boundary: str
) -> tuple[Callable[[], Array], dict[str, int]]:
    """A call that returns the last density, and where it leaves the number of its steps."""
    from clawpack import pyclaw, riemann

    logging.getLogger("pyclaw").setLevel(logging.CRITICAL)
    density, pressure, velocity = problem
    ndim, n = density.ndim, len(density)
    equations = riemann.euler_with_efix_1D if ndim == 1 else riemann.euler_4wave_2D
    solver = (pyclaw.ClawSolver1D if ndim == 1 else pyclaw.ClawSolver2D)(equations)
    solver.limiters = pyclaw.limiters.tvd.MC
    solver.cfl_desired, solver.cfl_max = 0.9, 1.0
    if ndim == 2:
        solver.dimensional_split = method == "split"
        solver.transverse_waves = 0 if method == "split" else 2
    kind = pyclaw.BC.periodic if boundary == "periodic" else pyclaw.BC.extrap
    solver.all_bcs = kind
    solver.max_steps = 10**6
    domain = pyclaw.Domain([0.0] * ndim, [length] * ndim, [n] * ndim)
    state = pyclaw.State(domain, ndim + 2)
    state.problem_data.update(gamma=GAMMA, gamma1=GAMMA - 1, efix=True)
    energy = pressure / (GAMMA - 1) + 0.5 * density * (velocity**2).sum(axis=-1)
    momentum = [density * velocity[..., axis] for axis in range(ndim)]
    initial = np.stack([density, *momentum, energy])
    speed = np.sqrt(GAMMA * pressure / density) + np.abs(velocity).max(axis=-1)
    first_step = 0.5 * length / n / speed.max()
    state.q[:] = initial
    solver.setup(pyclaw.Solution(state, domain))
    counted: dict[str, int] = {}

    def call() -> Array:
        state.t, state.q[:], solver.dt = 0.0, initial, first_step
        status = solver.evolve_to_time(pyclaw.Solution(state, domain), t_end)
        counted["steps"] = status["numsteps"]
        return state.q[0]

    return call, counted


def best(
    code: str,
    method: str,
    make: Callable[[int], Callable[[], Array]],
    exact: Callable[[int], Array],
    cells: Iterable[int],
    target: float,
) -> Contender:
    """The code with the fewest cells that meet the target for the mean error of the density."""

    def at(n: int) -> Contender:
        call = make(n)
        error = float(np.abs(call() - exact(n)).mean())
        return Contender(code, method, f"{n} cells an axis", error, call)

    return first_to_meet(target, map(at, cells))


def sod_rows(samples: int = 15) -> list[dict[str, object]]:
    def rival(method: str) -> Callable[[int], Callable[[], Array]]:
        return lambda n: pyclaw_with(method, sod(n), 1.0, 0.2, "open")[0]

    codes = [
        ("physurrogate", "MUSCL-Hancock", lambda n: ours(sod(n), 1.0, 0.2, "open")),
        ("PyClaw classic", "Roe, MC", rival("classic")),
    ]
    found = [best(*code, sod_exact, SOD_CELLS, SOD_TARGET) for code in codes]
    return compared(found, samples=samples)


def vortex_rows(samples: int = 7) -> list[dict[str, object]]:
    def rival(method: str) -> Callable[[int], Callable[[], Array]]:
        return lambda n: pyclaw_with(method, vortex(n), 10.0, 10.0, "periodic")[0]

    codes = [
        ("physurrogate", "MUSCL-Hancock", lambda n: ours(vortex(n), 10.0, 10.0, "periodic")),
        ("PyClaw classic", "Roe, MC, split", rival("split")),
        ("PyClaw classic", "Roe, MC, unsplit", rival("unsplit")),
    ]
    found = [best(*code, lambda n: vortex(n)[0], VORTEX_CELLS, VORTEX_TARGET) for code in codes]
    return compared(found, samples=samples)


def step_rows(samples: int = 7) -> list[dict[str, object]]:
    """CPU time of a cell and step on the same grid, whatever the error."""
    problem = shear(SHEAR_CELLS)
    calls = {"physurrogate": ours(problem, 1.0, SHEAR_TIME, "periodic")}
    steps = {"physurrogate": our_steps(problem, 1.0, SHEAR_TIME)}
    for method in ("split", "unsplit"):
        name = f"PyClaw {method}"
        calls[name], counted = pyclaw_with(method, problem, 1.0, SHEAR_TIME, "periodic")
        calls[name]()
        steps[name] = counted["steps"]
    timings = side_by_side(calls, samples=samples)
    rows: list[dict[str, object]] = []
    for name, timing in timings.items():
        per_cell = timing.cpu / steps[name] / SHEAR_CELLS**2
        first = timings["physurrogate"].cpu / steps["physurrogate"] / SHEAR_CELLS**2
        rows.append(
            {
                "code": name,
                "steps": steps[name],
                "CPU ms": 1e3 * timing.cpu,
                "million cells a second": 1e-6 / per_cell,
                "CPU time of a cell and step over first": per_cell / first,
            }
        )
    return rows


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "clawpack")
    text = f"""## Euler equations

PyClaw's classic solver has Courant number 0.9 (at most 1); ours 0.8 of the sum over the axes. Mean
absolute error of the density; fewest cells that meet the target. One core; machine: {here}.

Sod's shock tube up to t = 0.2, error at most {SOD_TARGET:g}:

{table(sod_rows())}

Isentropic vortex carried once along the diagonal of a periodic square, error at most
{VORTEX_TARGET:g}:

{table(vortex_rows())}

Sliding layers on {SHEAR_CELLS}² cells up to t = {SHEAR_TIME:g}, for each cell and step:

{table(step_rows())}
"""
    print(text)
    replace_section("euler equations", text)


if __name__ == "__main__":
    main()
