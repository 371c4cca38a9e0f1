"""Verification of `RayleighBenard`."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.fft
import scipy.linalg

from simulations.numerics import chebyshev
from simulations.simulation import Array, Solution
from simulations.systems.rayleigh_benard import NoisyConduction, RayleighBenard
from simulations.verification.check import Finding, at_most, close_to, order, verifies


def _rolls(simulation: RayleighBenard, size: float) -> Array:
    """Conduction with one pair of rolls."""
    x, y = (axis.points for axis in simulation.grid.axes)
    wave = np.cos(2 * np.pi * x / simulation.length)
    return 1 - y + size * np.multiply.outer(wave, np.sin(np.pi * y))


def _growth(rayleigh: float, prandtl: float, k: float, t_end: float) -> float:
    """Rate at which small rolls grow in the last tenth of the time."""
    simulation = RayleighBenard(
        nx=8, ny=24, length=2 * np.pi / k, t_end=t_end, n_times=11, tolerance=1e-7
    )
    solution = simulation.solve(
        {"rayleigh": rayleigh, "prandtl": prandtl, "buoyancy0": _rolls(simulation, 1e-8)}
    )
    size = [np.linalg.norm(v) for v in solution["velocity"][-2:]]
    return math.log(size[1] / size[0]) / (t_end / 10)


@verifies(RayleighBenard)
def onset() -> Iterator[Finding]:
    """Rolls neither grow nor decay at the critical Rayleigh number, whatever Pr is."""
    for prandtl in (0.5, 5.0):
        below, above = (_growth(ra, prandtl, 3.1163, 20.0) for ra in (1706.0, 1710.0))
        critical = 1706 - 4 * below / (above - below)
        name = f"critical Ra at k = 3.1163, Pr = {prandtl:g}"
        yield close_to(name, critical, 1707.762, 0.01, "Chandrasekhar (1961), table III")


@verifies(RayleighBenard)
def linear_growth() -> Iterator[Finding]:
    """Growth rates of small rolls are eigenvalues of the linear equations, by collocation."""
    n = 32
    _, d2, _, d4 = chebyshev.clamped_derivatives(n)
    held = np.linalg.matrix_power(chebyshev.differentiation(n), 2)[1:-1, 1:-1]
    one = np.eye(n - 2)
    for rayleigh, prandtl, k in ((1e5, 0.5, 4.0), (3e4, 7.0, 6.0)):
        nu, kappa = math.sqrt(prandtl / rayleigh), 1 / math.sqrt(rayleigh * prandtl)
        laplacian = d2 - k**2 * one
        friction = nu * (d4 - 2 * k**2 * d2 + k**4 * one)
        matrix = np.block([[friction, -(k**2) * one], [one, kappa * (held - k**2 * one)]])
        mass = scipy.linalg.block_diag(laplacian, one)
        exact = max(scipy.linalg.eigvals(matrix, mass).real)
        found = _growth(rayleigh, prandtl, k, 15.0)
        name = f"growth rate at Ra = {rayleigh:.0e}, Pr = {prandtl:g}, k = {k:g}"
        yield close_to(name, found, exact, 1e-5 * exact, "SciPy, eigenvalues")


@verifies(RayleighBenard)
def steady_rolls() -> Iterator[Finding]:
    """Heat carried by steady rolls of air, and where it and the work of buoyancy go.

    The published expansions were cut short: their own convergence leaves some tenths of a percent.
    """
    source = "Clever and Busse, J. Fluid Mech. 65 (1974) 625"
    for rayleigh, published in ((2000.0, 1.212), (5000.0, 2.116), (10000.0, 2.661)):
        simulation = RayleighBenard(
            nx=32, ny=24, length=2 * np.pi / 3.117, t_end=400.0, n_times=3, tolerance=1e-5
        )
        start = _rolls(simulation, 0.1)
        solution = simulation.solve({"rayleigh": rayleigh, "prandtl": 0.71, "buoyancy0": start})
        nusselt = solution["nusselt"][-1]
        at = f"at Ra = {rayleigh:g}"
        yield close_to(f"Nu {at}", nusselt, published, 0.004 * published, source)
        walls = simulation.diagnostics(solution)
        for name in ("nusselt_bottom", "nusselt_top"):
            yield close_to(f"{name} over Nu {at}", walls[name][-1] / nusselt, 1.0, 1e-5, "exact")
        kappa, nu = 1 / math.sqrt(rayleigh * 0.71), math.sqrt(0.71 / rayleigh)
        weights = chebyshev.quadrature(simulation.ny)
        ux, uy, vx, vy, bx, by = _gradients(simulation, solution, -1)
        friction = nu * (ux**2 + uy**2 + vx**2 + vy**2).mean(axis=0) @ weights
        work = kappa * (nusselt - 1)
        yield close_to(f"friction over work {at}", friction / work, 1.0, 1e-4, "exact")
        mixing = (bx**2 + by**2).mean(axis=0) @ weights
        yield close_to(f"mean of |∇b|² over Nu {at}", mixing / nusselt, 1.0, 1e-5, "exact")


def _along_x(values: Array, length: float, order: int = 1) -> Array:
    k = 2 * np.pi / length * np.arange(len(values) // 2 + 1)
    spectrum = scipy.fft.rfft(values, axis=0) * ((1j * k) ** order)[:, None]
    return scipy.fft.irfft(spectrum, len(values), axis=0)


def _gradients(simulation: RayleighBenard, solution: Solution, frame: int) -> list[Array]:
    """Derivatives of u, v and b along x and y, on the grid."""
    d = chebyshev.differentiation(simulation.ny)
    fields = (*np.moveaxis(solution["velocity"][frame], -1, 0), solution["buoyancy"][frame])
    return [g for f in fields for g in (_along_x(f, simulation.length), f @ d.T)]


@verifies(RayleighBenard)
def equations() -> Iterator[Finding]:
    """All terms of all equations, by plain derivatives of the stored fields, pressure included."""
    rayleigh, prandtl = 3e3, 0.6
    simulation = RayleighBenard(
        nx=64,
        ny=32,
        length=4.0,
        t_end=8.0,
        n_times=401,
        tolerance=1e-8,
        initial=NoisyConduction(amplitude=2.0, waves=3),
    )
    drawn = simulation.sample(np.random.default_rng(3))
    solution = simulation.solve({**drawn, "rayleigh": rayleigh, "prandtl": prandtl})
    middle, dt = 300, simulation.times[1]

    def rate(name: str) -> Array:
        before2, before, after, after2 = (solution[name][middle + s] for s in (-2, -1, 1, 2))
        return (before2 - 8 * before + 8 * after - after2) / (12 * dt)

    nu, kappa = math.sqrt(prandtl / rayleigh), 1 / math.sqrt(rayleigh * prandtl)
    b, pressure = solution["buoyancy"][middle], solution["pressure"][middle]
    u, v = np.moveaxis(solution["velocity"][middle], -1, 0)
    ux, uy, vx, vy, bx, by = _gradients(simulation, solution, middle)
    d = chebyshev.differentiation(simulation.ny)
    length = simulation.length

    def laplacian(f: Array) -> Array:
        return _along_x(f, length, 2) + f @ (d @ d).T

    u_rate, v_rate = np.moveaxis(rate("velocity"), -1, 0)
    smallest = np.abs(u * vx + v * vy).max()
    residuals = {
        "momentum along x": u_rate
        + u * ux
        + v * uy
        + _along_x(pressure, length)
        - nu * laplacian(u),
        "momentum along y": v_rate + u * vx + v * vy + pressure @ d.T - b - nu * laplacian(v),
        "buoyancy": rate("buoyancy") + u * bx + v * by - kappa * laplacian(b),
    }
    inner = slice(3, -3)  # polynomials of degree n − 5 leave a residual in the highest ones
    for name, residual in residuals.items():
        share = np.abs(residual[:, inner]).max() / smallest
        yield at_most(f"residual over inertia: {name}", share, 1e-7)
    yield at_most("divergence over |∇u|", np.abs(ux + vy).max() / np.abs(uy).max(), 1e-11)
    weights = chebyshev.quadrature(simulation.ny)
    yield at_most("mean pressure", pressure.mean(axis=0) @ weights, 1e-12)


@verifies(RayleighBenard)
def convergence() -> Iterator[Finding]:
    """Errors fall geometrically with the number of points, and with the tolerance."""
    fine = RayleighBenard(nx=128, ny=48, length=4.0, tolerance=1e-8, t_end=6.0, n_times=2)
    inputs = fine.sample(np.random.default_rng(1)) | {"rayleigh": 1e5, "prandtl": 1.0}
    truth = fine.solve(inputs)
    weights = fine.grid.weights[..., None]

    def error(simulation: RayleighBenard) -> float:
        found = simulation.solve(fine.transfer_inputs(inputs, simulation))
        moved = simulation.transfer_solution(found, fine)["velocity"][-1]
        difference = moved - truth["velocity"][-1]
        size = (weights * truth["velocity"][-1] ** 2).sum()
        return math.sqrt((weights * difference**2).sum() / size)

    sizes = ((32, 12), (48, 18), (64, 24))
    errors = [error(replace(fine, nx=nx, ny=ny, tolerance=1e-7)) for nx, ny in sizes]
    yield order("velocity, all orders", [1 / ny for _, ny in sizes], errors, 6.0)
    yield at_most("relative L2 error on 64 x 24 points", errors[-1], 3e-3)
    for tolerance in (1e-3, 1e-5):
        loose = replace(fine, tolerance=tolerance)
        yield at_most(
            f"relative L2 error with tolerance {tolerance:.0e}", error(loose), 3 * tolerance
        )
