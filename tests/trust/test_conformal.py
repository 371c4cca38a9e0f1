"""Promises with finite samples, on numbers whose law is known."""

import numpy as np
import pytest
from scipy.stats import beta, betabinom

from simulations import InvalidInput
from surrogate.trust import conformal
from surrogate.trust.conformal import DriftAlarm


def covered(n, coverage, trials, seed):
    """How often bounds of ``n`` scores each hold for one score more."""
    rng = np.random.default_rng(seed)
    scores = rng.lognormal(size=(n + 1, trials))
    return (scores[-1] <= conformal.quantile(scores[:-1], coverage)).sum()


class TestQuantile:
    @pytest.mark.parametrize(("n", "coverage"), [(9, 0.9), (19, 0.95), (30, 0.8), (99, 0.99)])
    def test_it_covers_exactly_as_often_as_its_rank_says(self, n, coverage):
        """Scores without ties: coverage is k/(n + 1). An index beside it fails for 9 scores."""
        trials = 40_000
        share = conformal.rank(n, coverage) / (n + 1)
        spread = 5 * np.sqrt(trials * share * (1 - share)) + 1
        assert abs(covered(n, coverage, trials, n) - trials * share) < spread
        assert share >= coverage - 1e-12

    @pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
    def test_coverage_given_the_calibration_is_beta_binomial(self, coverage):
        n, trials, repetitions = 100, 200, 2000
        rng = np.random.default_rng(1)
        inside = [conformal.coverage_range(n, trials, coverage, 0.9)] * repetitions
        found = []
        for _ in range(repetitions):
            scores = rng.exponential(size=n + trials)
            found.append((scores[n:] <= conformal.quantile(scores[:n], coverage)).mean())
        hits = sum(low <= share <= high for (low, high), share in zip(inside, found, strict=True))
        assert 0.85 <= hits / repetitions <= 0.97
        # One rank too few would pass most of the single trials, but not their mean
        k = conformal.rank(n, coverage)
        law = betabinom(trials, k, n + 1 - k)
        error = law.std() / trials / np.sqrt(repetitions)
        assert abs(np.mean(found) - law.mean() / trials) < 4 * error < 0.5 / (n + 1)

    @pytest.mark.parametrize(("coverage", "least"), [(0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
    def test_too_few_scores_are_refused(self, coverage, least):
        assert conformal.rank(least, coverage) == least
        with pytest.raises(InvalidInput, match=f"n={least - 1}: .* needs at least {least} scores"):
            conformal.rank(least - 1, coverage)

    @pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 2, float("nan"), "a", True])
    def test_what_is_no_probability_is_refused(self, coverage):
        with pytest.raises(InvalidInput, match="coverage"):
            conformal.rank(100, coverage)

    def test_a_score_that_is_nan_counts_as_infinite(self):
        scores = np.arange(1.0, 11.0)
        scores[3] = np.nan
        assert conformal.quantile(scores, 0.8) == 10.0
        assert conformal.quantile(scores, 0.9) == np.inf

    def test_along_an_axis(self):
        scores = np.random.default_rng(0).random((50, 3, 4))
        found = conformal.quantile(scores, 0.9)
        assert found.shape == (3, 4)
        assert found[1, 2] == conformal.quantile(scores[:, 1, 2], 0.9)


class TestRisk:
    def test_no_failure_shows_what_textbooks_say(self):
        """Without failures 29 trials show a risk of 0.1, and 59 one of 0.05, at 95 %."""
        for n, risk in ((29, 0.1), (59, 0.05), (299, 0.01)):
            assert conformal.risk_p_value(0, n, risk) <= 0.05
            assert conformal.risk_p_value(0, n - 1, risk) > 0.05

    def test_a_threshold_is_rarely_unsafe(self):
        """Scores on [0, 1] whose failures get likelier: those below t fail with probability t/2."""
        rng, risk, confidence = np.random.default_rng(2), 0.2, 0.9
        candidates = np.arange(1, 21) / 20
        chosen = []
        for _ in range(300):
            scores = rng.random(600)
            failed = rng.random(600) < scores
            chosen.append(
                conformal.safe_threshold(scores, failed, candidates, risk, confidence) or 0.0
            )
        unsafe = np.mean(np.array(chosen) / 2 > risk + 1e-12)
        assert unsafe <= 0.1
        assert np.mean(chosen) > 0.1  # and something is answered

    def test_nothing_is_proven_by_a_handful(self):
        assert (
            conformal.safe_threshold(np.zeros(5), np.zeros(5, bool), np.ones(1), 0.1, 0.9) is None
        )

    def test_of_thresholds_that_pass_the_largest_is_taken(self):
        scores, failed = np.linspace(0, 1, 400), np.linspace(0, 1, 400) > 0.8
        found = conformal.safe_threshold(scores, failed, np.arange(1, 11) / 10, 0.1, 0.9)
        assert found == 0.8


class TestDriftAlarm:
    def test_it_is_rarely_false_however_long_it_runs(self):
        rng, streams, length, risk = np.random.default_rng(3), 100, 300, 0.1
        alarms = 0
        for _ in range(streams):
            alarm = DriftAlarm(risk, false_alarm=0.1)
            alarms += any(alarm.update(failed) for failed in rng.random(length) < risk)
        assert alarms / streams <= 0.1 + 4 * np.sqrt(0.1 * 0.9 / streams)

    @pytest.mark.parametrize("quiet", [0, 1000])
    def test_a_change_is_noticed_however_long_all_was_well(self, quiet):
        rng = np.random.default_rng(4)
        delays = []
        for _ in range(10):
            alarm = DriftAlarm(0.1)
            assert not any(alarm.update(failed) for failed in rng.random(quiet) < 0.02)
            delays.append(0)
            while not alarm.update(rng.random() < 0.5):
                delays[-1] += 1
        assert np.median(delays) < 40

    def test_the_evidence_is_a_fair_game_at_the_risk_that_is_allowed(self):
        """The expected evidence after three trials is 1: sum over all outcomes."""
        risk, total = 0.2, 0.0
        for outcome in range(8):
            failed = [bool(outcome >> i & 1) for i in range(3)]
            alarm = DriftAlarm(risk)
            for each in failed:
                alarm.update(each)
            total += alarm.evidence * np.prod([risk if each else 1 - risk for each in failed])
        assert total == pytest.approx(1.0, rel=1e-12)


def test_the_range_of_coverage_is_that_of_the_literature():
    """Quantiles of Beta(k, n + 1 − k) for many trials."""
    low, high = conformal.coverage_range(200, 5000, 0.9, 0.9)
    law = beta(conformal.rank(200, 0.9), 201 - conformal.rank(200, 0.9))
    assert low == pytest.approx(law.ppf(0.05), abs=4e-3)
    assert high == pytest.approx(law.ppf(0.95), abs=4e-3)
