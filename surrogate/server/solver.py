"""Running the simulation itself for a client, in a process that can be killed.

A compiled kernel cannot be interrupted, so that a limit on its time can only be kept from outside.
Runs have a queue and a rate of their own: otherwise whoever sends inputs that the surrogate does
not know would have the whole machine for little.
"""

import asyncio
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulations.generation.channel import CLOSED, Channel
from simulations.generation.supervisor import ONE_THREAD
from simulations.simulation import Inputs, Simulation, SimulationDiverged, Solution
from surrogate.server.errors import Refused

# A first run may have to compile its kernels, which no client is to blame for
START_SECONDS = 300.0


class Solver:
    """Runs simulations one after another in a process of their own.

    Args:
        timeout: seconds that a run may take.
        queue: runs that may wait.
        per_minute: runs that are begun.
        clock: seconds, ascending; for tests.
    """

    def __init__(
        self,
        timeout: float,
        queue: int,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout, self.queue, self.per_minute = timeout, queue, per_minute
        self._clock = clock
        self._tokens, self._counted = max(1.0, per_minute), clock()
        self._thread = ThreadPoolExecutor(1, "solver")
        self._running = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._closed = False

    async def solve(self, simulation: Simulation, inputs: Inputs) -> tuple[Solution, float]:
        """The fields of the simulation and the seconds that it took.

        Raises:
            Refused: too many runs wait or have been asked for, the time is up, the simulation
                diverges, or its process dies.
        """
        if self._running > self.queue:
            raise Refused(
                503, "Overloaded", f"{self._running} runs wait already: try again later", 10
            )
        self._spend()
        self._running += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._run, simulation, inputs)
        finally:
            self._running -= 1

    def _spend(self) -> None:
        """Take one of the runs that are allowed; they come back at a steady rate."""
        now = self._clock()
        most = max(1.0, self.per_minute)
        earned = (now - self._counted) * self.per_minute / 60
        self._tokens, self._counted = min(most, self._tokens + earned), now
        if self._tokens < 1:
            wait = (1 - self._tokens) * 60 / self.per_minute
            raise Refused(
                429,
                "TooManyRuns",
                f"{self.per_minute:g} runs of the simulation a minute are allowed",
                wait,
            )
        self._tokens -= 1

    def _run(self, simulation: Simulation, inputs: Inputs) -> tuple[Solution, float]:
        channel = self._started()
        try:
            # As bytes: the process unpacks them when it has been set up
            channel.send(pickle.dumps((simulation, dict(inputs))))
            limit = START_SECONDS
            while True:
                message = channel.receive(limit)
                if message == CLOSED:
                    raise BrokenPipeError
                kind, *content = message
                if kind == "solving":
                    limit = self.timeout
                    continue
                if kind == "solved":
                    return content[0], content[1]
                if kind == "diverged":
                    error = SimulationDiverged(*content)
                    raise Refused(422, "SimulationDiverged", str(error))
                raise RuntimeError(content[0])
        except TimeoutError:
            self._kill()
            raise Refused(
                503, "Timeout", f"the simulation took longer than {limit:g} s and was ended"
            ) from None
        except BrokenPipeError:
            self._kill()
            reason = "the service is ending" if self._closed else "its process has died"
            raise Refused(503, "SolverLost", f"the simulation did not finish: {reason}") from None

    def _started(self) -> Channel:
        if self._closed:
            raise Refused(503, "SolverLost", "the service is ending")
        if self._process is None or self._process.poll() is not None:
            start = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                "from surrogate.server.solver_process import main; main()"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", start],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | ONE_THREAD,
                start_new_session=True,  # an interrupt from the terminal is the service's to handle
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._channel = Channel(self._process.stdout, self._process.stdin)
        assert self._channel is not None
        return self._channel

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            assert self._channel is not None
            self._channel.close()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._closed = True
        process: Any = self._process
        if process is not None:
            process.kill()  # whoever waits for it is told
        self._thread.shutdown(wait=True)
        self._kill()
