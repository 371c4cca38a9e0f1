"""Verification of `DoublePendulum`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import eigh
from scipy.special import ellipk

from simulations.systems.double_pendulum import DoublePendulum
from simulations.verification.check import Finding, at_most, close_to, verifies

SHAPE = {"mass1": 1.3, "mass2": 0.7, "length1": 0.8, "length2": 1.1}


@verifies(DoublePendulum)
def normal_modes() -> Iterator[Finding]:
    """Small oscillations have the frequencies and shapes of the linear problem."""
    m1, m2, l1, l2 = SHAPE.values()
    mass = np.array([[(m1 + m2) * l1**2, m2 * l1 * l2], [m2 * l1 * l2, m2 * l2**2]])
    squared, shapes = eigh(9.81 * np.diag([(m1 + m2) * l1, m2 * l2]), mass)
    for omega, shape in zip(np.sqrt(squared), shapes.T, strict=True):
        start = 1e-5 * shape / np.abs(shape).max()
        simulation = DoublePendulum(t_end=7.0 / omega, n_times=2, tolerance=1e-14)
        solution = simulation.solve(SHAPE | {"start1": start[0], "start2": start[1]})
        for name, value in zip(("angle1", "angle2"), start, strict=True):
            error = (solution[name][-1] - value * np.cos(7.0)) / 1e-5
            yield at_most(f"error of {name}, mode of {omega:.3g} rad/s", error, 1e-6, "exact")


@verifies(DoublePendulum)
def single_pendulum() -> Iterator[Finding]:
    """A heavy upper mass does not feel a light lower one: period 4√(l/g) K(sin²(θ₀/2))."""
    period = 4 * np.sqrt(1.0 / 9.81) * ellipk(np.sin(0.5) ** 2)
    simulation = DoublePendulum(t_end=period, n_times=2, tolerance=1e-11)
    inputs = {"mass1": 1e3, "mass2": 1e-3, "length1": 1.0, "length2": 0.5}
    solution = simulation.solve(inputs | {"start1": 1.0, "start2": 1.0})
    found = solution["angle1"][-1]
    yield close_to("angle after a period, from 1 rad", found, 1.0, 1e-5, "exact to order m₂/m₁")


@verifies(DoublePendulum)
def lagrangian() -> Iterator[Finding]:
    """Large swings against Hamilton's equations, integrated by SciPy; energy."""
    m1, m2, l1, l2 = SHAPE.values()
    g = 9.81

    def rates(t, state):
        q1, q2, p1, p2 = state
        c, s = np.cos(q1 - q2), np.sin(q1 - q2)
        mass = np.array([[(m1 + m2) * l1**2, m2 * l1 * l2 * c], [m2 * l1 * l2 * c, m2 * l2**2]])
        w1, w2 = np.linalg.solve(mass, [p1, p2])
        pull = m2 * l1 * l2 * w1 * w2 * s
        return [w1, w2, -pull - (m1 + m2) * g * l1 * np.sin(q1), pull - m2 * g * l2 * np.sin(q2)]

    start = [2.0, -1.0, 0.0, 0.0]
    truth = solve_ivp(rates, (0, 3), start, "DOP853", rtol=1e-12, atol=1e-12).y[:2, -1]
    simulation = DoublePendulum(t_end=3.0, n_times=11, tolerance=1e-12)
    solution = simulation.solve(SHAPE | {"start1": 2.0, "start2": -1.0})
    for name, value in zip(("angle1", "angle2"), truth, strict=True):
        yield at_most(
            f"error of {name} at t = 3", solution[name][-1] - value, 1e-8, "SciPy, DOP853"
        )
    expected = -(m1 + m2) * g * l1 * np.cos(2.0) - m2 * g * l2 * np.cos(1.0)
    drift = np.abs(solution["energy"] - expected).max()
    yield at_most("drift of the energy in J", drift, 1e-9, "exact")
