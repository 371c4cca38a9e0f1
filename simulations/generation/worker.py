"""The process that solves: it takes the plans of shards from a pipe and makes them.

Its parent is `simulations.generation.supervisor`, in the next process, on any machine. A solver
that hangs in compiled code or runs out of memory takes this process with it and nothing else.
"""

import os
import pickle
import runpy
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType

from simulations.designs import Draws
from simulations.generation.channel import CLOSED, Channel
from simulations.generation.plan import ShardPlan
from simulations.generation.produce import produce
from simulations.generation.quarantine import Failure

# Between two data sets, the processes of an executor that lives on do not keep ours alive
IDLE_SECONDS = 300.0

#: What a worker is asked for.
Task = tuple[Path, ShardPlan, dict[int, Failure]]


def main() -> None:
    """Serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    # What a solver prints must not end up among the messages
    readable, writable = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # A killed parent says no goodbye. At any point: what is half written was not published
    channel = Channel(readable, writable, at_end=lambda: os._exit(1))
    try:
        main_module, pickled = channel.receive()
        if main_module is not None:
            _import_main(main_module)
        draws: Draws = pickle.loads(pickled)
        draws.simulation.warm_up()
    except Exception as error:
        channel.send(("failed", *_packed(error)))
        return
    while True:
        try:
            task: Task = channel.receive(timeout=IDLE_SECONDS)
        except TimeoutError:
            return
        if task == CLOSED:
            return
        folder, plan, quarantined = task
        try:
            given_up = produce(
                draws, folder, plan, quarantined, lambda draw: channel.send(("solving", draw))
            )
        except Exception as error:
            channel.send(("failed", *_packed(error)))
        else:
            channel.send(("done", given_up))


def _packed(error: Exception) -> tuple[bytes, str]:
    """An exception and where it came from; one that does not survive the way becomes text."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        packed = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return packed, "".join(traceback.format_exception(error))


def _import_main(name: str) -> None:
    """Import the script that the parent runs, without running what is under its main guard."""
    module = ModuleType("__mp_main__")
    run = runpy.run_path if os.path.isabs(name) else runpy.run_module
    vars(module).update(run(name, run_name="__mp_main__"))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
