"""Verification of `NaturalConvection`."""

from collections.abc import Iterator

import numpy as np

from simulations.numerics import chebyshev
from simulations.simulation import Solution
from simulations.systems.natural_convection import NaturalConvection
from simulations.verification.check import Finding, at_most, close_to, verifies

# Air, Pr = 0.71: Ra; mean Nu; largest u on x = 1/2 and its y; largest v on y = 1/2 and its x
DE_VAHL_DAVIS = [
    (1e3, 1.118, 3.649, 0.813, 3.697, 0.178),
    (1e4, 2.243, 16.178, 0.823, 19.617, 0.119),
    (1e5, 4.519, 34.73, 0.855, 68.59, 0.066),
    (1e6, 8.800, 64.63, 0.850, 219.36, 0.0379),
]
# The same at Ra = 1e6, converged
LE_QUERE = (64.83, 0.850, 220.6, 0.038)


def _solve(rayleigh: float, prandtl: float = 0.71, n: int = 48) -> Solution:
    simulation = NaturalConvection(n=n, tolerance=1e-8)
    return simulation.solve({"rayleigh": rayleigh, "prandtl": prandtl})


def _centre_lines(solution: Solution) -> tuple[float, float, float, float]:
    """How large u is at most on x = 1/2 and where, and v on y = 1/2."""
    u, v = np.moveaxis(solution["velocity"][0], -1, 0)
    fine = np.linspace(0, 1, 10001)
    to_fine = chebyshev.interpolation(u.shape[0], fine)
    middle = chebyshev.interpolation(u.shape[0], np.array([0.5]))[0]
    along_y, along_x = to_fine @ (middle @ u), to_fine @ (v @ middle)
    return along_y.max(), fine[along_y.argmax()], along_x.max(), fine[along_x.argmax()]


@verifies(NaturalConvection)
def benchmark_of_de_vahl_davis() -> Iterator[Finding]:
    """Air in a square cavity, to the accuracy the benchmark claims: 0.1 % to 1 % at Ra = 1e6."""
    source = "de Vahl Davis, Int. J. Numer. Methods Fluids 3 (1983) 249"
    for rayleigh, nusselt, u, y, v, x in DE_VAHL_DAVIS:
        solution = _solve(rayleigh)
        share = 0.001 if rayleigh < 1e5 else 0.002 if rayleigh < 1e6 else 0.01
        found_u, found_y, found_v, found_x = _centre_lines(solution)
        at = f"at Ra = {rayleigh:.0e}"
        yield close_to(f"mean Nu {at}", solution["nusselt"][0], nusselt, share * nusselt, source)
        yield close_to(f"largest u {at}", found_u, u, share * u, source)
        yield close_to(f"its y {at}", found_y, y, 0.002, source)
        yield close_to(f"largest v {at}", found_v, v, share * v, source)
        yield close_to(f"its x {at}", found_x, x, 0.001, source)


@verifies(NaturalConvection)
def converged_values() -> Iterator[Finding]:
    """Mean Nusselt number and largest velocities of air, to all digits of converged values."""
    le_quere = "Le Quéré, Computers & Fluids 20 (1991) 29"
    for rayleigh, nusselt in [(1e3, 1.1178), (1e4, 2.2448), (1e5, 4.5216), (1e6, 8.8252)]:
        source = le_quere if rayleigh == 1e6 else "converged calculations"
        found = _solve(rayleigh)["nusselt"][0]
        yield close_to(f"mean Nu at Ra = {rayleigh:.0e}", found, nusselt, 6e-5, source)
    names = ("largest u", "its y", "largest v", "its x")
    tolerances = (0.01, 5e-4, 0.1, 5e-4)
    found_all = _centre_lines(_solve(1e6))
    for name, value, expected, tolerance in zip(
        names, found_all, LE_QUERE, tolerances, strict=True
    ):
        yield close_to(f"{name} at Ra = 1e+06", value, expected, tolerance, le_quere)


@verifies(NaturalConvection)
def creeping_flow() -> Iterator[Finding]:
    """For Ra → 0, Δ²ψ = −Ra: ψ/Ra is minus the deflection of a clamped plate under unit load."""
    u = _solve(1.0, 1.0, n=32)["velocity"][0, ..., 0]
    to_middle = chebyshev.interpolation(32, np.array([0.5]))[0]
    half = chebyshev.interpolation(32, 0.5 * chebyshev.nodes(32))
    psi = 0.5 * chebyshev.quadrature(32) @ half @ (to_middle @ u)
    source = "Taylor and Govindjee, Commun. Numer. Methods Eng. 20 (2004) 757"
    yield close_to("ψ/Ra in the middle", psi, -0.00126532, 1.3e-8, source)


@verifies(NaturalConvection)
def equations() -> Iterator[Finding]:
    """Vorticity and heat equation by plain derivatives of the stored fields, off the walls."""
    n = 64
    for rayleigh, prandtl in ((1e5, 0.3), (3e5, 500.0)):
        solution = _solve(rayleigh, prandtl, n)
        u, v = np.moveaxis(solution["velocity"][0], -1, 0)
        temperature = solution["temperature"][0]
        d = chebyshev.differentiation(n)
        x = chebyshev.nodes(n)
        inside = np.ix_(np.abs(x - 0.5) < 0.4, np.abs(x - 0.5) < 0.4)
        vorticity = d @ v - u @ d.T
        inertia = (u * (d @ vorticity) + v * (vorticity @ d.T)) / prandtl
        friction = d @ d @ vorticity + vorticity @ d.T @ d.T
        buoyancy = rayleigh * d @ temperature
        convection = u * (d @ temperature) + v * (temperature @ d.T)
        conduction = d @ d @ temperature + temperature @ d.T @ d.T
        momentum = np.linalg.norm((inertia - friction - buoyancy)[inside])
        heat = np.linalg.norm((convection - conduction)[inside])
        at = f"at Ra = {rayleigh:.0e}, Pr = {prandtl:g}"
        smallest = np.linalg.norm(inertia[inside])
        yield at_most(f"momentum residual over inertia {at}", momentum / smallest, 0.01)
        share = heat / np.linalg.norm(convection[inside])
        yield at_most(f"heat residual over convection {at}", share, 1e-5)
