"""Verification of `LinearElasticity`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import simpson

from simulations.simulation import Array
from simulations.systems.linear_elasticity import LinearElasticity, PlateMesh, QuarterPlate
from simulations.verification.check import Finding, at_most, close_to, verifies


def _kirsch(radius: float, r: Array, theta: Array) -> Array:
    """Stresses σ_rr, σ_θθ, σ_rθ of an infinite plate with a hole under unit tension along x."""
    q, double = (radius / r) ** 2, 2 * theta
    return 0.5 * np.array(
        [
            1 - q + (1 - 4 * q + 3 * q * q) * np.cos(double),
            1 + q - (1 + 3 * q * q) * np.cos(double),
            -(1 + 2 * q - 3 * q * q) * np.sin(double),
        ]
    )


@verifies(LinearElasticity)
def solution_of_kirsch() -> Iterator[Finding]:
    """Plates cut out of Kirsch's infinite plate, with its tractions on their sides."""
    s, theta = np.linspace(0, 1, 41), np.linspace(0, np.pi / 2, 41)
    for degree, bound in ((4, 0.1), (6, 2e-3), (8, 3e-5), (12, 2e-9)):
        mesh = PlateMesh(degree, 1.5)
        plate = QuarterPlate(mesh, 0.2, 0.3)
        x, y = (mesh.theta.gather @ side for side in plate.xy[:, -1])
        angle = np.arctan2(y, x)
        rr, tt, rt = _kirsch(0.2, np.hypot(x, y), angle)
        c, k = np.cos(angle), np.sin(angle)
        xx, yy = c * c * rr + k * k * tt - 2 * c * k * rt, k * k * rr + c * c * tt + 2 * c * k * rt
        xy = c * k * (rr - tt) + (c * c - k * k) * rt
        u = plate.displacement(plate.load(np.array([xx, yy, xy])))
        displacement, stress = plate.evaluated(u, s, theta)
        side = 1 / np.maximum(np.cos(theta) / 1.5, np.sin(theta))
        exact = _kirsch(0.2, 0.2 ** (1 - s[:, None]) * side ** s[:, None], theta)
        found = np.array([stress[..., 0, 0], stress[..., 1, 1], stress[..., 0, 1]])
        error = np.abs(found - exact).max()
        yield at_most(f"largest error of a stress, degree {degree}", error, bound, "exact")
        rim = 0.2 * np.stack([1 + 2 * np.cos(2 * theta), -2 * np.sin(2 * theta)], axis=-1)
        error = np.abs(displacement[0] - rim).max()
        yield at_most(f"largest error of the rim's shift, degree {degree}", error, bound, "exact")


@verifies(LinearElasticity)
def patch() -> Iterator[Finding]:
    """Uniform stress is exact on curved elements of any degree; motion as a whole is free."""
    s, theta = np.linspace(0, 1, 13), np.linspace(0, np.pi / 2, 13)
    for degree in (2, 5, 8):
        plate = QuarterPlate(PlateMesh(degree, 1.3), 0.3, 0.35)
        worst = 0.0
        for uniform in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]):
            given = np.array(uniform)[:, None]
            u = plate.displacement(plate.load(given) - plate.load(given, row=0))
            _, stress = plate.evaluated(u, s, theta)
            trace, larger = stress.trace(axis1=-2, axis2=-1), np.linalg.eigvalsh(stress)[..., -1]
            worst = max(worst, np.abs(trace - 1).max(), np.abs(larger - 1).max())
        yield at_most(f"largest error of uniform stress, degree {degree}", worst, 1e-11, "exact")
        x, y = plate.xy
        _, stress = plate.evaluated(np.array([3 - y, 1 + x]), s, theta)
        yield at_most(f"stress of a rigid motion, degree {degree}", np.abs(stress).max(), 1e-11)


@verifies(LinearElasticity)
def stress_concentration() -> Iterator[Finding]:
    """Factors of small holes and of holes in long strips."""
    small = LinearElasticity(n=8, degree=14)
    for biaxiality, expected in ((0.0, 3.0), (1.0, 2.0), (-1.0, 4.0)):
        inputs = {"radius": 0.01, "poisson_ratio": 0.3, "biaxiality": biaxiality}
        found = small.solve(inputs)["concentration"][0]
        name = f"small hole, biaxiality {biaxiality:g}"
        yield close_to(name, found, expected, 2e-3, "Kirsch (1898), infinite plate")
    strip = LinearElasticity(n=8, degree=10, aspect=4.0)
    source = "Howland, Phil. Trans. R. Soc. A 229 (1930) 49, as in Peterson's handbook"
    for radius, expected in ((0.1, 3.03), (0.2, 3.14), (0.3, 3.36), (0.4, 3.74), (0.5, 4.32)):
        inputs = {"radius": radius, "poisson_ratio": 0.3, "biaxiality": 0.0}
        found = strip.solve(inputs)["concentration"][0]
        name = f"long strip, diameter over width {radius:g}"
        yield close_to(name, found, expected, 0.01 * expected, source)


@verifies(LinearElasticity)
def balance() -> Iterator[Finding]:
    """Force through a section, energy by two integrals, stress whatever Poisson's ratio."""
    simulation = LinearElasticity(n=160, degree=12, tension=2.0, modulus=3.0)
    radius, ratio = 0.4, 0.4
    inputs = {"radius": radius, "poisson_ratio": ratio, "biaxiality": -0.3}
    solution = simulation.solve(inputs)
    stress = solution["stress"][0]
    rr, tt, rt = stress[..., 0, 0], stress[..., 1, 1], stress[..., 0, 1]
    s, theta = (axis.points for axis in simulation.grid.axes)
    r = np.hypot(*simulation.positions(radius))
    growth = np.log(r[-1] / radius)  # dr = r growth ds
    for name, column, expected in (("x", -1, 2.0), ("y", 0, -0.6)):
        force = simpson(tt[:, column] * r[:, column] * growth[column], x=s)
        yield close_to(f"force along {name}", force, expected, 1e-5, "exact")
    density = (rr**2 + tt**2 - 2 * ratio * rr * tt + 2 * (1 + ratio) * rt**2) / (2 * 3.0)
    lines = simpson(density * r**2, x=s, axis=0) * growth
    energy = sum(simpson(lines[half], x=theta[half]) for half in (slice(81), slice(80, None)))
    error = energy / solution["energy"][0] - 1
    yield at_most("energy of strain over work of the load, less 1", error, 1e-5, "exact")
    (x, y), shift = simulation.positions(radius), solution["displacement"][0, -1]
    c, k = np.cos(theta), np.sin(theta)
    on_x, on_y = slice(81), slice(80, None)  # the two sides, up to and from the corner
    u_x, u_y = c * shift[:, 0] - k * shift[:, 1], k * shift[:, 0] + c * shift[:, 1]
    work = simpson(u_x[on_x], x=y[-1, on_x]) - 0.3 * simpson(u_y[on_y], x=-x[-1, on_y])
    error = work / solution["energy"][0] - 1
    yield at_most("tension times shift of the sides over energy, less 1", error, 1e-5, "exact")
    lowest, highest = np.moveaxis(np.linalg.eigvalsh(stress), -1, 0)
    expected = np.sqrt(lowest**2 - lowest * highest + highest**2)
    error = np.abs(solution["von_mises"][0] - expected).max()
    yield at_most("error of the stress of von Mises", error, 1e-12, "principal stresses")
    other = simulation.solve({**inputs, "poisson_ratio": 0.1})["stress"][0]
    change = np.abs(other - stress)[:61].max()  # off the corner
    yield at_most("largest change of stress with ν", change, 1e-5, "Michell's theorem")


@verifies(LinearElasticity)
def convergence() -> Iterator[Finding]:
    """Errors of default settings, for holes small and large."""
    for radius in (0.05, 0.3, 0.7):
        inputs = {"radius": radius, "poisson_ratio": 0.3, "biaxiality": 0.5}
        coarse, fine = (LinearElasticity(degree=p).solve(inputs) for p in (8, 14))
        for name, bound in (("displacement", 3e-5), ("stress", 5e-4), ("concentration", 1e-4)):
            error = np.linalg.norm(coarse[name] - fine[name]) / np.linalg.norm(fine[name])
            yield at_most(f"relative L2 error of {name}, radius {radius:g} m", error, bound)
