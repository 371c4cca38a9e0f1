"""`acquire`: from a pool of candidates those whose solutions a surrogate lacks most."""

import itertools
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simulations
from simulations import Dataset, Grown, Sobol
from simulations.datasets.compression import Compression
from simulations.designs import ATTEMPT_STRIDE, Columns, Draws, sample_generator
from simulations.generation.plan import ShardPlan, plan_shards
from simulations.grown import Round
from simulations.simulation import Inputs, InvalidInput, Simulation, check_setting
from surrogate.emulator import OutOfDomainWarning, Surrogate
from surrogate.trust.acquisition.batches import RULES, core_set, largest_cluster, stochastic_batch
from surrogate.trust.acquisition.measures import (
    LAYERS,
    Batch,
    Score,
    disagreement,
    features,
)

METHODS = ("sbal", "lcmd", "coreset", "sobol", "random")

# Draws have keys of one number, two words at most
CHOICE_STREAM = (0, 0, 1)

# Candidates at a time: whole fields are held of no more
BATCH = 64


@dataclass(frozen=True)
class Acquisition:
    """Inputs that were chosen, as one more round of the dataset they were chosen for.

    Attributes:
        simulation: the system.
        manifest: description of the dataset as it was.
        design: all its rounds, the new one included.
        seconds: what choosing has taken.
    """

    simulation: Simulation
    manifest: Mapping[str, Any]
    design: Grown
    seconds: float

    @property
    def round(self) -> Round:
        """The new one: draws, reasons and scores."""
        return self.design.rounds[-1]

    @property
    def inputs(self) -> list[Inputs]:
        """The chosen inputs at full precision, in the order of the round."""
        n = len(self.design)
        draws = Draws(self.simulation, self.manifest["seed"], self.design, n)
        return [draws.inputs(place) for place in range(n - len(self.round), n)]

    def solve(self, path: str | Path | None = None, **options: Any) -> Dataset:
        """Solve for the chosen inputs: the dataset grows by them, and all of it is returned.

        Args:
            path: folder of the dataset; by default where it was when the surrogate was trained.
            **options: of `simulations.generate`, such as ``workers``.
        """
        stored = self.manifest.get("compression")
        return simulations.generate(
            self.simulation,
            len(self.design),
            self.manifest["path"] if path is None else path,
            seed=self.manifest["seed"],
            design=self.design,
            splits=self.manifest["splits"],
            compression=Compression.from_json(stored) if stored else None,
            **options,
        )


@dataclass(frozen=True)
class Selection:
    """How to choose from candidates.

    Args:
        method: ``"sbal"``, ``"lcmd"``, ``"coreset"``, ``"sobol"`` or ``"random"``, see `acquire`.
        independent: share of the budget that is drawn independently, to the nearest whole number.
        pool: number of candidates.
        rule: of ``sbal``, how scores become probabilities: see `stochastic_batch`.
        sharpness: of ``sbal``, exponent of the probabilities.
        layer: of ``lcmd`` and ``coreset``, see `features`.
        seed: of the choice by chance of ``sbal``.

    Raises:
        InvalidInput: a field is out of range.
    """

    method: str = "sbal"
    independent: float = 0.3
    pool: int = 1000
    rule: str = "power"
    sharpness: float = 1.0
    layer: str = "last"
    seed: int = 0

    def __post_init__(self) -> None:
        check_setting("independent", self.independent, 0.0, 1.0)
        check_setting("pool", self.pool, 1, 1e8, integer=True)
        check_setting("sharpness", self.sharpness, 0.0, 1e6)
        check_setting("seed", self.seed, 0, integer=True)
        choices = {"method": METHODS, "rule": RULES, "layer": LAYERS}
        for name, allowed in choices.items():
            if (value := getattr(self, name)) not in allowed:
                raise InvalidInput(f"{name}={value!r}: must be one of {list(allowed)}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Selection":
        """What is given, and else the defaults.

        Raises:
            InvalidInput: a field is unknown or out of range.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InvalidInput(f"{name}: not part of a selection; there are {known}")
        return cls(**given)


def acquire(
    simulation: Simulation,
    emulator: Surrogate | Sequence[Surrogate],
    *,
    budget: int,
    score: Score | None = None,
    **selection: Any,
) -> Acquisition:
    """Choose inputs that are worth a run of the solver, for the training data of a surrogate.

        chosen = surrogate.acquire(sim, [one, other], budget=32, method="sbal")
        data = chosen.solve()  # the dataset, 32 trajectories larger

    Candidates are draws of the dataset's seed that nobody has looked at: neither its validation and
    test splits nor anything that was considered before is among them. By method,

        sbal      they are drawn, with a probability that rises with the disagreement of surrogates
        lcmd      the farthest of the largest cluster is taken, in the features of the first network
        coreset   the farthest from all training data, in the same features
        sobol     they are the next points of Sobol's sequence, with fields at random
        random    they are drawn independently.

    A share of the batch is drawn independently whatever the method: what is chosen knows only the
    errors that a surrogate can see, and methods that look clever lose to chance now and then.

    Args:
        simulation: the system, with the settings of the training data.
        emulator: what was trained: one surrogate, several that were trained on the same data, or
            an ensemble with ``members``.
        budget: how many inputs to choose.
        score: of ``sbal``, what is preferred: see `measures.Score`. By default `disagreement`.
        **selection: fields of `Selection`, such as ``method``, ``independent`` and ``pool``.

    Returns:
        The choice, and why, as one more round of the dataset; its ``solve`` carries it out.

    Raises:
        InvalidInput: an argument is out of range, the dataset is not one that can grow, or the
            surrogates agree on every candidate.

    References:
        `surrogate.trust.acquisition.batches` and `measures` give them.
    """
    chosen_by = Selection.of(selection)
    method, pool = chosen_by.method, chosen_by.pool
    members = list(getattr(emulator, "members", None) or _listed(emulator))
    _check(simulation, members, method, score)
    check_setting("budget", budget, 1, 1e6, integer=True)
    manifest = members[0].training["dataset"]
    held = Draws.described(simulation, manifest)
    before = Grown.after(held.design, held.n)
    by_chance = budget if method == "random" else round(chosen_by.independent * budget)
    chosen = budget - by_chance
    if chosen > pool:
        raise InvalidInput(f"pool={pool}: must be at least the {chosen} that are to be chosen")
    start = before.seen + by_chance
    seen = start + (chosen if method == "sobol" else pool if chosen else 0)
    if seen > ATTEMPT_STRIDE:
        raise InvalidInput(f"pool={pool}: a dataset has {ATTEMPT_STRIDE} draws")

    began = time.perf_counter()
    candidates = np.arange(start, seen)
    scores: list[float | None] = [None] * chosen
    columns: Columns = {}
    if method == "sobol":
        columns = _next_of_sobol(simulation, before, chosen, held.seed)
    elif method == "sbal" and chosen:

        def asked(batch: Batch) -> NDArray[Any]:
            return (score or disagreement)(members, batch)

        measured = _measured(asked, _drawn(simulation, held.seed, candidates))
        _check_scores(measured, pool, members)
        key = (*CHOICE_STREAM, len(before.rounds))
        rng = np.random.default_rng(np.random.SeedSequence(chosen_by.seed, spawn_key=key))
        best = stochastic_batch(
            measured, chosen, rng, rule=chosen_by.rule, sharpness=chosen_by.sharpness
        )
        candidates = candidates[best]
        scores = [float(value) if np.isfinite(value) else None for value in measured[best]]
    elif chosen:

        def seen_as(batch: Batch) -> NDArray[Any]:
            return features(members[0], batch, chosen_by.layer)

        known = (held.inputs(i) for plan in _training_shards(manifest) for i in plan.indices)
        pick = largest_cluster if method == "lcmd" else core_set
        there = _measured(seen_as, _drawn(simulation, held.seed, candidates))
        candidates = candidates[pick(there, _measured(seen_as, known), chosen)]
    added = Round(
        draws=(*range(before.seen, start), *candidates.tolist()),
        reasons=("random",) * by_chance + (method,) * chosen,
        seen=seen,
        scores=(*[None] * by_chance, *scores),
        columns={name: [*[None] * by_chance, *values.tolist()] for name, values in columns.items()},
    )
    seconds = time.perf_counter() - began
    return Acquisition(simulation, manifest, Grown((*before.rounds, added)), seconds)


def _drawn(simulation: Simulation, seed: int, candidates: NDArray[np.integer]) -> Iterator[Inputs]:
    return (simulation.sample(sample_generator(seed, index)) for index in candidates.tolist())


def _listed(emulator: Surrogate | Sequence[Surrogate]) -> Sequence[Surrogate]:
    return [emulator] if isinstance(emulator, Surrogate) else emulator


def _check(
    simulation: Simulation, members: Sequence[Surrogate], method: str, score: Score | None
) -> None:
    if not members:
        raise InvalidInput("emulator=[]: must be at least one surrogate")
    if method == "sbal" and score is None and len(members) < 2:
        raise InvalidInput(
            "emulator: one surrogate cannot disagree; give several, a score, or another method"
        )
    if method != "sbal" and score is not None:
        raise InvalidInput(f"score: is what sbal goes by, not {method}")
    manifests = [dict(member.training.get("dataset", {})) for member in members]
    for manifest in manifests:
        if manifest.get("seed") is None:
            raise InvalidInput(
                "emulator: must have been trained on a dataset of this library, which says how its "
                "inputs were drawn"
            )
        if {**manifest, "path": ""} != {**manifests[0], "path": ""}:
            raise InvalidInput("emulator: all surrogates must have been trained on the same data")
    if members[0].simulation != simulation:
        raise InvalidInput(
            f"simulation={simulation}: is not that of the surrogate, {members[0].simulation}"
        )


def _check_scores(scores: NDArray[Any], n: int, members: Sequence[Surrogate]) -> None:
    if scores.shape != (n,) or (scores < 0).any():
        raise InvalidInput("score: must answer one number a candidate, and none below 0")
    if not (scores > 0).any() and np.isfinite(scores).all():
        names = sorted({member.network_name for member in members})
        raise InvalidInput(
            f"emulator: {', '.join(names)} agree on every candidate. Fits in closed form know no "
            "seed: give networks of different settings, or another method"
        )


def _measured(measure: Callable[[Batch], NDArray[Any]], drawn: Iterator[Inputs]) -> NDArray[Any]:
    """A measure of many inputs, of which few are in memory at a time."""
    parts = []
    with warnings.catch_warnings():
        # Candidates beyond the outermost training data are what is looked for
        warnings.simplefilter("ignore", OutOfDomainWarning)
        for batch in _batches(drawn):
            parts.append(measure(batch))
    return np.concatenate(parts)


def _batches(drawn: Iterator[Inputs]) -> Iterator[Batch]:
    while inputs := list(itertools.islice(drawn, BATCH)):
        yield {name: np.stack([np.asarray(each[name]) for each in inputs]) for name in inputs[0]}


def _training_shards(manifest: Mapping[str, Any]) -> Iterator[ShardPlan]:
    return (plan for plan in plan_shards(manifest) if plan.split == "train")


def _next_of_sobol(simulation: Simulation, before: Grown, n: int, seed: int) -> Columns:
    """The points of the sequence after those that earlier rounds have taken."""
    taken = sum(r.reasons.count("sobol") for r in before.rounds)
    points = Sobol().points(simulation, taken + n, seed)
    return {name: values[taken:] for name, values in points.items()}
