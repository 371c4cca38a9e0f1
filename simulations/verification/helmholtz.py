"""Verification of `Helmholtz`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import simpson
from scipy.interpolate import make_interp_spline
from scipy.special import hankel1

from simulations.simulation import Array, Inputs
from simulations.systems.helmholtz import BOUNDARIES, Helmholtz
from simulations.verification.check import Finding, at_most, order, verifies


def _pressure(simulation: Helmholtz, inputs: Inputs) -> Array:
    solution = simulation.solve(inputs)
    pressure: Array = solution["pressure_re"][0] + 1j * solution["pressure_im"][0]
    return pressure


def _point_source(
    simulation: Helmholtz, frequency: float, c: float = 1.0, width: float = 0.05
) -> float:
    """Relative L2 error of the field of a narrow Gaussian in a uniform space, off the source.

    Outside of a Gaussian its field is that of a point, (i/4) H₀⁽¹⁾(kr), times exp(−k²w²/4).
    """
    k = 2 * np.pi * frequency / c
    x = simulation.grid.axes[0].points
    r = np.hypot(x[:, None] - 0.42, x - 0.55)
    source = np.exp(-((r / width) ** 2)) / (np.pi * width**2)
    p = _pressure(simulation, {"frequency": frequency, "c": np.full(r.shape, c), "s": source})
    away = r > 4 * width
    exact = 0.25j * hankel1(0, k * r[away]) * np.exp(-((k * width) ** 2) / 4)
    return float(np.linalg.norm(p[away] - exact) / np.linalg.norm(exact))


@verifies(Helmholtz)
def free_space() -> Iterator[Finding]:
    """Waves of a point source leave the square: Green's function (i/4) H₀⁽¹⁾(kr)."""
    for tolerance in (1e-1, 1e-2, 1e-3, 1e-4):
        error = _point_source(Helmholtz(n=96, tolerance=tolerance), 5.0)
        yield at_most(f"relative L2 error, tolerance {tolerance:g}", error, tolerance, "exact")
    error = _point_source(Helmholtz(n=96, tolerance=1e-3), 4.0, 2.0)
    yield at_most("relative L2 error where c = 2 m/s, two waves a side", error, 1e-3, "exact")


@verifies(Helmholtz)
def pollution() -> Iterator[Finding]:
    """The error at 7.6 points per wavelength hardly grows with the number of waves."""
    for frequency in (5.0, 10.0, 20.0):
        simulation = Helmholtz(n=round(7.6 * frequency))
        error = _point_source(simulation, frequency, width=0.36 / frequency)
        yield at_most(f"relative L2 error, {frequency:g} waves a side", error, 2e-3, "exact")


@verifies(Helmholtz)
def cavities() -> Iterator[Finding]:
    """Modes of closed cavities, on either side of their resonance and close to it."""
    rigid, soft = (Helmholtz(64, 2.0, boundary) for boundary in BOUNDARIES[1:])
    for simulation, wave in ((rigid, np.cos), (soft, np.sin)):
        x = simulation.grid.axes[0].points
        mode = np.multiply.outer(wave(1.5 * np.pi * x), wave(np.pi * x))
        resonance = 3.0 / 2 * np.sqrt(1.5**2 + 1.0)  # c |k| / 2π with c = 3 m/s
        for share in (0.5, 0.99, 1.01, 1.5):
            f = share * resonance
            inputs = {"frequency": f, "c": np.full(mode.shape, 3.0), "s": mode}
            exact = 1 / ((2 * np.pi / 3.0) ** 2 * (resonance**2 - f**2))
            p = _pressure(simulation, inputs)
            error = np.abs(p - exact * mode).max() / abs(exact)
            yield at_most(
                f"largest error, {simulation.boundary}, {share} of resonance", error, 1e-4, "exact"
            )


@verifies(Helmholtz)
def inhomogeneous_medium() -> Iterator[Finding]:
    """Manufactured pressure cos πx cos 2πy in a medium of varying speed between rigid walls."""
    sizes, errors = (16, 24, 32, 48, 64), []
    for n in sizes:
        simulation = Helmholtz(n=n, boundary="rigid", tolerance=1e-6)
        x = simulation.grid.axes[0].points
        c = 1 + 0.3 * np.sin(3 * x[:, None] + 2 * x)
        exact = np.multiply.outer(np.cos(np.pi * x), np.cos(2 * np.pi * x))
        source = (5 * np.pi**2 - (2 * np.pi * 1.3 / c) ** 2) * exact
        p = _pressure(simulation, {"frequency": 1.3, "c": c, "s": source})
        errors.append(np.abs(p - exact).max())
    yield at_most("largest error, n = 64", errors[-1], 1e-5, "exact")
    yield order("largest error (inputs are splines)", [1 / n for n in sizes], errors, 4.0)


@verifies(Helmholtz)
def window() -> Iterator[Finding]:
    """The medium beyond the sides is that at the sides: a larger square shows the same pressure."""
    pressures = []
    for size, start in ((1.0, 0.0), (2.0, -0.5)):
        simulation = Helmholtz(n=round(80 * size), length=size)
        x = start + simulation.grid.axes[0].points
        across = np.clip(x, 0.0, 1.0)
        c = 1 + 0.4 * (across[:, None] - 0.5) * across
        r = np.hypot(x[:, None] - 0.42, x - 0.55)
        source = np.exp(-((r / 0.05) ** 2)) / (np.pi * 0.05**2)
        pressures.append(_pressure(simulation, {"frequency": 5.0, "c": c, "s": source}))
    small, large = pressures[0], pressures[1][40:-40, 40:-40]
    error = np.linalg.norm(small - large) / np.linalg.norm(large)
    yield at_most("relative L2 difference", error, 5e-4)


@verifies(Helmholtz)
def reciprocity_and_power() -> Iterator[Finding]:
    """In a random medium: source and receiver change places; what is radiated leaves."""
    simulation = Helmholtz(n=96)
    one, other = (simulation.sample(np.random.default_rng(seed)) for seed in (0, 1))
    there = _pressure(simulation, one)
    back = _pressure(simulation, {**one, "s": other["s"]})
    weights = simulation.grid.weights
    received = [np.sum(weights * s * p) for s, p in ((other["s"], there), (one["s"], back))]
    difference = abs(received[1] - received[0]) / abs(received[0])
    yield at_most("what is received, relative difference", difference, 1e-4, "exact")
    x = simulation.grid.axes[0].points
    outflow = 0.0
    for p in (there, there.T):
        slope = make_interp_spline(x, p, k=5).derivative()(x[[0, -1]]) * np.array([[-1], [1]])
        outflow += sum(simpson(np.imag(p[[0, -1]].conj() * slope), x=x, axis=1))
    power = simpson(simpson(one["s"] * there.imag, x=x), x=x)
    yield at_most(
        "power through the sides over that of the source, less 1", outflow / power - 1, 1e-3
    )
