"""Burgers: exact solutions from random fields, conservation, symmetries."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import simpson

from simulations.systems.burgers import Burgers

SEEDS = st.integers(0, 2**32)
VISCOSITIES = st.floats(0.01, 0.3)


def relative_error(u, exact):
    return np.linalg.norm(u - exact) / np.linalg.norm(exact)


def run(simulation, u0, nu):
    return simulation.solve({"u0": np.ascontiguousarray(u0), "nu": nu})["u"]


def draw(simulation, seed):
    return simulation.sample(np.random.default_rng(seed))["u0"]


def cole_hopf(u0, length, t, nu):
    """Cole–Hopf solution from values with mean zero: φ(0) = exp(−∫u/2ν) diffuses, u = −2ν φ_x/φ.

    On a grid eight times as fine, since φ has more modes than u.
    """
    n = u0.size
    k = 2j * np.pi / length * np.arange(n // 2)
    v = np.fft.rfft(u0, norm="forward")[: n // 2]
    v[1:] /= k[1:]
    v[0] = 0.0
    potential = np.fft.irfft(v, 8 * n, norm="forward")
    phi = np.fft.rfft(np.exp(-(potential - potential.min()) / (2 * nu)))
    k = 2j * np.pi / length * np.arange(phi.size)
    phi = phi * np.exp(nu * (k**2).real * t)
    return (-2 * nu * np.fft.irfft(k * phi, 8 * n) / np.fft.irfft(phi, 8 * n))[::8]


@given(seed=SEEDS, nu=VISCOSITIES, length=st.floats(0.5, 4.0))
def test_cole_hopf_from_random_fields(seed, nu, length):
    simulation = Burgers(length=length, tolerance=1e-7)
    u0 = draw(simulation, seed)
    u0 *= min(1.0, 20 * nu / length / np.abs(u0).max())  # keeps φ within 1 … e^10 and resolved
    u = run(simulation, u0, nu)
    for t, frame in zip(simulation.times[1:], u[1:], strict=True):
        exact = cole_hopf(u0, length, t, nu)
        if np.abs(exact).max() > 1e-3 * np.abs(u0).max():
            assert relative_error(frame, exact) < 1e-6


def test_default_tolerance_is_the_error_of_the_frames():
    simulation = Burgers()
    finest = replace(simulation, n=1024, tolerance=1e-12)
    for seed in range(5):
        inputs = simulation.sample(np.random.default_rng(seed))
        u = simulation.solve(inputs)["u"]
        exact = finest.solve(simulation.transfer_inputs(inputs, finest))["u"][:, ::4]
        errors = np.linalg.norm(u - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert errors.max() < 5 * simulation.tolerance


@given(seed=SEEDS, nu=VISCOSITIES, speed=st.floats(-3.0, 3.0))
def test_galilean_invariance(seed, nu, speed):
    simulation = Burgers(n=128, t_end=0.5, n_times=3, tolerance=1e-9)
    u0 = draw(simulation, seed)
    still, moving = run(simulation, u0, nu), run(simulation, u0 + speed, nu)
    k = 2j * np.pi * np.arange(65)
    for t, u, moved in zip(simulation.times, still, moving, strict=True):
        v = np.fft.rfft(u) * np.exp(-k * speed * t)
        assert np.abs(moved - speed - np.fft.irfft(v)).max() < 1e-6


@given(seed=SEEDS, nu=VISCOSITIES, shift=st.integers(0, 127))
def test_translation_and_reflection(seed, nu, shift):
    simulation = Burgers(n=128, t_end=0.5, n_times=3)
    u0 = draw(simulation, seed)
    u = run(simulation, u0, nu)
    translated = run(simulation, np.roll(u0, shift), nu)
    reflected = run(simulation, -u0[::-1], nu)
    assert np.abs(translated - np.roll(u, shift, axis=1)).max() < 1e-7 * np.abs(u).max()
    assert np.abs(reflected + u[:, ::-1]).max() < 1e-7 * np.abs(u).max()


@given(seed=SEEDS, nu=VISCOSITIES, factor=st.floats(0.1, 10.0))
def test_lengths_and_times_scale_together(seed, nu, factor):
    simulation = Burgers(n=128)
    u0 = draw(simulation, seed)
    scaled = Burgers(n=128, length=factor, t_end=factor)
    difference = run(scaled, u0, nu * factor) - run(simulation, u0, nu)
    assert np.abs(difference).max() < 1e-9 * np.abs(u0).max()


@given(seed=SEEDS, nu=VISCOSITIES, mean=st.floats(-2.0, 2.0), n=st.integers(16, 130))
def test_momentum_is_conserved(seed, nu, mean, n):
    simulation = Burgers(n=n, tolerance=1e-3)
    u = run(simulation, draw(simulation, seed) + mean, nu)
    momentum = simulation.diagnostics({"u": u})["momentum"]
    assert np.abs(momentum - momentum[0]).max() < 1e-14 * np.abs(u).max() + 1e-15


@given(seed=SEEDS, nu=st.floats(0.01, 0.1))
def test_energy_is_lost_to_viscosity_alone(seed, nu):
    """d/dt ∫u²/2 dx = −ν ∫u_x² dx."""
    simulation = Burgers(n=128, n_times=101, t_end=0.2)
    smooth = run(simulation, draw(simulation, seed), nu)[10]
    u = run(simulation, smooth, nu)
    energy = simulation.diagnostics({"u": u})["energy"]
    slope = np.fft.irfft(2j * np.pi * np.arange(65) * np.fft.rfft(u, axis=1), axis=1)
    lost = simpson(nu * (slope**2).mean(axis=1), x=simulation.times)
    assert energy[0] - energy[-1] == pytest.approx(lost, rel=1e-4)
    assert (np.diff(energy) < 0).all()


@given(seed=SEEDS, nu=st.floats(0.03, 0.3))
def test_extremes_never_grow(seed, nu):
    simulation = Burgers(n_times=21)
    u = run(simulation, draw(simulation, seed), nu)
    allowed = 1e-6 * np.abs(u).max()
    assert (np.diff(u.max(axis=1)) < allowed).all()
    assert (np.diff(u.min(axis=1)) > -allowed).all()


def test_equations_of_the_diagnostics():
    simulation = Burgers(n=64, length=3.0)
    x = simulation.grid.axes[0].points
    u = np.array([2 + np.sin(2 * np.pi * x / 3), np.full(64, -1.0)])
    diagnostics = simulation.diagnostics({"u": u})
    assert diagnostics["momentum"] == pytest.approx([6.0, -3.0])
    assert diagnostics["energy"] == pytest.approx([3 * (4 + 0.5) / 2, 1.5])
