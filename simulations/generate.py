"""Inputs × simulation × processes → a dataset on disk that survives being killed."""

import hashlib
import json
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import yaml
from tqdm.auto import tqdm

from simulations.datasets import layout, provenance, statistics
from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.publish import publish_text, published, remove_abandoned
from simulations.datasets.reader import Dataset, DatasetError
from simulations.designs import ATTEMPT_STRIDE, INDEPENDENT, Design, Draws
from simulations.simulation import (
    Inputs,
    InvalidInput,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)

MAX_ATTEMPTS = 10

SHARD_BYTES = 32 * 1024**2
MAX_SAMPLES_PER_SHARD = 64
SHARDS_PER_DATASET = 16

# One thread a worker: trajectories are the parallelism, and sums do not depend on thread counts
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(frozen=True)
class _ShardPlan:
    """What one shard is to hold."""

    split: str
    number: int
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}"

    def data_path(self, folder: Path) -> Path:
        return folder / "data" / self.split / f"{self.name}.hdf5"

    def record_path(self, folder: Path) -> Path:
        return folder / "records" / f"{self.name}.json"

    def is_complete(self, folder: Path) -> bool:
        """Whether both files are there and whole; the record is published last."""
        try:
            written = json.loads(self.record_path(folder).read_text(encoding="utf-8"))
            size = self.data_path(folder).stat().st_size
            return written["planned"] == list(self.indices) and written["bytes"] == size
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False


def generate(
    simulation: Simulation,
    n: int,
    path: str | Path,
    *,
    seed: int = 0,
    design: Design = INDEPENDENT,
    workers: int | None = None,
    splits: Sequence[float] = (0.8, 0.1, 0.1),
    progress: bool = True,
) -> Dataset:
    """Solve for ``n`` random inputs and store the trajectories.

    Trajectory ``i`` is drawn from ``SeedSequence(seed, spawn_key=(i,))``: the files are the same
    bytes whatever the number of workers. Called again after a kill it continues; called again with
    a larger ``n`` it extends. A draw that diverges is recorded in ``failures.jsonl``, and a fresh
    draw with an index of its own takes its place.

    Args:
        simulation: the system and its settings.
        n: number of trajectories.
        path: folder of the dataset, made if it does not exist.
        seed: non-negative integer.
        design: where the parameters lie; what it does not place is drawn.
        workers: processes; by default as many as this process may use cores.
        splits: fractions for train, valid and test; they divide trajectories, never frames.
        progress: show a progress bar with rate and remaining time on stderr.

    Returns:
        The dataset.

    Raises:
        InvalidInput: an argument is out of range.
        DatasetError: the folder holds another dataset.
        SimulationDiverged: ten draws in a row diverged.
    """
    folder = Path(path)
    check_setting("n", n, 1, 1e12, integer=True)
    check_setting("seed", seed, 0, integer=True)
    workers = _available_cores() if workers is None else workers
    check_setting("workers", workers, 1, 4096, integer=True)
    if len(splits) != 3 or min(splits) < 0 or not np.isclose(sum(splits), 1.0):
        raise InvalidInput(f"splits={tuple(splits)}: must be three fractions that add up to 1")

    manifest = _describe(folder, simulation, int(n), int(seed), splits, design)
    remove_abandoned(folder)
    plans = list(_plan(manifest))
    waiting = [plan for plan in plans if not plan.is_complete(folder)]
    with tqdm(
        total=n,
        initial=n - sum(len(plan.indices) for plan in waiting),
        desc=f"{type(simulation).__name__}",
        unit="run",
        disable=not progress,
    ) as bar:
        for plan in _run_all(simulation, folder, waiting, seed, workers):
            bar.update(len(plan.indices))
    _summarise(folder, plans)
    return Dataset(folder)


def _available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _describe(
    folder: Path,
    simulation: Simulation,
    n: int,
    seed: int,
    splits: Sequence[float],
    design: Design,
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
        "samples_per_shard": min(
            affordable, MAX_SAMPLES_PER_SHARD, max(1, -(-n // SHARDS_PER_DATASET))
        ),
        **provenance.of_dataset(simulation),
    }
    path = folder / "dataset.json"
    if path.exists():
        existing = Dataset(folder).manifest
        held = Draws.described(simulation, existing)
        if held.design != design:
            raise DatasetError(
                f"{folder}: holds a dataset with {held.design.summary()}, not {design.summary()}; "
                "choose another folder"
            )
        if held.n < n and not design.is_extensible:
            raise DatasetError(
                f"n={n}: {folder} holds a {type(design).__name__} of {held.n} trajectories, which "
                "cannot be extended; choose another folder"
            )
        for key in ("system", "settings", "seed", "splits"):
            ours = json.loads(json.dumps(manifest[key]))
            if existing[key] != ours:
                raise DatasetError(
                    f"{folder}: holds a dataset with {key}={existing[key]}, not {ours}; "
                    "choose another folder"
                )
        if existing["n"] > n:
            raise DatasetError(f"n={n}: {folder} already holds {existing['n']} trajectories")
        kept = ("samples_per_shard", *provenance.KEYS)
        manifest |= {key: existing[key] for key in kept if key in existing}
    elif folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder}: is a file; choose another folder")
    elif folder.exists() and any(not _is_abandoned_manifest(p) for p in folder.iterdir()):
        raise DatasetError(f"{folder}: is not empty and not a dataset; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    # Before anything else: a run killed from here on leaves a dataset that can be continued
    publish_text(path, json.dumps(manifest, indent=2) + "\n")
    for split in SPLITS:
        (folder / "data" / split).mkdir(parents=True, exist_ok=True)
    (folder / "records").mkdir(exist_ok=True)
    return manifest


def _is_abandoned_manifest(path: Path) -> bool:
    return path.name.startswith(".dataset.json.") and path.name.endswith(".tmp")


def _plan(manifest: dict[str, Any]) -> Iterator[_ShardPlan]:
    """Which index goes where. Extending ``n`` moves no index to another split or shard."""
    members: tuple[list[int], ...] = ([], [], [])
    fractions = np.array(manifest["splits"])
    for index in range(manifest["n"]):
        deficit = fractions * (index + 1) - [len(m) for m in members]
        members[int(np.argmax(deficit))].append(index)
    size = manifest["samples_per_shard"]
    for split, indices in zip(SPLITS, members, strict=True):
        for number, start in enumerate(range(0, len(indices), size)):
            yield _ShardPlan(split, number, tuple(indices[start : start + size]))


def _run_all(
    simulation: Simulation, folder: Path, plans: Sequence[_ShardPlan], seed: int, workers: int
) -> Iterator[_ShardPlan]:
    """Produce the shards in worker processes, yielding each plan when it is on disk."""
    if not plans:
        return
    simulation.warm_up()  # once, before several workers compile the same kernels side by side
    if _is_out_of_reach(simulation):
        warnings.warn(
            f"{type(simulation).__name__} is defined in the running program or in a function, "
            "where worker processes cannot find it: generating in one process. Put it in a module "
            "to use several.",
            stacklevel=3,
        )
        for plan in plans:
            _produce(simulation, folder, plan, seed)
            yield plan
        return
    pool = ProcessPoolExecutor(
        min(workers, len(plans)), get_context("spawn"), _start_worker, (simulation,)
    )
    try:
        yield from _submit_all(pool, simulation, folder, plans, seed, 2 * workers)
    except BrokenProcessPool:
        raise RuntimeError(
            f"a worker process died (killed, or out of memory). What is finished is kept in "
            f"{folder}: run the same command again to continue"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit_all(
    executor: Executor,
    simulation: Simulation,
    folder: Path,
    plans: Sequence[_ShardPlan],
    seed: int,
    in_flight: int,
) -> Iterator[_ShardPlan]:
    running: dict[Future[None], _ShardPlan] = {}
    remaining = iter(plans)
    hide_main = not _refers_to_main(simulation)
    while True:
        for plan in remaining:
            with _worker_environment(hide_main=hide_main):
                running[executor.submit(_produce, simulation, folder, plan, seed)] = plan
            if len(running) >= in_flight:
                break
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
            yield running.pop(future)


def _start_worker(simulation: Simulation) -> None:
    """Load the kernels, and end when the parent does: a killed one says no goodbye."""
    Thread(target=_end_with_parent, daemon=True).start()
    simulation.warm_up()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # at any point: what is half written was not published


def _produce(simulation: Simulation, folder: Path, plan: _ShardPlan, seed: int) -> None:
    """Solve and store one shard: runs in a worker."""
    draws = Draws.described(simulation, Dataset(folder).manifest)
    draws.given(plan.indices[0])  # lays out all points, before a clock runs
    solutions: list[tuple[int, Inputs, Solution]] = []
    failures: list[dict[str, Any]] = []
    wall_times = []
    for index in plan.indices:
        start = time.perf_counter()
        solutions.append(_solve_one(draws, index, failures.append))
        wall_times.append(time.perf_counter() - start)
    samples = Trajectories(
        np.array([index for index, _, _ in solutions], dtype=np.int64),
        {name: np.array([i[name] for _, i, _ in solutions]) for name in simulation.parameters},
        {
            name: np.stack([i[name] for _, i, _ in solutions])
            for name in layout.coefficient_names(simulation)
        },
        {name: np.stack([s[name] for _, _, s in solutions]) for name in simulation.fields},
    )
    data = plan.data_path(folder)
    with published(data) as temporary:
        layout.write_shard(temporary, simulation, samples, seed, draws.design)
        checksum = hashlib.sha256(temporary.read_bytes()).hexdigest()
    record = {
        "planned": list(plan.indices),
        "indices": samples.indices.tolist(),
        "parameters": {name: values.tolist() for name, values in samples.parameters.items()},
        "sha256": checksum,
        "bytes": data.stat().st_size,
        "wall_time_seconds": wall_times,
        "made": provenance.of_shard(),
        "failures": failures,
        "moments": statistics.shard_moments(simulation, samples),
    }
    publish_text(plan.record_path(folder), json.dumps(record) + "\n")


def _solve_one(
    draws: Draws, index: int, report: Callable[[dict[str, Any]], None]
) -> tuple[int, Inputs, Solution]:
    """Solve draw ``index``, or the first replacement of it that does not diverge."""
    for attempt in range(MAX_ATTEMPTS):
        draw = index + attempt * ATTEMPT_STRIDE
        inputs = draws.inputs(draw)
        try:
            return draw, inputs, draws.simulation.run(inputs)
        except SimulationDiverged as error:
            failure = {"index": draw, "time": error.time, "reason": error.reason}
            plain = {name: np.asarray(value).tolist() for name, value in inputs.items()}
            report({**failure, "inputs": plain})
            last = error
    raise SimulationDiverged(
        last.time, f"{MAX_ATTEMPTS} draws in a row, the last with {last.reason}"
    ) from last


def _summarise(folder: Path, plans: Sequence[_ShardPlan]) -> None:
    """Write ``stats.yaml`` and ``failures.jsonl`` from the records of the shards."""
    records = {
        plan: json.loads(plan.record_path(folder).read_text(encoding="utf-8")) for plan in plans
    }
    moments = [record["moments"] for plan, record in records.items() if plan.split == "train"]
    if moments:
        publish_text(folder / "stats.yaml", yaml.safe_dump(statistics.well_statistics(moments)))
    failures = [failure for record in records.values() for failure in record["failures"]]
    lines = "".join(json.dumps(failure) + "\n" for failure in failures)
    publish_text(folder / "failures.jsonl", lines)


def _refers_to_main(simulation: Simulation) -> bool:
    """Whether a worker needs the main module to rebuild it: a pickle names the modules it takes."""
    return b"__main__" in pickle.dumps(simulation)


def _is_out_of_reach(simulation: Simulation) -> bool:
    """Whether no worker can rebuild it: a part is defined in a notebook or inside a function."""
    try:
        refers_to_main = _refers_to_main(simulation)
    except (AttributeError, pickle.PicklingError):
        return True
    script = getattr(sys.modules["__main__"], "__file__", None)
    return refers_to_main and (script is None or not Path(script).is_file())


@contextmanager
def _worker_environment(*, hide_main: bool) -> Iterator[None]:
    """One thread for what starts now, and no second run of the caller's script.

    A spawned process imports the main module of its parent, to find what is defined there. Scripts
    without the ``if __name__ == "__main__"`` guard would start over. Nothing of ours is defined
    there, so it is hidden while the workers start.

    Args:
        hide_main: whether the workers can do without the main module.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with _hidden_main() if hide_main else nullcontext():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _hidden_main() -> Iterator[None]:
    main = sys.modules["__main__"]
    names = [name for name in ("__spec__", "__file__") if name in vars(main)]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in names}
    vars(main).pop("__file__", None)
    vars(main)["__spec__"] = None
    try:
        yield
    finally:
        vars(main).update(hidden)
