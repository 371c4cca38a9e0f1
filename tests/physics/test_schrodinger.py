"""Schrödinger: symmetries and the norm."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.systems import Schrodinger

SEEDS = st.integers(0, 2**32)
COUPLINGS = st.floats(-4.0, 4.0)


def run(simulation, psi, g, omega):
    solution = simulation.solve(
        {"interaction": g, "frequency": omega, "real0": psi.real.copy(), "imaginary0": psi.imag}
    )
    return solution["real"] + 1j * solution["imaginary"]


def draw(simulation, seed):
    drawn = simulation.sample(np.random.default_rng(seed))
    return drawn["real0"] + 1j * drawn["imaginary0"]


@settings(max_examples=5)
@given(seed=SEEDS, g=COUPLINGS, omega=st.floats(0.0, 1.0), angle=st.floats(0.0, 6.28))
def test_phase_reflection_and_reversal_of_time(seed, g, omega, angle):
    simulation = Schrodinger(n=64, t_end=0.5, n_times=2, tolerance=1e-6)
    psi0 = draw(simulation, seed)
    psi = run(simulation, psi0, g, omega)
    turned = run(simulation, psi0 * np.exp(1j * angle), g, omega)
    assert np.abs(turned - psi * np.exp(1j * angle)).max() < 1e-4
    mirror = np.roll(psi0[::-1], 1)
    assert np.abs(run(simulation, mirror, g, omega) - np.roll(psi[:, ::-1], 1, 1)).max() < 1e-4
    back = run(simulation, psi[-1].conj(), g, omega)
    assert np.abs(back[-1].conj() - psi0).max() < 1e-4


@settings(max_examples=5)
@given(seed=SEEDS, g=COUPLINGS, boost=st.integers(-6, 6))
def test_galilean_invariance(seed, g, boost):
    simulation = Schrodinger(n=96, t_end=1.0, n_times=2, tolerance=1e-6)
    psi0, x = draw(simulation, seed), simulation.grid.axes[0].points
    p = 2 * np.pi * boost / simulation.length
    psi = run(simulation, psi0, g, 0.0)[-1]
    boosted = run(simulation, psi0 * np.exp(1j * p * x), g, 0.0)[-1]
    k = 2 * np.pi / simulation.length * np.fft.fftfreq(96, 1 / 96)
    moved = np.fft.ifft(np.fft.fft(psi) * np.exp(-1j * k * p))
    assert np.abs(boosted - moved * np.exp(1j * (p * x - 0.5 * p**2))).max() < 1e-3


@settings(max_examples=5)
@given(seed=SEEDS, ndim=st.sampled_from([1, 2, 3]), tolerance=st.sampled_from([1e-2, 1e-5]))
def test_the_norm_is_conserved_whatever_the_tolerance(seed, ndim, tolerance):
    simulation = Schrodinger(ndim=ndim, n=128 >> ndim, t_end=1.0, n_times=3, tolerance=tolerance)
    solution = simulation.solve(simulation.sample(np.random.default_rng(seed)))
    assert np.ptp(simulation.diagnostics(solution)["norm"]) < 1e-12
