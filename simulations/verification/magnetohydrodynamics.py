"""Verification of `MHD`."""

from collections.abc import Iterator

import numpy as np

from simulations.numerics import constrained_transport
from simulations.simulation import Inputs
from simulations.systems.euler import Euler
from simulations.systems.magnetohydrodynamics import MHD
from simulations.verification.check import Finding, at_most, close_to, order, verifies

Array = np.ndarray
RYU_JONES = "Ryu, Jones, Astrophysical Journal 442 (1995) 228, problem 2a"


def _inputs(simulation: MHD, gamma: float, state: Array) -> Inputs:
    """Inputs from ρ, u, v, w, p, B_x, B_y, B_z, each of the grid's shape or a number."""
    full = np.array([np.broadcast_to(values, simulation.grid.shape) for values in state])
    return {
        "gamma": gamma,
        "density0": full[0],
        "velocity0": np.stack([full[1], full[2]], axis=-1),
        "velocity_z0": full[3],
        "pressure0": full[4],
        "magnetic_field0": np.stack([full[5], full[6]], axis=-1),
        "magnetic_field_z0": full[7],
    }


def _last(simulation: MHD, inputs: Inputs) -> Array:
    """ρ, u, v, w, p, B_x, B_y, B_z at the last of the times, ``(8, *shape)``."""
    found = simulation.run(inputs)
    u, v = np.moveaxis(found["velocity"][-1], -1, 0)
    bx, by = np.moveaxis(found["magnetic_field"][-1], -1, 0)
    w, bz = found["velocity_z"][-1], found["magnetic_field_z"][-1]
    return np.array([found["density"][-1], u, v, w, found["pressure"][-1], bx, by, bz])


def _tube(left: tuple, right: tuple, gamma: float, t_end: float, n: int, axis: int = 1) -> Array:
    """A periodic tube of two parts with n cells each; what is right of the middle of the left one.

    The states are ρ, u, v, w, p and the field, u being along the tube. The other end of the left
    part is too far off to be felt. Returns ``(8, n)``; the parts met at n/2.
    """
    if axis == 1:
        simulation = MHD(n=8, aspect=n / 4, length=8 / n, t_end=t_end, n_times=2)
    else:
        simulation = MHD(n=2 * n, aspect=2 / n, length=2.0, t_end=t_end, n_times=2)
    is_left = np.abs(simulation.grid.axes[axis].points - 1.0) < 0.5
    is_left = is_left[None, :] if axis == 1 else is_left[:, None]
    swap = [0, 2, 1, 3, 4, 6, 5, 7] if axis == 1 else list(range(8))
    state = np.array([np.where(is_left, left[q], right[q]) for q in swap])
    found = _last(simulation, _inputs(simulation, gamma, state))[swap]
    return found[:, 0, n:] if axis == 1 else found[:, n:, 0]


def _flux(state: Array, gamma: float) -> tuple[Array, Array]:
    """Conserved densities and their fluxes along x, in the order of the state less B_x."""
    rho, u, v, w, p, bx, by, bz = state
    field = bx**2 + by**2 + bz**2
    energy = p / (gamma - 1) + 0.5 * (rho * (u**2 + v**2 + w**2) + field)
    work = u * bx + v * by + w * bz
    total = p + 0.5 * field
    density = np.array([rho, rho * u, rho * v, rho * w, energy, by, bz])
    flux = [rho * u, rho * u * u + total - bx * bx, rho * u * v - bx * by, rho * u * w - bx * bz]
    flux += [(energy + total) * u - bx * work, u * by - v * bx, u * bz - w * bx]
    return density, np.array(flux)


def _hugoniot(ahead: Array, behind: Array, gamma: float) -> float:
    """Largest violation of the jump conditions, at the speed that mass is conserved at."""
    (a, flux_a), (b, flux_b) = _flux(ahead, gamma), _flux(behind, gamma)
    speed = (flux_a - flux_b)[0] / (a - b)[0]
    return float(np.abs(flux_a - flux_b - speed * (a - b)).max())


ROOT = float(np.sqrt(4 * np.pi))
LEFT = (1.08, 1.2, 0.01, 0.5, 0.95, 2 / ROOT, 3.6 / ROOT, 2 / ROOT)
RIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 2 / ROOT, 4 / ROOT, 2 / ROOT)


@verifies(MHD)
def seven_waves() -> Iterator[Finding]:
    """A tube with two fast shocks, two rotations, two slow shocks and a contact."""
    n = 512
    found = _tube(LEFT, RIGHT, 5 / 3, 0.2, n)
    places = {"left fast": 0.37, "left slow": 0.58, "right slow": 0.655, "right fast": 0.85}
    behind = {name: found[:, round(place * n)] for name, place in places.items()}
    densities = {"left fast": 1.4903, "left slow": 1.6343, "right slow": 1.4735}
    for name, value in {**densities, "right fast": 1.3090}.items():
        yield close_to(
            f"density behind the {name} shock", behind[name][0], value, 2.5e-3, RYU_JONES
        )
    rotated = {"left": found[:, round(0.5375 * n)], "right": found[:, round(0.697 * n)]}
    shocks = [
        ("left fast", np.array(LEFT), behind["left fast"]),
        ("right fast", np.array(RIGHT), behind["right fast"]),
        ("left slow", rotated["left"], behind["left slow"]),
    ]
    for name, ahead, after in shocks:
        error = _hugoniot(ahead, after, 5 / 3)
        yield at_most(f"jump conditions of the {name} shock", error, 1e-2, "exact")
    for side in ("left", "right"):
        before, after = behind[f"{side} fast"], rotated[side]
        size = np.hypot(after[6], after[7]) - np.hypot(before[6], before[7])
        yield at_most(f"{side} rotation: change of the field's size", size, 5e-3, "exact")
        sign = 1.0 if side == "left" else -1.0
        alfven = after[2] - before[2] - sign * (after[6] - before[6]) / np.sqrt(before[0])
        yield at_most(f"{side} rotation: v ∓ B_y/√ρ", alfven, 5e-3, "exact")
    across = _tube(LEFT, RIGHT, 5 / 3, 0.2, 128, axis=0) - _tube(LEFT, RIGHT, 5 / 3, 0.2, 128)
    yield at_most("tube along x and along y", np.abs(across).max(), 1e-11)


@verifies(MHD)
def brio_wu() -> Iterator[Finding]:
    """The tube of Brio and Wu: a compound wave, converging, and jump conditions."""
    left, right = (1.0, 0, 0, 0, 1.0, 0.75, 1.0, 0), (0.125, 0, 0, 0, 0.1, 0.75, -1.0, 0)
    fine = _tube(left, right, 2.0, 0.1, 1024)
    errors, sizes = [], (128, 256, 512)
    for n in sizes:
        found = _tube(left, right, 2.0, 0.1, n)
        errors.append(np.abs(found[0] - fine[0].reshape(n, -1).mean(axis=1)).mean())
    yield order("density", [1 / n for n in sizes], errors, 1.0)
    yield at_most("mean error of the density on 512 cells", errors[-1], 2e-3)
    slow = _hugoniot(fine[:, 1 + round(0.7 * 1024)], fine[:, round(0.61 * 1024)], 2.0)
    yield at_most("jump conditions of the slow shock", slow, 1.5e-2, "exact")


def _plane(n: int, t_end: float) -> tuple[MHD, Array]:
    """A square, and the phase of a wave along (1, 2)/√5, whose length is 1/√5."""
    simulation = MHD(n=n, t_end=t_end, n_times=2)
    x, y = np.meshgrid(*(axis.points for axis in simulation.grid.axes), indexing="ij")
    return simulation, 2 * np.pi * (x + 2 * y)


def _turned(state: Array) -> Array:
    """From components along and across (1, 2)/√5 to those along x and y."""
    cosine, sine = 1 / np.sqrt(5), 2 / np.sqrt(5)
    rho, u, v, w, p, bn, bt, bz = state
    velocity = (cosine * u - sine * v, sine * u + cosine * v)
    return np.array([rho, *velocity, w, p, cosine * bn - sine * bt, sine * bn + cosine * bt, bz])


@verifies(MHD)
def polarised_alfven_wave() -> Iterator[Finding]:
    """A circularly polarised Alfvén wave travels unchanged, oblique to the grid."""
    source = "exact; Tóth, Journal of Computational Physics 161 (2000) 605"
    errors, sizes = [], (32, 64, 128)
    for n in sizes:
        simulation, phase = _plane(n, 1 / np.sqrt(5))
        sine, cosine = 0.1 * np.sin(phase), 0.1 * np.cos(phase)
        one = np.ones_like(phase)
        state = _turned(np.array([one, 0 * one, sine, cosine, 0.1 * one, one, sine, cosine]))
        error = np.abs(_last(simulation, _inputs(simulation, 5 / 3, state)) - state)
        errors.append(error[5:].mean() / 0.1)
    yield order("one period", [1 / n for n in sizes], errors, 2.0)
    yield at_most("mean error of the field with 57 points a wave", errors[-1], 3e-3, source)


def _modes(state: Array, gamma: float) -> Array:
    """Right eigenvectors of the waves along x in ρ, u, v, w, p, B_y, B_z; slowest first."""
    rho, u, _, _, p, bx, by, bz = state
    identity = np.eye(7)
    dr, du, dv, dw, dp, dby, dbz = identity
    rates = np.array(
        [
            u * dr + rho * du,
            u * du + (dp + by * dby + bz * dbz) / rho,
            u * dv - bx * dby / rho,
            u * dw - bx * dbz / rho,
            u * dp + gamma * p * du,
            u * dby + by * du - bx * dv,
            u * dbz + bz * du - bx * dw,
        ]
    )
    speeds, vectors = np.linalg.eig(rates)
    return vectors.real[:, np.argsort(speeds.real)]


@verifies(MHD)
def linear_waves() -> Iterator[Finding]:
    """Fast, Alfvén, slow and entropy waves oblique to grid and field: speed and order."""
    background, gamma = np.array([1.0, 0.3, 0.0, 0.0, 0.6, 1.0, 1.2, 0.5]), 5 / 3
    vectors = _modes(background, gamma)
    field, sound, normal = 2.69, 1.0, 1.0  # B²/ρ, a², B_n²/ρ
    root = np.sqrt((field + sound) ** 2 - 4 * sound * normal)
    fast, slow = np.sqrt(0.5 * (field + sound + root)), np.sqrt(0.5 * (field + sound - root))
    exact = {"fast": (6, 0.3 + fast), "Alfvén": (5, 1.3), "slow": (4, 0.3 + slow)}
    exact |= {"entropy": (3, 0.3), "fast, left": (0, 0.3 - fast), "Alfvén, left": (1, -0.7)}
    left = np.linalg.inv(vectors)
    size, sizes = 1e-5, (24, 48, 96)
    for name, (mode, speed) in exact.items():
        errors, shift = [], 0.0
        for n in sizes:
            simulation, phase = _plane(n, 1 / np.sqrt(5) / abs(speed))
            wave = np.insert(vectors[:, mode], 5, 0.0)  # the normal field is uniform
            shape = (8, 1, 1)
            start = background.reshape(shape) + size * wave.reshape(shape) * np.cos(phase)
            state = _turned(start)
            found = _last(simulation, _inputs(simulation, gamma, state))
            errors.append(np.abs(found - state).mean() / size)
            cosine, sine = 1 / np.sqrt(5), 2 / np.sqrt(5)
            rho, u, v, w, p, bx, by, bz = found
            rotated = [rho, cosine * u + sine * v, cosine * v - sine * u, w, p]
            rotated += [cosine * by - sine * bx, bz]
            amplitude = np.tensordot(left[mode], np.array(rotated), axes=1)
            shift = float(np.angle(np.mean(amplitude * np.exp(1j * phase))))
        measured = speed * (1 + shift / (2 * np.pi))
        yield close_to(f"speed of the {name} wave", measured, speed, 4e-3 * abs(speed), "exact")
        yield order(f"{name} wave", [1 / n for n in sizes], errors, 2.0, 0.4)


@verifies(MHD)
def field_loop() -> Iterator[Finding]:
    """A weak loop of field is carried round, and makes no field across the plane."""
    kept = []
    for n in (64, 128):
        simulation = MHD(n=n, aspect=0.5, length=2.0, t_end=1.0, n_times=2)
        spacing = 2.0 / n
        x, y = np.meshgrid(np.arange(n) * spacing - 1, np.arange(n // 2) * spacing - 0.5)
        potential = 1e-3 * np.maximum(0.3 - np.hypot(x, y), 0.0).T
        faces = constrained_transport.field_of_potential(potential, (spacing, spacing))
        field = constrained_transport.centred(*faces)
        one = np.ones(simulation.grid.shape)
        state = [one, 2 * one, one, one, one, field[..., 0], field[..., 1], 0 * one]
        found = _last(simulation, _inputs(simulation, 5 / 3, np.array(state)))
        kept.append(float((found[5:7] ** 2).sum() / (field**2).sum()))
        yield at_most(f"B_z on {n} cells", np.abs(found[7]).max() / np.abs(field).max(), 1e-13)
    yield at_most("energy of the loop lost on 128 cells", 1 - kept[1], 0.13)
    yield at_most("share of what is lost on half as many", (1 - kept[1]) / (1 - kept[0]), 0.55)


@verifies(MHD)
def orszag_tang() -> Iterator[Finding]:
    """The vortex of Orszag and Tang: symmetric, converging, free of divergence."""
    fine = MHD.preset("orszag_tang", n=192, t_end=0.5, n_times=3)
    drawn = fine.sample(np.random.default_rng(0))
    found = fine.run(drawn)
    for name, sign in (("density", 1), ("pressure", 1), ("velocity", -1), ("magnetic_field", -1)):
        error = np.abs(found[name][-1] - sign * found[name][-1, ::-1, ::-1]).max()
        yield at_most(f"{name}: symmetry under half a turn", error, 1e-11)
    across = np.abs(found["velocity_z"]).max() + np.abs(found["magnetic_field_z"]).max()
    yield at_most("velocity and field across the plane", across, 0.0)
    yield at_most("divergence", fine.diagnostics(found)["divergence"].max(), 1e-13)
    errors, sizes = [], (48, 96)
    for n in sizes:
        coarse = fine.rescaled(n / 192)
        moved = coarse.run(fine.transfer_inputs(drawn, coarse))["density"][-1]
        block = found["density"][-1].reshape(n, 192 // n, n, 192 // n).mean(axis=(1, 3))
        errors.append(np.abs(moved - block).mean() / block.mean())
    yield order("density at t = 0.5", [1 / n for n in sizes], errors, 1.0, 0.2)
    yield at_most("mean error of the density on 96² cells", errors[-1], 0.025)


@verifies(MHD)
def balances() -> Iterator[Finding]:
    """Mass, momentum, energy and mean field are conserved; a run continues from a frame."""
    simulation = MHD(n=48, aspect=0.75, n_times=3)
    inputs = simulation.sample(np.random.default_rng(0))
    shifted = {**inputs, "magnetic_field0": inputs["magnetic_field0"] + np.array([0.3, -0.2])}
    found = simulation.run(shifted)
    speeds = (found["velocity"] ** 2).sum(axis=-1) + found["velocity_z"] ** 2
    fields = (found["magnetic_field"] ** 2).sum(axis=-1) + found["magnetic_field_z"] ** 2
    energy = found["pressure"] / (float(inputs["gamma"]) - 1)
    energy = energy + 0.5 * (found["density"] * speeds + fields)
    sums = {"energy": energy.mean(axis=(1, 2)), **simulation.diagnostics(found)}
    for name, values in sums.items():
        yield at_most(f"drift of {name}", np.ptp(values), 1e-13)
    again = {f"{name}0": values[1] for name, values in found.items()}
    second = MHD(n=48, aspect=0.75, t_end=0.25, n_times=2).run({**shifted, **again})
    error = max(np.abs(second[name][-1] - values[-1]).max() for name, values in found.items())
    # All but the chequered mode of the faces, which their means do not show
    yield at_most("continued from the middle", error, 1e-3)


@verifies(MHD)
def without_field() -> Iterator[Finding]:
    """Without a field the gas is that of `Euler`."""
    plane = Euler(n=64, t_end=0.3, n_times=2)
    drawn = plane.sample(np.random.default_rng(3))
    nothing = np.zeros(plane.grid.shape)
    given = {"velocity_z0": nothing, "magnetic_field_z0": nothing}
    given["magnetic_field0"] = np.zeros((64, 64, 2))
    found = MHD(n=64, t_end=0.3, n_times=2).run({**drawn, **given})
    for name, truth in plane.run(drawn).items():
        error = np.abs(found[name][-1] - truth[-1]).mean() / np.abs(truth[-1]).mean()
        yield at_most(f"mean difference of the {name}", error, 2e-3)
    left, right = (1.0, 0, 0, 0, 1.0, 0, 0, 0), (0.125, 0, 0, 0, 0.1, 0, 0, 0)
    tube = _tube(left, right, 1.4, 0.2, 400)
    source = "Sod, J. Comput. Phys. 27 (1978) 1; Toro 2009, table 4.3"
    yield close_to("Sod: pressure", tube[4, 240], 0.30313, 1e-3, source)
    yield close_to("Sod: density left of the contact", tube[0, 240], 0.42632, 1e-3, source)
    yield close_to("Sod: density right of the contact", tube[0, 305], 0.26557, 1e-3, source)
