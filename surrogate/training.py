"""Training: one call, one loop that can be read in one sitting."""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from simulations.datasets import Dataset, layout, open_dataset
from simulations.datasets.publish import published
from simulations.simulation import check_setting
from surrogate import losses, metrics
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoded, Encoding
from surrogate.networks import default_network
from surrogate.networks.network import Network
from surrogate.propagation import Propagator, Rollout, change_deviations

#: Share of the budget in which the learning rate rises; over the rest it falls as a cosine
WARM_UP = 0.1
CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class Recipe:
    """How to optimise. What is not said is taken from the network's own recommendation.

    Args:
        epochs: passes over the train split.
        minutes: budget; the schedule ends at whichever of the two comes first.
        batch_size: trajectories in a step.
        learning_rate: peak of the one-cycle schedule of AdamW.
        weight_decay: of AdamW, decoupled.
        clip: largest norm of the gradient of all weights together; longer ones are shortened to it.
        patience: epochs without a better validation error after which to stop.
        seed: of the initial weights and the order of the batches.
    """

    epochs: int = 200
    minutes: float | None = None
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-5
    clip: float | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_setting("epochs", self.epochs, 1, 1e7, integer=True)
        check_setting("batch_size", self.batch_size, 1, 1e6, integer=True)
        check_setting("learning_rate", self.learning_rate, 1e-10, 10)
        check_setting("weight_decay", self.weight_decay, 0, 10)
        check_setting("seed", self.seed, 0, integer=True)
        if self.minutes is not None:
            check_setting("minutes", self.minutes, 1e-4, 1e6)
        if self.clip is not None:
            check_setting("clip", self.clip, 1e-12, 1e12)
        if self.patience is not None:
            check_setting("patience", self.patience, 1, 1e7, integer=True)


def train(
    dataset: Dataset | str | Path,
    network: nn.Module | None = None,
    *,
    problem: Propagator | None = None,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    memory_gigabytes: float | None = None,
    progress: bool = True,
    **recipe: Any,
) -> Surrogate:
    """Train a network on a dataset and return it as a `Surrogate`.

    The loss is the relative L2 error of each field, averaged over fields. Weights are selected by
    the error on the *validation* split; the test split is looked at once, at the end.

    Args:
        dataset: a dataset, or what `simulations.open_dataset` opens: a folder of this library or
            of The Well, a file of PDEBench.
        network: an unbuilt network of `surrogate.networks`, or any module whose
            ``forward(fields, scalars)`` returns ``(fields, scalars)``. By default what
            `surrogate.networks.default_network` chooses for a problem of this kind.
        problem: what the network learns: all stored times at once by default, the step from one to
            the next with `Propagator`.
        checkpoint: file to save the state of the training to every few seconds. If it exists, and
            belongs to the same dataset, network and recipe, training continues from it.
        device: torch device.
        memory_gigabytes: how much of the data to hold in memory; what does not fit is read again
            in every epoch. By default half of the memory that is free.
        progress: show a progress bar with the losses on stderr.
        **recipe: fields of `Recipe`: ``epochs``, ``minutes``, ``batch_size``, ``learning_rate``,
            ``weight_decay``, ``clip``, ``patience``, ``seed``.

    Raises:
        DatasetError: the train or the validation split is empty or incomplete.
        ValueError: a field of the recipe is unknown or out of range, or the checkpoint belongs to
            another training.
    """
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset)
    encoding = Encoding.of_dataset(dataset)
    if network is None:
        network = default_network(encoding.signature, dataset.simulation.grid)
    plan = _make_recipe(network, recipe)
    identity = _identity(dataset, network, problem, plan)

    torch.manual_seed(plan.seed)
    limit = _free_memory() / 2 if memory_gigabytes is None else memory_gigabytes * 1024**3
    train_data = _Split(dataset, "train", encoding, limit, device)
    valid_data = _Split(dataset, "valid", encoding, limit, device)
    start = time.perf_counter()
    if problem is not None:
        network = Rollout(network, encoding, problem, change_deviations(dataset))
        network.build()
        if (
            isinstance(network.network, Network)
            and type(network.network).prepare is not Network.prepare
        ):
            network.network.prepare(*network.examples(train_data.everything()))
    elif isinstance(network, Network):
        network.build(encoding.signature)
        if type(network).prepare is not Network.prepare:
            network.prepare(*train_data.everything())
    network.to(device)

    run = _Run(network, encoding, plan, identity, device)
    run.seconds = time.perf_counter() - start
    if checkpoint is not None and Path(checkpoint).exists():
        run.resume(Path(checkpoint))
    run.fit(train_data, valid_data, Path(checkpoint) if checkpoint else None, progress)

    emulator = Surrogate(dataset.simulation, network, encoding)
    emulator.training = {
        "dataset": {**dataset.manifest, "path": str(dataset.path.resolve())},
        "recipe": asdict(plan),
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": run.seconds,
        "data_seconds": dataset.solver_seconds,
        "trajectories": {split: dataset.count(split) for split in layout.SPLITS},
        "history": run.history,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    if dataset.count("test"):
        emulator.training["test_relative_l2"] = evaluate(emulator, dataset, "test")
    return emulator


def evaluate(emulator: Surrogate, dataset: Dataset, split: str) -> dict[str, float]:
    """Mean relative L2 error of each field over the stored trajectories of a split.

    Frames that are given as an initial condition do not count.
    """
    samples = dataset.load(split)
    encoded = emulator.encoding.encode(samples)
    inputs: dict[str, Any] = dict(samples.parameters)
    for name, declared in dataset.simulation.field_inputs.items():
        initial = declared.initial_of
        inputs[name] = samples.fields[initial][:, 0] if initial else samples.field_inputs[name]
    with torch.inference_mode():
        parts = [
            emulator.network(encoded.fields_in[i : i + 64], encoded.scalars_in[i : i + 64])
            for i in range(0, len(samples), 64)
        ]
    fields = torch.cat([part[0] for part in parts])
    scalars = torch.cat([part[1] for part in parts])
    predicted = emulator.encoding.decode(fields, scalars, inputs)
    grid_weights = dataset.simulation.grid.weights
    errors = {}
    for name, declared_field in dataset.simulation.fields.items():
        first = emulator.encoding.first_frame[name]
        weights = None
        if declared_field.spatial:
            weights = grid_weights.reshape(grid_weights.shape + (1,) * declared_field.order)
        truth = samples.fields[name][:, first:].astype(np.float64)
        error = metrics.relative_l2(predicted[name][:, first:], truth, weights)
        errors[name] = float(error.mean())
    return errors


def _make_recipe(network: nn.Module, given: Mapping[str, Any]) -> Recipe:
    known = list(Recipe.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise ValueError(f"{name}: not part of a recipe; there are {known}")
    return Recipe(**{**getattr(network, "recipe", {}), **given})


def _identity(
    dataset: Dataset, network: nn.Module, problem: Propagator | None, plan: Recipe
) -> str:
    """What a checkpoint must agree with to be continued."""
    described = {
        "dataset": dataset.manifest,
        "network": [type(network).__name__, getattr(network, "config", None)],
        "problem": asdict(problem) if problem else None,
        "recipe": asdict(plan),
    }
    return json.dumps(described, sort_keys=True)


def _free_memory() -> float:
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


class _Split:
    """Encoded trajectories of a split: held in memory if they fit, else read shard by shard."""

    def __init__(
        self, dataset: Dataset, split: str, encoding: Encoding, limit: float, device: str
    ) -> None:
        self._encoding = encoding
        self._device = device
        self._dataset = dataset
        self._parts = dataset.parts(split)
        stored = dataset.count(split) * layout.trajectory_bytes(dataset.simulation)
        # Twice: the arrays as read live until they are encoded
        self._held = (
            self._move(encoding.encode(dataset.load(split))) if 2 * stored < limit else None
        )
        self._count = dataset.count(split)

    def _move(self, encoded: Encoded) -> Encoded:
        return Encoded(*(tensor.to(self._device) for tensor in encoded))

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

    def batches(self, batch_size: int, generator: torch.Generator | None) -> Iterator[Encoded]:
        """All samples once, shuffled if a generator is given."""
        if self._held is not None:
            yield from self._cut(self._held, batch_size, generator)
            return
        order: list[int] = list(range(len(self._parts)))
        if generator is not None:
            order = torch.randperm(len(order), generator=generator).tolist()
        for position in order:
            samples = self._dataset.read(self._parts[position])
            yield from self._cut(self._move(self._encoding.encode(samples)), batch_size, generator)

    @staticmethod
    def _cut(
        data: Encoded, batch_size: int, generator: torch.Generator | None
    ) -> Iterator[Encoded]:
        n = len(data.scalars_in)
        order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
        for start in range(0, n, batch_size):
            yield data.pick(order[start : start + batch_size])


@dataclass
class _Run:
    """The state of a training and the loop that advances it."""

    network: nn.Module
    encoding: Encoding
    recipe: Recipe
    identity: str
    device: str
    history: list[dict[str, float]] = field(default_factory=list)
    best_error: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.weights = self.encoding.weights.to(self.device)
        self.trainable = [p for p in self.network.parameters() if p.requires_grad]
        # An optimiser refuses to have nothing to do: networks fitted in closed form have no step
        self.optimizer = torch.optim.AdamW(
            self.trainable or [torch.zeros(1, requires_grad=True)],
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
        )
        self.best_state = _copy(self.network.state_dict())
        self.channels = [
            (
                output,
                torch.as_tensor(output.mean / output.std, device=self.device),
                torch.as_tensor(output.std / output.std.mean(), device=self.device),
            )
            for output in self.encoding.outputs
        ]

    def fit(
        self, train_data: _Split, valid_data: _Split, checkpoint: Path | None, progress: bool
    ) -> None:
        """Train until the budget is spent or patience is, then restore the best weights."""
        saved_at = time.perf_counter()
        if not self.history:  # what `prepare` has found may not be improved upon
            self.best_error = self._validate(valid_data)
        inner = self.network.network if isinstance(self.network, Rollout) else self.network
        name = type(inner).__name__
        with tqdm(
            total=self.recipe.epochs,
            initial=len(self.history),
            desc=name,
            unit="epoch",
            disable=not progress,
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
        if checkpoint:
            self.save(checkpoint)
        self.network.load_state_dict(self.best_state)

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

    def _epoch(self, train_data: _Split, valid_data: _Split) -> None:
        epoch = len(self.history)
        # Seeded by the epoch: a resumed training sees the batches it would have seen
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
        torch.manual_seed(self.recipe.seed * 1_000_003 + epoch)
        steps = train_data.steps(self.recipe.batch_size)
        total = count = 0.0
        clock = time.perf_counter()
        started = self.seconds
        self.network.train()
        for step, batch in enumerate(train_data.batches(self.recipe.batch_size, generator)):
            progress = self._progress(epoch + step / steps)
            rate = self.recipe.learning_rate * one_cycle(progress)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.zero_grad(set_to_none=True)
            if isinstance(self.network, Rollout):
                loss = self.network.errors(batch, self.weights, progress).mean()
            else:
                loss = self._errors(batch).mean()
            loss.backward()
            if self.recipe.clip is not None:
                nn.utils.clip_grad_norm_(self.trainable, self.recipe.clip)
            self.optimizer.step()
            size = len(batch.scalars_in)
            total, count = total + float(loss.detach()) * size, count + size
            self.seconds = started + time.perf_counter() - clock
        valid = self._validate(valid_data)
        self.seconds = started + time.perf_counter() - clock
        self.history.append({"train": total / count, "valid": valid})
        if valid < self.best_error:
            self.best_error, self.best_epoch = valid, len(self.history)
            self.best_state = _copy(self.network.state_dict())

    @torch.no_grad()
    def _validate(self, data: _Split) -> float:
        self.network.eval()
        errors = [self._errors(batch) for batch in data.batches(64, None)]
        return float(torch.cat(errors).mean())

    def _errors(self, batch: Encoded) -> Tensor:
        """Relative L2 error in physical units of each sample and field, ``(batch, fields)``."""
        fields, scalars = self.network(batch.fields_in, batch.scalars_in)
        errors = []
        for output, offset, scale in self.channels:
            predicted = (fields if output.spatial else scalars)[..., output.channels]
            target = (batch.fields_out if output.spatial else batch.scalars_out)[
                ..., output.channels
            ]
            weights = self.weights if output.spatial else None
            errors.append(
                losses.relative_l2(scale * (predicted + offset), scale * (target + offset), weights)
            )
        return torch.stack(errors, dim=1)

    def save(self, path: Path) -> None:
        """Write a checkpoint: complete or not at all."""
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_state.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        described = {
            "identity": self.identity,
            "history": self.history,
            "best_error": self.best_error,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
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
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in part("optimizer.").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.history = described["history"]
        self.best_error, self.best_epoch = described["best_error"], described["best_epoch"]
        self.seconds = described["seconds"]


def one_cycle(progress: float) -> float:
    """Learning rate as a share of its peak: a linear rise, then half a cosine down to zero."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
