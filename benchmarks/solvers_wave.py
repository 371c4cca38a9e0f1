"""Waves in a smooth medium: ours against Devito's compiled C and NumPy at equal error.

A pulse in the unit square that does not reach its ends, so that nobody's boundaries matter. Each
code takes the coarsest grid, with the longest step, whose error at the end meets the target; the
reference is our own solution of order four on 1024² points, which Devito's of orders eight and four
approaches as well. A second table has all codes on 256² points with the same number of steps.

    python -m benchmarks.solvers_wave
"""

import os

os.environ.setdefault("DEVITO_LOGGING", "ERROR")
os.environ.setdefault("DEVITO_LANGUAGE", "C")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from benchmarks.bandwidth import triad
from benchmarks.contenders import Contender, compared, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations.machine import machine_in_words
from simulations.numerics import leapfrog
from simulations.systems.wave import Wave

Array = NDArray[np.floating]

T_END, WIDTH = 0.25, 0.03
TARGETS = (1e-2, 1e-3)
SIZES = (64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640)
FINEST, COMPARED, STEPS = 1024, 256, 500


def medium(n: int) -> tuple[Array, Array]:
    """Initial displacement and speed at the points i/n."""
    x, y = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
    pulse = np.exp(-0.5 * ((x - 0.5) ** 2 + (y - 0.5) ** 2) / WIDTH**2)
    return pulse, 1.0 + 0.4 * np.sin(2 * np.pi * x) * np.cos(4 * np.pi * y)


@cache
def reference(n: int) -> Array:
    if n == FINEST:
        return ours(n, 4)()
    columns = scipy.signal.resample(reference(FINEST), n, axis=0)
    return scipy.signal.resample(columns, n, axis=1)


def error(u: Array) -> float:
    exact = reference(len(u))
    return float(np.linalg.norm(u - exact) / np.linalg.norm(exact))


def ours(n: int, order: int, t_end: float = T_END) -> Callable[[], Array]:
    pulse, speed = medium(n)
    simulation = Wave(n=n, order=order, t_end=t_end, n_times=2)
    inputs = {"displacement0": pulse, "velocity0": 0 * pulse, "speed": speed}
    return lambda: simulation.solve(inputs)["displacement"][-1]


def start_back(n: int, dt: float) -> Array:
    """The displacement at −Δt, by Taylor's series and Fourier."""
    pulse, speed = medium(n)
    k = 2 * np.pi * np.fft.fftfreq(n, 1 / n)
    squared = k[:, None] ** 2 + k[None, :] ** 2

    def applied(u: Array) -> Array:
        return speed**2 * np.fft.ifft2(-squared * np.fft.fft2(u)).real

    once = applied(pulse)
    return pulse + dt**2 / 2 * once + dt**4 / 24 * applied(once)


def numpy_slices(n: int, order: int, steps: int, dt: float) -> Callable[[], Array]:
    """Leapfrog of order two in time, without temporaries where that is easy."""
    pulse, speed = medium(n)
    before = start_back(n, dt)
    ratio = (speed[2:-2, 2:-2] * dt * n) ** 2
    near, far = (1.0, 0.0) if order == 2 else (4 / 3, -1 / 12)

    def run() -> Array:
        u, previous = pulse.copy(), before.copy()
        for _ in range(steps):
            c = u[2:-2, 2:-2]
            change = near * (u[1:-3, 2:-2] + u[3:-1, 2:-2] + u[2:-2, 1:-3] + u[2:-2, 3:-1])
            if far:
                change += far * (u[:-4, 2:-2] + u[4:, 2:-2] + u[2:-2, :-4] + u[2:-2, 4:])
            change -= 4 * (near + far) * c
            change *= ratio
            change += 2 * c
            previous[2:-2, 2:-2] = change - previous[2:-2, 2:-2]
            u, previous = previous, u
        return u

    return run


def devito_with(
    n: int, space: int, time: int, steps: int, dt: float, kind: Any = np.float64
) -> Callable[[], Array]:
    """Devito: order in space and time; nodes at i/n, ends included."""
    from devito import Eq, Function, Grid, Operator, TimeFunction

    grid = Grid((n + 1, n + 1), extent=(1.0, 1.0), dtype=kind)
    u = TimeFunction(name="u", grid=grid, time_order=2, space_order=space)
    squared = Function(name="c2", grid=grid, space_order=space)
    pulse, speed, back = (
        np.pad(v, ((0, 1), (0, 1)), "wrap") for v in (*medium(n), start_back(n, dt))
    )
    squared.data[:] = speed**2
    right, step = u.laplace, grid.stepping_dim.spacing
    if time == 4:
        right = right + step**2 / 12 * u.biharmonic(squared)
    update = Eq(u.forward, 2 * u - u.backward + step**2 * squared * right)
    operator = Operator([update])

    def run() -> Array:
        u.data[0], u.data[1], u.data[2] = pulse, 0.0, back  # time 0 and, modulo 3, time −1
        operator.apply(time_m=0, time_M=steps - 1, dt=kind(dt))
        return np.asarray(u.data[steps % 3][:-1, :-1])

    return run


def stable_steps(n: int, space: int, time: int, t_end: float, share: float) -> int:
    """Steps at this share of the largest stable one."""
    second = {2: 4.0, 4: 16 / 3, 8: 6.5016}[space]  # largest eigenvalue of −Δx² ∂²/∂x²
    limit = {2: 4.0, 4: 12.0}[time]
    largest = np.sqrt(limit / (2 * second)) / (n * medium(n)[1].max())
    return int(np.ceil(t_end / (share * largest)))


def devito_candidates(space: int, time: int) -> Iterator[Contender]:
    """Grids and steps, cheapest first."""
    choices = [
        (n * n * stable_steps(n, space, time, T_END, share), n, share)
        for n, share in product(SIZES, (0.95, 0.5, 0.25))
    ]
    for _, n, share in sorted(choices):
        steps = stable_steps(n, space, time, T_END, share)
        call = devito_with(n, space, time, steps, T_END / steps)
        settings = f"{n}², {steps} steps"
        method = f"order {space} in space, {time} in time"
        yield Contender("Devito", method, settings, error(call()), call)


def our_candidates(order: int) -> Iterator[Contender]:
    for n in SIZES:
        call = ours(n, order)
        yield Contender("physurrogate", f"order {order}", f"{n}²", error(call()), call)


def numpy_candidates(order: int) -> Iterator[Contender]:
    choices = [
        (n * n * stable_steps(n, order, 2, T_END, share), n, share)
        for n, share in product(SIZES, (0.95, 0.5, 0.25))
    ]
    for _, n, share in sorted(choices):
        steps = stable_steps(n, order, 2, T_END, share)
        call = numpy_slices(n, order, steps, T_END / steps)
        method = f"order {order} in space, 2 in time"
        yield Contender("NumPy slices", method, f"{n}², {steps} steps", error(call()), call)


def at_equal_error(target: float) -> list[dict[str, object]]:
    contenders = [first_to_meet(target, our_candidates(order)) for order in (4, 2)]
    for space, time in ((4, 4), (8, 2), (4, 2), (2, 2)):
        contenders.append(first_to_meet(target, devito_candidates(space, time)))
    contenders.append(first_to_meet(target, numpy_candidates(4)))
    return compared(contenders)


def throughput() -> list[dict[str, object]]:
    """Points and steps a second on 256² points, with the share of the memory bandwidth."""
    n = COMPARED
    t_end = 1.0
    calls: dict[str, tuple[Callable[[], Array], int]] = {}
    speed = medium(n)[1].max()
    for order in (2, 4):
        steps = int(np.ceil(t_end / leapfrog.largest_step(order, 2, 1 / n, speed, False)))
        calls[f"physurrogate, order {order} in space and time"] = ours(n, order, t_end), steps
    for space, time, kind in product((2, 4), (2, 4), (np.float64, np.float32)):
        if (space, time) != (2, 4):
            run = devito_with(n, space, time, STEPS, 1e-4, kind)
            bits = np.dtype(kind).name
            calls[f"Devito, order {space} in space, {time} in time, {bits}"] = run, STEPS
    calls["NumPy slices, order 4 in space, 2 in time"] = numpy_slices(n, 4, 100, 1e-4), 100
    timings = side_by_side({name: call for name, (call, _) in calls.items()})
    # u, c and u⁻ are read, u⁺ is written, once a step
    bandwidth = 1 / triad(3 * 8 * n * n).wall
    rows = []
    for name, (_, steps) in calls.items():
        rate = n * n * steps / timings[name].cpu
        size = 16.0 if name.endswith("float32") else 32.0
        share = f"{rate * size / bandwidth:.0%}"
        rows.append({"code": name, "million points/s": rate / 1e6, "share of triad": share})
    return rows


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "devito", "numpy")
    tables = "\n\n".join(
        f"Error at most {target:g}:\n\n{table(at_equal_error(target))}" for target in TARGETS
    )
    text = f"""## Waves in a smooth medium

u_tt = c(x, y)² Δu in the unit square, double precision, from a pulse of width {WIDTH} at rest up to
t = {T_END}; relative L2 error against 1024² points of order four. Devito compiles C with gcc. One
core; machine: {here}.

{tables}

{COMPARED}² points, whatever the error; of order four in time, a step applies the operator twice.
The triad a = b + 3c has as many bytes in use as u, u⁻ and c:

{table(throughput())}
"""
    print(text)
    replace_section("waves", text)


if __name__ == "__main__":
    main()
