"""Training: one call; the loop is in `surrogate.loop` and its settings in `surrogate.recipe`."""

import copy
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulations.datasets import Dataset, Trajectories, layout, open_dataset
from simulations.machine import free_memory
from simulations.simulation import Simulation, check_setting
from surrogate import metrics
from surrogate.distributed import neighbours, team
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoded, Encoding
from surrogate.loop import Batch, Logger, Run, Split, grouped
from surrogate.networks import default_network
from surrogate.networks.network import Network
from surrogate.propagation import Propagator, Rollout, change_deviations
from surrogate.recipe import Recipe


def train(
    dataset: Dataset | str | Path,
    network: nn.Module | None = None,
    *,
    problem: Propagator | None = None,
    checkpoint: str | Path | None = None,
    device: str = "cpu",
    memory_gigabytes: float | None = None,
    progress: bool = True,
    loggers: Sequence[Logger] = (),
    **recipe: Any,
) -> Surrogate:
    """Train a network on a dataset and return it as a `Surrogate`.

    The loss is the relative L2 error of each field, averaged over fields, unless the recipe says
    otherwise. Weights are selected by that error on the *validation* split; the test split is
    looked at once, at the end.

    In several processes, see `surrogate.distributed`, all return the same surrogate; the test split
    is the leader's alone.

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
        loggers: objects with a method ``log`` as `Logger` has it, called after each epoch.
        **recipe: fields of `surrogate.recipe.Recipe`, such as ``epochs`` and ``learning_rate``.

    Raises:
        DatasetError: the train or the validation split is empty or incomplete.
        ValueError: a field of the recipe is unknown or out of range, the checkpoint belongs to
            another training, or a logger has no method ``log``.
    """
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset)
    emulator = trained(
        dataset,
        network,
        problem=problem,
        checkpoint=checkpoint,
        device=device,
        memory_gigabytes=memory_gigabytes,
        progress=progress,
        loggers=loggers,
        **recipe,
    )
    if dataset.count("test") and team().leads:
        emulator.training["test_relative_l2"] = evaluate(emulator, dataset, "test")
    return emulator


def trained(
    dataset: Dataset,
    network: nn.Module | None,
    *,
    problem: Propagator | None,
    checkpoint: str | Path | None,
    device: str,
    memory_gigabytes: float | None,
    progress: bool,
    loggers: Sequence[Logger],
    **recipe: Any,
) -> Surrogate:
    """What `train` returns, before it meets the test split."""
    encoding = Encoding.of_dataset(dataset)
    if network is None:
        network = default_network(encoding.signature, dataset.simulation.grid)
    plan = Recipe.of(network, recipe)
    for logger in loggers:
        if not callable(getattr(logger, "log", None)):
            raise ValueError(f"loggers={logger!r}: must have a method log(values, step)")

    run, train_data, valid_data = _begin(
        dataset, network, encoding, problem, plan, device, memory_gigabytes
    )
    network = run.network
    if checkpoint is not None and Path(checkpoint).exists():
        run.resume(Path(checkpoint))
    run.fit(train_data, valid_data, Path(checkpoint) if checkpoint else None, progress, loggers)
    if run.dtype is not None:
        network.float()

    emulator = Surrogate(dataset.simulation, network, encoding)
    emulator.training = {
        "dataset": {**dataset.manifest, "path": str(dataset.path.resolve())},
        "recipe": asdict(plan),
        "processes": run.team.size,
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "valid_error": run.best_error,
        "seconds": run.building + run.seconds,
        "data_seconds": dataset.solver_seconds,
        "trajectories": {split: dataset.count(split) for split in layout.SPLITS},
        "history": run.history,
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    return emulator


@dataclass(frozen=True)
class RangeTest:
    """How the loss of a training went while its learning rate rose.

    Args:
        rates: learning rate of each step.
        losses: loss before each step.
        suggestion: peak for the schedule of a training.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    dataset: Dataset | str | Path,
    network: nn.Module | None = None,
    *,
    problem: Propagator | None = None,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    device: str = "cpu",
    memory_gigabytes: float | None = None,
    **recipe: Any,
) -> RangeTest:
    """Train a copy of a network at rates that rise geometrically until its loss blows up.

    The suggestion is a tenth of the rate at which the smoothed loss is lowest: there it falls fast,
    and it is a safe distance from where it rises. It is only as good as the losses look smooth.

    Args:
        dataset: as for `train`.
        network: as for `train`; it is left as it is.
        problem: as in `train`.
        lowest: rate of the first step.
        highest: rate of the last step, if the loss does not rise to four times its lowest before.
        steps: number of rates, of which each is for one step.
        device: torch device.
        memory_gigabytes: as for `train`.
        **recipe: as for `train`.

    Raises:
        DatasetError: the train or the validation split is empty or incomplete.
        ValueError: an argument is out of range, or the network has no weights to train.

    References:
        L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
        arXiv:1506.01186.
    """
    check_setting("lowest", lowest, 1e-10, 10)
    check_setting("highest", highest, lowest, 10)
    check_setting("steps", steps, 10, 1e6, integer=True)
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset)
    encoding = Encoding.of_dataset(dataset)
    if network is None:
        network = default_network(encoding.signature, dataset.simulation.grid)
    plan = Recipe.of(network, recipe)
    tried = copy.deepcopy(network)
    run, data, _ = _begin(dataset, tried, encoding, problem, plan, device, memory_gigabytes)
    if not run.trainable:
        raise ValueError(f"network={type(network).__name__}: has no weights to train")

    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    recent = 0.0
    run.network.train()
    for step, group in zip(range(steps), _endless(data, plan), strict=False):
        rate = lowest * (highest / lowest) ** (step / (steps - 1))
        loss, _ = run.step(group, rate)
        recent = 0.9 * recent + 0.1 * loss
        current = recent / (1 - 0.9 ** (step + 1))
        if not (math.isfinite(loss) and current <= 4 * min([current, *smoothed])):
            break
        rates.append(rate)
        losses.append(loss)
        smoothed.append(current)
    if not rates:
        raise ValueError(f"network={type(network).__name__}: its first loss is {loss}")
    return RangeTest(tuple(rates), tuple(losses), rates[int(np.argmin(smoothed))] / 10)


def _endless(data: Split, plan: Recipe) -> Iterator[list[Batch]]:
    """The batches of each step, epoch after epoch."""
    generator = torch.Generator().manual_seed(plan.seed)
    while True:
        yield from grouped(data.batches(plan.batch_size, generator), plan.accumulate)


def evaluate(emulator: Surrogate, dataset: Dataset, split: str) -> dict[str, float]:
    """Mean relative L2 error of each field over the stored trajectories of a split.

    Frames that are given as an initial condition do not count.
    """
    samples = dataset.load(split)
    encoded = emulator.encoding.encode(samples)
    inputs = stored_inputs(dataset.simulation, samples)
    predicted = emulator.encoding.decode(*answered(emulator.network, encoded), inputs)
    errors = {}
    for name, declared_field in dataset.simulation.fields.items():
        first = emulator.encoding.first_frame[name]
        weights = declared_field.weights(dataset.simulation.grid)
        truth = samples.fields[name][:, first:].astype(np.float64)
        error = metrics.relative_l2(predicted[name][:, first:], truth, weights)
        errors[name] = float(error.mean())
    return errors


def answered(network: nn.Module, encoded: Encoded) -> tuple[Tensor, Tensor]:
    """Fields and scalars that a network answers to many samples, a few at a time."""
    with torch.inference_mode():
        parts = [
            network(encoded.fields_in[i : i + 64], encoded.scalars_in[i : i + 64])
            for i in range(0, len(encoded.scalars_in), 64)
        ]
    fields, scalars = zip(*parts, strict=True)
    return torch.cat(fields), torch.cat(scalars)


def stored_inputs(simulation: Simulation, samples: Trajectories) -> dict[str, Any]:
    """The inputs of stored trajectories, as `Surrogate.predict` takes them."""
    inputs: dict[str, Any] = dict(samples.parameters)
    for name, declared in simulation.field_inputs.items():
        initial = declared.initial_of
        inputs[name] = samples.fields[initial][:, 0] if initial else samples.field_inputs[name]
    return inputs


def _begin(
    dataset: Dataset,
    network: nn.Module,
    encoding: Encoding,
    problem: Propagator | None,
    plan: Recipe,
    device: str,
    memory_gigabytes: float | None,
) -> tuple[Run, Split, Split]:
    """Build and prepare the network, and read the data, of a training that has not begun."""
    identity = _identity(dataset, network, problem, plan)
    torch.manual_seed(plan.seed)
    start = time.perf_counter()
    if problem is not None:
        network = Rollout(network, encoding, problem, change_deviations(dataset))
        network.build()
    elif isinstance(network, Network):
        network.build(encoding.signature)
        network.calibrate(encoding.scaling)
    dtype = None
    if plan.precision == "float64" and any(p.requires_grad for p in network.parameters()):
        dtype = torch.float64
        network.double()
    building = time.perf_counter() - start
    if memory_gigabytes is None:
        limit = free_memory() / 2 / neighbours()
    else:
        limit = memory_gigabytes * 1024**3
    here = team()
    train_data = Split(dataset, "train", encoding, limit, device, dtype, here)
    valid_data = Split(dataset, "valid", encoding, limit, device, dtype, here)
    start = time.perf_counter()
    if isinstance(network, Network | Rollout) and network.is_fitted and here.leads:
        whole = train_data
        if here.size > 1:  # for what is fitted has to see everything
            whole = Split(dataset, "train", encoding, limit, device, dtype)
        # Not on the device: fits are made by libraries that know none
        everything = Encoded(*(tensor.cpu() for tensor in whole.everything()))
        if isinstance(network, Rollout):
            network.prepare(everything)
        else:
            network.prepare(*everything)
    network.to(device)
    here.take_from_leader(network.state_dict().values())
    building += time.perf_counter() - start

    run = Run(network, encoding, plan, identity, device, dtype, here)
    run.building = building
    return run, train_data, valid_data


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
