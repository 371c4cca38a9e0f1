"""Handing shards to an executor, a bounded number at a time."""

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from pathlib import Path
from typing import Any

from simulations.generation.plan import ShardPlan
from simulations.generation.produce import produce
from simulations.generation.quarantine import forget, given_up_before
from simulations.generation.supervisor import Order, Supervisor, make_shard

# Shards in flight on an executor whose size we do not know: enough for the largest of machines,
# and little to remember
IN_FLIGHT = 1024

#: A shard that is on disk, and how many draws were given up for it.
Made = tuple[ShardPlan, int]


def make_here(order: Order, plans: Iterable[ShardPlan]) -> Iterator[Made]:
    """Make the shards in this process, one after the other."""
    for plan in plans:
        given_up = given_up_before(order.folder, plan)
        failures = produce(order.draws, order.folder, plan, given_up, lambda draw: None)
        forget(order.folder, plan)
        yield plan, failures


def make_locally(order: Order, plans: Iterable[ShardPlan], workers: int) -> Iterator[Made]:
    """Make the shards in so many processes of this machine."""
    supervisor = Supervisor()
    threads = ThreadPoolExecutor(workers)
    try:
        yield from _submit_all(threads, supervisor.make_shard, order, plans, 2 * workers)
    except Exception:
        raise  # the others finish the shards they are at
    except BaseException:  # interrupted
        supervisor.stop()
        raise
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
        supervisor.close()


def make_on(
    executor: Executor, order: Order, plans: Iterable[ShardPlan], workers: int | None
) -> Iterator[Made]:
    """Make the shards wherever an executor has them made."""
    in_flight = IN_FLIGHT if workers is None else 2 * workers
    try:
        yield from _submit_all(executor, make_shard, order, plans, in_flight)
    except BrokenExecutor as error:
        raise RuntimeError(
            f"the executor has lost its workers ({error}). What is finished is kept in "
            f"{order.folder}: run the same command again to continue"
        ) from error


def _submit_all(
    executor: Executor,
    make: Callable[[Order, ShardPlan], int],
    order: Order,
    plans: Iterable[ShardPlan],
    in_flight: int,
) -> Iterator[Made]:
    running: dict[Future[int], ShardPlan] = {}
    remaining = iter(plans)
    try:
        while True:
            for plan in remaining:
                running[executor.submit(make, order, plan)] = plan
                if len(running) >= in_flight:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        for future in running:
            future.cancel()


def main_module_of(simulation: Any) -> str | None:
    """The main script or module if a worker needs it: a pickle names the modules it takes."""
    if b"__main__" not in pickle.dumps(simulation):
        return None
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return spec.name if spec is not None else str(Path(main.__file__ or "").resolve())


def is_out_of_reach(simulation: Any) -> bool:
    """Whether no worker can rebuild it: a part is defined in a notebook or inside a function."""
    try:
        refers_to_main = b"__main__" in pickle.dumps(simulation)
    except (AttributeError, pickle.PicklingError):
        return True
    script = getattr(sys.modules["__main__"], "__file__", None)
    return refers_to_main and (script is None or not Path(script).is_file())
