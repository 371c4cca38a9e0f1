"""Cylinder wake: no slip, a definite start, steady and unsteady wakes, settings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.simulation import InvalidInput
from simulations.systems.cylinder_wake import CylinderWake

COARSE = CylinderWake(n=6, mach=0.2, t_start=0.0, t_end=2.0, n_times=5)


@settings(max_examples=5, deadline=None)
@given(reynolds=st.floats(10.0, 200.0))
def test_fluid_at_rest_is_pushed_through_the_channel(reynolds):
    solution = COARSE.solve({"reynolds": reynolds})
    for values in solution.values():
        assert not values[0].any()  # at rest at t = 0
        assert np.isfinite(values).all()
    assert not solution["velocity"][:, COARSE.is_solid].any()
    flow = COARSE.diagnostics(solution)
    rise = np.sin(np.pi / 4 * np.linspace(0.0, 2.0, 5)) ** 2
    np.testing.assert_allclose(flow["inflow"], rise, atol=0.03)
    assert flow["outflow"][-1] == pytest.approx(1.0, abs=0.15)
    assert (solution["force"][1:, 0] > 0.0).all()


def test_stored_times_do_not_change_the_flow():
    """Frames that start later and lie closer, with as many steps between the common ones."""
    few = replace(COARSE, n_times=3)
    late = replace(COARSE, t_start=1.0, n_times=2)
    assert few.steps[1] == late.steps[1]
    first, second = (s.solve({"reynolds": 80.0}) for s in (few, late))
    for name, values in second.items():
        np.testing.assert_allclose(values, first[name][1:], rtol=1e-9, atol=1e-9)


def test_wakes_are_steady_below_the_threshold_and_shed_vortices_above():
    simulation = CylinderWake(n=8, mach=0.2, t_start=7.0, t_end=8.0, n_times=21)
    lifts = {re: np.ptp(simulation.solve({"reynolds": re})["force"][:, 1]) for re in (30.0, 100.0)}
    assert lifts[30.0] < 0.01
    assert lifts[100.0] > 1.0


def test_pressure_continues_smoothly_through_the_cylinder():
    """Inside, no value lies beyond those around."""
    simulation = replace(COARSE, t_start=1.0)
    pressure = simulation.solve({"reynolds": 50.0})["pressure"][-1]
    x, y = np.meshgrid(*[axis.points for axis in simulation.grid.axes], indexing="ij")
    around = (np.hypot(x - 0.2, y - 0.2) < 0.08) & ~simulation.is_solid
    inside = pressure[simulation.is_solid]
    assert pressure[around].min() < inside.min() < inside.max() < pressure[around].max()


def test_an_empty_span_of_times_is_refused():
    with pytest.raises(InvalidInput, match=r"t_end=1.0: must exceed t_start=2.0"):
        CylinderWake(t_start=2.0, t_end=1.0)
