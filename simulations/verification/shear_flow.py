"""Verification of `ShearFlow`."""

import itertools
from collections.abc import Iterator

import numpy as np

from simulations.simulation import Array
from simulations.systems.navier_stokes import NavierStokes
from simulations.systems.shear_flow import ShearFlow
from simulations.verification.check import Finding, at_most, close_to, verifies


def _rectangle(**settings: object) -> tuple[ShearFlow, Array, Array]:
    simulation = ShearFlow(**{"nx": 16, "ny": 24, "n_times": 2, "tolerance": 1e-10, **settings})  # type: ignore[arg-type]
    x, y = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
    return simulation, x, y


@verifies(ShearFlow)
def moving_vortices() -> Iterator[Finding]:
    """Vortices drift with a wind, decay by viscosity and have a pressure; so does a tracer."""
    reynolds, schmidt, t = 200.0, 0.5, 0.4
    simulation, x, y = _rectangle(t_end=t)
    a, b = 2 * np.pi, np.pi
    wind = np.array([0.7, -0.4])

    def vortices(t: float) -> tuple[Array, Array]:
        p, q = a * (x - wind[0] * t), b * (y - wind[1] * t)
        size = 0.1 * np.exp(-(a**2 + b**2) / reynolds * t)
        u = wind[0] - size * b * np.cos(p) * np.sin(q)
        v = wind[1] + size * a * np.sin(p) * np.cos(q)
        pressure = -(size**2) / 4 * (b**2 * np.cos(2 * p) + a**2 * np.cos(2 * q))
        return np.stack([u, v], axis=-1), pressure

    inputs = {"reynolds": reynolds, "schmidt": schmidt, "tracer0": np.cos(a * x)}
    found = simulation.solve({**inputs, "velocity0": vortices(0.0)[0]})
    for frame, instant in enumerate(simulation.times):
        velocity, pressure = vortices(instant)
        error = np.abs(found["velocity"][frame] - velocity).max()
        yield at_most(f"largest error of the velocity at t = {instant}", error, 1e-8, "exact")
        error = np.abs(found["pressure"][frame] - pressure).max()
        yield at_most(f"largest error of the pressure at t = {instant}", error, 1e-9, "exact")

    wave = np.cos(a * x + 2 * b * y)
    even = np.zeros((*x.shape, 2)) + wind
    found = simulation.solve({**inputs, "tracer0": wave, "velocity0": even})
    squared = a**2 + 4 * b**2
    phase = a * (x - wind[0] * t) + 2 * b * (y - wind[1] * t)
    exact = np.cos(phase) * np.exp(-squared / (reynolds * schmidt) * t)
    error = np.abs(found["tracer"][-1] - exact).max()
    yield at_most("largest error of a wave of the tracer", error, 1e-8, "exact")


@verifies(ShearFlow)
def tracer_and_vorticity() -> Iterator[Finding]:
    """With a Schmidt number of 1, a tracer that starts as the vorticity stays the vorticity."""
    side = 2 * np.pi
    settings = {"t_end": 1.0, "n_times": 2, "tolerance": 1e-10}
    simulation, x, y = _rectangle(nx=32, ny=32, length=side, height=side, **settings)
    u = np.cos(y) + 0.5 * np.cos(2 * y + x)
    v = -0.25 * np.cos(2 * y + x) + np.sin(2 * x)
    vorticity = 0.25 * np.sin(2 * y + x) + 2 * np.cos(2 * x) + np.sin(y) + np.sin(2 * y + x)
    start = {"tracer0": vorticity, "velocity0": np.stack([u, v], axis=-1)}
    found = simulation.solve({"reynolds": 50.0, "schmidt": 1.0, **start})
    plane = NavierStokes(n=32, length=side, forcing="none", **settings)  # type: ignore[arg-type]
    expected = plane.solve({"nu": 0.02, "vorticity0": vorticity})["vorticity"][-1]
    error = np.abs(found["tracer"][-1] - expected).max()
    yield at_most("largest difference of the tracer", error, 1e-8, "NavierStokes")
    k = np.fft.fftfreq(32, 1 / 32)
    u, v = np.moveaxis(found["velocity"][-1], -1, 0)
    u_y = np.fft.ifft(1j * k * np.fft.fft(u, axis=1), axis=1).real
    v_x = np.fft.ifft(1j * k[:, None] * np.fft.fft(v, axis=0), axis=0).real
    error = np.abs(v_x - u_y - expected).max()
    yield at_most("largest difference of the vorticity", error, 1e-8, "NavierStokes")


@verifies(ShearFlow)
def instability() -> Iterator[Finding]:
    """A small wave on a layer tanh y grows at the rate of the linear theory."""
    length, height = 2 * np.pi / 0.4446, 40.0
    settings = {"nx": 8, "ny": 256, "length": length, "height": height, "tolerance": 1e-8}
    simulation, x, y = _rectangle(t_end=35.0, n_times=8, **settings)
    profile = np.tanh(y + 10) - np.tanh(y - 10) - 1
    wave = np.cos(2 * np.pi * x / length) * (np.exp(-((y + 10) ** 2)) + np.exp(-((y - 10) ** 2)))
    start = {"tracer0": profile, "velocity0": np.stack([profile, 1e-6 * wave], axis=-1)}
    found = simulation.solve({"reynolds": 1e6, "schmidt": 1.0, **start})
    size = np.linalg.norm(found["velocity"][..., 1], axis=(1, 2))
    rate = np.log(size[-1] / size[-4]) / (simulation.times[-1] - simulation.times[-4])
    yield close_to("growth rate at k = 0.4446", rate, 0.1897, 2e-4, "Michalke 1964")


@verifies(ShearFlow)
def initial_layers() -> Iterator[Finding]:
    """The initial conditions are those of The Well, without their divergence."""
    simulation = ShearFlow.preset("the_well", nx=32, ny=256)
    x, y = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
    k = np.fft.fftfreq(32, 1 / 32)[:, None], np.fft.fftfreq(256, 1 / 256) / 2
    is_kept = (np.abs(k[0]) <= 10) & (np.abs(k[1]) <= 42)

    def curl(u: Array, v: Array) -> Array:
        """Its modes that are kept, over 2πi."""
        modes = np.fft.fft2(np.stack([u, v]), norm="forward")
        return is_kept * (k[0] * modes[1] - k[1] * modes[0])

    drawn = simulation.sample(np.random.default_rng(1))
    tracer, velocity = np.asarray(drawn["tracer0"]), np.asarray(drawn["velocity0"])
    found, nearest = curl(velocity[..., 0], velocity[..., 1]), np.array([np.inf, np.inf])
    for layers, blobs, width in itertools.product((2, 4), (2, 3, 4, 5), (0.25, 0.5, 1.0, 2.0, 4.0)):
        shear, across = np.full_like(y, 0.5), np.zeros_like(y)
        for i, z in enumerate(np.linspace(-1, 1, layers, endpoint=False) + 1 / layers):
            sign, distance = 2 * (i % 2) - 1, layers * (y - z) / 2 / width
            shear += sign * np.tanh(distance / 0.1) / 2
            across += 0.1 * np.sin(sign * blobs * np.pi * x) * np.exp(-(distance**2) / 0.01)
        distances = np.abs(tracer - shear).max(), np.abs(found - curl(shear, across)).max()
        nearest = np.minimum(nearest, distances)
    yield at_most("distance of the tracer from the nearest of theirs", nearest[0], 1e-13)
    yield at_most("distance of the vorticity from the nearest of theirs", nearest[1], 1e-13)
    modes = np.fft.fft2(np.moveaxis(velocity, -1, 0), norm="forward")
    divergence = np.abs(k[0] * modes[0] + k[1] * modes[1]).max()
    yield at_most("largest coefficient of ∇·u / 2π", divergence, 1e-14)


@verifies(ShearFlow)
def conservation() -> Iterator[Finding]:
    """The mean of the tracer stays; its mean square falls by diffusion alone."""
    simulation = ShearFlow(t_end=2.0, n_times=21, tolerance=1e-7)
    drawn = simulation.sample(np.random.default_rng(0)) | {"reynolds": 1000.0, "schmidt": 2.0}
    solution = simulation.solve(drawn)
    found = simulation.diagnostics(solution)
    yield at_most("drift of the mean tracer", np.ptp(found["tracer"]), 1e-14)
    kx = 2 * np.pi * np.fft.fftfreq(64, 1 / 64)
    ky = np.pi * np.fft.fftfreq(128, 1 / 128)
    modes = np.abs(np.fft.fft2(solution["tracer"], norm="forward")) ** 2
    gradients = (modes * (kx[:, None] ** 2 + ky**2)).sum(axis=(1, 2))
    # The first frame has modes that are left out afterwards
    lost = 2 / 2000 * np.trapezoid(gradients[1:], simulation.times[1:])
    error = (found["tracer_square"][1] - found["tracer_square"][-1]) / lost - 1
    yield at_most("relative error of what its mean square loses", error, 1e-3)


@verifies(ShearFlow)
def convergence() -> Iterator[Finding]:
    """Layers that roll up: finer grids and tighter steps."""
    fine = ShearFlow(nx=96, ny=192, t_end=2.0, n_times=2, tolerance=1e-8)
    drawn = fine.sample(np.random.default_rng(0)) | {"reynolds": 1000.0, "schmidt": 1.0}
    truth = fine.solve(drawn)
    for nx, tolerance, bound in ((32, 1e-8, 5e-3), (64, 1e-8, 1e-5), (96, 1e-3, 5e-5)):
        simulation = ShearFlow(nx=nx, ny=2 * nx, t_end=2.0, n_times=2, tolerance=tolerance)
        found = simulation.solve(fine.transfer_inputs(drawn, simulation))
        moved = simulation.transfer_solution(found, fine)
        for name in ("tracer", "velocity", "pressure"):
            error = np.linalg.norm(moved[name][-1] - truth[name][-1])
            error /= np.linalg.norm(truth[name][-1])
            quantity = f"relative L2 error of the {name}, {nx} x {2 * nx}, tolerance {tolerance:g}"
            yield at_most(quantity, error, bound)
