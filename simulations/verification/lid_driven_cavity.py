"""Verification of `LidDrivenCavity`."""

from collections.abc import Iterator

import numpy as np

from simulations.numerics import chebyshev
from simulations.simulation import Solution
from simulations.systems.lid_driven_cavity import LidDrivenCavity
from simulations.verification.check import Finding, at_most, close_to, order, verifies

BOTELLA_PEYRET = "Botella and Peyret, Computers & Fluids 27 (1998) 421, lid turned to +x"


def _centre_lines(simulation: LidDrivenCavity, solution: Solution) -> dict[str, tuple[float, ...]]:
    """Extreme u on x = 1/2 and v on y = 1/2, each with where it is; n must be odd."""
    u, v = np.moveaxis(solution["velocity"][0], -1, 0)
    fine = np.linspace(0, 1, 20001)
    to_fine = chebyshev.interpolation(simulation.n, fine)
    middle = simulation.n // 2
    along_y, along_x = to_fine @ u[middle], to_fine @ v[:, middle]
    lowest_u, lowest_v, highest_v = along_y.argmin(), along_x.argmin(), along_x.argmax()
    return {
        "lowest u on x = 1/2": (along_y[lowest_u], fine[lowest_u]),
        "lowest v on y = 1/2": (along_x[lowest_v], fine[lowest_v]),
        "largest v on y = 1/2": (along_x[highest_v], fine[highest_v]),
    }


@verifies(LidDrivenCavity)
def benchmark_of_botella_and_peyret() -> Iterator[Finding]:
    """All digits of a spectral benchmark, at Re = 100 and at Re = 1000."""
    published = {
        100.0: [(-0.2140424, 0.4581), (-0.2538030, 0.8104), (0.1795728, 0.2370)],
        1000.0: [(-0.3885698, 0.1717), (-0.5270771, 0.9092), (0.3769447, 0.1578)],
    }
    simulation = LidDrivenCavity(n=73, tolerance=1e-5)
    for reynolds, extremes in published.items():
        solution = simulation.solve({"reynolds": reynolds})
        found = _centre_lines(simulation, solution)
        for (name, (value, where)), (expected, place) in zip(found.items(), extremes, strict=True):
            at = f"at Re = {reynolds:g}"
            yield close_to(f"{name} {at}", value, expected, 3e-6, BOTELLA_PEYRET)
            yield close_to(f"its place {at}", where, place, 1e-4, BOTELLA_PEYRET)
    for name, expected, tolerance in (
        ("vortex_streamfunction", -0.1189366, 1e-7),
        ("vortex_vorticity", -2.067753, 5e-6),
        ("vortex_x", 1 - 0.4692, 5e-5),
        ("vortex_y", 0.5652, 5e-5),
    ):
        yield close_to(
            f"{name} at Re = 1000", solution[name][0], expected, tolerance, BOTELLA_PEYRET
        )


@verifies(LidDrivenCavity)
def convergence() -> Iterator[Finding]:
    """Subtracting two terms in the corners leaves errors that fall with the fifth power of n."""
    inputs = {"reynolds": 100.0}
    truth = LidDrivenCavity(n=65, tolerance=1e-7).solve(inputs)["velocity"][0]
    sizes, errors = (17, 33), []
    for n in sizes:
        simulation = LidDrivenCavity(n=n, tolerance=1e-9)
        shared = slice(None, None, 64 // (n - 1))  # nodes that both grids have
        exact = truth[shared, shared]
        difference = simulation.solve(inputs)["velocity"][0] - exact
        weights = simulation.grid.weights[..., None]
        errors.append(np.sqrt((weights * difference**2).sum() / (weights * exact**2).sum()))
    yield order("velocity", [1 / (n - 4) for n in sizes], errors, 5.0, 0.5)
    yield at_most("relative L2 error with 33 nodes", errors[-1], 5e-5)


@verifies(LidDrivenCavity)
def tolerance() -> Iterator[Finding]:
    """The default settings keep their tolerance."""
    fine, simulation = LidDrivenCavity(n=73, tolerance=1e-5), LidDrivenCavity()
    for reynolds in (100.0, 300.0, 1000.0):
        inputs = {"reynolds": reynolds}
        moved = simulation.transfer_solution(simulation.solve(inputs), fine)["velocity"]
        truth = fine.solve(inputs)["velocity"]
        weights = fine.grid.weights[..., None]
        error = np.sqrt((weights * (moved - truth) ** 2).sum() / (weights * truth**2).sum())
        yield at_most(f"relative L2 error at Re = {reynolds:g}", error, 2e-4)


@verifies(LidDrivenCavity)
def regularised_lid() -> Iterator[Finding]:
    """A lid without jumps: vorticity equation off the walls, and work of the lid as dissipation."""
    n, reynolds = 64, 400.0
    simulation = LidDrivenCavity(n=n, tolerance=1e-8, lid="regularised")
    u, v = np.moveaxis(simulation.solve({"reynolds": reynolds})["velocity"][0], -1, 0)
    d, x, weights = chebyshev.differentiation(n), chebyshev.nodes(n), chebyshev.quadrature(n)
    inside = np.ix_(np.abs(x - 0.5) < 0.4, np.abs(x - 0.5) < 0.4)
    vorticity = d @ v - u @ d.T
    inertia = reynolds * (u * (d @ vorticity) + v * (vorticity @ d.T))
    friction = d @ d @ vorticity + vorticity @ d.T @ d.T
    residual = np.linalg.norm((inertia - friction)[inside])
    yield at_most("momentum residual", residual / np.linalg.norm(inertia[inside]), 2e-3)
    yield at_most("divergence", np.abs(d @ u + v @ d.T).max(), 1e-3)
    squares = (d @ u) ** 2 + (u @ d.T) ** 2 + (d @ v) ** 2 + (v @ d.T) ** 2
    work = weights @ (u * (u @ d.T))[:, -1]
    yield close_to("dissipation over work", weights @ squares @ weights / work, 1.0, 1e-5, "exact")
