"""Which candidates make a batch: by their scores and by chance, or by where they lie.

A batch of the highest scores is a batch of near copies, because neighbours have similar scores.
Chance spreads it (Kirsch et al.), and so does looking at distances between features.

References:
    Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning,
    Transactions on Machine Learning Research (2023), arXiv:2106.12059.
    Sener, Savarese, Active learning for convolutional neural networks: a core-set approach, ICLR
    2018, arXiv:1708.00489.
    Holzmüller, Zaverkin, Kästner, Steinwart, A framework and benchmark for deep batch active
    learning for regression, Journal of Machine Learning Research 24 (2023) 164: LCMD.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.simulation import InvalidInput

Array = NDArray[np.floating]
Indices = NDArray[np.integer]

RULES = ("power", "softmax", "softrank", "top")

# Distances at a time: 2²¹ of them take 16 MiB
BLOCK = 2**21


def stochastic_batch(
    scores: Array,
    n: int,
    rng: np.random.Generator,
    *,
    rule: str = "power",
    sharpness: float = 1.0,
) -> Indices:
    """Draw ``n`` candidates without replacement, those of high score more often.

        power     p ∝ s^β
        softmax   p ∝ exp(β s / σ)    with the standard deviation σ of the scores
        softrank  p ∝ rank^−β         with rank 1 for the highest score
        top       the highest ones

    The Gumbel-max trick makes it one sort: add Gumbel noise to log p and take the largest.

    Args:
        scores: of each candidate, ``(candidate,)``, not negative; what is not finite counts as the
            highest.
        n: size of the batch.
        rng: source of all chance.
        rule: one of the above.
        sharpness: β; 0 is uniform.

    Returns:
        Positions of the chosen, ``(n,)``, in the order in which they were drawn.

    Raises:
        InvalidInput: there is no such rule, or all scores are zero.
    """
    if rule not in RULES:
        raise InvalidInput(f"rule={rule!r}: must be one of {list(RULES)}")
    finite = np.isfinite(scores)
    highest = scores[finite].max(initial=0.0)
    if not highest > 0 and finite.all():
        raise InvalidInput("scores: are zero for every candidate, so that none is preferred")
    scores = np.where(finite, scores, highest or 1.0)
    if rule == "top":
        return np.argsort(-scores, kind="stable")[:n]
    if rule == "power":
        with np.errstate(divide="ignore"):
            preference = np.log(scores)
    elif rule == "softmax":
        preference = scores / max(scores.std(), np.finfo(np.float64).tiny)
    else:
        ranks = np.empty(len(scores))
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        preference = -np.log(ranks)
    # Zero times an infinite logarithm: a sharpness of zero prefers nobody
    logits = sharpness * preference if sharpness else np.zeros(len(scores))
    return np.argsort(-(logits + rng.gumbel(size=len(scores))), kind="stable")[:n]


def core_set(features: Array, known: Array, n: int) -> Indices:
    """Greedy k-centre: again and again the candidate that is farthest from all that is known.

    Args:
        features: of the candidates, ``(candidate, feature)``.
        known: of the training inputs, ``(sample, feature)``; may be none.
        n: size of the batch.

    Returns:
        Positions of the chosen, ``(n,)``, in the order in which they were chosen.
    """
    return _greedy(features, known, n, lambda squared, _: int(np.argmax(squared)))


def largest_cluster(features: Array, known: Array, n: int) -> Indices:
    """LCMD: again and again the farthest candidate of the largest cluster.

    Each candidate belongs to the nearest of the known or chosen ones, whose cluster is as large as
    the sum of the squared distances in it. Unlike `core_set` this follows the density of the
    candidates, and is not drawn to outliers.

    Args and returns as for `core_set`.
    """

    def pick(squared: Array, owner: Indices) -> int:
        available = squared >= 0
        size = np.bincount(owner[available], weights=squared[available], minlength=owner.max() + 1)
        size[np.bincount(owner[available], minlength=len(size)) == 0] = -1.0
        return int(np.argmax(np.where(owner == np.argmax(size), squared, -np.inf)))

    return _greedy(features, known, n, pick)


def _greedy(
    features: Array, known: Array, n: int, pick: Callable[[Array, Indices], int]
) -> Indices:
    """Choose one by one; ``pick`` sees squared distances, −∞ for the chosen, and their centres."""
    squared, owner = _nearest(features, known)
    chosen = []
    for number in range(n):
        if number == 0 and not len(known):
            best = int(np.argmax((features**2).sum(axis=1)))
        else:
            best = pick(squared, owner)
        chosen.append(best)
        distance = ((features - features[best]) ** 2).sum(axis=1)
        closer = distance < squared
        squared = np.where(closer, distance, squared)
        owner = np.where(closer, len(known) + number, owner)
        squared[chosen] = -np.inf
    return np.array(chosen, dtype=np.int64)


def _nearest(features: Array, known: Array) -> tuple[Array, Indices]:
    """Squared distance to the nearest known one, infinite if there is none, and which it is."""
    squared = np.full(len(features), np.inf)
    owner = np.zeros(len(features), dtype=np.int64)
    if not len(known):
        return squared, owner
    sizes = (known**2).sum(axis=1)
    for start, block in _cut(features, max(1, BLOCK // len(known))):
        # ‖x − k‖² less ‖x‖², which is the same for all known ones
        nearest = np.argmin(sizes - 2 * block @ known.T, axis=1)
        part = slice(start, start + len(block))
        owner[part] = nearest
        squared[part] = ((block - known[nearest]) ** 2).sum(axis=1)
    return squared, owner


def _cut(values: NDArray[Any], length: int) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(values), length):
        yield start, values[start : start + length]
