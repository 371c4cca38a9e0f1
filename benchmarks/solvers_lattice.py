"""Lattice Boltzmann in two dimensions: ours against XLB and NumPy on a Taylor–Green vortex.

All march the same number of steps on the same periodic lattice, from the same moments and with the
same viscosity; the error is that of the decay. XLB runs its JAX and its Warp backend on one core of
the processor, in single and in double precision, with the collision BGK, which is less work than
ours. Beside the time there is what limits it: the memory traffic of a step, two passes over the
populations, as a share of the bandwidth of a triad over a working set of the same size.

    python -m benchmarks.solvers_lattice
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.bandwidth import triad
from benchmarks.contenders import Contender, compared
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.machine import machine_in_words
from simulations.numerics import lattice_boltzmann as lattice

Array = NDArray[np.float64]

N, STEPS = 256, 100
SPEED, VISCOSITY = 0.02, 0.02
#: Populations read and written by an update
PASSES = 2 * 9


def vortex() -> tuple[Array, Array, Array]:
    """Deviation of the density, and velocity, of a vortex on the lattice."""
    x = 2 * np.pi * np.arange(N) / N
    x, y = np.meshgrid(x, x)
    density = 0.75 * SPEED**2 * (np.cos(2 * x) + np.cos(2 * y))
    return density, SPEED * np.sin(x) * np.cos(y), -SPEED * np.cos(x) * np.sin(y)


def error(u: Array) -> float:
    """Of the velocity after `STEPS` steps, relative to the exact decay."""
    exact = vortex()[1] * np.exp(-2 * VISCOSITY * (2 * np.pi / N) ** 2 * STEPS)
    return float(np.linalg.norm(u - exact) / np.linalg.norm(exact))


def ours() -> Contender:
    f = lattice.equilibrium(*vortex())
    g, force, drive, closed = f.copy(), np.empty((STEPS, 2)), np.zeros(STEPS), np.zeros(0)
    links = lattice.periodic_links(N, N, along=True, across=True)
    rates = lattice.rates(VISCOSITY, 1 / 12)

    def call() -> tuple[Array, Array]:
        return lattice.advance(f, g, *rates, links, drive, closed, force)

    found = error(lattice.moments(call()[0])[1])
    return Contender("physurrogate", "central moments", "float64", found, call)


def numpy_code() -> Contender:
    """As one writes it: shifted copies, and expressions of whole arrays."""
    omega = 1 / (3 * VISCOSITY + 0.5)
    weights = lattice.WEIGHTS[:, None, None]
    cx, cy = lattice.VELOCITIES.T[:, :, None, None]

    def equilibrium(rho: Array, u: Array, v: Array) -> Array:
        along = cx * u + cy * v
        return weights * rho * (1 + 3 * along + 4.5 * along**2 - 1.5 * (u**2 + v**2))

    density, u, v = vortex()
    start = equilibrium(1 + density, u, v)

    def march() -> Array:
        f = start
        for _ in range(STEPS):
            f = np.stack(
                [
                    np.roll(f[k], (across, along), (0, 1))
                    for k, (along, across) in enumerate(lattice.VELOCITIES)
                ]
            )
            rho = f.sum(axis=0)
            u, v = (cx * f).sum(axis=0) / rho, (cy * f).sum(axis=0) / rho
            f += omega * (equilibrium(rho, u, v) - f)
        return f

    f = march()
    found = error((cx * f).sum(axis=0) / f.sum(axis=0))
    return Contender("NumPy", "BGK", "float64", found, march)


def xlb_code(backend: str, precision: str) -> Contender:
    import jax
    import warp
    import xlb
    from xlb.compute_backend import ComputeBackend
    from xlb.grid import grid_factory
    from xlb.operator.stepper import IncompressibleNavierStokesStepper
    from xlb.precision_policy import PrecisionPolicy

    chosen, policy = ComputeBackend[backend], PrecisionPolicy[precision]
    velocities = xlb.velocity_set.D2Q9(precision_policy=policy, compute_backend=chosen)
    xlb.init(velocities, chosen, policy)
    stepper = IncompressibleNavierStokesStepper(
        grid=grid_factory((N, N)), boundary_conditions=[], collision_type="BGK"
    )
    f, g, kinds, missing = stepper.prepare_fields()
    c, w = np.array(velocities._c, dtype=float), np.array(velocities._w, dtype=float)
    density, u, v = (field.T for field in vortex())  # XLB's first axis is x
    along = c[0][:, None, None] * u + c[1][:, None, None] * v
    start = (
        w[:, None, None] * (1 + density) * (1 + 3 * along + 4.5 * along**2 - 1.5 * (u**2 + v**2))
    )
    is_jax = backend == "JAX"
    if is_jax:
        f = jax.numpy.asarray(start, dtype=f.dtype)
    else:
        f.assign(start.reshape(f.shape).astype(f.numpy().dtype))
    omega = 1 / (3 * VISCOSITY + 0.5)
    state = [f, g]

    def march() -> None:
        for step in range(STEPS):
            state[:] = stepper(*state, kinds, missing, omega, step)[::-1]
        jax.block_until_ready(state[0]) if is_jax else warp.synchronize()

    march()
    now = np.asarray(state[0] if is_jax else state[0].numpy(), dtype=float).reshape(9, N, N)
    found = error((np.tensordot(c[0], now, 1) / now.sum(axis=0)).T)
    return Contender("XLB", f"BGK, {backend}", precision, found, march)


def rows() -> list[dict[str, object]]:
    makers: list[Callable[[], Contender]] = [
        ours,
        lambda: xlb_code("JAX", "FP64FP64"),
        lambda: xlb_code("JAX", "FP32FP32"),
        lambda: xlb_code("WARP", "FP64FP64"),
        lambda: xlb_code("WARP", "FP32FP32"),
        numpy_code,
    ]
    found = compared([make() for make in makers])
    for row in found:
        size = 4 if row["settings"] == "FP32FP32" else 8
        updates = N * N * STEPS / (1e-3 * float(str(row["CPU ms"])))
        share = triad(PASSES * size * N * N).cpu * PASSES * size * updates
        row["MLUPS"] = updates / 1e6
        row["share of a triad's bandwidth"] = f"{share:.0%}"
    return found


def main() -> None:
    pin_to_one_core()
    here = machine_in_words("physurrogate", "numba", "numpy", "xlb", "jax", "warp-lang")
    bandwidth = 1e-9 / triad(PASSES * 8 * N * N).wall
    text = f"""## Lattice Boltzmann

Taylor–Green vortex on {N}² periodic cells, {STEPS} steps, ν = {VISCOSITY:g}, largest velocity
{SPEED:g}; error of the velocity afterwards relative to the exact decay. MLUPS are millions of cells
updated in a second of CPU time. A triad over a working set of the same size,
{PASSES * 8 * N * N / 1e6:.1f} MB, reaches {bandwidth:.1f} GB/s. One core; machine: {here}.

{table(rows())}
"""
    print(text)
    replace_section("lattice boltzmann", text)


if __name__ == "__main__":
    main()
