"""The guard: who answers, how often it is wrong, and what it notices."""

import dataclasses
import warnings

import numpy as np
import pytest

import simulations
import surrogate
from simulations import InvalidInput
from simulations.datasets import DatasetError
from surrogate.trust import scores
from surrogate.trust.bounds import answers, relative_errors, with_calibration
from surrogate.trust.domain import Domain
from surrogate.trust.guard import (
    DriftWarning,
    GuardWarning,
    Report,
    SolverLimitExceeded,
    guard,
)
from surrogate.trust.unseen import Solved
from tests.trust.conftest import TOY

EASY, STRICT = 3.0, 0.35


def errors_of(emulator, test):
    return scores.largest(relative_errors(TOY, answers(emulator, test.inputs), test.fields))


def test_usual_inputs_are_answered_by_the_surrogate_and_others_solved(calibrated):
    guarded = guard(calibrated, EASY, 0.8, spot_checks=0.0)
    usual, odd = guarded(seed=3), guarded(seed=3, offset=5.0)
    assert "PODLinear" in usual.attrs["answered_by"]
    np.testing.assert_array_equal(usual.theta, calibrated(seed=3).theta)
    assert "theta_lower" in usual
    assert odd.attrs["answered_by"] == "solver (domain)"
    assert odd.attrs["domain_p_value"] < 0.02
    np.testing.assert_array_equal(odd.theta, TOY(seed=3, offset=5.0).theta)
    assert guarded.report.surrogate == 1
    assert guarded.report.solver == {"domain": 1}
    assert guarded.report.speed_up > 0


def test_a_batch_is_answered_one_by_one(calibrated, pool):
    guarded = guard(calibrated, EASY, 0.8, spot_checks=0.0)
    guarded.threshold = float(np.median(calibrated.calibration.difficulty))
    batch = {name: values.copy() for name, values in pool[300:340].inputs.items()}
    batch["offset"][0] = 5.0
    reasons = guarded.reasons(**batch)
    assert set(reasons) == {None, "bound", "domain"}
    found, bare = guarded.predict(**batch), calibrated.answer(batch)
    for i, reason in enumerate(reasons):
        expected = bare["theta"][i]
        if reason is not None:
            expected = TOY.run({name: values[i] for name, values in batch.items()})["theta"]
        np.testing.assert_allclose(found["theta"][i], expected, rtol=1e-6, atol=1e-6)
    assert guarded.report.answers == 40


def test_the_tolerance_is_kept_among_what_the_surrogate_answers(calibrated, rng):
    """Over calibrations: risk above what is allowed no more often than the confidence allows.

    Errors are lognormal around a scale that is known: the guard sees the scale, not the error.
    """
    n, coverage, tolerance, confidence, trials = 200, 0.8, 1.0, 0.8, 60
    broken, answered = 0, 0
    for _ in range(trials):
        scale = rng.lognormal(0.0, 1.0, n + 3000)
        error = scale * rng.lognormal(-0.5, 0.5, scale.size)
        odd = rng.exponential(size=scale.size)
        domain = Domain({}, frozenset(), np.zeros((3, 0)), {}, {"odd": 1.0}, {"odd": odd[:n]})
        synthetic = dataclasses.replace(
            calibrated.calibration,
            n=n,
            domain=domain,
            errors={"theta": error[:n]},
            difficulty=scale[:n],
            difficulty_levels=np.append(np.exp(np.linspace(-2, 2, 9)), np.inf),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GuardWarning)
            guarded = guard(
                with_calibration(calibrated, synthetic), tolerance, coverage, confidence=confidence
            )
        usual = np.sort(odd[:n])
        p_values = (1 + n - np.searchsorted(usual, odd[n:], side="left")) / (n + 1)
        limit = -1.0 if guarded.threshold is None else guarded.threshold
        accepted = (scale[n:] <= limit) & (p_values >= guarded.domain_level)
        answered += accepted.mean() / trials
        if accepted.any():
            broken += (error[n:][accepted] > tolerance).mean() > 1 - coverage + 0.02
    assert broken / trials <= 1 - confidence
    assert answered > 0.4


def test_a_real_surrogate_keeps_its_tolerance(calibrated, pool):
    guarded = guard(calibrated, STRICT, 0.7, confidence=0.8, spot_checks=0.0)
    test = pool[180:]
    errors = errors_of(calibrated, test)
    relied = np.array([reason is None for reason in guarded.reasons(**test.inputs)])
    assert 0.1 < relied.mean() < 1.0
    assert (errors[relied] > STRICT).mean() <= 0.3
    assert (errors[~relied] > STRICT).mean() > (errors[relied] > STRICT).mean()


def test_where_nothing_can_be_promised_the_solver_answers(calibrated):
    with pytest.warns(GuardWarning, match="tolerance=1e-06: .* the solver will answer everything"):
        guarded = guard(calibrated, 1e-6)
    assert guarded.threshold is None
    assert guarded(seed=0).attrs["answered_by"] == "solver (bound)"


class TestSpotChecks:
    def test_they_are_as_many_as_asked_for_and_return_the_truth(self, calibrated, pool):
        guarded = guard(calibrated, EASY, 0.8, spot_checks=0.25)
        batch = pool[200:400].inputs
        found = guarded.predict(**batch)
        checks = guarded.report.solver["spot check"]
        assert 25 < checks < 75
        assert len(guarded.report.spot_errors) == guarded.alarm.trials == checks
        test = pool[200:400]
        exact = np.isclose(found["power"], test.fields["power"], rtol=1e-5).all(axis=1)
        assert exact.sum() >= checks

    def test_a_surrogate_that_fits_raises_no_alarm(self, calibrated, pool):
        guarded = guard(calibrated, EASY, 0.8, spot_checks=1.0)
        guarded.predict(**pool[180:].inputs)
        assert not guarded.alarm.raised

    def test_drift_turns_the_surrogate_off(self, calibrated, pool):
        """A solver whose truth has moved: nothing in the inputs shows it."""
        guarded = guard(calibrated, EASY, 0.8, spot_checks=1.0)

        class Moved(type(TOY)):
            def solve(self, inputs):
                return {name: 9 * v + 5 for name, v in super().solve(inputs).items()}

        guarded.simulation = Moved.from_settings(TOY.settings)
        guarded.tolerance = 0.5
        with pytest.warns(DriftWarning, match="spot checks exceed the tolerance of 0.5"):
            guarded.predict(**pool[180:220].inputs)
        assert guarded(seed=3).attrs["answered_by"] == "solver (alarm)"
        guarded.reset()
        assert guarded.reasons(**pool[180:181].inputs) != ["alarm"]


class TestLimit:
    def test_more_runs_than_allowed_are_refused_before_any(self, calibrated, pool):
        now = [0.0]
        guarded = guard(
            calibrated, EASY, 0.8, spot_checks=0.0, solves_per_minute=3, clock=lambda: now[0]
        )
        batch = {name: values.copy() for name, values in pool[300:304].inputs.items()}
        batch["offset"][:] = 5.0
        with pytest.raises(SolverLimitExceeded, match="4 of 4 inputs need the solver, and 3 runs"):
            guarded.predict(**batch)
        assert guarded.report.solver.total() == 0
        guarded.predict(**{name: values[:3] for name, values in batch.items()})
        with pytest.raises(SolverLimitExceeded, match="0 runs are left"):
            guarded(seed=3, offset=5.0)
        now[0] = 61.0
        guarded(seed=3, offset=5.0)

    def test_spot_checks_give_way(self, calibrated, pool):
        guarded = guard(calibrated, EASY, 0.8, spot_checks=1.0, solves_per_minute=2)
        guarded.predict(**pool[300:320].inputs)
        assert guarded.report.solver["spot check"] <= 2


class TestCollection:
    def test_what_is_solved_is_training_data(self, calibrated, tmp_path):
        for first in (0, 5):  # continued by another guard
            guarded = guard(calibrated, EASY, 0.8, spot_checks=0.0, collect=tmp_path / "new")
            for seed in range(first, first + 5):
                guarded(seed=seed, offset=4.0)
        dataset = simulations.open_dataset(tmp_path / "new")
        assert len(dataset) == 10
        assert [dataset.count(split) for split in ("train", "valid", "test")] == [8, 1, 1]
        samples = dataset.load("train")
        assert (samples.parameters["offset"] == 4.0).all()
        np.testing.assert_allclose(samples.fields["theta"][0], TOY(seed=0, offset=4.0).theta, 1e-5)
        again = surrogate.train(dataset, surrogate.Climatology(), progress=False)
        assert again.encoding.ranges["offset"] == (4.0, 4.0)
        with pytest.raises(InvalidInput, match="design='Collected'"):
            dataset.inputs(0)

    def test_another_folder_is_left_alone(self, calibrated, toy_data, tmp_path):
        with pytest.raises(DatasetError, match="holds another dataset"):
            guard(calibrated, EASY, collect=toy_data.path)
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(DatasetError, match="is not empty"):
            guard(calibrated, EASY, collect=tmp_path)


def test_an_answer_that_is_not_finite_is_solved(calibrated, pool, monkeypatch):
    guarded = guard(calibrated, EASY, 0.8, spot_checks=0.0)
    true_answer = calibrated.answer

    def broken(inputs):
        found = true_answer(inputs)
        found["theta"][0, -1] = np.nan
        return found

    monkeypatch.setattr(calibrated, "answer", broken)
    reasons = guarded.reasons(**pool[300:302].inputs)
    assert reasons[0] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"tolerance": 1.0, "coverage": 1.0}, "coverage=1.0"),
        ({"tolerance": 1.0, "confidence": 0.0}, "confidence=0.0"),
        ({"tolerance": 1.0, "spot_checks": 1.5}, "spot_checks=1.5"),
        ({"tolerance": 1.0, "solves_per_minute": 0}, "solves_per_minute=0"),
        ({"tolerance": 1.0, "domain_level": 1e-3}, r"level=0.001: needs 1000"),
    ],
)
def test_bad_arguments_are_refused(calibrated, arguments, message):
    with pytest.raises(ValueError, match=message):
        guard(calibrated, **arguments)


def test_without_a_calibration_there_is_no_guard(emulator):
    with pytest.raises(InvalidInput, match="has no calibration"):
        guard(emulator)


def test_the_speed_up_counts_everything():
    report = Report(surrogate=90, surrogate_seconds=1.0, solver_seconds=10.0)
    report.solver["domain"] = 10
    assert report.speed_up == pytest.approx(100 / 11)
    assert Report().speed_up is None
    assert report.to_json()["answers"] == 100


def test_bad_inputs_are_refused_as_by_the_simulation(calibrated):
    guarded = guard(calibrated, EASY, 0.8)
    with pytest.raises(InvalidInput, match="kappa=-1"):
        guarded(kappa=-1.0)
    with pytest.raises(InvalidInput, match="needs each of"):
        guarded.predict(kappa=np.ones(2))
    solved = Solved.fresh(TOY, 1, 0)
    with pytest.raises(InvalidInput, match="kappa=-1"):
        guarded.predict(**{**solved.inputs, "kappa": np.array([-1.0])})
