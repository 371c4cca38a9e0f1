"""Verification of `Schrodinger`."""

from collections.abc import Iterator

import numpy as np

from simulations.simulation import Array, Solution
from simulations.systems.schrodinger import Schrodinger
from simulations.verification.check import Finding, at_most, close_to, verifies


def _run(simulation: Schrodinger, psi0: Array, g: float, omega: float) -> tuple[Solution, Array]:
    """The solution, and its ψ at the stored times."""
    parts = {"real0": psi0.real, "imaginary0": psi0.imag}
    solution = simulation.solve({"interaction": g, "frequency": omega, **parts})
    return solution, solution["real"] + 1j * solution["imaginary"]


def _coordinates(simulation: Schrodinger) -> list[Array]:
    """From the centre of the box."""
    axes = [axis.points - simulation.length / 2 for axis in simulation.grid.axes]
    return list(np.meshgrid(*axes, indexing="ij"))


@verifies(Schrodinger)
def free_packet() -> Iterator[Finding]:
    """A Gaussian packet of momentum p moves at the speed p and spreads as √(1 + t²/4s⁴)."""
    s, t, p = 1.0, 1.0, np.array([1.0, -0.8, 0.5])
    for ndim, n in ((1, 128), (2, 64), (3, 48)):
        simulation = Schrodinger(ndim=ndim, n=n, length=24.0, t_end=t, n_times=2)
        x = _coordinates(simulation)

        def packet(t, x=x):
            spread = s**2 + 0.5j * t
            psi = 1.0 + 0.0j
            for q, momentum in zip(x, p, strict=False):
                phase = 1j * momentum * (q - 0.5 * momentum * t)
                shape = np.exp(phase - (q - momentum * t) ** 2 / (4 * spread))
                psi = psi * (2 * np.pi * s**2) ** -0.25 * np.sqrt(s**2 / spread) * shape
            return psi

        _, psi = _run(simulation, packet(0.0), 0.0, 0.0)
        error = np.abs(psi[-1] - packet(t)).max()
        yield at_most(f"largest error at t = {t:g}, {ndim}-D", error, 1e-8, "exact")


@verifies(Schrodinger)
def soliton() -> Iterator[Finding]:
    """A bright soliton a/√|g| sech a(x − pt) e^(ipx + i(a² − p²)t/2) keeps its shape."""
    a, p, g, t = 1.6, 1.2, -2.5, 3.0
    errors, tolerances = [], (1e-5, 1e-7, 1e-9)
    for tolerance in tolerances:
        simulation = Schrodinger(n=256, length=30.0, t_end=t, n_times=4, tolerance=tolerance)
        (x,) = _coordinates(simulation)

        def wave(t, x=x):
            moved = x + 1.5 - p * t
            phase = p * (x + 1.5) + 0.5 * (a**2 - p**2) * t
            return a / np.sqrt(-g) / np.cosh(a * moved) * np.exp(1j * phase)

        _, psi = _run(simulation, wave(0.0), g, 0.0)
        errors.append(np.linalg.norm(psi[-1] - wave(t)) / np.linalg.norm(wave(t)))
    source = "Zakharov and Shabat, Sov. Phys. JETP 34 (1972) 62"
    for tolerance, error in zip(tolerances, errors, strict=True):
        # Errors between frames add up over three of them
        quantity = f"relative L2 error at t = 3, tolerance {tolerance:g}"
        yield at_most(quantity, error, 5 * tolerance, source)


@verifies(Schrodinger)
def coherent_state() -> Iterator[Finding]:
    """In a trap, the ground state displaced by d swings as d cos ωt, and returns after 2π/ω."""
    omega, d = 1.3, 1.5
    period = 2 * np.pi / omega
    for ndim, n in ((1, 96), (2, 64), (3, 40)):
        simulation = Schrodinger(ndim=ndim, n=n, length=14.0, t_end=period, n_times=7)
        x = _coordinates(simulation)
        squared = (x[0] - d) ** 2 + sum(q**2 for q in x[1:])
        psi0 = (omega / np.pi) ** (ndim / 4) * np.exp(-0.5 * omega * squared) + 0j
        solution, psi = _run(simulation, psi0, 0.0, omega)
        density = np.abs(psi) ** 2
        centre = (density * x[0]).reshape(7, -1).mean(axis=1) * simulation.length**ndim
        error = np.abs(centre - d * np.cos(omega * simulation.times)).max()
        yield at_most(f"largest error of the position, {ndim}-D", error, 1e-6, "exact")
        # Half a quantum in each dimension turns the phase by half a circle in a period
        error = np.linalg.norm(psi[-1] - (-1) ** ndim * psi0) / np.linalg.norm(psi0)
        yield at_most(f"relative L2 error after a period, {ndim}-D", error, 1e-6, "exact")
        found = simulation.diagnostics(solution)
        energy = (found["kinetic"] + omega**2 * found["trap"])[0]
        expected = 0.5 * omega * ndim + 0.5 * (omega * d) ** 2
        yield close_to(f"energy, {ndim}-D", energy, expected, 1e-9, "exact")


@verifies(Schrodinger)
def plane_wave() -> Iterator[Finding]:
    """A wave of amplitude A has the frequency |k|²/2 + gA²."""
    for ndim in (1, 2, 3):
        simulation = Schrodinger(ndim=ndim, n=16, length=8.0, t_end=0.5, n_times=2)
        k = 2 * np.pi / 8.0 * np.array([2, -1, 1][:ndim])
        phase = sum(q * x for q, x in zip(k, _coordinates(simulation), strict=True))
        _, psi = _run(simulation, 0.7 * np.exp(1j * phase), 3.0, 0.0)
        found = -np.angle(psi[-1] / psi[0]).mean() / 0.5
        expected = 0.5 * float(k @ k) + 3.0 * 0.49
        yield close_to(f"frequency, {ndim}-D", found, expected, 1e-7, "exact")


@verifies(Schrodinger)
def instability() -> Iterator[Finding]:
    """A focusing uniform wave is unstable: perturbations grow at the rate k/2 √(4|g|A² − k²)."""
    g, amplitude, length, t = -1.0, 1.0, 5.0, 1.0
    simulation = Schrodinger(n=32, length=length, t_end=t, n_times=2, tolerance=1e-11)
    (x,) = _coordinates(simulation)
    k = 2 * np.pi / length
    rate = 0.5 * k * np.sqrt(4 * abs(g) * amplitude**2 - k**2)
    shape = (1 + 2j * rate / k**2) / abs(
        1 + 2j * rate / k**2
    )  # of what grows; its conjugate decays
    size = 1e-6
    _, psi = _run(simulation, amplitude + size * np.cos(k * x) * shape, g, 0.0)
    wave = psi[-1] * np.exp(1j * g * amplitude**2 * t) - amplitude
    found = np.log(2 * np.abs(np.mean(wave * np.cos(k * x))) / size) / t
    source = "Benjamin and Feir 1967; Bespalov and Talanov 1966"
    yield close_to("growth rate", found, rate, 1e-4 * rate, source)


@verifies(Schrodinger)
def conservation() -> Iterator[Finding]:
    """Norm to rounding whatever the tolerance, energy to the tolerance."""
    for ndim, n, g in ((1, 256, -4.0), (2, 48, 4.0), (3, 24, 4.0)):
        simulation = Schrodinger(ndim=ndim, n=n, length=16.0, t_end=2.0, n_times=5, tolerance=1e-6)
        drawn = simulation.sample(np.random.default_rng(0))
        solution = simulation.solve(drawn | {"interaction": g, "frequency": 0.6})
        found = simulation.diagnostics(solution)
        energy = found["kinetic"] + 0.36 * found["trap"] + g * found["interaction"]
        yield close_to(f"norm of a draw, {ndim}-D", found["norm"][0], 1.0, 1e-12, "declared")
        yield at_most(f"drift of the norm, {ndim}-D", np.ptp(found["norm"]), 1e-12)
        drift = np.ptp(energy) / np.abs(energy[0])
        yield at_most(f"relative drift of the energy, {ndim}-D", drift, 1e-5)
