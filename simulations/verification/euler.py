"""Verification of `Euler`."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from simulations.simulation import Inputs
from simulations.systems.euler import Euler
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray
State = tuple[float, float, float]
TORO = "exact Riemann solution; Toro 2009, section 4"


def riemann(left: State, right: State, gamma: float, speed: Array) -> Array:
    """Exact density, velocity and pressure ``(3, n)`` at x/t = ``speed`` (no vacuum)."""
    g1, g2 = (gamma - 1) / (gamma + 1), 2 / (gamma + 1)

    def sound(state: State) -> float:
        return float(np.sqrt(gamma * state[2] / state[0]))

    def wave(p: float, state: State) -> float:
        """Velocity change across the wave on one side, for pressure p behind it."""
        rho, _, p0 = state
        if p > p0:
            return float((p - p0) * np.sqrt(g2 / rho / (p + g1 * p0)))
        return 2 * sound(state) / (gamma - 1) * ((p / p0) ** ((gamma - 1) / (2 * gamma)) - 1)

    def mismatch(p: float) -> float:
        return wave(p, left) + wave(p, right) + right[1] - left[1]

    high = max(left[2], right[2])
    while mismatch(high) < 0:
        high *= 2
    p = float(brentq(mismatch, 1e-14 * high, high, xtol=1e-15, rtol=1e-14))
    u = 0.5 * (left[1] + right[1] + wave(p, right) - wave(p, left))
    result = np.empty((3, speed.size))
    for state, sign in ((left, -1.0), (right, 1.0)):
        rho, v, p0 = state
        a = sound(state)
        side = sign * (speed - u) >= 0
        s = sign * speed[side]  # as if this were the right side
        w, us = sign * v, sign * u
        if p > p0:
            behind = rho * (p / p0 + g1) / (g1 * p / p0 + 1)
            front = w + a * np.sqrt((gamma + 1) / (2 * gamma) * p / p0 + (gamma - 1) / (2 * gamma))
            inside = s < front
            values = [np.where(inside, behind, rho), np.where(inside, us, w)]
            values.append(np.where(inside, p, p0))
        else:
            tail = us + a * (p / p0) ** ((gamma - 1) / (2 * gamma))
            fan = np.clip(s, tail, w + a)
            ratio = np.maximum(g2 + g1 / a * (fan - w), 0)
            values = [rho * ratio ** (2 / (gamma - 1)), g2 * (-a + (gamma - 1) / 2 * w + fan)]
            values.append(p0 * ratio ** (2 * gamma / (gamma - 1)))
        result[:, side] = [values[0], sign * values[1], values[2]]
    return result


def _tube(left: State, right: State, middle: float, t_end: float, n: int) -> tuple[Array, Array]:
    """Computed and exact ``(3, n)`` on [0, 1]."""
    simulation = Euler(ndim=1, n=n, boundary="open", t_end=t_end, n_times=2)
    x = simulation.grid.axes[0].points
    rho, u, p = (np.where(x < middle, a, b) for a, b in zip(left, right, strict=True))
    inputs: Inputs = {"gamma": 1.4, "density0": rho, "velocity0": u[:, None], "pressure0": p}
    found = simulation.run(inputs)
    computed = [found["density"][-1], found["velocity"][-1, :, 0], found["pressure"][-1]]
    return np.array(computed), riemann(left, right, 1.4, (x - middle) / t_end)


@verifies(Euler)
def shock_tubes() -> Iterator[Finding]:
    """Exact Riemann solutions: Sod, a sonic point, near vacuum, a strong blast."""
    cases = [
        ("Sod", (1.0, 0.0, 1.0), (0.125, 0.0, 0.1), 0.5, 0.2, (1.3e-3, 2.5e-3, 1e-3)),
        ("sonic point", (1.0, 0.75, 1.0), (0.125, 0.0, 0.1), 0.3, 0.2, (1.8e-3, 2.2e-3, 1.2e-3)),
        ("123", (1.0, -2.0, 0.4), (1.0, 2.0, 0.4), 0.5, 0.15, (2.2e-3, 4.5e-3, 2.5e-3)),
        ("blast", (1.0, 0.0, 1000.0), (1.0, 0.0, 0.01), 0.5, 0.012, (8e-3, 5e-3, 2e-3)),
    ]
    for name, left, right, middle, t_end, bounds in cases:
        computed, exact = _tube(left, right, middle, t_end, 400)
        error = np.abs(computed - exact).mean(axis=1)
        if name != "Sod":  # whose error is usually quoted as it is
            error /= np.ptp(exact, axis=1)
        for quantity, measured, bound in zip(("ρ", "u", "p"), error, bounds, strict=True):
            yield at_most(f"{name}: mean error of {quantity}", measured, bound, TORO)


@verifies(Euler)
def star_states() -> Iterator[Finding]:
    """Sod's problem between the waves: the published states on both sides of the contact."""
    computed, _ = _tube((1.0, 0.0, 1.0), (0.125, 0.0, 0.1), 0.5, 0.2, 400)
    source = "Sod, J. Comput. Phys. 27 (1978) 1; Toro 2009, table 4.3"
    left, right = computed[:, 240], computed[:, 305]  # x/t = 0.51 and 1.32
    yield close_to("pressure", left[2], 0.30313, 1e-3, source)
    yield close_to("velocity", left[1], 0.92745, 1e-3, source)
    yield close_to("density left of the contact", left[0], 0.42632, 1e-3, source)
    yield close_to("density right of the contact", right[0], 0.26557, 1e-3, source)


def _vortex(n: int) -> float:
    """Mean error of the density after half a period of a vortex carried along the diagonal."""
    simulation = Euler(n=n, length=10.0, t_end=5.0, n_times=2)
    x, y = np.meshgrid(*(axis.points for axis in simulation.grid.axes), indexing="ij")

    def density(x0: float) -> tuple[Array, Array, Array]:
        dx, dy = (x - x0 + 5) % 10 - 5, (y - x0 + 5) % 10 - 5
        r2 = dx**2 + dy**2
        swirl = 5 / (2 * np.pi) * np.exp(0.5 * (1 - r2))
        heat = 1 - 0.4 * 25 / (8 * 1.4 * np.pi**2) * np.exp(1 - r2)
        return heat**2.5, 1 - swirl * dy, 1 + swirl * dx

    rho, u, v = density(5.0)
    inputs: Inputs = {"gamma": 1.4, "density0": rho, "velocity0": np.stack([u, v], -1)}
    found = simulation.run({**inputs, "pressure0": rho**1.4})
    return float(np.abs(found["density"][-1] - density(10.0)[0]).mean())


@verifies(Euler)
def orders() -> Iterator[Finding]:
    """Second order: a density wave and an isentropic vortex."""
    errors = []
    sizes = (64, 128, 256)
    for n in sizes:
        simulation = Euler(ndim=1, n=n, t_end=1.0, n_times=2)
        rho = 1 + 0.2 * np.sin(2 * np.pi * simulation.grid.axes[0].points)
        inputs: Inputs = {"gamma": 1.4, "density0": rho, "pressure0": np.ones(n)}
        found = simulation.run({**inputs, "velocity0": np.ones((n, 1))})
        errors.append(np.abs(found["density"][-1] - rho).mean())
    yield order("density wave", [1 / n for n in sizes], errors, 2.0)
    sizes = (32, 64, 128)
    yield order("vortex", [1 / n for n in sizes], [_vortex(n) for n in sizes], 2.0, 0.3)


@verifies(Euler)
def balances() -> Iterator[Finding]:
    """Mass, momentum and energy are conserved on periodic domains."""
    for ndim, n in ((1, 128), (2, 32), (3, 12)):
        simulation = Euler(ndim=ndim, n=n, n_times=3)
        inputs = simulation.sample(np.random.default_rng(0))
        found = simulation.run(inputs)
        kinetic = 0.5 * found["density"] * (found["velocity"] ** 2).sum(axis=-1)
        energy = found["pressure"] / (float(inputs["gamma"]) - 1) + kinetic
        sums = {"energy": energy.reshape(3, -1).mean(axis=1), **simulation.diagnostics(found)}
        for name, values in sums.items():
            yield at_most(f"drift of {name}, {ndim}-D", np.ptp(values), 1e-13)


@verifies(Euler)
def symmetries() -> Iterator[Finding]:
    """A tube along any axis is the one-dimensional one; exchanged axes, exchanged flow."""
    n = 24
    sod = np.where(np.arange(n) < n // 2, 1.0, 0.125)
    line = Euler(ndim=1, n=n, boundary="wall", t_end=0.6, n_times=2)
    inputs: Inputs = {
        "gamma": 1.4,
        "density0": sod,
        "pressure0": sod,
        "velocity0": np.zeros((n, 1)),
    }
    alone = line.run(inputs)
    for ndim in (2, 3):
        for axis in range(ndim):
            shape = [1] * ndim
            shape[axis] = n
            spread = np.ascontiguousarray(np.broadcast_to(sod.reshape(shape), (n,) * ndim))
            found = Euler(ndim=ndim, n=n, boundary="wall", t_end=0.6, n_times=2).run(
                {
                    "gamma": 1.4,
                    "density0": spread,
                    "pressure0": spread,
                    "velocity0": np.zeros((n,) * ndim + (ndim,)),
                }
            )
            moved = np.moveaxis(found["density"][-1], axis, 0).reshape(n, -1)
            yield at_most(f"{ndim}-D along axis {axis}: spread", np.ptp(moved, axis=1).max(), 1e-12)
            error = np.abs(moved[:, 0] - alone["density"][-1]).mean()
            # The steps are not those of the line, and 24 cells are few
            yield at_most(f"{ndim}-D along axis {axis}: from 1-D", error, 3e-3)
    plane = Euler(n=32, n_times=2)
    drawn = plane.sample(np.random.default_rng(1))
    turned = {
        "gamma": drawn["gamma"],
        "density0": np.ascontiguousarray(np.transpose(drawn["density0"])),
        "pressure0": np.ascontiguousarray(np.transpose(drawn["pressure0"])),
        "velocity0": np.ascontiguousarray(np.swapaxes(drawn["velocity0"], 0, 1)[..., ::-1]),
    }
    difference = plane.run(drawn)["density"][-1] - plane.run(turned)["density"][-1].T
    yield at_most("exchange of axes", np.abs(difference).max(), 1e-12)
