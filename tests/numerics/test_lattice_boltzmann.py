"""Lattice Boltzmann method: exact flows, orders of accuracy, conservation, symmetries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.numerics import lattice_boltzmann as lattice

CLOSED = np.zeros(0)  # no open side
PERIODIC = {"along": True, "across": True}


def march(f, links, steps, viscosity=0.05, magic=0.25, drive=None, outflow=CLOSED):
    """Populations and force after some steps."""
    drive = np.zeros(steps) if drive is None else drive
    force = np.zeros((steps, 2))
    rates = lattice.rates(viscosity, magic)
    return lattice.advance(f.copy(), f.copy(), *rates, links, drive, outflow, force)[0], force


def taylor_green(n, speed):
    x = 2 * np.pi * np.arange(n) / n
    x, y = np.meshgrid(x, x)
    density = 0.75 * speed**2 * (np.cos(2 * x) + np.cos(2 * y))
    shape = np.sin(x) * np.cos(y)
    return lattice.equilibrium(density, speed * shape, -speed * np.cos(x) * np.sin(y)), shape


def random_populations(seed, rows, columns, size=0.02):
    f = lattice.at_rest(rows, columns)
    noise = np.random.default_rng(seed).uniform(-size, size, (rows, 9, columns))
    f[1:-1, :, 1:-1] = noise * lattice.WEIGHTS[:, None]
    return f


def cells(f):
    return f[1:-1, :, 1:-1]


def random_bodies(seed, rows, columns):
    is_wall = np.zeros((rows + 2, columns + 2), dtype=bool)
    is_wall[3:-3, 3:-3] = np.random.default_rng(seed).random((rows - 4, columns - 4)) < 0.3
    return is_wall


def channel(rows, columns):
    is_wall = np.zeros((rows + 2, columns + 2), dtype=bool)
    is_wall[[0, -1]] = True
    return is_wall


def test_equilibrium_has_the_moments_it_was_made_of():
    density, u, v = 0.1 * np.random.default_rng(0).standard_normal((3, 5, 7))
    found = lattice.moments(lattice.equilibrium(density, u, v))
    np.testing.assert_allclose(found, [density, u, v], atol=1e-15)


@pytest.mark.parametrize("viscosity", [0.01, 0.1])
def test_taylor_green_decays_with_the_viscosity_to_second_order(viscosity):
    """exp(−2νk²t), with speeds that fall as 1/n, so that compressibility falls as fast."""
    errors = []
    for n in (12, 24, 48):
        f, shape = taylor_green(n, 0.5 / n)
        links = lattice.periodic_links(n, n, **PERIODIC)
        steps = round(0.01 * n**2 / viscosity)
        once = march(f, links, steps, viscosity)[0]
        twice = march(once, links, steps, viscosity)[0]
        decay = np.log(
            (lattice.moments(once)[1] * shape).sum() / (lattice.moments(twice)[1] * shape).sum()
        )
        errors.append(abs(decay / (2 * viscosity * (2 * np.pi / n) ** 2 * steps) - 1))
    assert errors[-1] < 3e-3
    assert np.polyfit(np.log([12, 24, 48]), np.log(errors), 1)[0] < -1.9


def test_a_shear_wave_moves_with_the_mean_flow():
    """Galilean invariance: the nonlinear term carries what diffuses at the same rate."""
    n, viscosity, steps, mean = 32, 0.02, 800, 0.05
    x = 2 * np.pi * np.arange(n) / n
    wave = np.tile(1e-3 * np.sin(x), (n, 1))
    links = lattice.periodic_links(n, n, **PERIODIC)
    decays = []
    for speed in (0.0, mean):
        f = lattice.equilibrium(np.zeros((n, n)), np.full((n, n), speed), wave)
        v = lattice.moments(march(f, links, steps, viscosity, 1 / 12)[0])[2][0]
        mode = np.fft.fft(v)[1] / np.fft.fft(wave[0])[1]
        decays.append(-np.log(abs(mode)))
        turned = (np.angle(mode) + 2 * np.pi * speed * steps / n + np.pi) % (2 * np.pi) - np.pi
        assert abs(turned) < 2e-3
    assert decays[0] == pytest.approx(viscosity * (2 * np.pi / n) ** 2 * steps, 1e-2)
    assert decays[1] == pytest.approx(decays[0], 2e-3)


@pytest.mark.parametrize("below", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("above", [0.3, 0.5, 1.0])
def test_couette_flow_is_exact_wherever_the_walls_are(below, above):
    rows, speed = 8, 1e-7  # slow: the collision follows the flow, an error of third order in it
    is_wall = channel(rows, 4)
    distance, push = np.full((9, *is_wall.shape), below), np.zeros((9, *is_wall.shape))
    up = lattice.VELOCITIES[:, 1] > 0
    distance[up] = above
    push[up] = speed * lattice.VELOCITIES[up, 0, None, None]
    links = lattice.joined(
        lattice.periodic_links(rows, 4, along=True, across=False),
        lattice.wall_links(is_wall, distance, push, along=True),
    )
    f, _ = march(lattice.at_rest(rows, 4), links, 8000, 0.15, drive=np.ones(8000))
    height = np.arange(rows) + below
    exact = speed * height / (rows - 1 + below + above)
    np.testing.assert_allclose(lattice.moments(f)[1], np.tile(exact[:, None], 4), atol=1e-8 * speed)


def test_poiseuille_flow_is_exact_for_the_magic_three_sixteenths():
    """Between walls that gain speed at a constant rate, the fluid lags behind by a parabola."""
    rows, viscosity, steps, gain = 9, 0.1, 6000, 1e-12
    is_wall = channel(rows, 4)
    push = np.broadcast_to(lattice.VELOCITIES[:, 0, None, None], (9, *is_wall.shape))
    links = lattice.joined(
        lattice.periodic_links(rows, 4, along=True, across=False),
        lattice.wall_links(is_wall, None, push.astype(float)),
    )
    drive = gain * (np.arange(steps) + 0.5)
    y = np.arange(rows) + 0.5
    exact = y * (rows - y) / (2 * viscosity) * gain
    for magic, is_exact in ((3 / 16, True), (0.25, False)):
        f, _ = march(lattice.at_rest(rows, 4), links, steps, viscosity, magic, drive)
        lag = gain * steps - lattice.moments(f)[1][:, 2]
        error = np.abs(lag - exact).max() / exact.max()
        assert bool(error < 1e-7) is is_exact, (magic, error)


def test_flow_between_rotating_circles_is_of_second_order():
    """u = Ar + B/r between a circle that turns and one that rests."""
    errors = []
    for n in (32, 64):
        inner, outer, speed = 0.22 * n, 0.46 * n, 0.48 / n
        at = np.arange(n + 2) - 0.5 - n / 2 + 0.1
        x, y = np.meshgrid(at, at)
        r = np.hypot(x, y)
        is_wall = (r < inner) | (r > outer)
        distance, push = np.full((9, *r.shape), 0.5), np.zeros((9, *r.shape))
        for k, (cx, cy) in enumerate(lattice.VELOCITIES[1:], start=1):
            squared, ahead = cx**2 + cy**2, x * cx + y * cy
            to_inner = np.maximum(ahead**2 - squared * (r**2 - inner**2), 0.0)
            to_outer = np.maximum(ahead**2 - squared * (r**2 - outer**2), 0.0)
            is_inner = np.hypot(x + cx, y + cy) < inner
            root = np.where(is_inner, -np.sqrt(to_inner), np.sqrt(to_outer))
            distance[k] = (-ahead + root) / squared
            spin = speed / inner * (-(y + distance[k] * cy) * cx + (x + distance[k] * cx) * cy)
            push[k] = np.where(is_inner, spin, 0.0)
        steps = 3 * n**2
        links = lattice.wall_links(is_wall, distance, push)
        f, _ = march(lattice.at_rest(n, n), links, steps, 0.1, drive=np.ones(steps))
        _, u, v = lattice.moments(f)
        b = speed * inner / (1 - (inner / outer) ** 2)
        exact = b / r - b * r / outer**2
        swirl = (x[1:-1, 1:-1] * v - y[1:-1, 1:-1] * u) / r[1:-1, 1:-1]
        inside = ~is_wall[1:-1, 1:-1]
        errors.append(np.sqrt(np.mean((swirl - exact[1:-1, 1:-1])[inside] ** 2)) / speed)
    assert errors[1] < 2e-3
    assert np.log2(errors[0] / errors[1]) > 1.75


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mass_and_momentum_are_conserved(seed):
    rows, columns = 8, 11
    f = random_populations(seed, rows, columns)
    after, _ = march(f, lattice.periodic_links(rows, columns, **PERIODIC), 50)
    sums = [lattice.moments(g).sum(axis=(1, 2)) for g in (f, after)]
    np.testing.assert_allclose(*sums, atol=1e-13)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), moving=st.booleans())
def test_bodies_receive_what_the_fluid_loses(seed, moving):
    """Momentum; and of mass nothing, as long as they do not move."""
    rows, columns = 10, 12
    is_wall = random_bodies(seed, rows, columns)
    f = random_populations(seed, rows, columns)
    f[:, :, :][is_wall[:, None].repeat(9, 1)] = 0.0
    push = 0.01 * np.random.default_rng(seed).standard_normal((9, *is_wall.shape))
    links = lattice.joined(
        lattice.periodic_links(rows, columns, **PERIODIC),
        lattice.wall_links(is_wall, push=push, force=True),
    )
    fluid = ~is_wall[1:-1, 1:-1]
    after, force = march(f, links, 1, drive=np.full(1, float(moving)))
    # Through the cells of the bodies themselves nothing of this passes
    change = [lattice.moments(g)[:, fluid].sum(axis=1) for g in (f, after)]
    np.testing.assert_allclose(change[1][1:] - change[0][1:], -force[0], atol=1e-14)
    if not moving:
        assert change[1][0] == pytest.approx(change[0][0], abs=1e-14)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    turn=st.sampled_from(["mirror along", "mirror across", "transpose"]),
)
def test_mirrored_and_transposed_flows_stay_so(seed, turn):
    n = 10
    signs = {"mirror along": (-1, 1), "mirror across": (1, -1), "transpose": (1, 1)}[turn]
    velocities = [tuple(c) for c in lattice.VELOCITIES]
    images = lattice.VELOCITIES * signs
    images = images[:, ::-1] if turn == "transpose" else images
    order = [velocities.index(tuple(c)) for c in images]

    def image(f):
        moved = f[:, order]
        if turn == "transpose":
            return moved.transpose(2, 1, 0)
        return moved[:, :, ::-1] if turn == "mirror along" else moved[::-1]

    is_wall = random_bodies(seed, n, n)
    f = random_populations(seed, n, n)
    results = []
    for body, start in ((is_wall, f), (image(is_wall[:, None].repeat(9, 1))[:, 0], image(f))):
        links = lattice.joined(
            lattice.periodic_links(n, n, **PERIODIC), lattice.wall_links(body, force=True)
        )
        after, force = march(np.ascontiguousarray(start), links, 20)
        fluid = ~body[1:-1, None, 1:-1]
        results.append((cells(after) * fluid, force))
    expected = image(results[0][0])
    np.testing.assert_allclose(results[1][0], expected, atol=1e-15)
    forces = results[0][1] * signs
    forces = forces[:, ::-1] if turn == "transpose" else forces
    np.testing.assert_allclose(results[1][1], forces, atol=1e-14)


def test_sound_leaves_through_the_open_side():
    """A pulse of the inflow passes the open side and does not come back."""
    rows, columns, pulse = 4, 120, 60
    is_wall = channel(rows, columns)
    is_wall[:, 0] = True
    push = np.zeros((9, *is_wall.shape))
    push[:, 1:-1, 1] = lattice.VELOCITIES[:, 0, None]
    links = lattice.joined(
        lattice.periodic_links(rows, columns, along=False, across=True),
        lattice.wall_links(is_wall & (np.arange(columns + 2) == 0), None, push),
    )
    drive = np.zeros(400)
    drive[:pulse] = 1e-3 * np.sin(np.pi * np.arange(pulse) / pulse) ** 2
    f = lattice.at_rest(rows, columns)
    passing, _ = march(f, links, 160, 0.01, drive=drive[:160], outflow=np.zeros(160))
    left, _ = march(f, links, 400, 0.01, drive=drive, outflow=np.zeros(400))
    size = [np.abs(lattice.moments(g)[0]).max() for g in (passing, left)]
    assert size[0] == pytest.approx(1e-3 * np.sqrt(3), rel=0.2)
    assert size[1] < 0.03 * size[0]
