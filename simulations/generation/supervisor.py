"""Keeping a process that solves: started with one thread, replaced when it hangs or dies.

A compiled kernel cannot be interrupted from Python, and one that runs out of memory is killed by
the operating system. Whoever makes a shard therefore leaves the solving to a process of its own,
which says what draw it is at. This is the same in a thread of this process, in a worker of Dask and
in a rank of MPI, and it makes the environment of the solver the same everywhere.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

from simulations.designs import Draws
from simulations.generation.channel import CLOSED, Channel
from simulations.generation.plan import ShardPlan
from simulations.generation.quarantine import Failure, forget, given_up_before, remember

# One thread a worker: trajectories are the parallelism, and sums do not depend on thread counts
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)

# Deaths of its process after which a draw is given up
DEATHS_OF_A_DRAW = 2
# Deaths before anything is solved, or at no draw at all: not the draws are to blame
DEATHS_OF_THE_REST = 4


@dataclass(frozen=True)
class Order:
    """What is to be made, for all shards of a dataset.

    Attributes:
        draws: where the inputs come from.
        folder: the dataset.
        timeout: seconds that a trajectory may take.
        verify: whether a shard counts as made only if its checksum is right.
        main_module: the script or module that the simulation is defined in, if it is the main one.
    """

    draws: Draws
    folder: Path
    timeout: float | None = None
    verify: bool = False
    main_module: str | None = None


class _WorkerLost(Exception):
    """The process hung or died; says at which draw, and whether it had solved any before."""

    def __init__(self, draw: int | None, kind: str, reason: str, solved: int) -> None:
        super().__init__(reason)
        self.draw, self.kind, self.reason, self.solved = draw, kind, reason, solved


class _Worker:
    """A process that makes the shards of one order."""

    def __init__(self, order: Order, description: bytes) -> None:
        self.description = description
        self.owner = os.getpid()
        start = (
            f"import sys; sys.path[:] = {sys.path!r}; sys.argv[:] = {sys.argv!r}; "
            "from simulations.generation.worker import main; main()"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | ONE_THREAD,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._channel = Channel(self._process.stdout, self._process.stdin)
        self._greeting: Any = (order.main_module, description)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Let an idle process end, and wait for the end."""
        self._channel.close()
        self._process.wait()

    def produce(
        self,
        folder: Path,
        plan: ShardPlan,
        quarantined: dict[int, Failure],
        timeout: float | None,
    ) -> int:
        """Have a shard made; returns the number of draws that were given up."""
        draw, solved = None, -1
        try:
            if self._greeting is not None:
                self._channel.send(self._greeting)
                self._greeting = None
            self._channel.send((folder, plan, quarantined))
            while True:
                # Starting, compiling and writing take the time they take
                message = self._channel.receive(timeout if draw is not None else None)
                if message == CLOSED:
                    raise BrokenPipeError
                if message[0] == "done":
                    return message[1]
                if message[0] == "failed":
                    raise _unpacked(*message[1:])
                draw, solved = message[1], solved + 1
        except TimeoutError:
            self.kill()
            reason = f"took longer than {timeout:g} s"
            raise _WorkerLost(draw, "timeout", reason, solved) from None
        except BrokenPipeError:
            self.kill()
            raise _WorkerLost(draw, "died", _ending(self._process.returncode), solved) from None


def _unpacked(packed: bytes, text: str) -> Exception:
    try:
        error = pickle.loads(packed)
    except Exception:  # its class cannot be imported here
        error = RuntimeError(text.splitlines()[-1])
    error.add_note(f"In a worker process:\n{text}")
    return error


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if code == -signal.SIGKILL:
        return "killed by SIGKILL, perhaps for want of memory"
    return f"killed by {signal.Signals(-code).name}"


class Supervisor:
    """Makes shards, one at a time in each thread that asks, each with a process of its own."""

    def __init__(self) -> None:
        self._here = local()
        self._workers: list[_Worker] = []
        self._has_solved = False
        self._stopped = False

    def make_shard(self, order: Order, plan: ShardPlan) -> int:
        """Make a shard, whatever happens to the processes that do it.

        Returns:
            The number of draws that were given up.

        Raises:
            RuntimeError: processes die whatever they solve.
        """
        if plan.is_complete(order.folder, verify=order.verify):  # another job was faster
            return 0
        quarantined = given_up_before(order.folder, plan)
        deaths: Counter[int | None] = Counter()
        while True:
            worker = self._worker(order)
            try:
                given_up = worker.produce(order.folder, plan, quarantined, order.timeout)
                self._has_solved = True
                forget(order.folder, plan)
                return given_up
            except _WorkerLost as error:
                lost = error
            self._dismiss(worker)
            if self._stopped:
                raise CancelledError
            reason = lost.reason
            if lost.kind == "died":
                deaths[lost.draw] += 1
                self._has_solved |= lost.solved > 0
                unexplained = deaths[None] if self._has_solved else deaths.total()
                if unexplained >= DEATHS_OF_THE_REST:
                    raise RuntimeError(
                        f"{unexplained} worker processes have died ({reason}). What is finished is "
                        f"kept in {order.folder}: run the same command again to continue"
                    )
                reason = f"its process died {DEATHS_OF_A_DRAW} times ({reason})"
            to_blame = lost.kind == "timeout" or deaths[lost.draw] == DEATHS_OF_A_DRAW
            if lost.draw is not None and to_blame:
                quarantined[lost.draw] = {"kind": lost.kind, "time": None, "reason": reason}
                remember(order.folder, plan, quarantined)

    def stop(self) -> None:
        """Kill the processes; the threads that wait for them raise `CancelledError`."""
        self._stopped = True
        for worker in list(self._workers):
            worker.kill()

    def close(self) -> None:
        """End the processes when no thread asks any more."""
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _worker(self, order: Order) -> _Worker:
        """The process of this thread: that of the last shard, if it is alive and fits."""
        description = pickle.dumps(order.draws)
        worker: _Worker | None = getattr(self._here, "worker", None)
        if worker is not None and worker.owner == os.getpid():  # else: we are a fork
            if worker.is_alive and worker.description == description:
                return worker
            self._dismiss(worker)
        worker = self._here.worker = _Worker(order, description)
        self._workers.append(worker)
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.remove(worker)
        self._here.worker = None


_SUPERVISOR = Supervisor()


def make_shard(order: Order, plan: ShardPlan) -> int:
    """`Supervisor.make_shard` with the supervisor of this process: what executors are given."""
    return _SUPERVISOR.make_shard(order, plan)
