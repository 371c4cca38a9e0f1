"""Verification of `Maxwell`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulations.numerics import staggered
from simulations.systems.maxwell import Maxwell
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray


def _points(simulation: Maxwell) -> tuple[Array, ...]:
    return np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")


def _step(simulation: Maxwell, permittivity: float = 1.0) -> float:
    """Δt in a uniform medium."""
    n, spacing = simulation.n, simulation.length / simulation.n
    faces = [np.ones((n + 1, n)), np.ones((n, n + 1))]
    stable = staggered.largest_step(np.full((n, n), 1.0 / permittivity), faces, spacing)
    interval = simulation.times[1]
    return float(interval / np.ceil(interval / stable))


@verifies(Maxwell)
def cavity() -> Iterator[Finding]:
    """Resonances of a cavity between conducting walls, with their magnetic fields."""
    length, permittivity = 1.5, 2.25
    for p, q in ((1, 1), (2, 1), (1, 3)):
        frequency = np.hypot(p / length, q / length) / (2 * np.sqrt(permittivity))
        errors, sizes = [], (24, 48, 96)
        for n in sizes:
            simulation = Maxwell(n, length, "wall", t_end=1.0, n_times=3)
            x, y = _points(simulation)
            kx, ky, omega = np.pi * p / length, np.pi * q / length, 2 * np.pi * frequency
            mode = np.sin(kx * x) * np.sin(ky * y)
            filled = np.full((n, n), permittivity)
            found = simulation.run({"electric0": mode, "permittivity": filled})
            hx = -ky / omega * np.sin(kx * x) * np.cos(ky * y) * np.sin(omega)
            hy = kx / omega * np.cos(kx * x) * np.sin(ky * y) * np.sin(omega)
            wrong = [found["electric"][-1] - mode * np.cos(omega)]
            wrong += [found["magnetic"][-1, ..., 0] - hx, found["magnetic"][-1, ..., 1] - hy]
            errors.append(np.abs(wrong).max())
            if n == sizes[-1]:
                phase = np.arccos((found["electric"][1] * mode).sum() / (mode**2).sum())
                measured = phase / (2 * np.pi * simulation.times[1])
                source = "c/2 √((m/a)² + (n/b)²), exact"
                yield close_to(f"frequency of mode {p}, {q}", measured, frequency, 1e-3, source)
        yield order(f"fields of mode {p}, {q}", [1 / n for n in sizes], errors, 2)


@verifies(Maxwell)
def dispersion() -> Iterator[Finding]:
    """Yee's dispersion relation, sin²(ωΔt/2)/Δt² = Σ sin²(kΔx/2)/Δx², to round-off."""
    n, spacing = 32, 1 / 32
    simulation = Maxwell(n, 1.0, "periodic", t_end=0.6, n_times=13)
    dt = _step(simulation)
    for p, q in ((1, 0), (3, 5), (16, 0), (16, 16)):
        x, y = _points(simulation)
        mode = np.cos(2 * np.pi * (p * x + q * y))
        found = simulation.run({"electric0": mode, "permittivity": np.ones((n, n))})["electric"]
        sines = np.sin(np.pi * p * spacing) ** 2 + np.sin(np.pi * q * spacing) ** 2
        omega = 2 / dt * np.arcsin(dt / spacing * np.sqrt(sines))
        exact = mode * np.cos(omega * simulation.times)[:, None, None]
        source = "Yee 1966; Taflove and Hagness 2005, chapter 4"
        yield at_most(f"wave {p}, {q}: largest error", np.abs(found - exact).max(), 1e-12, source)


@verifies(Maxwell)
def fresnel() -> Iterator[Finding]:
    """A pulse at normal incidence on a dielectric: r = (1 − n)/(1 + n), t = 2/(1 + n)."""
    permittivity, sizes = 4.0, (100, 200, 400)
    errors = []
    for n in sizes:
        simulation = Maxwell(n, 2.0, "periodic", t_end=0.7, n_times=2)
        x, _ = _points(simulation)
        face = 1.0 - 1.0 / n  # halfway between two points

        def pulse(z: Array) -> Array:
            return np.exp(-0.5 * ((z - 0.6) / 0.06) ** 2)

        medium = np.where(x < face, 1.0, permittivity)
        inputs = {"electric0": pulse(x), "permittivity": medium}
        found = simulation.run(inputs)["electric"][-1]
        t, index = 0.7, np.sqrt(permittivity)
        r, passed = (1 - index) / (1 + index), 2 / (1 + index)
        before = pulse(x - t) + pulse(x + t) + r * pulse(2 * face - x - t)
        beyond = passed * pulse(face + index * (x - face) - t)
        exact = 0.5 * np.where(x < face, before, beyond)
        # What leaves to the left meets the dielectric beyond the periodic end
        clean = (x > 0.4) & (x < 1.6)
        errors.append(np.abs(found - exact)[clean].max())
    source = "Fresnel, exact"
    yield close_to("reflected", found[(x > 0.4) & (x < face)].min(), r / 2, 2e-3, source)
    yield close_to("transmitted", found[(x > face) & (x < 1.6)].max(), passed / 2, 2e-3, source)
    yield at_most("largest error", errors[-1], 6e-3, source)
    yield order("fields", [1 / n for n in sizes], errors, 2)


@verifies(Maxwell)
def invariants() -> Iterator[Finding]:
    """Energy and the divergence of H among inclusions, to round-off."""
    ends: Any = ("periodic", "wall", "open")
    for boundary in ends:
        simulation = Maxwell(64, 1.0, boundary, t_end=2.0, n_times=9)
        found = simulation.run(simulation.sample(np.random.default_rng(5)))
        if boundary == "open":
            growth = np.diff(found["energy"]).max() / found["energy"][0]
            yield at_most("growth of the energy, open", max(growth, 0.0), 1e-6)
        else:
            drift = np.ptp(found["energy"]) / found["energy"][0]
            yield at_most(f"drift of the energy, {boundary}", drift, 1e-12)
        hx, hy = np.moveaxis(found["magnetic"], -1, 0)
        divergence = hx[:, 2:, 1:-1] - hx[:, :-2, 1:-1] + hy[:, 1:-1, 2:] - hy[:, 1:-1, :-2]
        size = np.abs(hx[:, 2:] - hx[:, :-2]).max()
        yield at_most(f"Δx ∇·H, {boundary}", np.abs(divergence).max() / size, 1e-12)
    # E = sin πx sin πy, ε = 3: ∫ εE²/2 = 3/8
    simulation = Maxwell(128, 1.0, "wall", t_end=0.1, n_times=2)
    x, y = _points(simulation)
    mode = np.sin(np.pi * x) * np.sin(np.pi * y)
    found = simulation.run({"electric0": mode, "permittivity": np.full((128, 128), 3.0)})
    yield close_to("energy of the lowest mode", found["energy"][0], 3 / 8, 1e-4, "exact")


@verifies(Maxwell)
def open_ends() -> Iterator[Finding]:
    """What an absorbing layer sends back, against a domain three times as long."""
    for permittivity in (1.0, 4.0):
        seen, n = [], 64
        cases: Any = ((1, "open"), (3, "wall"))
        for factor, boundary in cases:
            t_end = 1.6 * np.sqrt(permittivity)
            simulation = Maxwell(factor * n, 1.0 * factor, boundary, float(t_end), 17)
            squared = sum((x - 0.5 * factor) ** 2 for x in _points(simulation))
            pulse = np.exp(-0.5 * squared / 0.07**2)
            filled = np.full_like(pulse, permittivity)
            seen.append(simulation.run({"electric0": pulse, "permittivity": filled})["electric"])
        inside = (slice(None), slice(n, 2 * n), slice(n, 2 * n))
        reflected = np.abs(seen[0] - seen[1][inside]).max()
        passed = np.abs(seen[1][inside][4]).max()  # the height of the wave on its way out
        yield at_most(f"share reflected, ε = {permittivity:g}", reflected / passed, 1e-3)
