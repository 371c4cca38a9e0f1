"""Datasets that grow round by round: which draws each round took, and why."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simulations.designs import ATTEMPT_STRIDE, INDEPENDENT, Columns, Design, finite_numbers
from simulations.simulation import InvalidInput, Simulation, check_setting


@dataclass(frozen=True)
class Round:
    """Trajectories that were decided on together.

    Args:
        draws: of each trajectory the index of its random numbers.
        reasons: why each of them is there.
        seen: index after the last draw that was looked at for this round, chosen or not.
        scores: of each trajectory by what it was preferred, None where nothing was measured.
        columns: values by parameter, None where a parameter is drawn.

    Raises:
        InvalidInput: an entry is missing or is not of its kind.
    """

    draws: tuple[int, ...]
    reasons: tuple[str, ...]
    seen: int
    scores: tuple[float | None, ...] = ()
    columns: (
        Mapping[str, Sequence[float | None]] | tuple[tuple[str, tuple[float | None, ...]], ...]
    ) = ()

    def __post_init__(self) -> None:
        try:
            draws, reasons = tuple(self.draws), tuple(self.reasons)
            scores = tuple(self.scores) or (None,) * len(draws)
            columns = tuple(
                (str(name), tuple(values)) for name, values in dict(self.columns).items()
            )
        except (TypeError, ValueError):
            raise InvalidInput(
                f"round={self!r:.80}: must have lists, and columns by name"
            ) from None
        check_setting("seen", self.seen, 1, ATTEMPT_STRIDE, integer=True)
        if not draws:
            raise InvalidInput("draws=(): a round has at least one trajectory")
        for index in draws:
            check_setting("draws", index, 0, self.seen - 1, integer=True)
        for reason in reasons:
            if not isinstance(reason, str):
                raise InvalidInput(f"reasons={reason!r}: must be text")
        for name, values in (("scores", scores), *columns):
            given = [value for value in values if value is not None]
            if given:
                finite_numbers(name, given)
        lengths = {"draws": len(draws), "reasons": len(reasons), "scores": len(scores)}
        lengths |= {name: len(values) for name, values in columns}
        if len(set(lengths.values())) > 1:
            raise InvalidInput(f"round: entries must be as many of each, not {lengths}")
        for name, value in (
            ("draws", tuple(map(int, draws))),
            ("reasons", reasons),
            ("seen", int(self.seen)),
            ("scores", tuple(None if v is None else float(v) for v in scores)),
            ("columns", columns),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.draws)

    def to_json(self) -> dict[str, Any]:
        described = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        described["columns"] = {name: list(values) for name, values in dict(self.columns).items()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in described.items()}


@dataclass(frozen=True)
class Grown(Design):
    """Trajectories that were decided on round by round, the later ones knowing the earlier.

    Each is the draw with the index that its round says, which is why its fields need not be kept
    to be known, with the parameters that the round places, if any. The first round is divided into
    splits; those that follow are for training alone, so that what validates and tests stays what
    it was. A dataset that was drawn independently is such a first round.

    Args:
        rounds: at least one.

    Raises:
        InvalidInput: there is none, or two trajectories are the same draw.
    """

    rounds: tuple[Round, ...]

    def __post_init__(self) -> None:
        try:
            rounds = tuple(r if isinstance(r, Round) else Round(**r) for r in self.rounds)
        except TypeError as error:
            raise InvalidInput(f"rounds={self.rounds!r:.80}: {error}") from None
        if not rounds:
            raise InvalidInput("rounds=(): there must be at least one")
        draws = [index for r in rounds for index in r.draws]
        if len(set(draws)) < len(draws):
            twice = next(index for index in draws if draws.count(index) > 1)
            raise InvalidInput(f"draws={twice}: no draw can come twice")
        object.__setattr__(self, "rounds", rounds)

    @classmethod
    def after(cls, design: Design, n: int) -> "Grown":
        """A dataset of ``n`` trajectories with another design, as what later rounds come after.

        Raises:
            InvalidInput: its trajectories were not drawn independently.
        """
        if isinstance(design, Grown):
            return design
        if design != INDEPENDENT:
            raise InvalidInput(
                f"design={type(design).__name__}: only datasets that were drawn independently can "
                "grow, because others can neither validate nor test"
            )
        return cls((Round(tuple(range(n)), ("initial",) * n, n),))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def seen(self) -> int:
        """Index after the last draw that was ever looked at."""
        return max(r.seen for r in self.rounds)

    @cached_property
    def _entries(self) -> list[tuple[int, int]]:
        """Round and position in it of each trajectory."""
        return [(number, i) for number, r in enumerate(self.rounds) for i in range(len(r))]

    @property
    def later_rounds(self) -> tuple[int, ...]:
        return tuple(map(len, self.rounds[1:]))

    def draw(self, place: int) -> int:
        number, position = self._entries[place]
        return self.rounds[number].draws[position]

    def origin(self, place: int) -> tuple[int, str]:
        number, position = self._entries[place]
        return number, self.rounds[number].reasons[position]

    def continues(self, other: Design, n: int) -> bool:
        if not isinstance(other, Grown) and other != INDEPENDENT:
            return False
        before = Grown.after(other, n).rounds
        return self.rounds[: len(before)] == before

    def points(self, simulation: Simulation, n: int, seed: int) -> Columns:
        if n != len(self):
            raise InvalidInput(f"n={n}: the design has {len(self)} trajectories")
        names = {name for r in self.rounds for name in dict(r.columns)}
        placed: Columns = {}
        for name in sorted(names):
            if name not in simulation.parameters:
                known = list(simulation.parameters)
                raise InvalidInput(
                    f"columns={name}: {type(simulation).__name__} has no such parameter; has "
                    f"{known}"
                )
            values = [dict(r.columns).get(name, (None,) * len(r)) for r in self.rounds]
            for value in itertools.chain(*values):
                if value is not None:
                    simulation.parameters[name].check(name, value)
            placed[name] = np.array(list(itertools.chain(*values)), dtype=np.float64)
        return placed

    def to_json(self) -> dict[str, Any]:
        return {"design": "Grown", "rounds": [r.to_json() for r in self.rounds]}

    def summary(self) -> dict[str, Any]:
        # Of a shard, which later rounds leave as it is
        return {"design": "Grown"}
