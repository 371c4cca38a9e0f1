"""Flows in periodic boxes: what they owe to symmetry, for random initial fields."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.inputs import GaussianRandomField
from simulations.simulation import InvalidInput
from simulations.systems.navier_stokes import NavierStokes
from simulations.systems.navier_stokes_3d import NavierStokes3D
from simulations.systems.shear_flow import ShearFlow, ShearLayers

SEEDS = st.integers(0, 2**32)
PLANE = NavierStokes(n=24, t_end=0.5, n_times=2, forcing="none", length=2 * np.pi, tolerance=1e-8)
PLANE_START = GaussianRandomField(alpha=2.5, tau=3.0, scale=40.0)
CUBE = NavierStokes3D(n=12, t_end=0.3, n_times=2, tolerance=1e-8)
LAYERS = ShearFlow(nx=16, ny=32, t_end=0.5, n_times=2, tolerance=1e-8)


def reversed_points(field, axis):
    """x → −x on a periodic axis whose first point is x = 0 (or −L/2)."""
    return np.roll(np.flip(field, axis), 1, axis)


class TestNavierStokes:
    @given(seed=SEEDS, nu=st.floats(1e-3, 0.1), shift=st.integers(0, 23))
    @settings(max_examples=5, deadline=None)
    def test_translation_reflection_and_transposition(self, seed, nu, shift):
        start = PLANE_START.sample(np.random.default_rng(seed), PLANE.grid)

        def end(vorticity):
            return PLANE.solve({"nu": nu, "vorticity0": vorticity})["vorticity"][-1]

        expected = end(start)
        moved = np.roll(start, (shift, 2 * shift), (0, 1))
        atol = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(
            end(moved), np.roll(expected, (shift, 2 * shift), (0, 1)), atol=atol
        )
        np.testing.assert_allclose(
            end(-reversed_points(start, 0)), -reversed_points(expected, 0), atol=atol
        )
        np.testing.assert_allclose(end(-start.T), -expected.T, atol=atol)

    @given(seed=SEEDS, nu=st.floats(1e-3, 0.1))
    @settings(max_examples=5, deadline=None)
    def test_energy_and_enstrophy_decay(self, seed, nu):
        start = PLANE_START.sample(np.random.default_rng(seed), PLANE.grid)
        found = PLANE.diagnostics(PLANE.solve({"nu": nu, "vorticity0": start}))
        for name in ("energy", "enstrophy"):
            assert found[name][1] < found[name][0]


class TestNavierStokes3D:
    @given(seed=SEEDS, nu=st.floats(1e-3, 0.1))
    @settings(max_examples=5, deadline=None)
    def test_axes_are_alike_and_so_are_directions(self, seed, nu):
        start = CUBE.sample(np.random.default_rng(seed))["velocity0"]

        def end(velocity):
            return CUBE.solve({"nu": nu, "velocity0": velocity})["velocity"][-1]

        def turned(u):
            return np.ascontiguousarray(np.transpose(u, (1, 2, 0, 3))[..., [1, 2, 0]])

        def mirrored(u):
            return reversed_points(u, 1) * np.array([1.0, -1.0, 1.0])

        expected = end(start)
        atol = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(end(turned(start)), turned(expected), atol=atol)
        np.testing.assert_allclose(end(mirrored(start)), mirrored(expected), atol=atol)

    @given(seed=SEEDS)
    @settings(max_examples=5, deadline=None)
    def test_a_gradient_in_the_given_field_changes_the_first_frame_only(self, seed):
        start = CUBE.sample(np.random.default_rng(seed))["velocity0"]
        x, y, z = np.meshgrid(*[axis.points for axis in CUBE.grid.axes], indexing="ij")
        gradient = np.stack([np.cos(x + y - z)] * 3, axis=-1) * np.array([1.0, 1.0, -1.0])
        pure = CUBE.solve({"nu": 0.1, "velocity0": start})["velocity"]
        mixed = CUBE.solve({"nu": 0.1, "velocity0": start + gradient})["velocity"]
        np.testing.assert_array_equal(mixed[0], start + gradient)
        np.testing.assert_allclose(mixed[1], pure[1], atol=1e-12)

    def test_draws_are_the_same_on_finer_grids(self):
        fine, coarse = NavierStokes3D(n=32), NavierStokes3D(n=24)
        few, many = (s.sample(np.random.default_rng(3)) for s in (coarse, fine))
        moved = fine.transfer_inputs(many, coarse)["velocity0"]
        distance = np.linalg.norm(moved - few["velocity0"]) / np.linalg.norm(moved)
        assert distance < 0.02


class TestShearFlow:
    @given(seed=SEEDS, scale=st.floats(-2.0, 2.0), level=st.floats(-1.0, 1.0))
    @settings(max_examples=5, deadline=None)
    def test_the_tracer_is_carried_linearly_and_does_nothing(self, seed, scale, level):
        drawn = LAYERS.sample(np.random.default_rng(seed))
        one = LAYERS.solve(drawn)
        other = LAYERS.solve({**drawn, "tracer0": scale * drawn["tracer0"] + level})
        np.testing.assert_allclose(other["tracer"], scale * one["tracer"] + level, atol=1e-6)
        np.testing.assert_allclose(other["velocity"], one["velocity"], atol=1e-6)

    @given(seed=SEEDS)
    @settings(max_examples=5, deadline=None)
    def test_reflection(self, seed):
        drawn = LAYERS.sample(np.random.default_rng(seed))
        one = LAYERS.solve(drawn)
        mirror = {
            "tracer0": reversed_points(drawn["tracer0"], 0),
            "velocity0": reversed_points(drawn["velocity0"], 0) * np.array([-1.0, 1.0]),
        }
        other = LAYERS.solve({**drawn, **mirror})
        for name, sign in (("tracer", 1.0), ("pressure", 1.0), ("velocity", np.array([-1.0, 1.0]))):
            expected = reversed_points(one[name], 1) * sign
            np.testing.assert_allclose(other[name], expected, atol=1e-6)

    @given(seed=SEEDS)
    @settings(max_examples=5, deadline=None)
    def test_mean_pressure_is_zero(self, seed):
        found = LAYERS.solve(LAYERS.sample(np.random.default_rng(seed)))
        assert np.abs(found["pressure"].mean(axis=(1, 2))).max() < 1e-14

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"layers": (3,)}, r"layers=\(3,\): must be even numbers of at least 2"),
            ({"layers": ()}, r"layers=\(\): must be even numbers"),
            ({"blobs": (0,)}, r"blobs=\(0,\): must be whole numbers of at least 1"),
            ({"blobs": (1.5,)}, "blobs=.*: must be whole numbers"),
            ({"widths": (0.0,)}, "widths=.*: must be numbers of at least 1e-06"),
            ({"widths": 1.0}, "widths=1.0: must be numbers"),
        ],
    )
    def test_impossible_layers_are_refused(self, arguments, complaint):
        with pytest.raises(ValueError, match=complaint):
            ShearLayers(**arguments)

    def test_other_distributions_are_refused(self):
        with pytest.raises(InvalidInput, match=r"initial=.*: must be ShearLayers"):
            ShearFlow(initial=GaussianRandomField())
