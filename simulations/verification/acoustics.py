"""Verification of `Acoustics`."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from simulations.systems.acoustics import Acoustics
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray


def _points(simulation: Acoustics) -> tuple[Array, ...]:
    return np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")


@verifies(Acoustics)
def standing_waves() -> Iterator[Finding]:
    """Standing waves in one to three dimensions, pressure and velocity."""
    density, stiffness = 3.0, 2.0
    ends: Any = ("periodic", "wall")
    for end in ends:
        for ndim, sizes in ((1, (32, 64, 128)), (2, (16, 32, 64)), (3, (12, 24))):
            errors = []
            for n in sizes:
                simulation = Acoustics(ndim, n, 2.0, end, end, t_end=1.0, n_times=3)
                k = np.pi if end == "periodic" else 0.5 * np.pi
                omega = k * np.sqrt(ndim * stiffness / density)
                angles = [k * (x + 1.0) for x in _points(simulation)]
                mode = np.prod(np.cos(angles), axis=0)
                uniform = np.ones_like(mode)
                found = simulation.run(
                    {
                        "pressure0": mode,
                        "density": density * uniform,
                        "bulk_modulus": stiffness * uniform,
                    }
                )
                errors.append(np.abs(found["pressure"][-1] - mode * np.cos(omega)).max())
                for axis in range(ndim):
                    shapes = [np.cos(angle) for angle in angles]
                    shapes[axis] = np.sin(angles[axis])
                    height = k / (density * omega) * np.sin(omega)
                    exact = height * np.prod(shapes, axis=0)
                    error = np.abs(found["velocity"][-1, ..., axis] - exact).max()
                    errors[-1] = max(errors[-1], error * density * omega / k)
            yield at_most(f"{end}, {ndim}-D: largest error", errors[-1], 0.02, "exact")
            yield order(f"{end}, {ndim}-D", [1 / n for n in sizes], errors, 2)


def _interface(n: int, ratio: float, is_stiffer: bool) -> tuple[Array, Array]:
    """A pulse at a jump at x = 0 of the density, and of K if ``is_stiffer``: found and exact."""
    simulation = Acoustics(1, n, 4.0, "wall", "wall", t_end=0.8, n_times=2)
    x = simulation.grid.axes[0].points
    density = np.where(x < 0.0, 1.0, ratio)
    stiffness = np.where(x < 0.0, 1.0, 1.0 / ratio if is_stiffer else 1.0)

    def pulse(z: Array) -> Array:
        return np.exp(-0.5 * ((z + 0.5) / 0.07) ** 2)

    inputs = {"pressure0": pulse(x), "density": density, "bulk_modulus": stiffness}
    found = simulation.run(inputs)["pressure"][-1]
    t, impedance = 0.8, np.sqrt(density[-1] * stiffness[-1])
    speed = np.sqrt(stiffness[-1] / density[-1])
    reflected, passed = (impedance - 1) / (impedance + 1), 2 * impedance / (impedance + 1)
    left = pulse(x - t) + pulse(x + t) + reflected * pulse(-x - t)
    return found, 0.5 * np.where(x < 0.0, left, passed * pulse(x / speed - t))


@verifies(Acoustics)
def interface() -> Iterator[Finding]:
    """A pulse at a jump of the density: R = (Z₂ − Z₁)/(Z₂ + Z₁), Z = √(ρK)."""
    sizes = (200, 400, 800)
    for ratio, bound in ((0.25, 3e-3), (16.0, 0.03)):
        errors = []
        for n in sizes:
            found, exact = _interface(n, ratio, is_stiffer=False)
            errors.append(np.abs(found - exact).max())
        yield at_most(f"density times {ratio:g}: largest error", errors[-1], bound, "exact")
        yield order(f"density times {ratio:g}", [1 / n for n in sizes], errors, 2)
    # Where the grid does not resolve the wave that goes on, what comes back must still be right
    for ratio in (float(np.exp(11.0)), 1e6):
        found, exact = _interface(800, ratio, is_stiffer=False)
        half = slice(0, 400)
        error = np.abs(found - exact)[half].max()
        yield at_most(f"density times {ratio:.3g}: error of the reflection", error, 5e-3, "exact")
        expected = 0.5 * (np.sqrt(ratio) - 1) / (np.sqrt(ratio) + 1)
        height = found[200:][:200].max()
        yield close_to(f"density times {ratio:.3g}: height", height, expected, 5e-3, "R/2, exact")
    found, exact = _interface(800, 4.0, is_stiffer=True)
    error = np.abs(found - exact).max()
    yield at_most("equal impedances, another speed: largest error", error, 0.02, "exact, R = 0")


@verifies(Acoustics)
def energy() -> Iterator[Finding]:
    """The discrete energy is conserved to round-off, whatever the medium, and it is the energy."""
    ends: Any = ("periodic", "wall")
    for end in ends:
        for ndim, n in ((1, 64), (2, 24), (3, 12)):
            simulation = Acoustics(ndim, n, 2.0, end, end, n_times=5)
            kept = simulation.run(simulation.sample(np.random.default_rng(1)))["energy"]
            yield at_most(f"drift, {end}, {ndim}-D", np.ptp(kept) / kept[0], 1e-12)
    for preset in ("the_well_inclusions", "the_well_maze"):
        simulation = Acoustics.preset(preset, n=64, upper="wall", n_times=5)
        walled = simulation.run(simulation.sample(np.random.default_rng(2)))["energy"]
        yield at_most(f"drift, {preset} between walls", np.ptp(walled) / walled[0], 1e-12)
    # p = cos πx cos ωt, all of it kinetic after a quarter of a period
    simulation = Acoustics(1, 256, 2.0, "periodic", "periodic", t_end=0.25, n_times=2)
    x, ones = simulation.grid.axes[0].points, np.ones(256)
    inputs = {"pressure0": np.cos(np.pi * x), "density": ones, "bulk_modulus": 4 * ones}
    found = simulation.run(inputs)
    yield close_to("mean density of p²/2K of a sine", found["energy"][0], 1 / 16, 1e-5, "exact")
    kinetic = 0.5 * np.mean(found["velocity"][-1] ** 2)
    yield close_to(
        "mean density of ρu²/2 a quarter of a period later", kinetic, 1 / 16, 1e-4, "exact"
    )


@verifies(Acoustics)
def reciprocity() -> Iterator[Finding]:
    """Source and receiver may be exchanged, in any medium."""
    ends: Any = ("wall", "open")
    for upper in ends:
        simulation = Acoustics(2, 32, 2.0, "wall", upper, t_end=1.5, n_times=7)
        drawn = simulation.sample(np.random.default_rng(3))
        stiffness = 1.0 + np.random.default_rng(4).random((32, 32))
        source, receiver = (9, 12), (20, 27)
        heard = []
        for here, there in ((source, receiver), (receiver, source)):
            knock = np.zeros((32, 32))
            knock[here] = stiffness[here]
            found = simulation.run({**drawn, "pressure0": knock, "bulk_modulus": stiffness})
            heard.append(found["pressure"][(slice(None), *there)])
        difference = np.abs(heard[0] - heard[1]).max() / np.abs(heard[0]).max()
        yield at_most(f"upper ends {upper}", difference, 1e-5 if upper == "open" else 1e-12)


@verifies(Acoustics)
def open_ends() -> Iterator[Finding]:
    """What an absorbing layer sends back, against a domain three times as long."""
    for ndim, n in ((1, 128), (2, 64), (3, 24)):
        seen = []
        cases: Any = ((1, "open"), (3, "wall"))
        for factor, end in cases:
            simulation = Acoustics(ndim, factor * n, 2.0 * factor, end, end, 3.2, 17)
            width = 0.14 if ndim < 3 else 0.2
            pulse = np.exp(-0.5 * sum(x**2 for x in _points(simulation)) / width**2)
            ones = np.ones_like(pulse)
            inputs = {"pressure0": pulse, "density": ones, "bulk_modulus": ones}
            seen.append(simulation.run(inputs)["pressure"])
        inside = (slice(None), *[slice(n, 2 * n)] * ndim)
        reflected = np.abs(seen[0] - seen[1][inside]).max()
        passed = np.abs(seen[1][inside][4]).max()  # the height of the wave on its way out
        yield at_most(f"share reflected, {ndim}-D", reflected / passed, 1e-3)


@verifies(Acoustics)
def axes() -> Iterator[Finding]:
    """A plane wave along any axis is the one-dimensional one; exchanged axes, exchanged sound."""
    n = 24
    line = Acoustics(1, n, 2.0, "wall", "wall", t_end=0.5, n_times=2)
    x = line.grid.axes[0].points
    profile = {
        "pressure0": np.exp(-8 * x**2),
        "density": np.where(x < 0.3, 1.0, 5.0),
        "bulk_modulus": np.where(x < -0.4, 1.0, 2.0),
    }
    alone = line.run(profile)["pressure"][-1]
    for ndim in (2, 3):
        for axis in range(ndim):
            shape = [n if a == axis else 1 for a in range(ndim)]
            spread = {k: np.broadcast_to(v.reshape(shape), (n,) * ndim) for k, v in profile.items()}
            simulation = Acoustics(ndim, n, 2.0, "wall", "wall", t_end=0.5, n_times=2)
            found = simulation.run(spread)["pressure"][-1]
            moved = np.moveaxis(found, axis, 0).reshape(n, -1)
            yield at_most(f"{ndim}-D along axis {axis}: spread", np.ptp(moved, axis=1).max(), 1e-12)
            error = np.abs(moved[:, 0] - alone).max()
            # The steps are not those of the line, and 24 cells are few
            yield at_most(f"{ndim}-D along axis {axis}: from 1-D", error, 0.05)
    plane = Acoustics(2, 32, 2.0, "wall", "open", n_times=2)
    drawn = plane.sample(np.random.default_rng(1))
    turned = {name: np.ascontiguousarray(np.transpose(value)) for name, value in drawn.items()}
    difference = plane.run(drawn)["pressure"][-1] - plane.run(turned)["pressure"][-1].T
    yield at_most("exchange of axes", np.abs(difference).max(), 1e-12)
