"""The process that solves for a service: tasks from a pipe, solutions into another.

Its parent is `surrogate.server.solver`, which kills it when a run takes too long. It imports no
torch.
"""

import os
import pickle
import signal
import time

from simulations.generation.channel import CLOSED, Channel
from simulations.simulation import SimulationDiverged


def main() -> None:
    """Serve until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a solver prints must not end up among the messages
    readable, writable = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    channel = Channel(readable, writable, at_end=lambda: os._exit(0))
    warm = set()
    while True:
        task = channel.receive()
        if task == CLOSED:
            return
        try:
            simulation, inputs = pickle.loads(task)
            if simulation not in warm:
                simulation.warm_up()
                warm.add(simulation)
            channel.send(("solving",))
            start = time.perf_counter()
            solution = simulation.run(inputs)
            channel.send(("solved", solution, time.perf_counter() - start))
        except SimulationDiverged as error:
            channel.send(("diverged", error.time, error.reason))
        except Exception as error:
            channel.send(("failed", f"{type(error).__name__}: {error}"))
