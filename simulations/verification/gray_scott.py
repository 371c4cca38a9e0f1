"""Verification of `GrayScott`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp

from simulations.systems.gray_scott import GrayScott
from simulations.verification.check import Finding, at_most, close_to, verifies


@verifies(GrayScott)
def decay() -> Iterator[Finding]:
    """About A = 1, B = 0, waves decay at the rates f + δ_A|k|² and f + k + δ_B|k|²."""
    feed, kill, size = 0.03, 0.06, 1e-7
    for ndim in (1, 2, 3):
        simulation = GrayScott(
            ndim=ndim, n=16, t_end=5.0, n_times=2, diffusivity_a=4e-3, diffusivity_b=2e-3
        )
        points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
        k = 2 * np.pi * np.array([1, 2, 1][:ndim])
        wave = np.cos(sum(q * x for q, x in zip(k, points, strict=True)))
        squared = float((k**2).sum())
        solution = simulation.solve(
            {"feed": feed, "kill": kill, "A0": 1 + size * wave, "B0": 1e-5 * size * wave}
        )
        found = np.log(2 * np.mean((solution["A"][-1] - 1) * wave) / size) / 5.0
        expected = -(feed + 4e-3 * squared)
        yield close_to(f"rate of A, {ndim}-D", found, expected, 1e-6, "exact")
        found = np.log(2 * np.mean(solution["B"][-1] * wave) / (1e-5 * size)) / 5.0
        expected = -(feed + kill + 2e-3 * squared)
        yield close_to(f"rate of B, {ndim}-D", found, expected, 1e-6, "exact")


@verifies(GrayScott)
def uniform_reaction() -> Iterator[Finding]:
    """Without gradients the model is a pair of ordinary differential equations."""
    feed, kill = 0.04, 0.06

    def rates(t, state):
        a, b = state
        return [-a * b * b + feed * (1 - a), a * b * b - (feed + kill) * b]

    truth = solve_ivp(rates, (0, 40), [0.6, 0.5], "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    simulation = GrayScott(n=8, t_end=40.0, n_times=2, tolerance=1e-10)
    uniform = np.ones(simulation.grid.shape)
    solution = simulation.solve(
        {"feed": feed, "kill": kill, "A0": 0.6 * uniform, "B0": 0.5 * uniform}
    )
    for name, value in zip("AB", truth, strict=True):
        error = np.abs(solution[name][-1] - value).max()
        yield at_most(f"largest error of {name} at t = 40", error, 1e-8, "SciPy, DOP853")


@verifies(GrayScott)
def mass() -> Iterator[Finding]:
    """Without feed and kill, what A loses B gains."""
    simulation = GrayScott(n=32, t_end=20.0, n_times=3)
    drawn = simulation.sample(np.random.default_rng(0))
    total = simulation.diagnostics(simulation.solve(drawn | {"feed": 0.0, "kill": 0.0}))["total"]
    yield at_most("drift of the mean of A + B", np.ptp(total), 1e-12)


@verifies(GrayScott)
def convergence() -> Iterator[Finding]:
    """A pattern on finer grids with tighter steps."""
    fine = GrayScott(n=128, t_end=200.0, n_times=2, tolerance=1e-9)
    drawn = fine.sample(np.random.default_rng(0))
    truth = fine.solve(drawn)["B"][-1]
    for n, bound in ((48, 0.1), (64, 0.01), (96, 5e-4)):
        simulation = fine.rescaled(n / 128)
        found = simulation.solve(fine.transfer_inputs(drawn, simulation))
        moved = simulation.transfer_solution(found, fine)["B"][-1]
        error = np.linalg.norm(moved - truth) / np.linalg.norm(truth)
        yield at_most(f"relative L2 error of B with {n}² points", error, bound)
