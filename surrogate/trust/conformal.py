"""Promises with finite samples: quantiles that cover, risks that hold, alarms that can be believed.

Everything here is about exchangeable numbers, one for each trajectory, and exact for every number
of them and every distribution.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, binom

from simulations.simulation import InvalidInput, check_setting

Array = NDArray[np.floating]


def check_share(name: str, value: float) -> None:
    """Refuse what is not a probability between 0 and 1."""
    check_setting(name, value, 0, 1)
    if not 0 < value < 1:
        raise InvalidInput(f"{name}={value!r}: must be more than 0 and less than 1")


def rank(n: int, coverage: float) -> int:
    """Which of ``n`` ascending scores bounds the next one: number ``⌈(n + 1) coverage⌉``.

    Raises:
        InvalidInput: there is no bound, because ``n`` is too small for this coverage.
    """
    check_share("coverage", coverage)
    # 0.9 · 10 is a little more than 9 in binary; that is no reason for the next one
    wanted = math.ceil((n + 1) * coverage - 1e-9)
    if wanted > n:
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise InvalidInput(
            f"n={n}: a bound with a coverage of {coverage:g} needs at least {least} scores"
        )
    return wanted


def quantile(scores: Array, coverage: float, axis: int = 0) -> Array:
    """The bound that a further score does not exceed with probability ``coverage`` at least.

        P(s ≤ q) ≥ coverage,   q = s₍ₖ₎ with k = ⌈(n + 1) coverage⌉

    if all ``n + 1`` scores are exchangeable. Where no two are equal, the probability is at most
    ``coverage + 1/(n + 1)``. A score that is NaN counts as infinite.

    Args:
        scores: calibration scores, ``n`` of them along ``axis``.
        coverage: between 0 and 1.
        axis: along which the scores of different trajectories lie.

    Raises:
        InvalidInput: too few scores for the coverage.

    References:
        Vovk, Gammerman, Shafer, Algorithmic learning in a random world (2005);
        Papadopoulos et al., Inductive confidence machines for regression, ECML 2002.
    """
    k = rank(scores.shape[axis], coverage) - 1
    worst_if_nan = np.where(np.isnan(scores), np.inf, scores)
    return np.partition(worst_if_nan, k, axis=axis).take(k, axis=axis)


def coverage_range(
    n: int, trials: int, coverage: float, confidence: float = 0.99
) -> tuple[float, float]:
    """Shares of ``trials`` new scores that `quantile` of ``n`` scores covers, in that many cases.

    Given the calibration scores the coverage is Beta(k, n + 1 − k), so that the number that is
    covered is beta-binomial.
    """
    k = rank(n, coverage)
    law = betabinom(trials, k, n + 1 - k)
    tail = (1 - confidence) / 2
    return float(law.ppf(tail)) / trials, float(law.ppf(1 - tail)) / trials


def risk_p_value(failures: int, n: int, risk: float) -> float:
    """How likely so few failures among ``n`` would be, were their probability ``risk`` or more."""
    return float(binom.cdf(failures, n, risk))


def safe_threshold(
    scores: Array, failed: NDArray[np.bool_], candidates: Array, risk: float, confidence: float
) -> float | None:
    """The largest threshold below which failures are rare, if there is one.

    Each candidate is tested (Learn then Test): that ``P(failure | score ≤ threshold) > risk`` is
    rejected where so few failures among those below would have a probability of
    ``(1 − confidence) / len(candidates)`` or less. With probability ``confidence`` over the
    calibration, no threshold that passes is unsafe.

    Args:
        scores: ``(n,)``, exchangeable.
        failed: ``(n,)``.
        candidates: thresholds that were chosen without these scores.
        risk: largest share of failures among what is below the threshold.
        confidence: between 0 and 1.

    Returns:
        The largest candidate that passes, or None.

    References:
        Angelopoulos, Bates, Candès, Jordan, Lei, Learn then Test (2021), arXiv:2110.01052;
        Geifman, El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """
    level = (1 - confidence) / len(candidates)
    for threshold in sorted(candidates, reverse=True):
        below = scores <= threshold
        if risk_p_value(int(failed[below].sum()), int(below.sum()), risk) <= level:
            return float(threshold)
    return None


@dataclass
class DriftAlarm:
    """A sequential test of whether failures are rarer than ``risk``, for as long as it runs.

    An e-process: bets on larger probabilities of failure that begin at each trial, with weight
    ``1/(s(s + 1))`` for a beginning at trial ``s``. While the probability of a failure, given the
    past, is at most ``risk``, it ever exceeds ``1 / false_alarm`` with probability ``false_alarm``
    at most; after a change it grows however long all was well.

    Args:
        risk: probability of a failure that is still allowed.
        false_alarm: probability of ever raising an alarm without a reason.

    References:
        Ville (1939); Shin, Ramdas, Rinaldo, E-detectors, NEJSDS 2 (2024) 229.
    """

    risk: float
    false_alarm: float = 0.01
    trials: int = 0
    failures: int = 0
    raised: bool = False
    _bets: Array = field(init=False, repr=False)
    _wealth: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_share("risk", self.risk)
        check_share("false_alarm", self.false_alarm)
        # Probabilities of failure between the one allowed and certainty
        self._bets = self.risk + (1 - self.risk) * np.array([0.1, 0.3, 0.6, 0.9])
        self._wealth = np.zeros(self._bets.size)

    @property
    def evidence(self) -> float:
        """How much the test has multiplied its stake; 1 in the beginning."""
        return float(self._wealth.mean()) + 1.0 / (self.trials + 1)

    def update(self, failed: bool) -> bool:
        """Take note of one trial; returns whether the alarm is or has been raised."""
        self.trials += 1
        self.failures += failed
        begin = 1.0 / (self.trials * (self.trials + 1))
        won = self._bets / self.risk if failed else (1 - self._bets) / (1 - self.risk)
        self._wealth = (self._wealth + begin) * won
        self.raised = self.raised or self.evidence >= 1 / self.false_alarm
        return self.raised
