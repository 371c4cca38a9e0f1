"""Verification of `Wave`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulations.systems.wave import Wave
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray


def _points(simulation: Wave) -> tuple[Array, ...]:
    return np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")


@verifies(Wave)
def standing_waves() -> Iterator[Finding]:
    """Standing waves of all ends in one to three dimensions, displacement and velocity."""
    shapes: dict[Any, Any] = {
        "periodic": lambda x: np.cos(2 * np.pi * x),
        "wall": lambda x: np.cos(np.pi * x),
        "fixed": lambda x: np.sin(np.pi * x),
    }
    for boundary, shape in shapes.items():
        for ndim, sizes in ((1, (16, 32, 64)), (2, (16, 32, 64)), (3, (12, 24))):
            for expected in (2, 4):
                errors = []
                for n in sizes:
                    simulation = Wave(ndim, n, 1.0, boundary, expected, t_end=1.3, n_times=3)
                    mode = np.prod([shape(x) for x in _points(simulation)], axis=0)
                    speed, size = 1.2, (2 if boundary == "periodic" else 1) * np.pi * ndim**0.5
                    omega = speed * size
                    found = simulation.run(
                        {
                            "displacement0": mode,
                            "velocity0": omega * mode,
                            "speed": np.full_like(mode, speed),
                        }
                    )
                    t = simulation.times.reshape(-1, *[1] * ndim)
                    u = mode * (np.cos(omega * t) + np.sin(omega * t))
                    v = mode * (np.cos(omega * t) - np.sin(omega * t))
                    wrong = [found["displacement"] - u, found["velocity"] / omega - v]
                    errors.append(np.abs(wrong).max())
                name = f"{boundary}, {ndim}-D, order {expected}"
                bound = {2: 0.04, 4: 2e-3}[expected]
                yield at_most(f"{name}: largest error", errors[-1], bound, "exact")
                yield order(name, [1 / n for n in sizes], errors, expected)


@verifies(Wave)
def travelling_wave() -> Iterator[Finding]:
    """D'Alembert: a pulse that travels to one side, once around."""
    errors, sizes = [], (64, 128, 256)
    for n in sizes:
        simulation = Wave(1, n, t_end=1.0, n_times=2)
        x = simulation.grid.axes[0].points - 0.5
        pulse = np.exp(-0.5 * (x / 0.06) ** 2)
        found = simulation.run(
            {"displacement0": pulse, "velocity0": x / 0.06**2 * pulse, "speed": np.ones(n)}
        )
        errors.append(np.abs(found["displacement"][-1] - pulse).max())
    yield at_most("largest error with 256 points", errors[-1], 2e-4, "exact")
    yield order("pulse", [1 / n for n in sizes], errors, 4)


@verifies(Wave)
def varying_medium() -> Iterator[Finding]:
    """c = c₀(1 + x), a string whose standing waves are (1 + x)^½ sin(κ log(1 + x)), exact."""
    # c²u'' = −ω²u is an equation of Euler: the powers ½ ± iκ with ω² = c₀²(κ² + ¼)
    kappa = 3 * np.pi / np.log(2.0)
    omega = 0.8 * np.sqrt(kappa**2 + 0.25)
    for expected, sizes in ((2, (64, 128, 256)), (4, (64, 128, 256))):
        errors = []
        for n in sizes:
            simulation = Wave(1, n, 1.0, "fixed", expected, t_end=1.0, n_times=3)
            x = simulation.grid.axes[0].points
            mode = np.sqrt(1 + x) * np.sin(kappa * np.log(1 + x))
            inputs = {"displacement0": mode, "velocity0": 0 * x, "speed": 0.8 * (1 + x)}
            found = simulation.run(inputs)["displacement"]
            exact = mode * np.cos(omega * simulation.times)[:, None]
            errors.append(np.abs(found - exact).max())
        yield at_most(f"order {expected}: largest error", errors[-1], 0.02 / expected**3, "exact")
        yield order(f"order {expected}", [1 / n for n in sizes], errors, expected)


@verifies(Wave)
def interface() -> Iterator[Finding]:
    """Reflection and transmission where the speed jumps from 1 to 2."""
    sizes = (200, 400, 800)
    errors: dict[int, list[float]] = {2: [], 4: []}
    for n in sizes:
        for scheme, listed in errors.items():
            simulation = Wave(1, n, 2.0, "fixed", scheme, t_end=0.7, n_times=2)
            x = simulation.grid.axes[0].points

            def pulse(z: Array) -> Array:
                return np.exp(-0.5 * ((z - 0.5) / 0.05) ** 2)

            inputs = {
                "displacement0": pulse(x),
                "velocity0": (x - 0.5) / 0.05**2 * pulse(x),
                "speed": np.where(x < 1.0, 1.0, 2.0),
            }
            found = simulation.run(inputs)["displacement"][-1]
            exact = np.where(
                x < 1.0, pulse(1.3 - x) / 3 + pulse(x - 0.7), 4 / 3 * pulse(0.3 + (x - 1) / 2)
            )
            listed.append(float(np.abs(found - exact).max()))
            if n == sizes[-1]:
                source = "R = (Z₁ − Z₂)/(Z₁ + Z₂), Z = 1/c, exact"
                height = found[x < 0.9].max()
                yield close_to(f"order {scheme}: reflected", height, 1 / 3, 3e-4, source)
                height = found[x > 1.0].max()
                yield close_to(f"order {scheme}: transmitted", height, 4 / 3, 3e-4, "1 + R")
    for scheme, listed in errors.items():
        yield order(f"order {scheme} across a jump", [1 / n for n in sizes], listed, 2)


@verifies(Wave)
def energy() -> Iterator[Finding]:
    """The discrete energy is conserved to round-off, and it is the energy."""
    ends: Any = ("periodic", "wall", "fixed")
    for boundary in ends:
        for ndim, n in ((1, 64), (2, 24), (3, 12)):
            for scheme in (2, 4):
                simulation = Wave(ndim, n, 1.0, boundary, scheme, n_times=5)
                found = simulation.run(simulation.sample(np.random.default_rng(1)))["energy"]
                drift = np.ptp(found) / found[0]
                yield at_most(f"drift, {boundary}, {ndim}-D, order {scheme}", drift, 1e-12)
    # u = sin 2πx, v = cos 4πx, c = 2: the mean of v²/2c² is 1/16, that of |∇u|²/2 is π²
    simulation = Wave(1, 256, t_end=0.1, n_times=2)
    x = 2 * np.pi * simulation.grid.axes[0].points
    inputs = {"displacement0": np.sin(x), "velocity0": np.cos(2 * x), "speed": np.full(256, 2.0)}
    found = simulation.run(inputs)["energy"]
    yield close_to("energy of two sines", found[0], np.pi**2 + 1 / 16, 5e-3, "exact")


@verifies(Wave)
def reciprocity() -> Iterator[Finding]:
    """Source and receiver may be exchanged, in any medium, between any walls."""
    cases: Any = (("periodic", 4), ("fixed", 4), ("wall", 2), ("open", 4))
    for boundary, scheme in cases:
        simulation = Wave(2, 32, 1.0, boundary, scheme, t_end=0.6, n_times=7)
        speed = simulation.sample(np.random.default_rng(3))["speed"]
        source, receiver = (9, 12), (20, 25)
        heard = []
        for here, there in ((source, receiver), (receiver, source)):
            knock = np.zeros((32, 32))
            knock[here] = np.asarray(speed)[here] ** 2
            inputs = {"displacement0": 0 * knock, "velocity0": knock, "speed": speed}
            heard.append(simulation.run(inputs)["displacement"][(slice(None), *there)])
        difference = np.abs(heard[0] - heard[1]).max() / np.abs(heard[0]).max()
        # Absorbing layers are reciprocal up to their discretisation
        bound = 1e-3 if boundary == "open" else 1e-12
        yield at_most(f"{boundary}, order {scheme}", difference, bound)


@verifies(Wave)
def open_ends() -> Iterator[Finding]:
    """What an absorbing layer sends back, against a domain three times as long."""
    for ndim, n, scheme in ((1, 128, 2), (1, 128, 4), (2, 64, 2), (2, 64, 4)):
        near = Wave(ndim, n, 1.0, "open", scheme, t_end=1.6, n_times=17)
        far = Wave(ndim, 3 * n, 3.0, "fixed", scheme, t_end=1.6, n_times=17)
        seen = []
        for simulation, middle in ((near, 0.5), (far, 1.5)):
            squared = sum((x - middle) ** 2 for x in _points(simulation))
            pulse = np.exp(-0.5 * squared / 0.07**2)
            inputs = {"displacement0": pulse, "velocity0": 0 * pulse, "speed": pulse * 0 + 1}
            seen.append(simulation.run(inputs)["displacement"])
        inside = (slice(None), *[slice(n, 2 * n)] * ndim)
        reflected = np.abs(seen[0] - seen[1][inside]).max()
        passed = np.abs(seen[1][inside][4]).max()  # the height of the wave on its way out
        yield at_most(f"share reflected, {ndim}-D, order {scheme}", reflected / passed, 2e-3)
    simulation = Wave(2, 32, 1.0, "open", t_end=20.0, n_times=5)
    drawn = simulation.sample(np.random.default_rng(0))
    found = simulation.run({**drawn, "speed": np.ones((32, 32))})["energy"]
    yield at_most("energy left after twenty crossings, share", found[-1] / found[0], 1e-3)
