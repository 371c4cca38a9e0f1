"""Natural convection: balances, symmetry, convergence, first guesses, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.numerics import chebyshev
from simulations.numerics.chebyshev_square import EVEN, ODD, whole
from simulations.simulation import InvalidInput, SimulationDiverged
from simulations.systems import natural_convection
from simulations.systems.natural_convection import NaturalConvection, Problem

LOG_RAYLEIGH, LOG_PRANDTL = st.floats(0.0, 6.0), st.floats(-1.0, 3.0)


def solve(rayleigh, prandtl=0.71, n=48, tolerance=1e-8):
    simulation = NaturalConvection(n=n, tolerance=tolerance)
    return simulation.solve({"rayleigh": rayleigh, "prandtl": prandtl})


def norm(values):
    """L2 norm over the cavity, of the length of the vectors if they are any."""
    weights = chebyshev.quadrature(values.shape[1])
    squares = (values**2).reshape(*values.shape[:3], -1).sum(axis=-1)
    return np.sqrt(np.einsum("txy,x,y->", squares, weights, weights))


def errors(simulation, solution, reference_simulation, reference):
    """Relative L2 errors of temperature and velocity, on the grid of the reference."""
    moved = simulation.transfer_solution(solution, reference_simulation)
    names = ("temperature", "velocity")
    return np.array([norm(moved[k] - reference[k]) / norm(reference[k]) for k in names])


@settings(max_examples=15, deadline=None)
@given(LOG_RAYLEIGH, LOG_PRANDTL)
def test_balances_and_symmetry(log_rayleigh, log_prandtl):
    """Heat crosses all sections alike, buoyancy works as much as friction eats, mass is kept."""
    rayleigh, prandtl = min(10**log_rayleigh, 1e6), 10**log_prandtl
    n = 48
    simulation = NaturalConvection(n=n, tolerance=1e-6)
    solution = simulation.solve({"rayleigh": rayleigh, "prandtl": prandtl})
    temperature, velocity = solution["temperature"][0], solution["velocity"][0]
    nusselt = solution["nusselt"][0]
    assert nusselt >= 1.0
    for name, values in simulation.diagnostics(solution).items():
        assert values[0] == pytest.approx(nusselt, rel=1e-4), name

    d, weights = chebyshev.differentiation(n), chebyshev.quadrature(n)
    middle = chebyshev.interpolation(n, np.array([0.5]))[0]
    flux = velocity[..., 0] * temperature - d @ temperature
    assert middle @ flux @ weights == pytest.approx(nusselt, rel=1e-4)
    gradients = np.stack([np.einsum(rule, d, velocity) for rule in ("zx,xyc->zyc", "zy,xyc->xzc")])
    dissipation = np.einsum("dxyc,x,y->", gradients**2, weights, weights)
    work = rayleigh * weights @ (temperature * velocity[..., 1]) @ weights
    assert work == pytest.approx(dissipation, rel=1e-4)
    divergence = gradients[0, ..., 0] + gradients[1, ..., 1]
    mean_square = np.einsum("xy,x,y->", divergence**2, weights, weights)
    assert mean_square < 1e-7 * dissipation

    turned = slice(None, None, -1)
    assert np.array_equal(temperature[0], np.full(n, 0.5))
    assert np.abs(temperature + temperature[turned, turned]).max() < 1e-12
    assert np.abs(velocity + velocity[turned, turned]).max() < 1e-10 * np.abs(velocity).max()
    for wall in (velocity[0], velocity[-1], velocity[:, 0], velocity[:, -1]):
        assert not wall.any()
    assert np.abs((temperature @ d.T)[:, [0, -1]]).max() < 1e-9


def test_errors_fall_geometrically():
    """Spectral convergence: a factor for every eight nodes, 40 in temperature for air at Ra = 1e5.

    Corner eddies, where ψ is not smooth, slow the velocity down once it is right to 1e-5.
    """
    fine = NaturalConvection(n=64, tolerance=1e-9)
    reference = solve(1e5, n=64, tolerance=1e-9)
    found = [
        errors(NaturalConvection(n=n), solve(1e5, n=n, tolerance=1e-9), fine, reference)
        for n in (12, 20, 28, 36)
    ]
    assert (found[0] < 0.1).all()
    assert (np.array(found[1:]) < np.array(found[:-1]) / [40, 5]).all()


def test_the_tolerance_is_kept():
    fine = NaturalConvection(n=64, tolerance=1e-7)
    rng = np.random.default_rng(4)
    for _ in range(6):
        inputs = fine.sample(rng)
        reference = fine.solve(inputs)
        for tolerance in (0.3, 0.1, 1e-2, 1e-3, 1e-4):
            simulation = NaturalConvection(n=64, tolerance=tolerance)
            found = errors(simulation, simulation.solve(inputs), fine, reference)
            assert (found < 2 * tolerance).all(), (tolerance, inputs)


@pytest.mark.parametrize("prandtl", [0.1, 1.0])
def test_a_first_guess_changes_the_way_but_not_the_answer(prandtl):
    simulation = NaturalConvection(n=32, tolerance=1e-5)
    inputs = {"rayleigh": 1e5, "prandtl": prandtl}
    solution = simulation.solve(inputs)
    rng = np.random.default_rng(0)
    near = simulation.solve({**inputs, "rayleigh": 8e4})
    noisy = {k: f + 0.05 * f.std() * rng.standard_normal(f.shape) for k, f in solution.items()}
    absurd = {k: 1e3 * rng.standard_normal(f.shape) for k, f in solution.items()}
    for guess in (solution, near, noisy, absurd):
        again = simulation.run(inputs, guess)
        assert (errors(simulation, again, simulation, solution) < 1e-4).all()


def test_a_good_first_guess_needs_no_climb(monkeypatch):
    inputs = {"rayleigh": 1e5, "prandtl": 1.0}
    solution = NaturalConvection().solve(inputs)
    monkeypatch.delattr(natural_convection, "_climb")
    again = NaturalConvection().run(inputs, solution)
    assert again["nusselt"] == pytest.approx(solution["nusselt"], rel=1e-5)


def test_too_few_nodes_are_reported():
    with pytest.raises(SimulationDiverged, match=r"no steady state found beyond Ra=.*, n=8"):
        solve(1e6, 0.1, n=8)


def test_an_odd_number_of_nodes_is_refused():
    with pytest.raises(InvalidInput, match="n=21: must be even"):
        NaturalConvection(n=21)


@pytest.mark.slow
def test_every_admissible_corner_converges_to_the_tolerance():
    fine = NaturalConvection(n=96, tolerance=1e-7)
    simulation = NaturalConvection()
    for rayleigh in (1.0, 1e3, 1e5, 5e5, 1e6):
        for prandtl in (0.1, 0.2, 1.0, 10.0, 1e3):
            inputs = {"rayleigh": rayleigh, "prandtl": prandtl}
            found = errors(simulation, simulation.solve(inputs), fine, fine.solve(inputs))
            assert (found < 1.5e-4).all(), inputs


@pytest.mark.slow
@pytest.mark.parametrize("prandtl", [0.1, 0.3, 1.0, 1e3])
def test_the_flow_is_stable(prandtl):
    """No disturbance grows, with or without the symmetry: eigenvalues of the whole square."""
    n, rayleigh = 28, 1e6
    problem = Problem(rayleigh, prandtl, n)
    state = natural_convection._refine(problem, natural_convection._climb(problem, 0.1), 1e-8)
    psi, theta = whole(state.psi, EVEN), whole(state.theta, ODD)
    inner, one = slice(1, -1), np.eye(n - 2)
    d1, d2, d3, d4 = chebyshev.clamped_derivatives(n)
    d = chebyshev.differentiation(n)
    across, along = d[inner, inner], (d @ chebyshev.neumann_extension(n))[inner]
    across2, along2 = (d @ d)[inner, inner], (d @ d @ chebyshev.neumann_extension(n))[inner]
    x, y = np.kron(d1, one), np.kron(one, d1)
    vortical = np.kron(d2, one) + np.kron(one, d2)
    vortical_x = np.kron(d3, one) + np.kron(d1, d2)
    vortical_y = np.kron(d2, d1) + np.kron(one, d3)
    biharmonic = np.kron(d4, one) + 2 * np.kron(d2, d2) + np.kron(one, d4)
    thermal_x, thermal_y = np.kron(across, one), np.kron(one, along)
    laplacian = np.kron(across2, one) + np.kron(one, along2)

    def of(operator, field):
        return (operator @ field.ravel())[:, None]

    u, v = of(y, psi), -of(x, psi)
    heat_x, heat_y = of(thermal_x, theta) - 1.0, of(thermal_y, theta)
    inertia = u * vortical_x + v * vortical_y
    inertia += of(vortical_x, psi) * y - of(vortical_y, psi) * x
    # d/dt of Δψ and θ
    growth = np.block(
        [
            [prandtl * biharmonic - inertia, -prandtl * rayleigh * thermal_x],
            [heat_y * x - heat_x * y, laplacian - u * thermal_x - v * thermal_y],
        ]
    )
    half = vortical.shape[0]
    growth[:half] = np.linalg.solve(vortical, growth[:half])
    assert np.linalg.eigvals(growth).real.max() < -5.0
