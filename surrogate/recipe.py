"""`Recipe`: all that can be said about how to optimise, and the schedules of its learning rate."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from simulations.simulation import InvalidInput, check_setting
from surrogate import losses

SCHEDULES = ("one_cycle", "cosine", "step")
OPTIMIZERS = ("adamw", "muon")
PRECISIONS = ("float32", "bfloat16", "float64")

#: Share of the budget in which the rate of one cycle rises; over the rest it falls as a cosine
WARM_UP = 0.1


@dataclass(frozen=True)
class Recipe:
    """How to optimise. What is not said is taken from the network's own recommendation.

    Args:
        epochs: passes over the train split.
        minutes: budget, counted from the first epoch; the schedule ends at whichever of the two
            comes first.
        batch_size: trajectories in a batch.
        accumulate: batches in a step, whose gradient is that of one large batch.
        learning_rate: peak of the schedule.
        schedule: ``"one_cycle"``, `one_cycle`; ``"cosine"``, `cosine`; or ``"step"``, halved every
            ``halve_every`` epochs.
        halve_every: epochs at one rate, of the schedule ``"step"`` alone.
        optimizer: ``"adamw"``, or ``"muon"`` for weight matrices with AdamW for all other weights,
            see `surrogate.optimizers`.
        weight_decay: decoupled, of both.
        clip: largest norm of the gradient of all weights; longer ones are shortened to it.
        average: decay of the exponential moving average of the weights. If given, the average is
            what is validated and kept. In step ``n`` the decay is ``(1 + n) / (10 + n)`` where that
            is smaller, so that the first weights are soon forgotten.
        precision: ``"float32"``; ``"bfloat16"``, in which products of matrices are formed while
            weights stay in float32 and validation too; or ``"float64"``, whose weights are rounded
            to float32 when all is done.
        compile: run the network through ``torch.compile``.
        loss: what is minimised: a name of `surrogate.losses.NAMES`, or weights of several by name,
            whose weighted sum is taken. Outputs without space have relative L2 errors in any case.
            What is validated is always the relative L2 error, so that recipes can be compared.
        field_weights: of fields by name, 1 for those not named. The loss is the weighted mean over
            fields; what is validated, the plain one.
        patience: epochs without a better validation error after which to stop.
        seed: of the initial weights and the order of the batches.

    Raises:
        InvalidInput: a field is out of range.
    """

    epochs: int = 200
    minutes: float | None = None
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 2e-3
    schedule: str = "one_cycle"
    halve_every: int | None = None
    optimizer: str = "adamw"
    weight_decay: float = 1e-5
    clip: float | None = None
    average: float | None = None
    precision: str = "float32"
    compile: bool = False
    loss: str | Mapping[str, float] = "relative_l2"
    field_weights: Mapping[str, float] | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_setting("epochs", self.epochs, 1, 1e7, integer=True)
        check_setting("batch_size", self.batch_size, 1, 1e6, integer=True)
        check_setting("accumulate", self.accumulate, 1, 1e6, integer=True)
        check_setting("learning_rate", self.learning_rate, 1e-10, 10)
        _check_choice("schedule", self.schedule, SCHEDULES)
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_setting("weight_decay", self.weight_decay, 0, 10)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("compile", self.compile, (False, True))
        check_setting("seed", self.seed, 0, integer=True)
        if self.minutes is not None:
            check_setting("minutes", self.minutes, 1e-4, 1e6)
        if self.clip is not None:
            check_setting("clip", self.clip, 1e-10, 1e10)
        if self.average is not None:
            check_setting("average", self.average, 0, 1 - 1e-9)
        if self.patience is not None:
            check_setting("patience", self.patience, 1, 1e7, integer=True)
        self._check_weights("loss", self.terms, 1e-12)
        for name in self.terms:
            _check_choice("loss", name, losses.NAMES)
        if not self.terms.keys() - losses.COMPANIONS:
            raise InvalidInput(f"loss={self.loss!r}: does not see all errors; add another to it")
        if self.field_weights is not None:
            self._check_weights("field_weights", self.field_weights, 0.0)
        if self.schedule == "step":
            check_setting("halve_every", self.halve_every or 0, 1, 1e7, integer=True)
        elif self.halve_every is not None:
            raise InvalidInput(
                f"halve_every={self.halve_every!r}: belongs to schedule='step', "
                f"not {self.schedule!r}"
            )

    @property
    def terms(self) -> Mapping[str, float]:
        """Weights of the losses by name."""
        return {self.loss: 1.0} if isinstance(self.loss, str) else self.loss

    @staticmethod
    def _check_weights(setting: str, weights: Any, smallest: float) -> None:
        if not isinstance(weights, Mapping) or not weights:
            raise InvalidInput(f"{setting}={weights!r}: must be weights by name")
        for name, weight in weights.items():
            check_setting(f"{setting}[{name!r}]", weight, smallest, 1e12)

    @classmethod
    def of(cls, network: nn.Module, given: Mapping[str, Any]) -> "Recipe":
        """What is given, and else what the network recommends.

        Raises:
            ValueError: a field is unknown or out of range.
        """
        cls.check_names(given)
        return cls(**{**getattr(network, "recipe", {}), **given})

    @classmethod
    def check_names(cls, given: Iterable[str]) -> None:
        """Raise ValueError if one of these names is not of a field."""
        known = [declared.name for declared in fields(cls)]
        for name in given:
            if name not in known:
                raise ValueError(f"{name}: not part of a recipe; there are {known}")

    def rate(self, epoch: int, progress: float) -> float:
        """Learning rate in an epoch, counted from 0, with a share ``progress`` of the budget spent.

        Steps keep to the epochs, as those published do; the other schedules end with the budget.
        """
        if self.schedule == "step":
            assert self.halve_every is not None
            return self.learning_rate * 0.5 ** (epoch // self.halve_every)
        shape = one_cycle if self.schedule == "one_cycle" else cosine
        return self.learning_rate * shape(progress)


def one_cycle(progress: float) -> float:
    """Learning rate as a share of its peak: a linear rise, then half a cosine down to zero."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.01)
    return cosine((progress - WARM_UP) / (1 - WARM_UP))


def cosine(progress: float) -> float:
    """Learning rate as a share of its peak: half a cosine from the peak down to zero."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def _check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if not isinstance(value, type(allowed[0])) or value not in allowed:
        raise InvalidInput(f"{name}={value!r}: must be one of {list(allowed)}")
