"""Verification of `NavierStokes3D`."""

from collections.abc import Iterator

import numpy as np
from scipy.integrate import simpson

from simulations.inputs import GaussianRandomField
from simulations.simulation import Array
from simulations.systems.navier_stokes import NavierStokes
from simulations.systems.navier_stokes_3d import NavierStokes3D
from simulations.systems.shear_flow import ShearFlow
from simulations.verification.check import Finding, at_most, close_to, verifies

WIND = np.array([0.3, -0.5, 0.7])


def _cube(**settings: object) -> tuple[NavierStokes3D, tuple[Array, ...]]:
    """A cube with sides of 2π, and its coordinates."""
    simulation = NavierStokes3D(**{"n": 16, "n_times": 2, "tolerance": 1e-10, **settings})  # type: ignore[arg-type]
    return simulation, np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")


def _smooth(simulation: NavierStokes3D) -> Array:
    """A random solenoidal field of unit size, with all components and helicity."""
    disturbance = GaussianRandomField(alpha=4.0, tau=2.0, scale=100.0)
    drawn = NavierStokes3D(n=simulation.n, vortices=0.0, initial=disturbance)
    return np.asarray(drawn.sample(np.random.default_rng(5))["velocity0"])


@verifies(NavierStokes3D)
def moving_vortices() -> Iterator[Finding]:
    """Plane Taylor–Green vortices drift with a wind and decay as e^(−2νt), in all planes."""
    simulation, points = _cube(t_end=2.0)
    for p, q in ((0, 1), (1, 2), (2, 0)):

        def vortices(t: float, p: int = p, q: int = q) -> Array:
            a, b = points[p] - WIND[p] * t, points[q] - WIND[q] * t
            u = np.zeros((*a.shape, 3)) + WIND
            u[..., p] += np.sin(a) * np.cos(b) * np.exp(-2 * 0.1 * t)
            u[..., q] -= np.cos(a) * np.sin(b) * np.exp(-2 * 0.1 * t)
            return u

        found = simulation.solve({"nu": 0.1, "velocity0": vortices(0.0)})["velocity"][-1]
        error = np.abs(found - vortices(2.0)).max()
        yield at_most(f"largest error at t = 2, plane {'xyz'[p]}{'xyz'[q]}", error, 1e-8, "exact")


@verifies(NavierStokes3D)
def beltrami() -> Iterator[Finding]:
    """The flow of Arnold, Beltrami and Childress decays as e^(−νt)."""
    simulation, (x, y, z) = _cube(t_end=2.0)
    a, b, c = 1.0, 0.7, 0.4
    components = (
        a * np.sin(z) + c * np.cos(y),
        b * np.sin(x) + a * np.cos(z),
        c * np.sin(y) + b * np.cos(x),
    )
    start = np.stack(components, axis=-1)
    found = simulation.solve({"nu": 0.1, "velocity0": start})["velocity"][-1]
    error = np.abs(found - start * np.exp(-0.1 * 2.0)).max()
    yield at_most("largest error at t = 2", error, 1e-12, "exact")


@verifies(NavierStokes3D)
def right_hand_side() -> Iterator[Finding]:
    """A random flow changes at the rate of the convective form, made in another way."""
    simulation, _ = _cube(n=24, t_end=1e-6)
    start = _smooth(simulation)
    # On a grid twice as fine all products of kept modes are exact
    fine = simulation.rescaled(2.0)
    n, k = fine.n, np.fft.fftfreq(fine.n, 1 / fine.n)
    spectra = np.fft.fftn(simulation.grid.interpolate(start, fine.grid), axes=(0, 1, 2))
    mesh = np.stack(np.meshgrid(k, k, k, indexing="ij"))
    u = np.fft.ifftn(spectra, axes=(0, 1, 2)).real
    gradients = np.fft.ifftn(1j * mesh[..., None] * spectra, axes=(1, 2, 3)).real
    convection = np.fft.fftn(np.einsum("xyza,axyzb->xyzb", u, gradients), axes=(0, 1, 2))
    squared = (mesh**2).sum(axis=0)
    along = np.einsum("axyz,xyza->xyz", mesh, convection) / np.where(squared > 0, squared, 1)
    convection -= np.moveaxis(mesh * along, 0, -1)
    convection[np.abs(mesh).max(axis=0) > (simulation.n - 1) // 3] = 0.0
    rate = np.fft.ifftn(-convection - 0.05 * squared[..., None] * spectra, axes=(0, 1, 2)).real
    coarse = (slice(None, None, n // simulation.n),) * 3
    later = simulation.solve({"nu": 0.05, "velocity0": start})["velocity"][-1]
    error = np.abs((later - start) / 1e-6 - rate[coarse]).max() / np.abs(rate).max()
    yield at_most("largest error, relative to the largest rate", error, 1e-5, "exact to order t")


@verifies(NavierStokes3D)
def taylor_green() -> Iterator[Finding]:
    """Dissipation of the Taylor–Green vortices at short times."""
    source = "Taylor and Green 1937, series to t⁵"
    for reynolds, t in ((5.0, 0.1), (20.0, 0.3), (1e6, 0.5)):
        simulation, _ = _cube(t_end=t, initial=GaussianRandomField(scale=0.0))
        drawn = simulation.sample(np.random.default_rng(0))
        solution = simulation.solve(drawn | {"nu": 1 / reynolds})
        enstrophy = simulation.diagnostics(solution)["enstrophy"]
        nu = 1 / reynolds
        series = (
            1
            - 6 * nu * t
            + (5 / 48 + 18 * nu**2) * t**2
            - (5 / 3 + 36 * nu**2) * nu * t**3
            + (50 / (99 * 64) + 1835 / 144 * nu**2 + 54 * nu**4) * t**4
            - (361 / (44 * 32) + 761 / 12 * nu**2 + 324 / 5 * nu**4) * nu * t**5
        )
        name = f"at t = {t} of its initial value, Re = {reynolds:g}"
        yield close_to(name, enstrophy[-1] / 0.375, series, 2e-5, source)


@verifies(NavierStokes3D)
def balance() -> Iterator[Finding]:
    """Viscosity takes 2ν × enstrophy from the energy; without it, energy and helicity stay."""
    simulation, _ = _cube(n=24, t_end=1.0, n_times=46, tolerance=1e-8)
    start = _smooth(simulation)
    solution = simulation.solve({"nu": 0.05, "velocity0": start})
    found = simulation.diagnostics(solution)
    # The first frame still has the modes that are left out afterwards
    lost = 0.1 * simpson(found["enstrophy"][1:], x=simulation.times[1:])
    error = (found["energy"][1] - found["energy"][-1]) / lost - 1
    yield at_most("relative error of the energy lost", error, 1e-6)
    velocity = np.moveaxis(solution["velocity"][-1], -1, 0)
    modes = np.fft.fftn(velocity, axes=(1, 2, 3), norm="forward")
    mesh = np.meshgrid(*[np.fft.fftfreq(24, 1 / 24)] * 3, indexing="ij")
    divergence = np.abs(np.einsum("axyz,axyz->xyz", mesh, modes)).max()
    yield at_most("largest coefficient of ∇·u", divergence, 1e-15)

    simulation, _ = _cube(t_end=0.5, tolerance=1e-8)
    found = simulation.diagnostics(simulation.solve({"nu": 1e-8, "velocity0": _smooth(simulation)}))
    for name in ("energy", "helicity"):
        yield at_most(f"relative drift of {name}", np.ptp(found[name]) / found["energy"][0], 1e-6)


@verifies(NavierStokes3D)
def plane_flow() -> Iterator[Finding]:
    """What does not depend on z is a plane flow that carries w as a tracer."""
    settings = {"t_end": 1.0, "n_times": 2, "tolerance": 1e-9}
    side = 2 * np.pi
    simulation, (x, y, _) = _cube(n=24, **settings)
    u = np.cos(y) + 0.5 * np.cos(2 * y + x)
    v = -0.25 * np.cos(2 * y + x) + np.sin(2 * x)
    w = np.sin(x - y) + 0.3 * np.cos(2 * y)
    vorticity = 0.25 * np.sin(2 * y + x) + 2 * np.cos(2 * x) + np.sin(y) + np.sin(2 * y + x)
    start = np.stack([u, v, w], axis=-1)
    found = simulation.solve({"nu": 0.05, "velocity0": start})["velocity"][-1]

    plane = NavierStokes(n=24, length=side, forcing="none", **settings)  # type: ignore[arg-type]
    expected = plane.solve({"nu": 0.05, "vorticity0": vorticity[:, :, 0]})["vorticity"][-1]
    k = np.fft.fftfreq(24, 1 / 24)
    u_y = np.fft.ifft(1j * k * np.fft.fft(found[:, :, 7, 0], axis=1), axis=1).real
    v_x = np.fft.ifft(1j * k[:, None] * np.fft.fft(found[:, :, 7, 1], axis=0), axis=0).real
    error = np.abs(v_x - u_y - expected).max()
    yield at_most("largest difference of the vorticity", error, 1e-7, "NavierStokes")

    layers = ShearFlow(nx=24, ny=24, length=side, height=side, **settings)  # type: ignore[arg-type]
    given = {"tracer0": w[:, :, 0], "velocity0": start[:, :, 0, :2]}
    carried = layers.solve({"reynolds": 20.0, "schmidt": 1.0, **given})
    for name, error in (
        ("u and v", found[:, :, 3, :2] - carried["velocity"][-1]),
        ("w", found[:, :, 3, 2] - carried["tracer"][-1]),
    ):
        yield at_most(f"largest difference of {name}", np.abs(error).max(), 1e-7, "ShearFlow")


@verifies(NavierStokes3D)
def convergence() -> Iterator[Finding]:
    """Taylor–Green vortices, disturbed: finer grids and tighter steps."""
    fine = NavierStokes3D(n=48, t_end=0.5, n_times=2, tolerance=1e-7)
    drawn = fine.sample(np.random.default_rng(0)) | {"nu": 0.05}
    truth = fine.solve(drawn)["velocity"][-1]
    for n, tolerance, bound in ((16, 1e-7, 0.03), (32, 1e-7, 1e-3), (48, 1e-3, 3e-4)):
        simulation = NavierStokes3D(n=n, t_end=0.5, n_times=2, tolerance=tolerance)
        found = simulation.solve(fine.transfer_inputs(drawn, simulation))
        moved = simulation.transfer_solution(found, fine)["velocity"][-1]
        error = np.linalg.norm(moved - truth) / np.linalg.norm(truth)
        yield at_most(f"relative L2 error, {n}³ points, tolerance {tolerance:g}", error, bound)
