"""Verification of `Poisson`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import simpson

from simulations.simulation import Array
from simulations.systems.poisson import BOUNDARIES, Poisson
from simulations.verification.check import Finding, at_most, close_to, order, verifies


def loaded_membrane(x: Array, y: Array) -> Array:
    """Solution of −Δu = 1 on the unit square, u = 0 on its sides, shape ``(len(x), len(y))``.

    u = Σ 4/(mπ)³ (1 − cosh mπ(y−½) / cosh mπ/2) sin mπx over odd m
    """
    m = np.pi * np.arange(1, 400, 2)
    # cosh(m (y − ½)) / cosh(m/2) without overflow
    ratio = (np.exp(-np.outer(y, m)) + np.exp(-np.outer(1 - y, m))) / (1 + np.exp(-m))
    u: Array = np.einsum("m,ym,xm->xy", 4 / m**3, 1 - ratio, np.sin(np.outer(x, m)))
    return u


def middle_of_loaded_cube() -> float:
    """Solution of −Δu = 1 in the middle of the unit cube, by the series like that of the square."""
    m = np.arange(1, 300, 2)
    squares = np.add.outer(m**2, m**2)
    signs = np.multiply.outer((-1.0) ** (m // 2) / m, (-1.0) ** (m // 2) / m)
    return float(
        np.sum(16 / np.pi**4 * signs / squares * (1 - 1 / np.cosh(np.pi / 2 * np.sqrt(squares))))
    )


def _manufactured(simulation: Poisson, factors: list[tuple[Array, Array]]) -> tuple[float, float]:
    """Largest error for u = Π_d φ_d(x_d), given φ and φ'' on each axis, and the largest u."""
    u: Array = np.ones(())
    for phi, _ in factors:
        u = np.multiply.outer(u, phi)
    f = np.zeros(u.shape)
    for axis in range(len(factors)):
        term: Array = np.ones(())
        for other, (phi, curvature) in enumerate(factors):
            term = np.multiply.outer(term, -curvature if other == axis else phi)
        f += term
    found = simulation.solve({"f": f})["u"][0]
    difference = found - u
    if simulation.boundary != "dirichlet":
        difference = difference - np.sum(difference * simulation.grid.weights)
    return float(np.abs(difference).max()), float(np.abs(u).max())


@verifies(Poisson)
def manufactured_solutions() -> Iterator[Finding]:
    """Products of functions of one coordinate, whose f does not vanish on the walls."""
    for ndim, sizes in ((1, (16, 32, 64)), (2, (16, 32, 64)), (3, (12, 24, 48))):
        for boundary in BOUNDARIES[:2]:
            errors = []
            for n in sizes:
                simulation = Poisson(ndim=ndim, n=n, length=2.0, boundary=boundary)
                factors = []
                for d, axis in enumerate(simulation.grid.axes):
                    x, a = axis.points, 0.3 + 0.4 * d
                    if boundary == "dirichlet":  # x (2 − x) e^{ax}
                        phi, slope, curvature = x * (2 - x), 2 - 2 * x, 0 * x - 2
                    else:  # x² (2 − x)² e^{ax}
                        w, w_x = x * (2 - x), 2 - 2 * x
                        phi, slope, curvature = w * w, 2 * w * w_x, 2 * w_x**2 - 4 * w
                    grown = np.exp(a * x)
                    factors.append((phi * grown, (curvature + 2 * a * slope + a * a * phi) * grown))
                error, size = _manufactured(simulation, factors)
                errors.append(error / size)
            name = f"{ndim}-D, {boundary}"
            yield at_most(f"largest error, {name}, n = {sizes[-1]}", errors[-1], 1e-4, "exact")
            yield order(f"largest error, {name}", [1 / n for n in sizes], errors, 4.0)
    for ndim in (1, 2, 3):
        simulation = Poisson(ndim=ndim, n=32, length=2.0, boundary="periodic")
        k = np.pi
        factors = []
        for axis in simulation.grid.axes:
            sine, cosine = np.sin(k * axis.points), np.cos(k * axis.points)
            factors.append((np.exp(sine), k * k * (cosine**2 - sine) * np.exp(sine)))
        error, size = _manufactured(simulation, factors)
        yield at_most(f"largest error, {ndim}-D, periodic, n = 32", error / size, 1e-12, "exact")


@verifies(Poisson)
def uniform_load() -> Iterator[Finding]:
    """−Δu = 1, u = 0 on the sides of the unit square and cube: u has a singularity in corners."""
    square, cube = Poisson(n=128), Poisson(ndim=3, n=32)
    u = square.solve({"f": np.ones(square.grid.shape)})["u"][0]
    x = square.grid.axes[0].points
    source = "Timoshenko and Goodier, Theory of Elasticity (1951), art. 109; series"
    yield close_to("u(½, ½)", u[64, 64], 0.0736713513, 1e-8, source)
    yield close_to("∫u", simpson(simpson(u, x=x), x=x), 0.0351442536, 1e-8, source)
    error = np.abs(u - loaded_membrane(x, x)).max()
    yield at_most("largest error, square", error, 1e-6, "series")
    u = cube.solve({"f": np.ones(cube.grid.shape)})["u"][0]
    yield close_to("u(½, ½, ½)", u[16, 16, 16], middle_of_loaded_cube(), 3e-7, "series")


@verifies(Poisson)
def balance() -> Iterator[Finding]:
    """What the charges of a random draw send out leaves through the sides."""
    simulation = Poisson(n=256)
    drawn = simulation.sample(np.random.default_rng(0))
    f, u = drawn["f"], simulation.solve(drawn)["u"][0]
    x = simulation.grid.axes[0].points
    weights = np.array([-25, 48, -36, 16, -3]) / 12 * 256  # the slope at a wall, fourth order
    slopes = [weights @ side for side in (u[:5], u[:-6:-1], u.T[:5], u.T[:-6:-1])]
    outflow = -sum(simpson(slope, x=x) for slope in slopes)
    charge = simpson(simpson(f, x=x), x=x)
    size = simpson(simpson(np.abs(f), x=x), x=x)
    yield at_most("outflow less charge, over ∫|f|", (outflow - charge) / size, 1e-4, "exact")


@verifies(Poisson)
def convergence() -> Iterator[Finding]:
    """Random draws, the same functions on finer grids."""
    for boundary, bound in zip(BOUNDARIES, (1e-5, 1e-4, 1e-5), strict=True):
        fine, simulation = (Poisson(n=n, boundary=boundary) for n in (512, 128))
        truth, u = (s.solve(s.sample(np.random.default_rng(0)))["u"][0] for s in (fine, simulation))
        error = np.linalg.norm(u - truth[::4, ::4]) / np.linalg.norm(u)
        yield at_most(f"relative L2 error, {boundary}, n = 128", error, bound)
