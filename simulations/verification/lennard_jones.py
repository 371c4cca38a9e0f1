"""Verification of `LennardJones`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from simulations.simulation import Inputs
from simulations.systems import lennard_jones
from simulations.systems.lennard_jones import POSITIONS, VELOCITIES, LennardJones
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray


def _apart(positions: Array, length: float) -> Array:
    """Vectors between all pairs of particles, nearest images; shape ``(3, n, n)``."""
    between = positions[:, :, None] - positions[:, None, :]
    return np.asarray(between - length * np.round(between / length))


@verifies(LennardJones)
def mechanics() -> Iterator[Finding]:
    """Accelerations, energy and pressure of a liquid against a sum over all pairs."""
    simulation = LennardJones(cells=4, t_end=0.4, n_times=401)
    inputs = simulation.sample(np.random.default_rng(0)) | {"density": 0.8}
    found = simulation.run(inputs)
    length, frame = (simulation.n / 0.8) ** (1 / 3), 300
    r = np.stack([found[name] for name in POSITIONS], axis=1)
    v = np.stack([found[name] for name in VELOCITIES], axis=1)
    apart = _apart(r[frame], length)
    square = (apart**2).sum(axis=0)
    np.fill_diagonal(square, np.inf)
    inside = square < 2.5**2
    sixth = np.where(inside, square**-3.0, 0.0)
    force = (24 * sixth * (2 * sixth - 1) / square * apart).sum(axis=2)
    step = simulation.times[1]
    second = (r[frame + 1] - 2 * r[frame] + r[frame - 1]) / step**2
    error = np.linalg.norm(second - force) / np.linalg.norm(force)
    # The scheme's own second difference is the force exactly
    yield at_most("relative error of the accelerations", error, 1e-9, "sum over all pairs")
    shifted = 4 * sixth * (sixth - 1) - np.where(inside, 4 * 2.5**-6 * (2.5**-6 - 1), 0.0)
    potential = 0.5 * shifted.sum() / simulation.n
    yield at_most("error of the energy", found["potential"][frame] - potential, 1e-11, "the same")
    temperature = (v[frame] ** 2).sum() / (3 * simulation.n - 3)
    label = "error of the temperature"
    yield at_most(label, found["kinetic_temperature"][frame] - temperature, 1e-12, "definition")
    virial = 0.5 * (24 * sixth * (2 * sixth - 1)).sum()
    pressure = ((v[frame] ** 2).sum() + virial) / (3 * length**3)
    yield at_most("error of the pressure", found["pressure"][frame] - pressure, 1e-10, "virial")
    start = found["kinetic_temperature"][0] - inputs["temperature"]
    yield at_most("error of the initial temperature", start, 1e-12)


@verifies(LennardJones)
def vibrating_pair() -> Iterator[Finding]:
    """Two atoms about their equilibrium: the period by quadrature; second order."""
    near, length, cutoff = 1.05, 12.0, 5.0

    def potential(r: float) -> float:
        return float(4 * (r**-12 - r**-6))

    far = brentq(lambda r: potential(r) - potential(near), 1.13, 3.0, xtol=1e-14)
    middle, half = 0.5 * (near + far), 0.5 * (far - near)

    def slowness(angle: float) -> float:
        r = middle + half * np.sin(angle)
        return float(half * np.cos(angle) / np.sqrt(4 * (potential(near) - potential(r))))

    period = 2 * quad(slowness, -np.pi / 2, np.pi / 2, epsabs=1e-12)[0]
    steps, errors = (200, 400, 800), []
    for count in steps:
        positions = np.array([[5.9, 5.9 + near], [11.9, 11.9], [0.1, 0.1]])
        trajectory, scalars = np.empty((2, 6, 2)), np.empty((2, 3))
        # Half a period: from the inner to the outer turning point, across the side of the box
        lennard_jones.integrate(
            positions,
            np.zeros((3, 2)),
            length,
            cutoff,
            0.5 * period / count,
            count,
            trajectory,
            scalars,
        )
        distance = trajectory[1, 0, 1] - trajectory[1, 0, 0]
        speed = trajectory[1, 3, 1] - trajectory[1, 3, 0]
        errors.append(float(np.hypot(distance - far, speed)))
    yield at_most("error at the turning point, 800 steps", errors[-1], 1e-4, "exact")
    yield order("turning point", [1 / count for count in steps], errors, 2.0, 0.1)


@verifies(LennardJones)
def conservation() -> Iterator[Finding]:
    """Energy, to second order in the step, and momentum of a liquid."""
    steps, errors = (0.008, 0.004, 0.002), []
    for step in steps:
        simulation = LennardJones(step=step, t_end=0.8, n_times=21)
        inputs = simulation.sample(np.random.default_rng(0)) | {"temperature": 1.0}
        found = simulation.diagnostics(simulation.run(inputs))
        errors.append(float(np.abs(found["energy"] - found["energy"][0]).max()))
        for axis in POSITIONS:
            yield at_most(f"step {step}: momentum {axis}", found[f"momentum_{axis}"].max(), 1e-13)
    yield at_most("largest error of energy, step 0.004", errors[1], 2e-3)
    yield order("energy", steps, errors, 2.0, 0.3)


@verifies(LennardJones, slow=True)
def equation_of_state() -> Iterator[Finding]:
    """Energy and pressure of the liquid at T = 0.85, long-range corrections included."""
    source = "NIST Standard Reference Simulation Website, Lennard-Jones fluid, molecular dynamics"
    cutoff = 3.0
    for density, energy, pressure in ((0.776, -5.5121, 6.7714e-3), (0.86, -6.0305, 1.2660)):
        points = []
        for start in (1.55, 1.75) if density < 0.8 else (1.65, 1.85):
            simulation = LennardJones(cells=5, t_end=60.0, n_times=1201, cutoff=cutoff)
            inputs: Inputs = {"density": density, "temperature": start}
            kicks = simulation.sample(np.random.default_rng(1))
            found = simulation.run({**kicks, **inputs})
            length = (simulation.n / density) ** (1 / 3)
            r = np.stack([found[name][200::50] for name in POSITIONS], axis=1)
            pairs = np.mean([(_apart(p, length) ** 2).sum(0) < cutoff**2 for p in r])
            pairs = 0.5 * (pairs * simulation.n - 1)
            unshifted = 4 * cutoff**-6 * (cutoff**-6 - 1) * pairs
            points.append(
                (
                    found["kinetic_temperature"][200:].mean(),
                    found["potential"][200:].mean() + unshifted,
                    found["pressure"][200:].mean(),
                )
            )
        (t1, u1, p1), (t2, u2, p2) = points
        share = (0.85 - t1) / (t2 - t1)
        yield at_most(f"ρ = {density}: part of the way between two runs", share - 0.5, 1.5)
        beyond = 8 / 3 * np.pi * density * (cutoff**-9 / 3 - cutoff**-3)
        found_energy = u1 + share * (u2 - u1) + beyond
        yield close_to(f"ρ = {density}: energy", found_energy, energy, 0.012, source)
        beyond = 16 / 3 * np.pi * density**2 * (2 / 3 * cutoff**-9 - cutoff**-3)
        found_pressure = p1 + share * (p2 - p1) + beyond
        yield close_to(f"ρ = {density}: pressure", found_pressure, pressure, 0.05, source)
