"""Verification of `FitzHughNagumo`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq

from simulations.systems.fitzhugh_nagumo import FitzHughNagumo
from simulations.verification.check import Finding, at_most, verifies

COEFFICIENTS = {"diffusivity_u": 2e-3, "diffusivity_v": 7e-3, "k": 0.05}


@verifies(FitzHughNagumo)
def linear_modes() -> Iterator[Finding]:
    """Cosines about the state of rest, u = v = −k^⅓, follow a linear pair of equations."""
    rest = brentq(lambda u: -(u**3) - COEFFICIENTS["k"], -1.0, 1.0, xtol=1e-15)
    size, t_end = 1e-6, 2.0
    for ndim in (1, 2, 3):
        simulation = FitzHughNagumo(ndim=ndim, n=12, t_end=t_end, n_times=2, tolerance=1e-13)
        modes = np.array([3, 2, 1][:ndim])
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        wave = np.prod(
            [np.cos(np.pi * m * (x + 1) / 2) for m, x in zip(modes, points, strict=True)], axis=0
        )
        squared = float((np.pi**2 * modes**2 / 4).sum())
        matrix = [
            [1 - 3 * rest**2 - COEFFICIENTS["diffusivity_u"] * squared, -1.0],
            [1.0, -1.0 - COEFFICIENTS["diffusivity_v"] * squared],
        ]
        start = np.array([1.0, 0.5])
        solution = simulation.solve(
            COEFFICIENTS
            | {f"{n}0": rest + size * a * wave for n, a in zip("uv", start, strict=True)}
        )
        expected = expm(t_end * np.array(matrix)) @ start
        for name, value in zip("uv", expected, strict=True):
            found = ((solution[name][-1] - rest) * wave).sum() / (size * (wave**2).sum())
            yield at_most(f"error of {name}, {ndim}-D", found - value, 3e-6, "exact")


@verifies(FitzHughNagumo)
def uniform_reaction() -> Iterator[Finding]:
    """Without gradients the model is a pair of ordinary differential equations."""

    def rates(t, state):
        u, v = state
        return [u - u**3 - COEFFICIENTS["k"] - v, u - v]

    truth = solve_ivp(rates, (0, 5), [0.9, -0.4], "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    simulation = FitzHughNagumo(n=8, n_times=2, tolerance=1e-10)
    uniform = np.ones(simulation.grid.shape)
    solution = simulation.solve(COEFFICIENTS | {"u0": 0.9 * uniform, "v0": -0.4 * uniform})
    for name, value in zip("uv", truth, strict=True):
        error = np.abs(solution[name][-1] - value).max()
        yield at_most(f"largest error of {name} at t = 5", error, 1e-9, "SciPy, DOP853")


@verifies(FitzHughNagumo)
def convergence() -> Iterator[Finding]:
    """A pattern on finer grids with tighter steps."""
    fine = FitzHughNagumo(n=192, t_end=2.0, n_times=2, tolerance=1e-8)
    drawn = fine.sample(np.random.default_rng(0))
    truth = fine.solve(drawn)["u"][-1]
    for n, tolerance, bound in ((48, 1e-4, 0.05), (96, 1e-4, 3e-3), (144, 1e-6, 8e-4)):
        simulation = FitzHughNagumo(n=n, t_end=2.0, n_times=2, tolerance=tolerance)
        found = simulation.solve(fine.transfer_inputs(drawn, simulation))
        moved = simulation.transfer_solution(found, fine)["u"][-1]
        error = np.linalg.norm(moved - truth) / np.linalg.norm(truth)
        yield at_most(f"relative L2 error of u with {n}² points", error, bound)
