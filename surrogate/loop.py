"""The loop of a training, which can be read in one sitting, and its checkpoints."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from simulations.datasets import Dataset, Trajectories, layout
from simulations.datasets.publish import published
from surrogate import losses, optimizers
from surrogate.distributed import ALONE, Team
from surrogate.encoding import Encoded, Encoding
from surrogate.propagation import Rollout
from surrogate.recipe import Recipe

CHECKPOINT_SECONDS = 20.0


class Stop(Exception):
    """Raised by a logger: the training ends here, with the best weights so far."""


class Logger(Protocol):
    """Whatever keeps a record of trainings elsewhere."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Take what there is to know after epoch ``step``, counted from 1.

        Args:
            values: losses ``train`` and ``valid``, the last ``learning_rate``, and the ``seconds``
                spent so far.
            step: the epoch.

        Raises:
            Stop: the training shall end here.
        """


class Batch(NamedTuple):
    """A batch, or of one that several processes share the samples of this process.

    Args:
        samples: encoded.
        rows: which of the batch they are.
        size: samples in the batch.
    """

    samples: Encoded
    rows: Tensor
    size: int

    @classmethod
    def whole(cls, samples: Encoded) -> "Batch":
        size = len(samples.scalars_in)
        return cls(samples, torch.arange(size), size)


class Split:
    """Encoded trajectories of a split: held in memory if they fit, else read shard by shard.

    Of a team each process reads its share of every shard; batches are those of one process.

    Args:
        dataset: whose split it is.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        encoding: from stored arrays to tensors.
        limit: bytes of memory there are for it.
        device: of the tensors.
        dtype: of the tensors; float32 by default.
        team: the processes that share the split.

    Raises:
        ValueError: there are more processes than trajectories.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        encoding: Encoding,
        limit: float,
        device: str,
        dtype: torch.dtype | None = None,
        team: Team = ALONE,
    ) -> None:
        self._encoding = encoding
        self._device, self._dtype = device, dtype
        self._dataset = dataset
        self._parts = dataset.parts(split)
        sizes = [len(record["indices"]) for record in dataset.records(split)]
        self._count = sum(sizes)
        if 0 < self._count < team.size:
            raise ValueError(
                f"{team.size} processes: the {split} split has {self._count} trajectories only"
            )
        #: Of each part its size, and which of its samples belong to this process
        self._shares = [(size, team.share(size, turn)) for turn, size in enumerate(sizes)]
        stored = self._count / team.size * layout.trajectory_bytes(dataset.simulation)
        # Twice: the arrays as read live until they are encoded; and once more in twice the size
        copies = 2 if dtype is None else 4
        self._held = self._read(split) if copies * stored < limit else None

    def _read(self, split: str) -> Encoded:
        shares = iter(self._shares)
        parts = self._dataset.each_part(
            split, lambda part: self._dataset.read(part, next(shares)[1])
        )
        return self._move(self._encoding.encode(Trajectories.join(list(parts))))

    def _move(self, encoded: Encoded) -> Encoded:
        return Encoded(*(tensor.to(self._device, self._dtype) for tensor in encoded))

    def everything(self) -> Encoded:
        """All samples at once.

        Raises:
            MemoryError: the split is not held in memory.
        """
        if self._held is None:
            raise MemoryError("this network needs all training data in memory at once")
        return self._held

    def steps(self, batch_size: int) -> int:
        return math.ceil(self._count / batch_size)

    def batches(self, batch_size: int, generator: torch.Generator | None) -> Iterator[Batch]:
        """All samples once, shuffled if a generator is given."""
        if self._held is not None:
            yield from self._cut(self._held, self._shares, batch_size, generator)
            return
        order: list[int] = list(range(len(self._parts)))
        if generator is not None:
            order = torch.randperm(len(order), generator=generator).tolist()
        for position in order:
            share = self._shares[position]
            samples = self._dataset.read(self._parts[position], share[1])
            encoded = self._move(self._encoding.encode(samples))
            yield from self._cut(encoded, [share], batch_size, generator)

    @staticmethod
    def _cut(
        data: Encoded,
        shares: Sequence[tuple[int, slice]],
        batch_size: int,
        generator: torch.Generator | None,
    ) -> Iterator[Batch]:
        n = sum(size for size, _ in shares)
        # Where a sample is in `data`, if it belongs to this process
        places = torch.full((n,), -1)
        first = used = 0
        for size, share in shares:
            length = share.stop - share.start
            places[first + share.start : first + share.stop] = torch.arange(used, used + length)
            first, used = first + size, used + length
        order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
        for start in range(0, n, batch_size):
            picked = places[order[start : start + batch_size]]
            rows = torch.nonzero(picked >= 0).flatten()
            yield Batch(data.pick(picked[rows]), rows, len(picked))


@dataclass
class Run:
    """The state of a training and the loop that advances it.

    Args:
        network: built.
        encoding: between the arrays of the dataset and its tensors.
        recipe: how to optimise.
        identity: what a checkpoint must agree with to be continued.
        device: where the network and the data are.
        dtype: of both; float32 by default.
        team: the processes that share the work.
    """

    network: nn.Module
    encoding: Encoding
    recipe: Recipe
    identity: str
    device: str
    dtype: torch.dtype | None = None
    team: Team = ALONE
    history: list[dict[str, float]] = field(default_factory=list)
    best_error: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    steps: int = 0
    rate: float = 0.0
    building: float = 0.0

    def __post_init__(self) -> None:
        def constant(values: Any) -> Tensor:
            return torch.as_tensor(values, device=self.device, dtype=self.dtype)

        self.weights = constant(self.encoding.weights)
        self.trainable = {
            name: weight for name, weight in self.network.named_parameters() if weight.requires_grad
        }
        # Networks fitted in closed form have nothing to train, and no step
        self.optimizers = optimizers.create(self.recipe, list(self.trainable.values()))
        self.forward = torch.compile(self.network) if self.recipe.compile else self.network
        self.average = _copy(self.trainable) if self.recipe.average is not None else {}
        self.best_state = _copy(self.network.state_dict())
        self.loss = losses.combined(self.recipe.terms, self.encoding.simulation.grid)
        self.shares = constant(self._field_shares())
        self.channels = [
            (output, constant(output.mean / output.std), constant(output.std / output.std.mean()))
            for output in self.encoding.outputs
        ]

    def _field_shares(self) -> list[float]:
        """Weight of each field in the loss; their sum is 1."""
        names = [output.name for output in self.encoding.outputs]
        given = self.recipe.field_weights or {}
        if unknown := sorted(given.keys() - set(names)):
            raise ValueError(f"field_weights={dict(given)}: {unknown[0]} is none of {names}")
        weights = [float(given.get(name, 1.0)) for name in names]
        if not sum(weights):
            raise ValueError(f"field_weights={dict(given)}: leave nothing to learn")
        return [weight / sum(weights) for weight in weights]

    def fit(
        self,
        train_data: Split,
        valid_data: Split,
        checkpoint: Path | None,
        progress: bool,
        loggers: Sequence[Logger] = (),
    ) -> None:
        """Train until the budget is spent or patience is, then restore the best weights."""
        saved_at = time.perf_counter()
        if not self.history:  # what `prepare` has found may not be improved upon
            self.best_error = self._validate(valid_data)
        learner = self.network.network if isinstance(self.network, Rollout) else self.network
        with tqdm(
            total=self.recipe.epochs,
            initial=len(self.history),
            desc=type(learner).__name__,
            unit="epoch",
            disable=not (progress and self.team.leads),
        ) as bar:
            while not self._is_over():
                self._epoch(train_data, valid_data)
                latest = self.history[-1]
                bar.set_postfix(
                    train=f"{latest['train']:.2e}",
                    valid=f"{latest['valid']:.2e}",
                    best=f"{self.best_error:.2e}",
                    refresh=False,
                )
                bar.update()
                if checkpoint and time.perf_counter() - saved_at > CHECKPOINT_SECONDS:
                    self.save(checkpoint)
                    saved_at = time.perf_counter()
                if self.team.of_leader(self._is_stopped_by(loggers)):
                    break
        if checkpoint:
            self.save(checkpoint)
        self.network.load_state_dict(self.best_state)

    def _is_stopped_by(self, loggers: Sequence[Logger]) -> bool:
        """Tell the loggers about the last epoch."""
        try:
            for logger in loggers if self.team.leads else ():
                logger.log({**self.history[-1], "seconds": self.seconds}, len(self.history))
        except Stop:
            return True
        return False

    def _is_over(self) -> bool:
        patience = self.recipe.patience
        return (
            not self.trainable
            or self._progress(len(self.history)) >= 1.0
            or (patience is not None and len(self.history) - self.best_epoch >= patience)
            or not all(math.isfinite(value) for h in self.history[-1:] for value in h.values())
        )

    def _progress(self, epoch: float) -> float:
        """Which share of the budget is spent, by epochs or by the clock."""
        spent = epoch / self.recipe.epochs
        if self.recipe.minutes is not None:
            spent = max(spent, self.seconds / (60 * self.recipe.minutes))
        return min(spent, 1.0)

    def _epoch(self, train_data: Split, valid_data: Split) -> None:
        epoch = len(self.history)
        # Seeded by the epoch: a resumed training sees the batches it would have seen
        seed = self.recipe.seed * 1_000_003 + epoch
        generator = torch.Generator().manual_seed(seed)
        steps = train_data.steps(self.recipe.batch_size * self.recipe.accumulate)
        total = count = 0.0
        clock = time.perf_counter()
        started = self.seconds
        self.network.train()
        batches = train_data.batches(self.recipe.batch_size, generator)
        for step, group in enumerate(grouped(batches, self.recipe.accumulate)):
            # and by the step: one in which a process has no sample leaves it where the others are
            torch.manual_seed((seed * 1_000_003 + step) % 2**63)
            progress = self._progress(epoch + step / steps)
            self.rate = self.recipe.rate(epoch, progress)
            loss, size = self.step(group, self.rate, progress)
            total, count = total + loss * size, count + size
            self.seconds = self.team.of_leader(started + time.perf_counter() - clock)
        with self._averaged():
            valid = self._validate(valid_data)
            self.seconds = self.team.of_leader(started + time.perf_counter() - clock)
            entry = {"train": total / count, "valid": valid, "learning_rate": self.rate}
            self.history.append(entry)
            if valid < self.best_error:
                self.best_error, self.best_epoch = valid, len(self.history)
                self.best_state = _copy(self.network.state_dict())

    def step(
        self, batches: Sequence[Batch], rate: float, progress: float = 0.0
    ) -> tuple[float, int]:
        """Move the weights once; return the loss before and the number of samples it is of."""
        for optimizer in self.optimizers:
            for settings in optimizer.param_groups:
                settings["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        size = sum(batch.size for batch in batches)
        total = 0.0
        for batch in batches:
            share = len(batch.rows) / size
            if not share:
                continue
            loss = self._loss(batch, progress)
            loss.backward(loss.new_tensor(share))
            total += share * float(loss.detach())
        if self.team.size > 1:
            for weight in self.trainable.values():
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
            self.team.add([w.grad for w in self.trainable.values() if w.grad is not None])
            (total,) = self.team.total(total)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.trainable.values(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        self._update_average()
        return total, size

    def _loss(self, batch: Batch, progress: float) -> Tensor:
        """What is minimised. Of terms that are not errors of fields, the place is here."""
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, self.recipe.precision == "bfloat16"):
            if isinstance(self.network, Rollout):
                errors = self.network.errors(
                    batch.samples,
                    self.weights,
                    progress,
                    self.loss,
                    rows=batch.rows,
                    size=batch.size,
                )
            else:
                fields, scalars = self.forward(batch.samples.fields_in, batch.samples.scalars_in)
        if not isinstance(self.network, Rollout):
            errors = self._errors(batch.samples, fields, scalars, self.loss)
        return (errors @ self.shares).mean()

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.recipe.average is not None:
            decay = min(self.recipe.average, (1 + self.steps) / (10 + self.steps))
            for name, average in self.average.items():
                average.lerp_(self.trainable[name], 1 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the average in the place of the weights for a while, if there is one."""
        if not self.average:
            yield
            return
        raw = _copy(self.trainable)
        self.network.load_state_dict(self.average, strict=False)
        yield
        self.network.load_state_dict(raw, strict=False)

    @torch.no_grad()
    def _validate(self, data: Split) -> float:
        self.network.eval()
        total = count = 0.0
        for samples, rows, size in data.batches(64, None):
            if len(rows):
                errors = self._errors(samples, *self.forward(samples.fields_in, samples.scalars_in))
                total += float(errors.mean(1).double().sum())
            count += size
        return self.team.total(total)[0] / count

    def _errors(
        self,
        batch: Encoded,
        fields: Tensor,
        scalars: Tensor,
        loss: losses.Loss = losses.relative_l2,
    ) -> Tensor:
        """Error in physical units of each sample and field, ``(batch, fields)``."""
        errors = []
        for output, offset, scale in self.channels:
            predicted = (fields if output.spatial else scalars)[..., output.channels]
            target = (batch.fields_out if output.spatial else batch.scalars_out)[
                ..., output.channels
            ]
            predicted, target = scale * (predicted + offset), scale * (target + offset)
            if output.spatial:
                errors.append(loss(predicted, target, self.weights))
            else:
                errors.append(losses.relative_l2(predicted, target))
        return torch.stack(errors, dim=1)

    def save(self, path: Path) -> None:
        """Write a checkpoint: complete or not at all. Of a team the leader does."""
        if not self.team.leads:
            return
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_state.items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {
            f"optimizer.{name}": value for name, value in optimizers.state(self.optimizers).items()
        }
        described = {
            "identity": self.identity,
            "history": self.history,
            "best_error": self.best_error,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "steps": self.steps,
        }
        with published(path) as temporary:
            save_file(
                {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                temporary,
                {"training": json.dumps(described)},
            )

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it is not a checkpoint, or one of another training.
        """
        try:
            with safe_open(path, "pt", device=self.device) as file:
                described = json.loads((file.metadata() or {})["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: not a checkpoint ({error})") from None
        if described["identity"] != self.identity:
            raise ValueError(
                f"{path}: belongs to another dataset, network or recipe; "
                "remove it or name another checkpoint"
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value
                for name, value in tensors.items()
                if name.startswith(prefix)
            }

        self.network.load_state_dict(part("model."))
        self.best_state = part("best.")
        self.average = part("average.")
        optimizers.restore(self.optimizers, part("optimizer."))
        self.history = described["history"]
        self.best_error, self.best_epoch = described["best_error"], described["best_epoch"]
        self.seconds, self.steps = described["seconds"], described["steps"]


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches of each step, in the last one as many as are left."""
    while group := list(islice(batches, size)):
        yield group
