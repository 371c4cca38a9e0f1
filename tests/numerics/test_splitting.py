"""Splitting of phases: order, exact norm, symmetry in time, control of the steps."""

import numpy as np
import pytest
import scipy.fft
from scipy.linalg import expm

from simulations.numerics import splitting

N, LENGTH = 24, 10.0
X = LENGTH * np.arange(N) / N - LENGTH / 2
KINETIC = 0.5 * (2 * np.pi / LENGTH * scipy.fft.fftfreq(N, 1 / N)) ** 2
POTENTIAL = np.cos(2 * np.pi * X / LENGTH)
START = np.exp(-(X**2) / 2 + 1j * X)


def test_linear_equation_against_the_exponential_of_its_matrix():
    forward = scipy.fft.fft(np.eye(N), axis=0)
    hamiltonian = forward.conj().T @ (KINETIC[:, None] * forward) / N + np.diag(POTENTIAL)
    times = np.array([0.0, 0.4, 1.0])
    frames = np.empty((3, N), complex)
    status, reached = splitting.integrate(START, KINETIC, POTENTIAL, 0.0, times, 1e-10, frames)
    assert (status, reached) == (splitting.COMPLETED, 1.0)
    for t, psi in zip(times, frames, strict=True):
        exact = expm(-1j * t * hamiltonian) @ START
        assert np.linalg.norm(psi - exact) < 1e-9 * np.linalg.norm(exact)


@pytest.mark.parametrize("shape", [(N,), (6, 4), (2, 3, 4)])
def test_order_four_and_exact_norm(shape):
    start, kinetic, potential = (a.reshape(shape) for a in (START, KINETIC, POTENTIAL))
    reference = splitting._advance(start, kinetic, potential, 2.0, 1.0, 1280)
    errors = []
    for steps in (40, 80, 160):
        psi = splitting._advance(start, kinetic, potential, 2.0, 1.0, steps)
        errors.append(np.linalg.norm(psi - reference))
        assert np.linalg.norm(psi) == pytest.approx(np.linalg.norm(start), rel=1e-13)
    assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(4.0, abs=0.3)


def test_back_in_time_to_where_it_came_from():
    there = splitting._advance(START, KINETIC, POTENTIAL, -3.0, 1.0, 7)
    back = splitting._advance(there, KINETIC, POTENTIAL, -3.0, -1.0, 7)
    assert np.abs(back - START).max() < 1e-13


def test_what_no_step_resolves_is_reported():
    frames = np.empty((2, N), complex)
    times = np.array([0.0, 1.0])
    status, reached = splitting.integrate(
        START, KINETIC, np.full(N, np.inf), 0.0, times, 1e-8, frames
    )
    assert (status, reached) == (splitting.TOO_MANY_STEPS, 0.0)
