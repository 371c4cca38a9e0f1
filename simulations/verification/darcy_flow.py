"""Verification of `DarcyFlow`."""

from collections.abc import Iterator

import numpy as np

from simulations.numerics import multigrid
from simulations.systems.darcy_flow import DarcyFlow, conductances_of_cells
from simulations.verification.check import Finding, at_most, close_to, order, verifies
from simulations.verification.poisson import loaded_membrane


@verifies(DarcyFlow)
def smooth_medium() -> Iterator[Finding]:
    """Manufactured pressure sin πx sin 2πy in a medium of e^x (2 + sin 3y)."""
    sizes, errors = [20, 41, 80, 161], []
    for n in sizes:
        centres = (np.arange(n) + 0.5) / n
        x, y = np.meshgrid(centres, centres, indexing="ij")
        a, a_y = np.exp(x) * (2 + np.sin(3 * y)), np.exp(x) * 3 * np.cos(3 * y)
        exact = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        u_x = np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        u_y = 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        source = 5 * np.pi**2 * a * exact - a * u_x - a_y * u_y
        east, south, sides = conductances_of_cells(a)
        u, *_ = multigrid.solve(east, south, sides, source / n**2, 1e-11, 100)
        errors.append(np.abs(u - exact).max())
    yield at_most("largest error on 161² cells", errors[-1], 1e-3, "exact")
    yield order("largest error", [1 / n for n in sizes], errors, 2.0, 0.1)


@verifies(DarcyFlow)
def uniform_medium() -> Iterator[Finding]:
    """−Δu = 1 on the unit square: pressure in the middle and its mean, extrapolated to h = 0."""
    coarse, fine = (
        DarcyFlow(n=n, tolerance=1e-12).solve({"a": np.ones((n, n))})["u"][0] for n in (81, 243)
    )
    centre = fine[121, 121] + (fine[121, 121] - coarse[40, 40]) / 8
    integral = fine.mean() + (fine.mean() - coarse.mean()) / 8
    source = "Timoshenko and Goodier, Theory of Elasticity (1951), art. 109; series"
    yield close_to("u(½, ½)", centre, 0.0736713513, 2e-8, source)
    yield close_to("∫u", integral, 0.0351442536, 2e-8, source)
    sizes, errors = [16, 31, 64, 129], []
    for n in sizes:
        simulation = DarcyFlow(n=n, source=3.0)
        x = simulation.grid.axes[0].points
        u = simulation.solve({"a": np.full((n, n), 2.0)})["u"][0]
        errors.append(np.abs(u - 1.5 * loaded_membrane(x, x)).max())
    yield at_most("largest error on 129² cells, a = 2, f = 3", errors[-1], 5e-5, "series")
    for pair in range(3):
        both = slice(pair, pair + 2)
        name = f"largest error, {sizes[pair]} to {sizes[pair + 1]} cells"
        yield order(name, [1 / n for n in sizes[both]], errors[both], 2.0, 0.1)


@verifies(DarcyFlow)
def balance() -> Iterator[Finding]:
    """What is injected leaves through the sides."""
    simulation = DarcyFlow(source=2.5)
    a = simulation.sample(np.random.default_rng(0))["a"]
    *_, sides = conductances_of_cells(np.asarray(a))
    outflow = np.sum(sides * simulation.solve({"a": a})["u"][0])
    yield close_to("outflow through the sides", outflow, 2.5, 2.5e-7, "exact")
