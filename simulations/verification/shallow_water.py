"""Verification of `ShallowWater`."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from simulations.simulation import Inputs
from simulations.systems.shallow_water import RadialDam, ShallowWater
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray
State = tuple[float, float]
TORO = "exact Riemann solution; Toro 2001, chapter 5"


def riemann(left: State, right: State, g: float, speed: Array) -> tuple[Array, float]:
    """Exact depth and velocity ``(2, n)`` at x/t = ``speed``, and the depth between the waves.

    The bed is nowhere dry.
    """

    def wave(h: float, h0: float) -> float:
        """Velocity change across the wave on one side, for depth h behind it."""
        if h > h0:
            return float((h - h0) * np.sqrt(0.5 * g * (h + h0) / (h * h0)))
        return float(2 * (np.sqrt(g * h) - np.sqrt(g * h0)))

    def mismatch(h: float) -> float:
        return wave(h, left[0]) + wave(h, right[0]) + right[1] - left[1]

    high = max(left[0], right[0])
    while mismatch(high) < 0:
        high *= 2
    h = float(brentq(mismatch, 1e-14 * high, high, xtol=1e-15, rtol=1e-14))
    u = 0.5 * (left[1] + right[1] + wave(h, right[0]) - wave(h, left[0]))
    result = np.empty((2, speed.size))
    for (h0, u0), sign in ((left, -1.0), (right, 1.0)):
        side = sign * (speed - u) >= 0
        s, w, us = sign * speed[side], sign * u0, sign * u  # as if this were the right side
        if h > h0:
            inside = s < w + np.sqrt(0.5 * g * h * (h + h0) / h0)
            values = [np.where(inside, h, h0), np.where(inside, us, w)]
        else:
            fan = np.clip(s, us + np.sqrt(g * h), w + np.sqrt(g * h0))
            celerity = (fan - w + 2 * np.sqrt(g * h0)) / 3
            values = [celerity**2 / g, fan - celerity]
        result[:, side] = [values[0], sign * values[1]]
    return result, h


def _dam(
    left: State, right: State, middle: float, t_end: float, n: int, g: float, length: float
) -> tuple[Array, Array, float]:
    """Computed and exact ``(2, n)`` with the dam at ``middle``, and the depth between the waves."""
    simulation = ShallowWater(ndim=1, n=n, length=length, boundary="open", t_end=t_end, n_times=2)
    x = simulation.grid.axes[0].points
    h, u = (np.where(x < middle, a, b) for a, b in zip(left, right, strict=True))
    found = simulation.run({"gravity": g, "depth0": h, "velocity0": u[:, None]})
    exact, star = riemann(left, right, g, (x - middle) / t_end)
    return np.array([found["depth"][-1], found["velocity"][-1, :, 0]]), exact, star


@verifies(ShallowWater)
def dam_breaks() -> Iterator[Finding]:
    """Exact Riemann solutions: wet beds, nearly dry ones, a sonic point, two waves of a kind."""
    cases = [
        ("Stoker", (2.0, 0.0), (1.0, 0.0), 0.0, 0.5, 1.0, 2.0, (1.5e-3, 3e-3)),
        ("Toro 1", (1.0, 2.5), (0.1, 0.0), -15.0, 7.0, 9.81, 50.0, (1e-3, 1.2e-3)),
        ("Toro 2", (1.0, -5.0), (1.0, 5.0), 0.0, 2.5, 9.81, 50.0, (2e-3, 1.5e-3)),
        ("sonic point", (1.0, 0.0), (0.05, 0.0), 0.0, 0.3, 1.0, 2.0, (1.3e-3, 3e-3)),
        ("nearly dry", (1.0, 0.0), (1e-5, 0.0), 0.0, 0.3, 1.0, 2.0, (1.2e-3, 1.5e-2)),
        ("two bores", (1.0, 1.0), (1.0, -1.0), 0.0, 0.5, 1.0, 2.0, (3e-3, 2e-3)),
    ]
    for name, left, right, middle, t_end, g, length, bounds in cases:
        computed, exact, _ = _dam(left, right, middle, t_end, 400, g, length)
        error = np.abs(computed - exact).mean(axis=1) / np.ptp(exact, axis=1)
        for quantity, measured, bound in zip(("h", "u"), error, bounds, strict=True):
            yield at_most(f"{name}: mean error of {quantity} over its range", measured, bound, TORO)


@verifies(ShallowWater)
def states_between_the_waves() -> Iterator[Finding]:
    """The depth behind the bore of a dam break, and in the middle of two rarefactions."""
    computed, _, star = _dam((2.0, 0.0), (1.0, 0.0), 0.0, 0.5, 400, 1.0, 2.0)
    yield close_to("dam of 2 m before 1 m: depth at the dam", computed[0, 220], star, 1e-3, TORO)
    # Stoker's condition across the bore: its speed and the two depths
    jump, behind = computed[1, 220], computed[0, 220]
    exact = (behind - 1.0) * np.sqrt(0.5 * (behind + 1.0) / behind)
    yield close_to("velocity behind the bore", jump, exact, 1e-3, "exact jump condition")
    computed, _, _ = _dam((1.0, -1.0), (1.0, 1.0), 0.0, 0.3, 400, 1.0, 2.0)
    middle = 0.5 * (computed[0, 199] + computed[0, 200])
    yield close_to("rarefactions: √h = 1 − u/2", np.sqrt(middle), 0.5, 1e-2, "exact invariants")


@verifies(ShallowWater)
def entropy() -> Iterator[Finding]:
    """No jump at a sonic point, and energy is lost, never gained."""
    computed, exact, _ = _dam((1.0, 0.0), (0.05, 0.0), 0.0, 0.3, 400, 1.0, 2.0)
    fan = slice(180, 230)
    steepest = np.abs(np.diff(computed[0, fan])).max() / np.abs(np.diff(exact[0, fan])).max()
    yield at_most("steepest slope in the fan over the exact one", steepest, 1.25, "exact")
    simulation = ShallowWater(n=64, boundary="wall", t_end=4.0, n_times=41)
    inputs = simulation.sample(np.random.default_rng(0))
    found = simulation.run(inputs)
    speed = (found["velocity"] ** 2).sum(axis=-1)
    density = 0.5 * found["depth"] * (speed + float(inputs["gravity"]) * found["depth"])
    energy = density.mean(axis=(1, 2))
    gain = np.diff(energy).max() / energy[0]
    yield at_most("largest gain of energy between walls", max(gain, 0.0), 1e-13)


def _simple_wave(n: int) -> float:
    """Mean error of the depth after a wave has steepened: c = √(gh) moves with 3c − 2√g."""
    simulation = ShallowWater(ndim=1, n=n, length=1.0, boundary="periodic", t_end=0.25, n_times=2)
    x, g, t = simulation.grid.axes[0].points, 2.0, simulation.t_end

    def celerity(x0: Array) -> Array:
        return np.sqrt(g) * (1 + 0.08 * np.sin(2 * np.pi * x0))

    def slope(x0: Array) -> Array:
        return np.sqrt(g) * 0.16 * np.pi * np.cos(2 * np.pi * x0)

    start = x.copy()
    for _ in range(50):  # Newton's method for where the characteristic comes from
        path = start + t * (3 * celerity(start) - 2 * np.sqrt(g)) - x
        start -= path / (1 + 3 * t * slope(start))
    velocity = 2 * (celerity(x) - np.sqrt(g))
    inputs: Inputs = {"gravity": g, "depth0": celerity(x) ** 2 / g, "velocity0": velocity[:, None]}
    depth = simulation.run(inputs)["depth"][-1]
    return float(np.abs(depth - celerity(start) ** 2 / g).mean())


def _vortex(n: int) -> float:
    """Mean error of the depth after a vortex was carried once along the diagonal."""
    simulation = ShallowWater(n=n, length=10.0, boundary="periodic", t_end=10.0, n_times=2)
    x, y = np.meshgrid(*(axis.points for axis in simulation.grid.axes), indexing="ij")
    bell = np.exp(-0.5 * (x**2 + y**2))
    depth = 1.0 - 0.125 * bell**2  # balances the centrifugal force of u = r/2 exp(−r²/2), g = 1
    velocity = np.stack([1.0 - 0.5 * y * bell, 1.0 + 0.5 * x * bell], axis=-1)
    found = simulation.run({"gravity": 1.0, "depth0": depth, "velocity0": velocity})
    return float(np.abs(found["depth"][-1] - depth).mean())


@verifies(ShallowWater)
def orders() -> Iterator[Finding]:
    """Second order: a simple wave that steepens, and a vortex."""
    sizes = (256, 512, 1024)  # so fine that one percent of the prediction shows
    errors = [_simple_wave(n) for n in sizes]
    yield order("simple wave", [1 / n for n in sizes], errors, 2.0)
    yield at_most("simple wave: error with 1024 cells", errors[-1], 6e-7, "exact invariants")
    sizes = (32, 64, 128)
    errors = [_vortex(n) for n in sizes]
    yield order("vortex", [1 / n for n in sizes], errors, 2.0, 0.3)


@verifies(ShallowWater)
def wave_speed() -> Iterator[Finding]:
    """A low wave between walls swings with the period of √(gh)."""
    g, h = 9.81, 0.7
    simulation = ShallowWater(ndim=1, n=128, boundary="wall", t_end=4.0, n_times=401)
    x = simulation.grid.axes[0].points
    shape = np.sin(np.pi * x / simulation.length)
    depth = h + 1e-5 * shape
    found = simulation.run({"gravity": g, "depth0": depth, "velocity0": np.zeros((128, 1))})
    amplitude = (found["depth"] - h) @ shape
    sign = np.flatnonzero(np.diff(np.sign(amplitude)))
    t = simulation.times
    zeros = t[sign] - amplitude[sign] * (t[1] - t[0]) / (amplitude[sign + 1] - amplitude[sign])
    speed = simulation.length * (zeros.size - 1) / (zeros[-1] - zeros[0])
    yield close_to("speed of the wave", speed, np.sqrt(g * h), 1e-3, "exact √(gh)")


@verifies(ShallowWater)
def balances() -> Iterator[Finding]:
    """Volume and momentum are conserved on periodic domains, volume between walls."""
    for ndim, n in ((1, 128), (2, 48)):
        for boundary in ("periodic", "wall"):
            simulation = ShallowWater(ndim=ndim, n=n, boundary=boundary, t_end=4.0)
            found = simulation.run(simulation.sample(np.random.default_rng(0)))
            for name, values in simulation.diagnostics(found).items():
                if boundary == "periodic" or name == "volume":
                    drift = np.ptp(values) / found["depth"].mean() / simulation.length**ndim
                    yield at_most(f"drift of {name}, {ndim}-D, {boundary}", drift, 1e-13)


@verifies(ShallowWater)
def symmetries() -> Iterator[Finding]:
    """The radial dam stays radial; a dam along any axis is the one of a channel."""
    simulation = ShallowWater(n=64, t_end=1.0, n_times=2, depth=RadialDam(1.0, 1.0))
    inputs = simulation.sample(np.random.default_rng(0))
    found = simulation.run({**inputs, "gravity": 1.0, "velocity0": np.zeros((64, 64, 2))})
    depth, velocity = found["depth"][-1], found["velocity"][-1]
    yield at_most("exchange of axes: depth", np.abs(depth - depth.T).max(), 1e-12)
    exchanged = np.swapaxes(velocity, 0, 1)[..., ::-1]
    yield at_most("exchange of axes: velocity", np.abs(velocity - exchanged).max(), 1e-12)
    yield at_most("reflection", np.abs(depth - depth[::-1]).max(), 1e-12)
    x = simulation.grid.axes[0].points
    diagonal = np.interp(x[32:], np.sqrt(2) * x[32:], depth.diagonal()[32:])
    along = 0.5 * (depth[32:, 31] + depth[32:, 32])
    yield at_most("along the diagonal and along an axis", np.abs(along - diagonal).mean(), 1e-2)

    step = np.where(x < 0.3, 2.0, 1.0)
    line = ShallowWater(ndim=1, n=64, boundary="wall", t_end=2.0, n_times=2)
    alone = line.run({"gravity": 1.0, "depth0": step, "velocity0": np.zeros((64, 1))})["depth"][-1]
    plane = ShallowWater(n=64, boundary="wall", t_end=2.0, n_times=2)
    for axis in range(2):
        spread = np.broadcast_to(step[:, None] if axis == 0 else step, (64, 64)).copy()
        inputs = {"gravity": 1.0, "depth0": spread, "velocity0": np.zeros((64, 64, 2))}
        moved = np.moveaxis(plane.run(inputs)["depth"][-1], axis, 0)
        yield at_most(f"2-D along axis {axis}: spread", np.ptp(moved, axis=1).max(), 1e-12)
        error = np.abs(moved[:, 0] - alone).mean()
        # The steps are not those of the line
        yield at_most(f"2-D along axis {axis}: from 1-D", error, 3e-3)
