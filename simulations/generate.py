"""Inputs × simulation × executor → a dataset on disk that survives being killed."""

import dataclasses
import itertools
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from simulations.datasets import layout, provenance
from simulations.datasets.compression import Compression
from simulations.datasets.layout import SPLITS
from simulations.datasets.publish import publish_text, remove_abandoned
from simulations.datasets.reader import Dataset, DatasetError
from simulations.designs import INDEPENDENT, Design, Draws
from simulations.generation import execution
from simulations.generation.plan import ShardPlan, plan_shards
from simulations.generation.summary import summarise
from simulations.generation.supervisor import Order
from simulations.simulation import InvalidInput, Simulation, check_setting

SHARD_BYTES = 32 * 1024**2
MAX_SAMPLES_PER_SHARD = 64
SHARDS_PER_DATASET = 16


def generate(
    simulation: Simulation,
    n: int,
    path: str | Path,
    *,
    seed: int = 0,
    design: Design = INDEPENDENT,
    workers: int | None = None,
    executor: Executor | None = None,
    part: tuple[int, int] = (0, 1),
    timeout: float | None = None,
    verify: bool = False,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    compression: Compression | None = None,
    progress: bool = True,
) -> Dataset:
    """Solve for ``n`` random inputs and store the trajectories.

    Trajectory ``i`` is drawn from ``SeedSequence(seed, spawn_key=(i,))``: the files are the same
    bytes whatever the executor and the number of workers. Called again after a kill it continues;
    called again with a larger ``n`` it extends. A draw that diverges, takes too long or kills its
    process twice is recorded in ``failures.jsonl``, and a fresh draw with an index of its own takes
    its place.

    Args:
        simulation: the system and its settings.
        n: number of trajectories.
        path: folder of the dataset, made if it does not exist.
        seed: non-negative integer.
        design: where the parameters lie; what it does not place is drawn.
        workers: processes; by default as many as this process may use cores. With an executor, how
            many it has: twice as many shards are handed to it at a time, 1024 by default.
        executor: where shards are made, any `concurrent.futures.Executor`: a process pool,
            ``dask.distributed.Client().get_executor()``, ``mpi4py.futures.MPIPoolExecutor()``. Its
            workers write to ``path``, and each starts a process that solves, with one thread.
        part: ``(i, m)`` makes every m-th shard from the i-th, for job ``i`` of ``m`` jobs, counted
            from 0. The job that finds everything complete in the end writes the statistics.
        timeout: seconds after which a trajectory is given up. Which ones that are depends on the
            machine; what was given up once stays so.
        verify: read the shards that are there, and make those again whose checksum is wrong.
        splits: fractions for train, valid and test; they divide trajectories, never frames. Of a
            `Grown` design they divide the first round.
        compression: how fields are stored; by default as they are.
        progress: show a progress bar with rate and remaining time on stderr.

    Returns:
        The dataset.

    Raises:
        InvalidInput: an argument is out of range.
        DatasetError: the folder holds another dataset.
        SimulationDiverged: ten draws in a row failed.
        OSError: the disk is full.
        RuntimeError: worker processes die whatever they solve.
    """
    folder = Path(path)
    check_setting("n", n, 1, 1e12, integer=True)
    check_setting("seed", seed, 0, integer=True)
    if workers is not None:
        check_setting("workers", workers, 1, 4096, integer=True)
    if timeout is not None:
        check_setting("timeout", timeout, 1e-3, 1e9)
    if len(splits) != 3 or min(splits) < 0 or not np.isclose(sum(splits), 1.0):
        raise InvalidInput(f"splits={tuple(splits)}: must be three fractions that add up to 1")
    job, jobs = _check_part(part)
    here = execution.is_out_of_reach(simulation)
    if here and executor is not None:
        raise InvalidInput(
            f"simulation={type(simulation).__name__}: is defined in the running program or in a "
            "function, where the workers of an executor cannot find it; put it in a module"
        )
    if here and timeout is not None:
        raise InvalidInput(
            f"timeout={timeout:g}: {type(simulation).__name__} is defined in the running program "
            "or in a function, and can be interrupted only in a module"
        )

    manifest = _describe(folder, simulation, int(n), int(seed), splits, design, compression)
    remove_abandoned(folder)
    for split in SPLITS:
        (folder / "data" / split).mkdir(parents=True, exist_ok=True)
    (folder / "records").mkdir(exist_ok=True)
    # A copy is without what the simulation has computed for itself meanwhile, and small to send
    draws = Draws(dataclasses.replace(simulation), int(seed), design, int(n))
    main_module = None if here else execution.main_module_of(draws)
    order = Order(draws, folder.absolute(), timeout, verify, main_module)
    plans = itertools.islice(plan_shards(manifest), job, None, jobs)
    with tqdm(
        total=n if jobs == 1 else None,
        desc=f"{type(simulation).__name__}",
        unit="run",
        disable=not progress,
    ) as bar:
        waiting = _unfinished(order, plans, bar)
        given_up = 0
        for plan, failures in _make(simulation, order, waiting, executor, workers, here):
            bar.update(len(plan.indices))
            given_up += failures
            if failures:
                bar.set_postfix(given_up=given_up)
    if jobs == 1 or all(plan.is_complete(folder) for plan in plan_shards(manifest)):
        summarise(folder, manifest)
    return Dataset(folder)


def _check_part(part: tuple[int, int]) -> tuple[int, int]:
    try:
        job, jobs = part
        check_setting("jobs", jobs, 1, 1e9, integer=True)
        check_setting("job", job, 0, jobs - 1, integer=True)
    except (TypeError, ValueError):
        raise InvalidInput(f"part={part!r}: must be (i, m) with integers 0 <= i < m") from None
    return int(job), int(jobs)


def _unfinished(order: Order, plans: Iterable[ShardPlan], bar: Any) -> Iterator[ShardPlan]:
    """The shards that are still to be made; those that are there do not count for the rate."""
    for plan in plans:
        if plan.is_complete(order.folder, verify=order.verify):
            if not bar.disable:
                bar.initial += len(plan.indices)
            bar.update(len(plan.indices))
        else:
            yield plan


def _make(
    simulation: Simulation,
    order: Order,
    plans: Iterator[ShardPlan],
    executor: Executor | None,
    workers: int | None,
    here: bool,
) -> Iterator[execution.Made]:
    """Make the shards, once there is one: kernels are compiled and processes started for it."""
    first = next(plans, None)
    if first is None:
        return
    plans = itertools.chain([first], plans)
    simulation.warm_up()  # once, before several workers compile the same kernels side by side
    if here:
        warnings.warn(
            f"{type(simulation).__name__} is defined in the running program or in a function, "
            "where worker processes cannot find it: generating in one process. Put it in a module "
            "to use several.",
            stacklevel=4,
        )
        yield from execution.make_here(order, plans)
    elif executor is not None:
        yield from execution.make_on(executor, order, plans, workers)
    else:
        yield from execution.make_locally(order, plans, workers or _available_cores())


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _describe(
    folder: Path,
    simulation: Simulation,
    n: int,
    seed: int,
    splits: Sequence[float],
    design: Design,
    compression: Compression | None,
) -> dict[str, Any]:
    """Write ``dataset.json``, or check that what is there is the same dataset."""
    design.points(simulation, n, seed)  # refuses what it does not fit
    frame = sum(int(np.prod(f.shape(simulation.grid))) for f in simulation.fields.values())
    affordable = max(1, SHARD_BYTES // (4 * frame * simulation.times.size))
    manifest = {
        "format_version": layout.FORMAT_VERSION,
        "system": type(simulation).__name__,
        "settings": simulation.settings,
        "seed": seed,
        "design": design.to_json(),
        "splits": [float(fraction) for fraction in splits],
        "n": n,
        "samples_per_shard": _shard_size(n - sum(design.later_rounds), affordable),
        "compression": compression.to_json() if compression else None,
        **provenance.of_dataset(simulation),
    }
    rounds = [
        {"n": size, "samples_per_shard": _shard_size(size, affordable)}
        for size in design.later_rounds
    ]
    path = folder / "dataset.json"
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder}: is a file; choose another folder")
    # Listed before the description is looked for: a job that starts with us may publish it now
    found = list(folder.iterdir()) if folder.exists() else []
    if path.exists():
        existing = Dataset(folder).manifest
        held = Draws.described(simulation, existing)
        if not design.continues(held.design, held.n):
            raise DatasetError(
                f"{folder}: holds a dataset with {held.design.summary()}, not {design.summary()}; "
                "choose another folder"
            )
        if held.n < n and not design.is_extensible:
            raise DatasetError(
                f"n={n}: {folder} holds a {type(design).__name__} of {held.n} trajectories, which "
                "cannot be extended; choose another folder"
            )
        for key in ("system", "settings", "seed", "splits", "compression"):
            ours = json.loads(json.dumps(manifest[key]))
            if existing.get(key) != ours:
                raise DatasetError(
                    f"{folder}: holds a dataset with {key}={existing.get(key)}, not {ours}; "
                    "choose another folder"
                )
        if existing["n"] > n:
            raise DatasetError(f"n={n}: {folder} already holds {existing['n']} trajectories")
        kept = ("samples_per_shard", *provenance.KEYS)
        manifest |= {key: existing[key] for key in kept if key in existing}
        held_rounds = existing.get("rounds", [])
        rounds = [*held_rounds, *rounds[len(held_rounds) :]]
        if existing["n"] == n:
            return existing
    elif not all(_is_half_a_manifest(p) for p in found):
        raise DatasetError(f"{folder}: is not empty and not a dataset; choose another folder")
    if rounds:
        manifest["rounds"] = rounds
    folder.mkdir(parents=True, exist_ok=True)
    # Before anything else: a run killed from here on leaves a dataset that can be continued
    try:
        publish_text(path, json.dumps(manifest, indent=2) + "\n", exclusive=not path.exists())
    except FileExistsError:  # a job that started with us was faster
        return _describe(folder, simulation, n, seed, splits, design, compression)
    return manifest


def _shard_size(n: int, affordable: int) -> int:
    """Trajectories in a shard, of ``n`` that are planned together."""
    return min(affordable, MAX_SAMPLES_PER_SHARD, max(1, -(-n // SHARDS_PER_DATASET)))


def _is_half_a_manifest(path: Path) -> bool:
    return path.name.startswith(".dataset.json.") and path.name.endswith(".tmp")
