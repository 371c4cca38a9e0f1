"""Lid-driven cavity: walls, mass and work for random Reynolds numbers; limits and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.numerics import chebyshev
from simulations.simulation import InvalidInput
from simulations.systems.lid_driven_cavity import LidDrivenCavity


@settings(max_examples=8, deadline=None)
@given(st.floats(1.0, 1500.0), st.sampled_from(["uniform", "regularised"]))
def test_walls_and_mass(reynolds, lid):
    simulation = LidDrivenCavity(n=40, lid=lid)
    solution = simulation.solve({"reynolds": reynolds})
    psi, velocity = solution["streamfunction"][0], solution["velocity"][0]
    for wall in (psi[0], psi[-1], psi[:, 0], psi[:, -1], velocity[:, 0], velocity[:, -1, 1]):
        assert not wall.any()
    assert solution["vortex_streamfunction"][0] <= psi.min() < 0
    assert 0.5 < solution["vortex_x"][0] < 0.7
    assert 0.5 < solution["vortex_y"][0] < 0.8
    # Clockwise, and no stronger than the lid lets it be
    assert solution["vortex_vorticity"][0] < 0
    assert 0 < solution["kinetic_energy"][0] < 0.05
    for name, values in simulation.diagnostics(solution).items():
        assert abs(values[0]) < 1e-3, name


@settings(max_examples=5, deadline=None)
@given(st.floats(1.0, 1500.0))
def test_the_lid_does_the_work_that_friction_eats(reynolds):
    n = 48
    u, v = np.moveaxis(
        LidDrivenCavity(n=n, lid="regularised").solve({"reynolds": reynolds})["velocity"][0], -1, 0
    )
    d, weights = chebyshev.differentiation(n), chebyshev.quadrature(n)
    squares = (d @ u) ** 2 + (u @ d.T) ** 2 + (d @ v) ** 2 + (v @ d.T) ** 2
    work = weights @ (u * (u @ d.T))[:, -1]
    assert weights @ squares @ weights == pytest.approx(work, rel=1e-3)


def test_inertia_breaks_the_symmetry():
    """Without it, mirroring the flow and turning time around gives it back."""
    asymmetry = []
    for reynolds in (1.0, 2.0):
        velocity = LidDrivenCavity(n=33).solve({"reynolds": reynolds})["velocity"][0]
        asymmetry.append(np.abs(velocity - velocity[::-1] * [1.0, -1.0]).max())
    assert asymmetry[0] < 0.01
    assert asymmetry[1] == pytest.approx(2 * asymmetry[0], rel=0.01)


@pytest.mark.slow
def test_the_whole_admissible_range_converges():
    simulation, fine = LidDrivenCavity(), LidDrivenCavity(n=96, tolerance=1e-5)
    for reynolds in (1.0, 30.0, 2000.0, 3500.0, 5000.0):
        inputs = {"reynolds": reynolds}
        found = simulation.solve(inputs)["vortex_streamfunction"][0]
        assert found == pytest.approx(fine.solve(inputs)["vortex_streamfunction"][0], rel=1e-4)


def test_an_unknown_lid_is_refused():
    with pytest.raises(InvalidInput, match="lid='wavy': must be one of uniform, regularised"):
        LidDrivenCavity(lid="wavy")
