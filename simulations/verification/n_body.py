"""Verification of `NBody`."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from simulations.simulation import Solution
from simulations.systems.n_body import POSITIONS, VELOCITIES, NBody
from simulations.verification.check import Finding, at_most, verifies

Array = np.ndarray


def _run(
    masses: Sequence[float],
    positions: Array,
    velocities: Array,
    t_end: float,
    *,
    softening: float = 0.0,
    gravity: float = 1.0,
    n_times: int = 2,
) -> Solution:
    """Bodies with coordinates ``(n, 3)``."""
    simulation = NBody(n=len(masses), t_end=t_end, n_times=n_times, tolerance=1e-13)
    inputs: dict[str, float | Array] = {"gravity": gravity, "softening": softening}
    inputs["mass"] = np.array(masses)
    for column in range(3):
        inputs[f"{POSITIONS[column]}0"] = np.array(positions, dtype=float)[:, column]
        inputs[f"{VELOCITIES[column]}0"] = np.array(velocities, dtype=float)[:, column]
    return simulation.run(inputs)


@verifies(NBody)
def kepler() -> Iterator[Finding]:
    """Two bodies on ellipses: Kepler's equation, three planes, unequal masses."""
    masses, gravity, axis, eccentricity = (3.0, 1.0), 2.0, 1.5, 0.5
    mean_motion = np.sqrt(gravity * sum(masses) / axis**3)
    t_end = 2.7 * 2 * np.pi / mean_motion
    for plane in ((0, 1), (1, 2), (2, 0)):
        apart, speed = np.zeros(3), np.zeros(3)
        apart[plane[0]] = axis * (1 - eccentricity)
        speed[plane[1]] = axis * mean_motion * np.sqrt((1 + eccentricity) / (1 - eccentricity))
        share = np.array([-masses[1], masses[0]])[:, None] / sum(masses)
        found = _run(masses, share * apart, share * speed, t_end, gravity=gravity)
        mean_anomaly = mean_motion * t_end

        def kepler_equation(anomaly: float, mean_anomaly: float = mean_anomaly) -> float:
            return anomaly - eccentricity * np.sin(anomaly) - mean_anomaly

        anomaly = brentq(kepler_equation, mean_anomaly - 1, mean_anomaly + 1, xtol=1e-14)
        expected = np.zeros(3)
        expected[plane[0]] = axis * (np.cos(anomaly) - eccentricity)
        expected[plane[1]] = axis * np.sqrt(1 - eccentricity**2) * np.sin(anomaly)
        ends = np.array([found[name][-1] for name in POSITIONS])
        error = np.linalg.norm(ends[:, 1] - ends[:, 0] - expected) / axis
        name = "xyz"[plane[0]] + "xyz"[plane[1]]
        yield at_most(f"relative error after 2.7 periods, plane {name}", error, 1e-9, "exact")


@verifies(NBody)
def softened_fall() -> Iterator[Finding]:
    """Two bodies that fall through each other: the period by quadrature."""
    mass, start, softening = 0.8, 1.0, 0.2

    def potential(r: float) -> float:
        return float(-2 * mass / np.hypot(r, softening))

    # r = start sin θ takes the singularity from the turning point
    def slowness(angle: float) -> float:
        r = start * np.sin(angle)
        speed = np.sqrt(2 * (potential(start) - potential(r)))
        return float(start * np.cos(angle) / speed)

    quarter = quad(slowness, 0, np.pi / 2, epsabs=1e-12, epsrel=1e-12)[0]
    at = np.array([[0.5, 0.0, 0.0], [-0.5, 0.0, 0.0]])
    found = _run((mass, mass), at, np.zeros((2, 3)), 4 * quarter, softening=softening, n_times=5)
    yield at_most("distance after a quarter", np.diff(found["x"][1])[0], 1e-9, "exact")
    yield at_most("distance from the start after a period", found["x"][4, 0] - 0.5, 1e-9, "exact")


@verifies(NBody)
def figure_eight() -> Iterator[Finding]:
    """Three equal bodies chase each other along a figure eight."""
    source = "Chenciner and Montgomery, Annals of Mathematics 152 (2000) 881; figures by Simó"
    at = np.array([[0.97000436, -0.24308753, 0.0], [-0.97000436, 0.24308753, 0.0], [0.0] * 3])
    last = np.array([-0.93240737, -0.86473146, 0.0])
    moving = np.stack([-0.5 * last, -0.5 * last, last])
    period = 6.32591398
    found = _run((1.0,) * 3, at, moving, period, n_times=4)
    ends = np.array([found[name] for name in POSITIONS])
    yield at_most(
        "distance from the start after a period", np.abs(ends[:, 3] - at.T).max(), 1e-6, source
    )
    turned = np.roll(at.T, 1, axis=1)
    others = np.roll(at.T, 2, axis=1)
    third = min(np.abs(ends[:, 1] - turned).max(), np.abs(ends[:, 1] - others).max())
    yield at_most("after a third of it, from each other's places", third, 1e-6, source)


@verifies(NBody)
def rotating_polygon() -> Iterator[Finding]:
    """Equal masses on a ring turn rigidly at a rate given by their number."""
    for n in (3, 5):
        angles = 2 * np.pi * np.arange(n) / n
        at = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
        pull = 0.25 * (1 / np.sin(np.pi * np.arange(1, n) / n)).sum()
        rate = np.sqrt(pull)
        moving = rate * np.stack([-np.sin(angles), np.cos(angles), 0 * angles], axis=1)
        found = _run((1.0,) * n, at, moving, np.pi / rate)
        ends = np.stack([found[name][-1] for name in POSITIONS], axis=1)
        yield at_most(
            f"{n} bodies: error after half a turn", np.abs(ends + at).max(), 1e-9, "exact"
        )


@verifies(NBody)
def conservation() -> Iterator[Finding]:
    """Energy, momentum and angular momentum of random clusters."""
    simulation = NBody(n=6, t_end=2.0, n_times=11, tolerance=1e-11)
    for seed in range(2):
        inputs = simulation.sample(np.random.default_rng(seed))
        found = simulation.run(inputs)
        mass = np.asarray(inputs["mass"])
        r = np.stack([found[name] for name in POSITIONS], axis=-1)
        v = np.stack([found[name] for name in VELOCITIES], axis=-1)
        angular = (mass[:, None] * np.cross(r, v)).sum(axis=1)
        momentum = (mass[:, None] * v).sum(axis=1)
        scale = np.abs(found["energy"]).max()
        yield at_most(f"draw {seed}: drift of energy", np.ptp(found["energy"]) / scale, 1e-8)
        yield at_most(f"draw {seed}: momentum", np.abs(momentum).max(), 1e-11)
        yield at_most(
            f"draw {seed}: drift of angular momentum", np.ptp(angular, axis=0).max(), 1e-9
        )
