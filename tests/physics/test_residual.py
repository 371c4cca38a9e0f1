"""The equations of the systems, held against their solvers: written twice, they must agree."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

import simulations
from simulations import residuals
from simulations.differential import STENCIL, Derivatives, stencils
from simulations.grid import Axis, Grid
from simulations.inputs import GaussianRandomField, SineWaves, Stretched
from simulations.residuals import balances
from simulations.simulation import InvalidInput, Simulation
from simulations.systems.helmholtz import GaussianSource

WAVES = SineWaves(waves=2, highest=2)
DENSITY = Stretched(WAVES, 0.0, 1.0)
SMOOTH = GaussianRandomField(alpha=6.0, tau=6.0, scale=6.0**6)

#: Frames that are close enough, of solutions that the grid resolves
EVOLVING = [
    simulations.Heat(ndim=2, n=24, t_end=2.0, n_times=21, initial=WAVES),
    simulations.Advection(ndim=2, n=24, t_end=0.5, n_times=21, initial=WAVES),
    simulations.AdvectionDiffusion(ndim=1, n=24, t_end=0.5, n_times=21, initial=WAVES),
    simulations.Burgers(n=128, t_end=0.2, n_times=21, tolerance=1e-11, initial=WAVES),
    simulations.KortewegDeVries(n=128, t_end=1.0, n_times=21, tolerance=1e-11, initial=WAVES),
    simulations.KuramotoSivashinsky(
        n=128, length=32.0, t_end=8.0, n_times=21, tolerance=1e-11, initial=WAVES
    ),
    simulations.KuramotoSivashinsky(
        ndim=2, n=48, length=16.0, t_end=2.0, n_times=21, tolerance=1e-11, initial=WAVES
    ),
    simulations.FisherKPP(n=256, t_end=2.0, n_times=21, tolerance=1e-11, initial=DENSITY),
    simulations.AllenCahn(n=256, t_end=8.0, n_times=21, tolerance=1e-11, initial=WAVES),
    simulations.CahnHilliard(
        n=128, length=16.0, t_end=2.0, n_times=21, tolerance=1e-11, initial=WAVES
    ),
    simulations.SwiftHohenberg(
        n=128, length=16.0, t_end=2.0, n_times=21, tolerance=1e-11, initial=WAVES
    ),
    simulations.GrayScott(
        ndim=1,
        n=64,
        t_end=40.0,
        n_times=21,
        diffusivity_a=2e-3,
        diffusivity_b=1e-3,
        tolerance=1e-11,
        initial_a=DENSITY,
        initial_b=DENSITY,
    ),
    simulations.FitzHughNagumo(
        ndim=1,
        n=192,
        t_end=2.0,
        n_times=21,
        tolerance=1e-12,
        initial_u=SMOOTH,
        initial_v=SMOOTH,
    ),
    simulations.Schrodinger(n=64, length=16.0, t_end=0.5, n_times=41, tolerance=1e-11),
    simulations.NavierStokes(
        n=48,
        t_end=4.0,
        n_times=21,
        drag=0.1,
        tolerance=1e-11,
        initial=SineWaves(waves=4, highest=2),
    ),
    simulations.Lorenz63(t_end=0.5, n_times=41, tolerance=1e-12),
    simulations.Lorenz96(n=8, t_end=0.5, n_times=41, tolerance=1e-12),
    simulations.NBody(n=3, t_end=2.0, n_times=21, tolerance=1e-12),
    simulations.DoublePendulum(t_end=0.5, n_times=41, tolerance=1e-12),
]
WAVE = {"ndim": 1, "n": 64, "t_end": 0.2, "n_times": 21}
#: By order: of the scheme, or of the corners where the charge of a Dirichlet problem has a jump
IN_SPACE_TOO = [
    (3.5, simulations.Wave(**WAVE, initial=SMOOTH, initial_velocity=SMOOTH)),
    (3.5, simulations.Wave(**WAVE, boundary="wall", initial=SMOOTH, initial_velocity=SMOOTH)),
    (1.0, simulations.Poisson(n=32, source=SMOOTH)),
    (3.5, simulations.Poisson(n=32, boundary="neumann", source=SMOOTH)),
    (
        4.5,
        simulations.Helmholtz(
            n=48,
            tolerance=1e-6,
            medium=Stretched(SMOOTH, 0.9, 1.1),
            source=GaussianSource(width=0.1, margin=0.5),
        ),
    ),
]
EXACT_IN_SPACE = [
    simulations.Poisson(n=32, boundary="periodic", source=WAVES),
    simulations.DarcyFlow(n=24, tolerance=1e-10),
]
CASES = [*EVOLVING, *(case for _, case in IN_SPACE_TOO), *EXACT_IN_SPACE]


def name(simulation):
    kind = simulation.settings.get("boundary", simulation.grid.ndim)
    return f"{type(simulation).__name__}-{kind}"


def solved(simulation):
    inputs = simulation.sample(np.random.default_rng(1))
    return inputs, simulation.run(inputs)


def inner_defects(simulation):
    """Where the formulas in time are central: at the ends they are of the same order only."""
    found = balances(simulation, *solved(simulation)[::-1], rounding=0.0)
    n = simulation.times.size
    ends = n // 4 if n > 1 else 0
    return {equation: b.defect[ends : n - ends].max() for equation, b in found.items()}


def finer_in_time(simulation):
    return replace(simulation, n_times=2 * simulation.n_times - 1)


class TestConvergence:
    @pytest.mark.parametrize("simulation", EVOLVING, ids=name)
    def test_with_frames_twice_as_close_the_defect_falls_at_sixth_order(self, simulation):
        coarse, fine = inner_defects(simulation), inner_defects(finer_in_time(simulation))
        for equation, defect in fine.items():
            assert defect < coarse[equation] / 2**4.9 or defect < 1e-9, (equation, coarse, fine)

    @pytest.mark.parametrize(("order", "simulation"), IN_SPACE_TOO)
    def test_on_a_finer_grid_the_defect_falls_at_the_order_of_the_scheme(self, order, simulation):
        finer = simulation.rescaled(2)
        if simulation.times.size > 1:
            finer = finer_in_time(finer)
        coarse, fine = inner_defects(simulation), inner_defects(finer)
        for equation, defect in fine.items():
            assert defect < coarse[equation] / 2**order, (equation, coarse, fine)

    @pytest.mark.parametrize("simulation", EXACT_IN_SPACE, ids=name)
    def test_a_discrete_equation_holds_to_the_tolerance(self, simulation):
        for defect in inner_defects(simulation).values():
            assert defect < 1e-9


class TestJudgement:
    @pytest.mark.parametrize("simulation", CASES, ids=name)
    def test_solutions_hold_and_no_term_can_be_left_out(self, simulation, monkeypatch):
        if simulation.times.size > 1:
            simulation = finer_in_time(simulation)
        # Stored as files store them
        inputs, solution = solved(simulation)
        solution = {key: values.astype(np.float32) for key, values in solution.items()}
        held = balances(simulation, solution, inputs)
        assert max(balance.excess.max() for balance in held.values()) < 0.9
        assert held.keys() == simulation.residual(solution, inputs).keys()

        # What is small beside the largest term is seen down to its size
        monkeypatch.setattr(residuals, "NEGLIGIBLE", 1e-3)
        equations = type(simulation).equations
        d = Derivatives(simulation.grid, simulation.times)
        checked = 0
        for equation, terms in equations(simulation, solution, inputs, d).items():
            total = sum(terms.values())
            sizes = {key: np.sqrt(np.mean((term + 0 * total) ** 2)) for key, term in terms.items()}
            for term in terms:
                if sizes[term] < 0.03 * max(sizes.values()):
                    continue

                def without(self, *arguments, equation=equation, term=term):
                    found = equations(self, *arguments)
                    return {
                        **found,
                        equation: {**found[equation], term: 0.0 * found[equation][term]},
                    }

                with monkeypatch.context() as patch:
                    patch.setattr(type(simulation), "equations", without)
                    missed = balances(simulation, solution, inputs)
                assert missed[equation].excess.max() > 2.0, (equation, term)
                checked += 1
        assert checked >= 2

    def test_frames_further_apart_than_a_period_are_not_judged(self):
        """Neither formula sees the derivative, and both say nearly the same."""
        simulation = simulations.KortewegDeVries(n=64)
        inputs, solution = solved(simulation)
        (balance,) = balances(simulation, solution, inputs).values()
        assert np.median(balance.defect) > 0.05
        assert balance.excess.max() < 1

    def test_neither_is_a_wave_that_stands_still_from_frame_to_frame(self):
        simulation = simulations.Advection(ndim=1, n=64, t_end=4.0, n_times=21)
        u0 = np.sin(2 * np.pi * simulation.grid.axes[0].points)
        inputs = {"speed": 4.99, "u0": u0}
        (balance,) = balances(simulation, simulation.run(inputs), inputs).values()
        assert np.median(balance.defect) > 0.1
        assert balance.excess.max() < 1

    def test_blocks_of_frames_give_what_the_whole_gives(self, monkeypatch):
        simulation = replace(EVOLVING[0], n_times=40)
        inputs, solution = solved(simulation)
        whole = balances(simulation, solution, inputs, rounding=0.0)["heat"]
        monkeypatch.setattr(residuals, "BLOCK_VALUES", 9 * 24**2)
        parts = balances(simulation, solution, inputs, rounding=0.0)["heat"]
        np.testing.assert_allclose(parts.defect, whole.defect, rtol=1e-9)
        # Near the ends of a block fewer neighbours are left for frames to be compared with
        assert parts.uncertainty.shape == whole.uncertainty.shape

    def test_three_frames_are_too_few(self):
        simulation = simulations.Heat(ndim=1, n=16, n_times=3)
        assert balances(simulation, *solved(simulation)[::-1]) == {}

    def test_a_system_without_equations_says_so(self):
        simulation = simulations.Ising(n=8)
        with pytest.raises(InvalidInput, match="Ising has no equations"):
            simulation.residual({}, {})
        assert balances(simulation, {}, {}) == {}

    def test_every_system_that_has_equations_is_among_those_tested(self):
        cases = {type(case).__name__ for case in CASES}
        systems = {
            system
            for system, cls in vars(simulations).items()
            if inspect.isclass(cls)
            and issubclass(cls, Simulation)
            and cls.equations is not Simulation.equations
        }
        assert systems == cases


class TestTensors:
    @pytest.mark.parametrize("simulation", CASES, ids=name)
    def test_a_batch_of_tensors_gives_the_same_with_gradients(self, simulation):
        inputs, solution = solved(simulation)
        expected = simulation.residual(solution, inputs)
        fields = {
            key: torch.tensor(np.stack([values, values])).requires_grad_()
            for key, values in solution.items()
        }
        ones = (1,) * (1 + simulation.grid.ndim)
        given = {
            key: torch.tensor(np.asarray(value)).expand(2, *ones)
            if np.ndim(value) == 0
            else torch.tensor(value)
            for key, value in inputs.items()
        }
        d = Derivatives(simulation.grid, simulation.times, torch)
        found = simulation.residual(fields, given, d)
        assert found.keys() == expected.keys()
        for equation, values in found.items():
            scale = np.abs(expected[equation]).max() + 1e-6
            for sample in values.detach().numpy():
                np.testing.assert_allclose(sample, expected[equation], atol=1e-5 * scale)
        sum((values**2).sum() for values in found.values()).backward()
        gradients = [field.grad for field in fields.values() if field.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


class TestDerivatives:
    @pytest.mark.parametrize("order", [0, 1, 2, 3])
    def test_of_polynomials_they_are_exact_on_any_points(self, order):
        rng = np.random.default_rng(0)
        points = np.sort(rng.uniform(-3.0, 5.0, 12))
        polynomial = np.polynomial.Polynomial(rng.standard_normal(STENCIL))
        indices, weights = stencils(points, STENCIL, order)
        found = (weights * polynomial(points)[indices]).sum(axis=1)
        exact = polynomial.deriv(order)(points) if order else polynomial(points)
        np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6 * np.abs(exact).max())

    @pytest.mark.parametrize("n", [16, 17])
    def test_of_waves_they_are_exact_on_periodic_axes(self, n):
        grid = Grid((Axis.periodic("x", n, 2.0), Axis.periodic("y", n + 3, 3.0)))
        d = Derivatives(grid, np.zeros(1))
        x, y = np.meshgrid(*(axis.points for axis in grid.axes), indexing="ij")
        p, q = 2 * np.pi * 3 / 2.0, 2 * np.pi * 2 / 3.0
        u = (np.sin(p * x) * np.cos(q * y))[None]
        np.testing.assert_allclose(
            d.along(u, 1, 3)[0], q**3 * np.sin(p * x) * np.sin(q * y), atol=1e-9
        )
        np.testing.assert_allclose(d.laplacian(u), -(p**2 + q**2) * u, atol=1e-9)
        np.testing.assert_allclose(d.inverse_laplacian(d.laplacian(u)), u, atol=1e-12)

    def test_individuals_have_nothing_between_them(self):
        d = Derivatives(Grid((Axis.members("site", 8),)), np.zeros(1))
        with pytest.raises(ValueError, match="axis site: there is nothing between"):
            d.along(np.ones((1, 8)), 0)
