"""Verification of `CompressibleNavierStokes`."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from simulations.simulation import Inputs
from simulations.systems.compressible_navier_stokes import CompressibleNavierStokes
from simulations.systems.euler import Euler
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray
GAMMA = 5 / 3


def _waves(
    n: int, wave: tuple[int, ...], direction: tuple[int, ...], eta: float, zeta: float, t: float
) -> float:
    """Amplitude at time t over the initial one, of a velocity ``direction · sin(2π wave·x)``.

    The gas has density 2 and pressure 1.2; the wave is standing and too weak to be nonlinear.
    """
    ndim = len(wave)
    simulation = CompressibleNavierStokes(ndim=ndim, n=n, t_end=t, n_times=2)
    mesh = np.meshgrid(*(axis.points for axis in simulation.grid.axes), indexing="ij")
    shape = np.sin(2 * np.pi * sum(m * x for m, x in zip(wave, mesh, strict=True)))
    velocity0 = 1e-5 * shape[..., None] * np.array(direction)
    uniform = np.ones((n,) * ndim)
    inputs: Inputs = {"eta": eta, "zeta": zeta, "density0": 2 * uniform, "velocity0": velocity0}
    found = simulation.run({**inputs, "pressure0": 1.2 * uniform})
    return float((found["velocity"][-1] * velocity0).sum() / (velocity0**2).sum())


def _sound(wavenumber: float, viscosity: float, t: float) -> float:
    """Velocity of standing sound: u″ + (ζ + 4η/3)k²/ρ u′ + c²k² u = 0."""
    damping = 0.5 * viscosity * wavenumber**2 / 2
    frequency = np.sqrt(GAMMA * 1.2 / 2 * wavenumber**2 - damping**2 + 0j)
    # u′(0) is what the stress alone does: the pressure is uniform at first
    value = np.exp(-damping * t) * (
        np.cos(frequency * t) - damping * np.sin(frequency * t) / frequency
    )
    return float(value.real)


@verifies(CompressibleNavierStokes)
def decay() -> Iterator[Finding]:
    """Shear waves decay with η, sound with ζ + 4η/3, along the axes and across."""
    k = 2 * np.pi
    cases = [
        ("shear wave along x", (1, 0), (0, 1), 64),
        ("shear wave along y", (0, 1), (1, 0), 64),
        ("shear wave across, 2-D", (1, 1), (1, -1), 64),
        ("shear wave across, 3-D", (1, 1, 1), (1, 0, -1), 32),
    ]
    for name, wave, direction, n in cases:
        squared = k**2 * sum(m * m for m in wave)
        sizes, errors = (n // 4, n // 2, n), []
        for cells in sizes:
            t = 1 / (0.02 * squared / 2)
            ratio = _waves(cells, wave, direction, 0.02, 0.0, t)
            errors.append(abs(ratio - np.exp(-1.0)))
        yield order(name, [1 / s for s in sizes], errors, 2.0, 0.35)
        yield at_most(f"{name}: error", errors[-1], 4e-4 if n == 64 else 2e-3, "exact")
    cases = [
        ("sound, 1-D", (1,), (1,), 128),
        ("sound across, 2-D", (1, 1), (1, 1), 64),
        ("sound across, 3-D", (1, 1, 1), (1, 1, 1), 32),
    ]
    for name, wave, direction, n in cases:
        for eta, zeta in ((0.06, 0.0), (0.0, 0.08)):
            wavenumber = k * np.sqrt(sum(m * m for m in wave))
            sizes, errors = (n // 4, n // 2, n), []
            for cells in sizes:
                t = 1.5 / wavenumber
                ratio = _waves(cells, wave, direction, eta, zeta, t)
                errors.append(abs(ratio - _sound(wavenumber, zeta + 4 / 3 * eta, t)))
            what = f"{name}, η={eta:g}, ζ={zeta:g}"
            yield order(what, [1 / s for s in sizes], errors, 2.0, 0.35)
            yield at_most(f"{what}: error", errors[-1], 5e-4 if n > 32 else 2.5e-3, "exact")


def _shock_profile(x: Array, mass: float, fast: float, slow: float, viscosity: float) -> Array:
    """Velocity of a standing shock at x, half way between its ends at 0.

    The integrals of mass, momentum and energy over a stationary gas that conducts no heat leave
    (ζ + 4η/3) u u′ = (γ+1)/2 · ρu · (u − u₁)(u − u₂).
    """
    scale = 2 * viscosity / ((GAMMA + 1) * mass * (fast - slow))

    def place(u: float) -> float:
        return float(scale * (fast * np.log(fast - u) - slow * np.log(u - slow)))

    middle = place(0.5 * (fast + slow))
    ends = slow + 1e-13, fast - 1e-13
    found = []
    for target in x + middle:
        if place(ends[0]) <= target:
            found.append(slow)
        elif place(ends[1]) >= target:
            found.append(fast)
        else:
            found.append(brentq(lambda u, at=target: place(u) - at, *ends, xtol=1e-15))
    return np.array(found)


@verifies(CompressibleNavierStokes)
def viscous_shock() -> Iterator[Finding]:
    """A standing shock of Mach number 2 keeps its exact profile."""
    mach, eta, zeta = 2.0, 0.03, 0.02
    ratio = (GAMMA + 1) * mach**2 / ((GAMMA - 1) * mach**2 + 2)
    fast = mach * np.sqrt(GAMMA)  # of a gas with ρ = p = 1
    slow = fast / ratio
    sizes, errors, thickness = (128, 256, 512), [], []
    for n in sizes:
        simulation = CompressibleNavierStokes(
            ndim=1, n=n, boundary="open", length=1.0, t_end=0.5, n_times=2
        )
        x = simulation.grid.axes[0].points - 0.5
        viscosity = zeta + 4 / 3 * eta
        u = _shock_profile(x, fast, fast, slow, viscosity)
        slope = 0.5 * (GAMMA + 1) * fast * (u - fast) * (u - slow) / u
        inputs: Inputs = {"eta": eta, "zeta": zeta, "density0": fast / u}
        found = simulation.run(
            {**inputs, "velocity0": u[:, None], "pressure0": 1 + fast * (fast - u) + slope}
        )
        errors.append(float(np.abs(found["velocity"][-1, :, 0] - u).mean() / (fast - slow)))
        steepest = np.abs(np.gradient(found["velocity"][-1, :, 0], x)).max()
        thickness.append(steepest / np.abs(np.gradient(u, x)).max())
    yield order("velocity", [1 / n for n in sizes], errors, 2.0)
    yield at_most("mean error of the velocity, 512 cells", errors[-1], 3e-5, "exact")
    yield close_to("steepest slope over the exact one", thickness[-1], 1.0, 3e-3, "exact")


@verifies(CompressibleNavierStokes)
def heating() -> Iterator[Finding]:
    """The stress heats where and as much as it dissipates."""
    eta, zeta, t = 0.3, 0.2, 1e-7
    k = 2 * np.pi
    sizes, errors = (16, 32, 64), []
    for n in sizes:
        viscous = CompressibleNavierStokes(n=n, t_end=t, n_times=2)
        x, y = np.meshgrid(*(axis.points for axis in viscous.grid.axes), indexing="ij")
        u, v = np.sin(k * x) * np.cos(k * y), 0.7 * np.sin(k * (x - y) + 1)
        ux, uy = k * np.cos(k * x) * np.cos(k * y), -k * np.sin(k * x) * np.sin(k * y)
        vx = 0.7 * k * np.cos(k * (x - y) + 1)
        vy = -vx
        inputs: Inputs = {"density0": np.ones((n, n)), "pressure0": np.ones((n, n))}
        inputs = {**inputs, "velocity0": np.stack([u, v], axis=-1)}
        with_stress = viscous.run({**inputs, "eta": eta, "zeta": zeta})["pressure"][-1]
        without = viscous.run({**inputs, "eta": 0.0, "zeta": 0.0})["pressure"][-1]
        shear = 2 * (ux**2 + vy**2) + (uy + vx) ** 2 - 2 / 3 * (ux + vy) ** 2
        exact = (GAMMA - 1) * (eta * shear + zeta * (ux + vy) ** 2)
        errors.append(np.abs((with_stress - without) / t - exact).mean() / exact.mean())
    yield order("rate of heating", [1 / n for n in sizes], errors, 2.0, 0.35)
    yield at_most("error of the rate of heating, 64² cells", errors[-1], 5e-3, "exact")


@verifies(CompressibleNavierStokes)
def balances() -> Iterator[Finding]:
    """Mass, momentum and energy are conserved on periodic domains, whatever the viscosity."""
    for ndim, n in ((1, 128), (2, 32), (3, 12)):
        simulation = CompressibleNavierStokes(ndim=ndim, n=n, n_times=3, mach=1.0)
        drawn = simulation.sample(np.random.default_rng(0))
        for eta in (1e-3, 0.1, 10.0):
            found = simulation.run({**drawn, "eta": eta, "zeta": 0.5 * eta})
            for name, values in simulation.diagnostics(found).items():
                drift = np.ptp(values)
                yield at_most(f"drift of {name}, {ndim}-D, η={eta:g}", drift, 1e-13)


@verifies(CompressibleNavierStokes)
def limits() -> Iterator[Finding]:
    """Second order in a random flow; without viscosity, the Euler equations."""
    fine = CompressibleNavierStokes(n=128, t_end=0.3, n_times=2)
    drawn = {**fine.sample(np.random.default_rng(3)), "eta": 0.02, "zeta": 0.01}
    reference = fine.run(drawn)
    sizes, errors = (16, 32), []
    for n in sizes:
        coarse = fine.rescaled(n / 128)
        found = coarse.run(fine.transfer_inputs(drawn, coarse))["velocity"][-1]
        blocks = reference["velocity"][-1].reshape(n, 128 // n, n, 128 // n, 2)
        errors.append(np.abs(found - blocks.mean(axis=(1, 3))).mean())
    yield order("random flow", [1 / n for n in sizes], errors, 2.0, 0.3)
    ideal = Euler(n=64, n_times=2)
    gas = ideal.sample(np.random.default_rng(0)) | {"gamma": GAMMA}
    states = {name: gas[name] for name in ideal.field_inputs}
    nearly = CompressibleNavierStokes(n=64, n_times=2).run({**states, "eta": 1e-8, "zeta": 1e-8})
    difference = np.abs(nearly["velocity"] - ideal.run(gas)["velocity"]).max()
    yield at_most("η = ζ = 1e-8: from Euler", difference, 1e-5)
