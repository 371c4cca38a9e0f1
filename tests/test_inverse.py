"""Inverse problems, design and sensitivity, held against what is known exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

import simulations
import surrogate
from simulations import InvalidInput, Simulation
from simulations.grid import Axis, Grid
from simulations.simulation import Field, Parameter
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoding
from surrogate.inverse.box import Box
from surrogate.inverse.observations import Observations
from surrogate.inverse.posterior import effective_size, split_r_hat

DESIGN = np.random.default_rng(0).standard_normal((6, 2))


class Formula(nn.Module):
    """A network that is a formula of the normalised parameters, with nothing normalised after."""

    def __init__(self, formula):
        super().__init__()
        self.formula = formula

    def forward(self, fields, scalars):
        return self.formula(scalars.double())


def emulator_of(simulation, formula):
    """The surrogate that answers by a formula of the parameters, each in [−1, 1]."""
    moments = dict.fromkeys(simulation.fields, (0.0, 1.0))
    ranges = {name: p.sampling for name, p in simulation.parameters.items()}
    return Surrogate(simulation, Formula(formula), Encoding(simulation, moments, ranges))


@dataclass(frozen=True)
class Steady(Simulation):
    """What the steady systems of these tests share: six points, one time."""

    @cached_property
    def grid(self):
        return Grid((Axis.cells("x", 6),))

    @cached_property
    def times(self):
        return np.zeros(1)

    def rescaled(self, factor):
        raise InvalidInput(f"factor={factor}: the formula has six points")


@dataclass(frozen=True)
class Linear(Steady):
    """u = G (a, b): six values, linear in two numbers between −1 and 1 and a bump of the solver."""

    bump: float = 0.0

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "a": Parameter("first", "1", (-2, 2), (-1, 1)),
        "b": Parameter("second", "1", (-2, 2), (-1, 1)),
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("answer", "1")}

    def solve(self, inputs):
        a, b = float(inputs["a"]), float(inputs["b"])
        return {"u": (DESIGN @ [a, b + self.bump * np.sin(2 * a)])[None]}


@dataclass(frozen=True)
class Ishigami(Steady):
    """f = sin x₁ + 7 sin² x₂ + 0.1 x₃⁴ sin x₁, as a number and as a field that is its multiple."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        name: Parameter(name, "1", (-np.pi, np.pi), (-np.pi, np.pi)) for name in ("x1", "x2", "x3")
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "profile": Field("multiples", "1"),
        "f": Field("value", "1", spatial=False),
    }

    def solve(self, inputs):
        f = ishigami(np, *(np.asarray(inputs[name]) for name in ("x1", "x2", "x3")))
        return {"profile": np.linspace(-1, 3, 6)[None] * f, "f": np.array([float(f)])}


def ishigami(xp, x1, x2, x3):
    return xp.sin(x1) + 7 * xp.sin(x2) ** 2 + 0.1 * x3**4 * xp.sin(x1)


def linear_formula(bias=0.0):
    design = torch.from_numpy(DESIGN)
    shift = bias * torch.tensor([0.3, -0.2], dtype=torch.float64)
    return lambda p: (((p + shift) @ design.T)[..., None].float(), torch.zeros(len(p), 0))


def ishigami_formula(error=0.0):
    def formula(p):
        f = ishigami(torch, *(np.pi * p).unbind(-1)) * (1 + error)
        return (f[:, None] * torch.linspace(-1, 3, 6))[..., None].float(), f[:, None].float()

    return formula


def truth_of(simulation, noise=0.0, seed=1, **inputs):
    answer = simulation(**inputs)[["u"]]
    rng = np.random.default_rng(seed)
    return answer + noise * rng.standard_normal(answer.u.shape)


def exact_posterior(truth, variance, prior_precision):
    """Mean and covariance of a linear Gaussian problem."""
    y = truth.u.values.ravel()
    precision = DESIGN.T @ np.linalg.solve(variance, DESIGN) + prior_precision
    covariance = np.linalg.inv(precision)
    return covariance @ DESIGN.T @ np.linalg.solve(variance, y), covariance


# Gradients


@pytest.fixture(scope="module")
def burgers(tmp_path_factory, generate_here):
    path = tmp_path_factory.mktemp("inverse") / "data"
    data = generate_here(simulations.Burgers(n=32, n_times=4), 40, path)
    return surrogate.train(
        data, surrogate.FNO(modes=6, width=8, layers=2), epochs=2, progress=False
    )


def test_gradients_are_those_of_predict(burgers):
    u0 = burgers.simulation(seed=0).u[0].values
    box = Box.of(burgers, inputs={"u0": u0})
    z = torch.tensor([[0.3], [0.7]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(box.answers(z)["u"][:, -1].square().sum(), z)

    def predicted(at):
        nu = box.values(at)[:, 0]
        answer = burgers.predict(nu=nu, u0=np.repeat(u0[None], len(nu), 0))["u"]
        return np.square(answer[:, -1].astype(np.float64)).sum(axis=1)

    at, step = z.detach().numpy(), 5e-2
    quotient = (predicted(at + step) - predicted(at - step)) / (2 * step)
    # Answers are in float32, and this network has learnt little of what nu does
    rounding = 4 * np.finfo(np.float32).eps * predicted(at).max() / step
    assert rounding < 0.02 * np.abs(quotient).max()
    np.testing.assert_allclose(slope[:, 0], quotient, rtol=1e-2, atol=rounding)


def test_gradients_reach_field_inputs(burgers):
    box = Box.of(burgers, inputs={"u0": burgers.simulation(seed=0).u[0].values})
    inputs = box.inputs(torch.tensor([[0.4]], dtype=torch.float64))
    u0 = inputs["u0"].clone().requires_grad_()
    answer = box._whole({**inputs, "u0": u0})["u"]
    (slope,) = torch.autograd.grad(answer[:, -1].square().sum(), u0)
    assert slope.shape == (1, 32)
    step = torch.zeros_like(u0)
    step[0, 5] = 1e-2
    with torch.no_grad():
        up, down = (
            box._whole({**inputs, "u0": u0 + s * step})["u"][:, -1].double().square().sum()
            for s in (1, -1)
        )
    assert slope[0, 5].item() == pytest.approx((up - down).item() / 2e-2, rel=1e-2)


# Observations


def test_observations_are_what_was_selected(burgers):
    truth = burgers.simulation(nu=0.02, seed=0)
    chosen = truth[["u"]].isel(x=[3, 7, 20]).sel(time=truth.time[2])
    seen = Observations.of_dataset(burgers.simulation, chosen, 0.1)
    solution = {"u": truth.u.values}
    np.testing.assert_allclose(seen.values, truth.u.values[2, [3, 7, 20]])
    np.testing.assert_allclose(seen.seen_in(solution), seen.values)
    answer = {"u": torch.from_numpy(truth.u.values)[None]}
    np.testing.assert_allclose(seen.seen(answer)[0], seen.values)


def test_between_points_and_times_a_field_is_interpolated(burgers):
    simulation = burgers.simulation
    x, times = simulation.grid.axes[0].points, simulation.times
    wave = np.sin(2 * np.pi * x / simulation.grid.axes[0].bounds[1])
    solution = {"u": times[:, None] * wave}
    rows = [{"field": "u", "value": "1", "time": 0.5 * (times[1] + times[2]), "x": 0.123}]
    seen = Observations.of_table(simulation, rows, 0.1)
    expected = (
        0.5 * (times[1] + times[2]) * np.sin(2 * np.pi * 0.123 / simulation.grid.axes[0].bounds[1])
    )
    assert seen.seen_in(solution)[0] == pytest.approx(expected, rel=1e-9)


def test_components_are_chosen_by_name():
    simulation = simulations.NaturalConvection(n=8)
    velocity = np.random.default_rng(0).standard_normal((1, 8, 8, 2))
    x = simulation.grid.axes[0].points
    rows = [
        {"field": "velocity", "value": "0", "noise": "2", "x": x[2], "y": x[5], "component": "y"},
        {"field": "nusselt", "value": "3", "noise": "1"},
    ]
    seen = Observations.of_table(simulation, rows)
    found = seen.seen_in({"velocity": velocity, "nusselt": np.array([7.0])})
    np.testing.assert_allclose(found, [velocity[0, 2, 5, 1], 7.0])
    np.testing.assert_allclose(seen.noise, [2.0, 1.0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"field": "v"}, r"row 1: observations of 'v': Burgers has \['u'\]"),
        ({"value": "x"}, "row 1: value='x' must be a finite number"),
        ({"x": ""}, "row 1: x='' must be a finite number"),
        ({"x": "9"}, "x=9 is outside"),
        ({"time": "-1"}, "time=-1 is outside"),
    ],
)
def test_rows_that_say_nothing_are_named(burgers, row, message):
    rows = [{"field": "u", "value": "1", "time": "0.1", "x": "0.1", **row}]
    with pytest.raises(InvalidInput, match=message):
        Observations.of_table(burgers.simulation, rows, 0.1)


@pytest.mark.parametrize("noise", [None, 0.0, -1.0, np.nan, {"v": 1.0}])
def test_noise_that_is_none_is_refused(burgers, noise):
    with pytest.raises(InvalidInput, match="noise"):
        Observations.of_dataset(burgers.simulation, burgers.simulation(seed=0), noise)


# Calibration


def test_a_linear_problem_has_the_known_posterior():
    simulation = Linear()
    emulator = emulator_of(simulation, linear_formula())
    noise = 0.2
    truth = truth_of(simulation, noise, a=0.1, b=-0.1)
    prior = {"a": scipy.stats.norm(0.2, 0.1), "b": scipy.stats.norm(-0.1, 0.15)}
    posterior = surrogate.calibrate(
        emulator, truth, noise=noise, prior=prior, model_error=0, draws=120
    )
    precision = np.diag([1 / 0.1**2, 1 / 0.15**2])
    y = truth.u.values.ravel() - DESIGN @ [0.2, -0.1]
    covariance = np.linalg.inv(DESIGN.T @ DESIGN / noise**2 + precision)
    mean = np.array([0.2, -0.1]) + covariance @ DESIGN.T @ y / noise**2
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose([*posterior.map.values()], mean, atol=1e-3)
    ess = np.array([*posterior.ess.values()])
    assert ess.min() > 100
    assert max(posterior.r_hat.values()) < 1.05
    assert (np.abs(posterior.draws.mean(axis=0) - mean) < 4 * deviation / np.sqrt(ess)).all()
    np.testing.assert_allclose(
        np.cov(posterior.draws.T), covariance, atol=0.15 * deviation.max() ** 2
    )
    assert posterior.solver_calls == 0
    predicted = posterior.predict(400)
    assert (predicted.u_lower <= predicted.u).all()
    width = (predicted.u_upper - predicted.u_lower).values.ravel()
    spread = np.sqrt(np.einsum("ij,jk,ik->i", DESIGN, covariance, DESIGN))
    np.testing.assert_allclose(width, 2 * 1.645 * spread, rtol=0.2)


def test_the_surrogate_s_error_widens_the_posterior_and_moves_it_to_the_truth():
    simulation = Linear()
    emulator = emulator_of(simulation, linear_formula(bias=0.5))
    truth = truth_of(simulation, 0.02, a=0.2, b=0.1)
    blind, measured = (
        surrogate.calibrate(emulator, truth, noise=0.02, draws=30, **more)
        for more in ({"model_error": 0}, {"measured_error": 16})
    )
    target = np.array([0.2, 0.1])
    misses = [
        np.abs(p.draws.mean(axis=0) - target) / p.draws.std(axis=0) for p in (blind, measured)
    ]
    assert (misses[0] > 5).all()
    assert (misses[1] < 3).all()
    assert measured.solver_calls == 16
    assert measured.model_error == "measured in 16 solver runs"
    bounded = surrogate.calibrate(emulator, truth, noise=0.02, draws=30, model_error=0.3)
    assert (bounded.draws.std(axis=0) > 2 * blind.draws.std(axis=0)).all()


def test_delayed_acceptance_samples_the_solver_whatever_the_surrogate():
    simulation = Linear()
    noise = 0.25
    truth = truth_of(simulation, noise, a=0.1, b=0.1)
    emulator = emulator_of(simulation, linear_formula(bias=1.0))
    prior = {"a": scipy.stats.norm(0, 0.15), "b": scipy.stats.norm(0, 0.15)}
    common = {"noise": noise, "prior": prior, "model_error": 0}
    biased = surrogate.calibrate(emulator, truth, draws=40, **common)
    exact = surrogate.calibrate(emulator, truth, method="delayed", draws=200, **common)
    mean, covariance = exact_posterior(truth, noise**2 * np.eye(6), np.eye(2) / 0.15**2)
    deviation = np.sqrt(np.diag(covariance))
    assert (np.abs(biased.draws.mean(axis=0) - mean) > 0.5 * deviation).any()
    assert (np.abs(exact.draws.mean(axis=0) - mean) < 0.2 * deviation).all()
    np.testing.assert_allclose(exact.draws.std(axis=0), deviation, rtol=0.15)
    assert 0 < exact.solver_calls <= 4 * 201
    assert 0.2 < exact.acceptance["solver"] < 1


def test_the_conformal_bound_is_used_where_there_is_one():
    simulation = Linear()
    emulator = emulator_of(simulation, linear_formula())
    truth = truth_of(simulation, a=0.2, b=0.1)
    with pytest.raises(InvalidInput, match="model_error: must be given"):
        surrogate.calibrate(emulator, truth, noise=0.1)

    @dataclass
    class Bound:
        coverage: float
        error_bound: dict

    emulator.calibration = Bound(0.9, {"u": 0.5})
    posterior = surrogate.calibrate(emulator, truth, noise=0.1, draws=20)
    assert posterior.model_error == "conformal bound at 0.9 coverage"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "guess"}, "method='guess'"),
        ({"prior": {"c": scipy.stats.norm()}}, "prior=c: no such unknown parameter"),
        ({"prior": {"a": 3}}, "must be a frozen distribution"),
        ({"prior": {"a": scipy.stats.uniform(3, 1)}}, "outside the training range"),
        ({"inputs": {"a": 0.1, "b": 0.1}}, "no parameter is left"),
        ({"inputs": {"c": 0.1}}, "no such input"),
        ({"model_error": {"w": 1.0}}, "must be a number >= 0 for u"),
        ({"measured_error": 2}, "must be 0 or at least 8 runs"),
        ({"draws": 0}, "draws=0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    emulator = emulator_of(Linear(), linear_formula())
    truth = truth_of(Linear(), a=0.2, b=0.1)
    with pytest.raises(InvalidInput, match=message):
        surrogate.calibrate(emulator, truth, **{"noise": 0.1, "model_error": 0, **changes})


def test_chains_that_disagree_are_found():
    rng = np.random.default_rng(0)
    good = rng.standard_normal((4, 1000))
    assert split_r_hat(good) < 1.01
    assert effective_size(good) == pytest.approx(4000, rel=0.15)
    assert split_r_hat(good + np.arange(4)[:, None]) > 1.3
    slow = np.empty((4, 4000))
    slow[:, 0] = rng.standard_normal(4)
    for t in range(1, 4000):
        slow[:, t] = 0.9 * slow[:, t - 1] + np.sqrt(0.19) * rng.standard_normal(4)
    assert effective_size(slow) == pytest.approx(16000 * 0.1 / 1.9, rel=0.3)


# Design


def square_formula(shift):
    """u = (a − 0.3 − shift)² + (b + 0.2)² at all points."""

    def formula(p):
        u = (p[:, 0] - 0.3 - shift) ** 2 + (p[:, 1] + 0.2) ** 2
        return u[:, None, None].expand(-1, 6, 1).float(), torch.zeros(len(p), 0)

    return formula


@dataclass(frozen=True)
class Bowl(Linear):
    """u = (a − 0.3)² + (b + 0.2)²."""

    def solve(self, inputs):
        u = (float(inputs["a"]) - 0.3) ** 2 + (float(inputs["b"]) + 0.2) ** 2
        return {"u": np.full((1, 6), u)}


def mean_of(answer, inputs):
    return answer["u"].mean()


def test_an_optimum_is_found_and_verified_by_one_run():
    optimum = surrogate.optimise(emulator_of(Bowl(), square_formula(0.0)), mean_of)
    assert optimum.inputs == pytest.approx({"a": 0.3, "b": -0.2}, abs=2e-3)
    assert optimum.converged
    assert (optimum.solver_calls, optimum.steps) == (1, 0)
    assert optimum.discrepancy < 1e-5


def test_a_wrong_surrogate_is_corrected_by_the_solver():
    emulator = emulator_of(Bowl(), square_formula(0.4))
    blind = surrogate.optimise(emulator, mean_of, tolerance=10.0)
    assert blind.inputs["a"] == pytest.approx(0.7, abs=5e-3)
    optimum = surrogate.optimise(emulator, mean_of)
    assert optimum.inputs == pytest.approx({"a": 0.3, "b": -0.2}, abs=2e-2)
    assert optimum.first_discrepancy > 0.01
    assert optimum.converged
    assert optimum.value == pytest.approx(0.0, abs=1e-3)
    assert optimum.solver_calls <= 60


def test_constraints_and_bounds_hold():
    emulator = emulator_of(Bowl(), square_formula(0.0))
    inside = [lambda answer, inputs: 0.1 - inputs["a"] - inputs["b"]]
    constrained = surrogate.optimise(emulator, mean_of, constraints=inside)
    assert constrained.inputs == pytest.approx({"a": 0.3, "b": -0.2}, abs=5e-3)
    inside = [lambda answer, inputs: -0.3 - inputs["a"] - inputs["b"]]
    constrained = surrogate.optimise(emulator, mean_of, constraints=inside)
    assert constrained.inputs == pytest.approx({"a": 0.1, "b": -0.4}, abs=5e-3)
    assert constrained.constraints[0] >= -1e-6
    bounded = surrogate.optimise(emulator, mean_of, maximise=True, bounds={"a": (0.0, 0.5)})
    assert bounded.inputs == pytest.approx({"a": 0.0, "b": 1.0}, abs=1e-6)
    with pytest.raises(InvalidInput, match=r"must ascend within the training range \[-1, 1\]"):
        surrogate.optimise(emulator, mean_of, bounds={"a": (0.0, 5.0)})
    with pytest.raises(InvalidInput, match="must be a function, or one of the fields"):
        surrogate.optimise(emulator, "u")
    with pytest.raises(InvalidInput, match="must be one number"):
        surrogate.optimise(emulator, lambda answer, inputs: answer["u"])


# Sensitivity


def test_ishigami_has_the_known_indices():
    found = surrogate.sensitivity(emulator_of(Ishigami(), ishigami_formula()), n=4096, control=8)
    first = {"x1": 0.3139, "x2": 0.4424, "x3": 0.0}
    total = {"x1": 0.5576, "x2": 0.4424, "x3": 0.2437}
    for name in ("f", "profile"):  # all values of the profile have the indices of f
        for known, indices in ((first, found.first[name]), (total, found.total[name])):
            for parameter, value in known.items():
                assert indices[parameter].value == pytest.approx(value, abs=0.02)
                low, high = indices[parameter].sampling
                assert low - 0.01 <= value <= high + 0.01
    assert found.error["f"] < 1e-5
    assert (found.evaluations, found.solver_calls) == (4096 * 5, 8)


def test_the_surrogate_s_error_is_in_the_bounds():
    """A surrogate without x₃ misses a quarter of the variance; the bounds know."""

    def formula(p):
        f = (
            torch.sin(np.pi * p[:, 0]) * (1 + 0.1 * np.pi**4 / 5)
            + 7 * torch.sin(np.pi * p[:, 1]) ** 2
        )
        return (f[:, None] * torch.linspace(-1, 3, 6))[..., None].float(), f[:, None].float()

    found = surrogate.sensitivity(emulator_of(Ishigami(), formula), n=1024, control=64)
    index = found.total["f"]["x3"]
    assert index.value < 0.01
    assert index.model[0] <= 0.2437 <= index.model[1]
    for parameter, value in {"x1": 0.3139, "x2": 0.4424}.items():
        low, high = found.first["f"][parameter].model
        assert low <= value <= high
    assert 0.4 < found.error["f"] < 0.8
    without = surrogate.sensitivity(emulator_of(Ishigami(), formula), n=64, control=0)
    assert np.isnan(without.error["f"])
    assert without.solver_calls == 0


def test_what_cannot_be_analysed_is_refused(burgers):
    with pytest.raises(InvalidInput, match=r"inputs: must have \['u0'\]"):
        surrogate.sensitivity(burgers)
    with pytest.raises(InvalidInput, match="n=100: must be a power of 2"):
        surrogate.sensitivity(burgers, n=100)
