"""Verification of `Ising`."""

from collections.abc import Iterator

import numpy as np
from scipy.special import ellipk

from simulations.simulation import Inputs
from simulations.systems.ising import Ising
from simulations.verification.check import Finding, close_to, verifies

#: By how many standard errors a mean may miss the exact one
DEVIATIONS = 4.0


def _mean(series: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error from 50 blocks, each longer than the memory of the series."""
    blocks = series[: series.size // 50 * 50].reshape(50, -1).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(50))


def _measured(
    n: int, n_times: int, sweeps: int, temperature: float, field: float, start: float
) -> dict[str, np.ndarray]:
    """Series of a run without its first tenth."""
    simulation = Ising(n=n, n_times=n_times, sweeps=sweeps)
    inputs: Inputs = {"temperature": temperature, "field": field, "stream": 7.0}
    found = simulation.run({**inputs, "spin0": np.full((n, n), start)})
    return {name: found[name][n_times // 10 :] for name in ("energy", "magnetisation")}


@verifies(Ising)
def all_states() -> Iterator[Finding]:
    """4 × 4 spins in a field: means over all 65,536 states."""
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    spins = 2.0 * bits.reshape(-1, 4, 4) - 1.0
    m = spins.mean(axis=(1, 2))
    bonds = (spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).mean(axis=(1, 2))
    for temperature, field in ((2.5, 0.2), (4.0, -0.7)):
        energy = -bonds - field * m
        weight = np.exp(-16 * (energy - energy.min()) / temperature)
        weight /= weight.sum()
        series = _measured(4, 200_001, 10, temperature, field, 1.0)
        for name, values in (("energy", energy), ("magnetisation", m)):
            for power in (1, 2):
                found, error = _mean(series[name] ** power)
                exact = float((weight * values**power).sum())
                label = f"T = {temperature}, h = {field}: mean of {name}^{power}"
                yield close_to(label, found, exact, DEVIATIONS * error, "enumeration")
                yield close_to(f"{label}: standard error", error, 0.0, 8e-3, "statistics")


@verifies(Ising)
def infinite_lattice() -> Iterator[Finding]:
    """Energy and magnetisation of 64 × 64 spins on both sides of the transition."""
    for temperature in (1.8, 2.0, 2.8, 4.0):
        coupling = 1 / temperature
        modulus = 2 * np.sinh(2 * coupling) / np.cosh(2 * coupling) ** 2
        inner = 2 / np.pi * (2 * np.tanh(2 * coupling) ** 2 - 1) * ellipk(modulus**2)
        exact = -(1 + inner) / np.tanh(2 * coupling)
        series = _measured(64, 2001, 5, temperature, 0.0, 1.0)
        found, error = _mean(series["energy"])
        label = f"energy at T = {temperature}"
        yield close_to(label, found, exact, DEVIATIONS * error, "Onsager 1944")
        yield close_to(f"{label}: standard error", error, 0.0, 2e-3, "statistics")
        if temperature < 2.2:
            exact = (1 - np.sinh(2 * coupling) ** -4) ** 0.125
            found, error = _mean(series["magnetisation"])
            label = f"magnetisation at T = {temperature}"
            yield close_to(label, found, exact, DEVIATIONS * error, "Yang 1952")
            yield close_to(f"{label}: standard error", error, 0.0, 1e-3, "statistics")
