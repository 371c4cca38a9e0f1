"""A guess changes the way of an iterative solver, not its answer; a surrogate gives good ones."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest

import simulations
import surrogate
from simulations import InvalidInput, Simulation
from simulations.grid import Axis, Grid
from simulations.numerics import multigrid
from simulations.simulation import Field, Parameter
from surrogate import OutOfDomainWarning
from tests.toy import Toy

#: For each system inputs, inputs near them, and how far from each other answers may be
CASES = {
    "darcy": (simulations.DarcyFlow(n=32, tolerance=1e-9), 1e-7),
    "convection": (simulations.NaturalConvection(n=24, tolerance=1e-5), 1e-4),
    "cavity": (simulations.LidDrivenCavity(n=32, tolerance=1e-5), 1e-4),
}


def inputs_of(simulation, share):
    """Draws that are close to each other where the shares are."""
    if simulation.parameters:
        return {n: p.quantile(share) for n, p in simulation.drawn_parameters.items()}
    drawn = simulation.sample(np.random.default_rng(0))
    return {name: values * (1 + share * np.arange(32)) for name, values in drawn.items()}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    simulation, tolerance = CASES[request.param]
    inputs = inputs_of(simulation, 0.6)
    cold, iterations = simulation.run_counted(inputs)
    return simulation, tolerance, inputs, cold, iterations


def differences(found, expected):
    return [
        np.linalg.norm(found[name] - expected[name]) / np.linalg.norm(expected[name])
        for name in expected
    ]


def test_a_near_guess_saves_iterations_and_keeps_the_answer(case):
    simulation, tolerance, inputs, cold, iterations = case
    near = simulation.run(inputs_of(simulation, 0.605))
    warm, taken = simulation.run_counted(inputs, near)
    assert max(differences(near, cold)) > 10 * tolerance
    assert taken < iterations
    assert max(differences(warm, cold)) < tolerance


@pytest.mark.parametrize("scale", [0.0, -3.0, 1e3, 1e30])
def test_a_bad_guess_costs_iterations_and_keeps_the_answer(case, scale):
    simulation, tolerance, inputs, cold, iterations = case
    rng = np.random.default_rng(1)
    guess = {k: scale * (v + v.std() * rng.standard_normal(v.shape)) for k, v in cold.items()}
    warm, taken = simulation.run_counted(inputs, guess)
    assert max(differences(warm, cold)) < tolerance
    assert taken <= iterations + 2


def test_impossible_guesses_are_refused_by_name(case):
    simulation, _, inputs, cold, _ = case
    name = simulation.guess_fields[0]
    broken = cold[name].copy()
    broken[0, 3, 3] = np.nan
    with pytest.raises(InvalidInput, match=f"guess of {name}: must be finite"):
        simulation.run(inputs, {**cold, name: broken})
    with pytest.raises(InvalidInput, match=rf"guess of {name} has shape .*must be real numbers"):
        simulation.run(inputs, {**cold, name: cold[name][0]})
    with pytest.raises(InvalidInput, match=r"guess of .* type complex128"):
        simulation.run(inputs, {**cold, name: cold[name] + 0j})
    with pytest.raises(InvalidInput, match="needs"):
        simulation.run(inputs, {"something": cold[name]})
    with pytest.raises(InvalidInput, match="must have arrays by field"):
        simulation.run(inputs, 3.0)


def test_a_solver_that_does_not_iterate_refuses_a_guess():
    with pytest.raises(InvalidInput, match="the solver of Toy does not iterate from a guess"):
        Toy()(seed=0, guess={})


def test_the_call_reports_iterations_and_takes_an_answer_as_guess():
    simulation = CASES["darcy"][0]
    cold = simulation(seed=3)
    warm = simulation(seed=3, guess=cold)
    assert cold.attrs["iterations"] > 5
    assert warm.attrs["iterations"] == 0
    np.testing.assert_allclose(warm.u, cold.u, rtol=1e-12)


def test_the_multiple_of_a_guess_is_the_best_one():
    """A guess 7 times too large is as good as the right one, and the residual is the true one."""
    rng = np.random.default_rng(0)
    east, south, ground = (np.exp(rng.standard_normal(s)) for s in ((9, 9), (8, 10), (9, 10)))
    network, b = (east, south, ground), rng.standard_normal((9, 10))
    exact, *_ = multigrid.solve(*network, b, 1e-13, 100)
    guess = exact + 1e-3 * rng.standard_normal(exact.shape)
    plain, turned = (multigrid.solve(*network, b, 1e-10, 100, c * guess) for c in (1.0, -7.0))
    assert plain[1] == turned[1]
    np.testing.assert_allclose(plain[0], turned[0], rtol=1e-6)
    np.testing.assert_allclose(plain[0], exact, rtol=1e-6, atol=1e-9)


@dataclass(frozen=True)
class Root(Simulation):
    """x = √a by Heron's iteration, from 1 or from a guess."""

    parameters: ClassVar = {"a": Parameter("square", "1", (1e-6, 1e6), (1.0, 100.0))}
    fields: ClassVar = {"x": Field("root", "1", spatial=False)}
    guess_fields: ClassVar = ("x",)

    @cached_property
    def grid(self):
        return Grid((Axis.cells("s", 4),))

    @cached_property
    def times(self):
        return np.zeros(1)

    def solve(self, inputs):
        return self.iterate(inputs, None)[0]

    def iterate(self, inputs, guess):
        x, taken = 1.0 if guess is None else abs(float(guess["x"][0])), 0
        while abs(x * x / inputs["a"] - 1) > 1e-12:
            x, taken = 0.5 * (x + inputs["a"] / x), taken + 1
        return {"x": np.array([x])}, taken

    def rescaled(self, factor):
        raise InvalidInput(f"factor={factor}: a number has no resolution")


@pytest.fixture(scope="module")
def roots(tmp_path_factory, generate_here):
    data = generate_here(Root(), 60, tmp_path_factory.mktemp("roots") / "data")
    return surrogate.train(data, surrogate.PODPolynomial(), progress=False)


def test_a_warm_started_solver_answers_with_the_solver_s_accuracy(roots):
    warm = surrogate.warm_start(Root(), roots)
    answer, cold = warm(a=50.0), Root()(a=50.0)
    assert float(answer.x[0]) == pytest.approx(np.sqrt(50.0), rel=1e-12)
    assert answer.attrs["iterations"] < cold.attrs["iterations"]
    assert answer.attrs["answered_by"].startswith("solver, from the guess of a surrogate")
    assert 0 < answer.attrs["guess_seconds"] < answer.attrs["wall_time_seconds"]


def test_outside_the_training_range_the_guess_is_no_worse_than_none(roots):
    with pytest.warns(OutOfDomainWarning):
        answer = surrogate.warm_start(Root(), roots)(a=1e5)
    assert float(answer.x[0]) == pytest.approx(np.sqrt(1e5), rel=1e-12)


def test_a_guess_that_is_not_finite_is_left_out(roots, monkeypatch):
    monkeypatch.setattr(roots, "predict", lambda **_: {"x": np.full((1, 1), np.nan)})
    answer = surrogate.warm_start(Root(), roots)(a=50.0)
    assert float(answer.x[0]) == pytest.approx(np.sqrt(50.0), rel=1e-12)
    assert answer.attrs["iterations"] == Root()(a=50.0).attrs["iterations"]


def test_what_cannot_be_warm_started_is_refused(roots):
    with pytest.raises(InvalidInput, match="the solver of Toy does not iterate from a guess"):
        surrogate.warm_start(Toy(), roots)
    with pytest.raises(InvalidInput, match="emulator: of Root, not of DarcyFlow"):
        surrogate.warm_start(simulations.DarcyFlow(n=32), roots)
