"""Verification of `CahnHilliard`."""

from collections.abc import Iterator

import numpy as np

from simulations.systems.cahn_hilliard import CahnHilliard
from simulations.verification.check import Finding, at_most, close_to, verifies
from simulations.verification.interval import diagonal_waves


@verifies(CahnHilliard)
def growth() -> Iterator[Finding]:
    """Waves about a mixture u₀ grow at the rate M|k|²(1 − 3u₀² − κ|k|²).

    The fastest has |k|² = (1 − 3u₀²)/2κ and the rate M(1 − 3u₀²)²/4κ.
    """
    kappa, mobility, mean = 0.7, 1.5, 0.3
    margin = 1 - 3 * mean**2
    fastest = np.sqrt(margin / (2 * kappa))
    for ndim in (1, 2, 3):
        modes = np.array([3, 2, 1][:ndim])
        for share in (1.0, 1.6):
            length = 2 * np.pi * np.linalg.norm(modes) / (share * fastest)
            simulation = CahnHilliard(
                ndim=ndim, n=16, length=length, t_end=2.0, n_times=2, tolerance=1e-11
            )
            points = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
            phase = sum(m * x for m, x in zip(modes, points, strict=True))
            wave = np.cos(2 * np.pi / length * phase)
            inputs = {"kappa": kappa, "mobility": mobility, "u0": mean + 1e-6 * wave}
            u = simulation.solve(inputs)["u"][-1]
            found = np.log(2e6 * np.mean((u - mean) * wave)) / 2.0
            expected = mobility * margin**2 / (4 * kappa) * share**2 * (2 - share**2)
            quantity = f"growth rate at {share:g} k of the fastest, {ndim}-D"
            yield close_to(quantity, found, expected, 1e-4 * abs(expected), "exact")


@verifies(CahnHilliard)
def interface_at_rest() -> Iterator[Finding]:
    """Interfaces tanh(x/√2κ) stay where they are."""
    simulation = CahnHilliard(n=512, length=80.0, t_end=20.0, n_times=2, tolerance=1e-10)
    distance = 20.0 - np.abs(simulation.grid.axes[0].points - 40.0)
    u0 = np.tanh(distance / np.sqrt(2 * 0.8))
    u = simulation.solve({"kappa": 0.8, "mobility": 1.0, "u0": u0})["u"][-1]
    yield at_most("largest change by t = 20", np.abs(u - u0).max(), 1e-6, "exact")


@verifies(CahnHilliard)
def waves_across_a_box() -> Iterator[Finding]:
    """A mixture that separates along the diagonal of a square and a cube does as on an interval."""
    simulation = CahnHilliard(n=40, length=18.0, t_end=10.0, n_times=2, tolerance=1e-8)
    parameters = {"kappa": 1.2, "mobility": 0.9}
    yield from diagonal_waves(
        simulation, parameters, lambda p: 0.1 + 0.4 * np.sin(p) + 0.2 * np.cos(2 * p)
    )


@verifies(CahnHilliard)
def balances() -> Iterator[Finding]:
    """Mass is conserved; the energy ∫(1 − u²)²/4 + κ/2 |∇u|² never grows."""
    for ndim, n in ((1, 256), (2, 64)):
        simulation = CahnHilliard(ndim=ndim, n=n, n_times=26)
        drawn = simulation.sample(np.random.default_rng(0)) | {"kappa": 1.0}
        solution = simulation.solve(drawn | {"u0": np.asarray(drawn["u0"]) + 0.1})
        found = simulation.diagnostics(solution)
        drift = np.ptp(found["mass"]) / found["mass"][0]
        yield at_most(f"relative drift of mass, {ndim}-D", drift, 1e-11)
        gradient = simulation.gradient_squared(solution["u"])
        energy = found["bulk_energy"] + simulation.integral(0.5 * gradient)
        rise = max(np.diff(energy).max(), 0.0) / energy[0]
        yield at_most(f"relative growth of energy, {ndim}-D", rise, 1e-10)


@verifies(CahnHilliard, slow=True)
def coarsening() -> Iterator[Finding]:
    """The length of the pattern, total over interfacial energy, grows as t^(1/3)."""
    simulation = CahnHilliard(ndim=2, n=256, length=256.0, t_end=4000.0, n_times=41, tolerance=1e-5)
    drawn = simulation.sample(np.random.default_rng(0)) | {"kappa": 1.0, "mobility": 1.0}
    solution = simulation.solve(drawn)
    energy = simulation.diagnostics(solution)["bulk_energy"]
    energy += simulation.integral(0.5 * simulation.gradient_squared(solution["u"]))
    found = -np.polyfit(np.log(simulation.times[1:]), np.log(energy[1:]), 1)[0]
    source = "Lifshitz and Slyozov, J. Phys. Chem. Solids 19 (1961) 35"
    yield close_to("exponent from t = 100 to 4000", found, 1 / 3, 0.05, source)
