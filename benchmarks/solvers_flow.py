"""Two-dimensional flow: our solver against exponax and jax-cfd at equal error.

Decaying turbulence from a smooth random vorticity in a periodic square. Each code takes the fewest
steps (ours: the loosest tolerance, in steps of a tenth of a decade) with an error at the end of at
most the target, on the same grid; the reference is our solver on that grid with a tolerance of
1e-11. All run in double precision on one thread. The rivals are compiled with their loop over the
steps and have their coefficients prepared; ours makes its coefficients in every call.

    python -m benchmarks.solvers_flow
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import Contender, compared, fewest_steps, first_to_meet
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.inputs import GaussianRandomField
from simulations.machine import machine_in_words
from simulations.systems.navier_stokes import NavierStokes

Array = NDArray[np.float64]
Make = Callable[[int], Callable[[], Array]]

LENGTH, NU, T_END = 2 * np.pi, 1e-2, 1.0
INITIAL, DEVIATION = GaussianRandomField(alpha=16.0, tau=8.0, scale=1.0), 2.0
TARGETS = (1e-3, 1e-6)
TOLERANCES = 10.0 ** -np.arange(1.0, 10.0, 0.1)
ENOUGH = 1024


def initial(n: int) -> Array:
    """Resolved to round-off, so that the filters of the codes have nothing to leave out."""
    vorticity = INITIAL.sample(np.random.default_rng(0), NavierStokes(n=n, length=LENGTH).grid)
    return vorticity * (DEVIATION / vorticity.std())


def solve(n: int, tolerance: float, start: Array) -> Array:
    simulation = NavierStokes(
        n=n, length=LENGTH, t_end=T_END, n_times=2, forcing="none", tolerance=tolerance
    )
    return simulation.run({"nu": NU, "vorticity0": start})["vorticity"][-1]


def exponax(n: int, start: Array) -> Make:
    import exponax as ex
    import jax

    def make(steps: int) -> Callable[[], Array]:
        # Its convection term has the opposite sign of the usual one
        stepper = ex.stepper.NavierStokesVorticity(
            2, LENGTH, n, T_END / steps, diffusivity=NU, vorticity_convection_scale=-1.0, order=4
        )
        march = jax.jit(ex.repeat(stepper, steps))
        given = jax.numpy.asarray(start)[None]
        return lambda: np.asarray(march(given).block_until_ready()[0])

    return make


def jax_cfd(n: int, start: Array, scheme: str) -> Make:
    import jax
    import jax_cfd.base as cfd
    from jax_cfd.spectral import equations, time_stepping

    grid = cfd.grids.Grid((n, n), domain=((0, LENGTH), (0, LENGTH)))
    equation = equations.NavierStokes2D(NU, grid, smooth=True)

    def make(steps: int) -> Callable[[], Array]:
        step = getattr(time_stepping, scheme)(equation, T_END / steps)
        repeated = cfd.funcutils.repeated(step, steps)
        march = jax.jit(lambda w: jax.numpy.fft.irfftn(repeated(jax.numpy.fft.rfftn(w))))
        given = jax.numpy.asarray(start)
        return lambda: np.asarray(march(given).block_until_ready())

    return make


def rows(n: int, target: float, **timing: Any) -> list[dict[str, object]]:
    start = initial(n)
    reference = solve(n, 1e-11, start)

    def error(vorticity: Array) -> float:
        return float(np.linalg.norm(vorticity - reference) / np.linalg.norm(reference))

    def ours(tolerance: float) -> Contender:
        settings = f"tolerance {tolerance:.1e}"
        call = lambda: solve(n, tolerance, start)  # noqa: E731
        return Contender("physurrogate", "ETD5", settings, error(call()), call)

    def rival(code: str, method: str, make: Make) -> Contender:
        def with_steps(steps: int) -> Contender:
            call = make(steps)
            return Contender(code, method, f"{steps} steps", error(call()), call)

        # From below, because too many steps take long
        enough = 16
        while enough < ENOUGH and not with_steps(enough).error <= target:
            enough *= 2
        return fewest_steps(with_steps, target, enough)

    contenders = [
        first_to_meet(target, map(ours, map(float, TOLERANCES))),
        rival("exponax", "ETDRK4", exponax(n, start)),
        rival("jax-cfd", "CN-RK4", jax_cfd(n, start, "crank_nicolson_rk4")),
        rival("jax-cfd", "CN-RK2", jax_cfd(n, start, "crank_nicolson_rk2")),
    ]
    return compared(contenders, **timing)


def prepare_jax() -> None:
    """Double precision and one thread; before JAX is imported."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    os.environ["JAX_ENABLE_X64"] = "1"


def main() -> None:
    pin_to_one_core()
    prepare_jax()
    here = machine_in_words("physurrogate", "numba", "exponax", "jax-cfd", "jax")
    sections = [
        f"{n}² points, error at most {target:g}:\n\n{table(rows(n, target))}"
        for n in (128, 256)
        for target in TARGETS
    ]
    text = f"""## Two-dimensional flow

Vorticity from a smooth random field with standard deviation {DEVIATION:g}, ν = {NU:g}, side 2π, at
t = {T_END:g}; error relative to a run with a tolerance of 1e-11 on the same grid. Double precision,
one core; machine: {here}.

{(chr(10) * 2).join(sections)}
"""
    print(text)
    replace_section("two-dimensional flow", text)


if __name__ == "__main__":
    main()
