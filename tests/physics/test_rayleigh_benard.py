"""Rayleigh–Bénard convection: walls, mass, bounds, symmetries; what initial states are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.numerics import chebyshev
from simulations.simulation import InvalidInput
from simulations.systems.rayleigh_benard import NoisyConduction, RayleighBenard

SMALL = RayleighBenard(nx=32, ny=20, length=4.0, t_end=4.0, n_times=3, tolerance=1e-6)


def solve(rayleigh, prandtl, buoyancy0, simulation=SMALL):
    inputs = {"rayleigh": rayleigh, "prandtl": prandtl, "buoyancy0": buoyancy0}
    return simulation.solve(inputs)


def drawn(seed, simulation=SMALL):
    return simulation.sample(np.random.default_rng(seed))["buoyancy0"]


inputs = given(st.floats(3.0, 4.5), st.floats(-0.5, 1.0), st.integers(0, 1000))


@settings(max_examples=6, deadline=None)
@inputs
def test_walls_mass_and_bounds(log_rayleigh, log_prandtl, seed):
    solution = solve(10**log_rayleigh, 10**log_prandtl, drawn(seed))
    velocity, buoyancy = solution["velocity"][1:], solution["buoyancy"][1:]
    assert velocity[:, :, [0, -1]] == pytest.approx(0.0, abs=1e-12)
    assert buoyancy[:, :, 0] == pytest.approx(1.0, abs=1e-12)
    assert buoyancy[:, :, -1] == pytest.approx(0.0, abs=1e-12)
    assert -0.05 < buoyancy.min() <= buoyancy.max() < 1.05
    across = velocity[..., 1].mean(axis=1)
    assert across == pytest.approx(0.0, abs=1e-13)
    for pressure in solution["pressure"]:
        assert pressure.mean(axis=0) @ chebyshev.quadrature(20) == pytest.approx(0.0, abs=1e-13)


@settings(max_examples=4, deadline=None)
@inputs
def test_shifted_mirrored_and_turned_upside_down(log_rayleigh, log_prandtl, seed):
    rayleigh, prandtl, start = 10**log_rayleigh, 10**log_prandtl, drawn(seed)
    plain = solve(rayleigh, prandtl, start)
    shifted = solve(rayleigh, prandtl, np.roll(start, 5, axis=0))
    for name in ("buoyancy", "velocity", "pressure"):
        assert shifted[name] == pytest.approx(np.roll(plain[name], 5, axis=1), abs=1e-9)
    # x → −x keeps the point 0 of the grid
    mirrored = solve(rayleigh, prandtl, np.roll(start[::-1], 1, axis=0))
    back = np.roll(mirrored["velocity"][:, ::-1], 1, axis=1) * [-1.0, 1.0]
    assert back == pytest.approx(plain["velocity"], abs=1e-9)
    turned = solve(rayleigh, prandtl, 1 - start[:, ::-1])
    assert 1 - turned["buoyancy"][:, :, ::-1] == pytest.approx(plain["buoyancy"], abs=1e-9)
    assert turned["velocity"][:, :, ::-1] * [1.0, -1.0] == pytest.approx(
        plain["velocity"], abs=1e-9
    )
    assert turned["nusselt"] == pytest.approx(plain["nusselt"], abs=1e-9)


def test_conduction_stays():
    y = SMALL.grid.axes[1].points
    solution = solve(1e5, 1.0, np.broadcast_to(1 - y, SMALL.grid.shape))
    assert not solution["velocity"].any()
    assert solution["nusselt"] == pytest.approx(1.0)
    hydrostatic = y - y**2 / 2 - 1 / 3
    assert solution["pressure"] == pytest.approx(
        np.broadcast_to(hydrostatic, solution["pressure"].shape), abs=1e-12
    )


class TestNoisyConduction:
    def test_the_same_function_on_every_grid(self):
        noise = NoisyConduction(amplitude=0.1, waves=4, lowest=0.5, levels=3)
        fine, coarse = (RayleighBenard(nx=n, ny=n, initial=noise) for n in (64, 32))
        many, few = (drawn(3, simulation) for simulation in (fine, coarse))
        assert fine.grid.interpolate(many, coarse.grid) == pytest.approx(few, abs=1e-12)

    def test_values_at_the_walls_and_size_of_the_noise(self):
        noise = NoisyConduction(amplitude=0.1, waves=8, lowest=0.2, levels=5)
        simulation = RayleighBenard(nx=64, ny=64, initial=noise)
        strengths, squares = set(), []
        for seed in range(40):
            start = drawn(seed, simulation)
            assert start[:, -1] == pytest.approx(0.0, abs=1e-14)
            strengths.add(round(float(start[0, 0]), 9))
            y = simulation.grid.axes[1].points
            disturbance = (start - start[0, 0] * (1 - y))[:, 1:-1] / (y * (1 - y))[1:-1]
            weights = simulation.grid.axes[1].weights[1:-1]
            squares.append((disturbance**2).mean(axis=0) @ weights)
        assert strengths == {0.2, 0.4, 0.6, 0.8, 1.0}
        assert np.mean(squares) == pytest.approx(0.01, rel=0.2)

    @pytest.mark.parametrize(
        "wrong", [{"amplitude": -1.0}, {"waves": 0}, {"waves": 2.5}, {"lowest": 1.5}, {"levels": 0}]
    )
    def test_arguments_are_checked(self, wrong):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: must be an? .* in"):
            NoisyConduction(**wrong)


def test_an_odd_number_of_nodes_is_refused():
    with pytest.raises(InvalidInput, match="ny=21: must be even"):
        RayleighBenard(ny=21)
