"""Requests that wait for a network share a call of it.

A call for 32 samples takes little longer than one for a single sample. While a call runs, requests
gather; when it ends, those that wait, up to a limit, make the next one. The busier the service, the
larger the batches, without a setting that has to be tuned.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from surrogate.server.errors import Refused

Sample = TypeVar("Sample")
Answer = TypeVar("Answer")


class Batcher(Generic[Sample, Answer]):
    """Gathers samples of concurrent requests for a function of many; lives in one event loop.

    Args:
        work: answers a list of samples in their order.
        executor: runs it: of one thread, as torch has threads of its own.
        most: samples in a call, unless a single request has more.
        gather: seconds that a sample waits for others when nothing runs.
        queue: samples that may wait.
        observe: told the size of each batch.
    """

    def __init__(
        self,
        work: Callable[[list[Sample]], Sequence[Answer]],
        executor: Executor,
        *,
        most: int,
        gather: float,
        queue: int,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._work, self._executor, self._observe = work, executor, observe
        self._most, self._gather, self._queue = most, gather, queue
        self._waiting: deque[tuple[list[Sample], asyncio.Future[list[Answer]]]] = deque()
        self._samples = 0
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Samples in the queue."""
        return self._samples

    async def __call__(self, samples: list[Sample], timeout: float) -> list[Answer]:
        """The answers to some samples, in one piece.

        Raises:
            Refused: the queue is full, or ``timeout`` seconds have passed.
        """
        if self._waiting and self._samples + len(samples) > self._queue:
            raise Refused(
                503, "Overloaded", f"{self._samples} samples wait already: try again later", 1
            )
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Answer]] = loop.create_future()
        self._waiting.append((samples, answer))
        self._samples += len(samples)
        if not self._busy:
            if self._samples >= self._most:
                self._start()
            elif self._timer is None:
                self._timer = loop.call_later(self._gather, self._start)
        # A timer, not a task of its own: this is the hot path
        deadline = loop.call_later(timeout, _give_up, answer, timeout)
        try:
            return await answer
        finally:
            deadline.cancel()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts: list[tuple[list[Sample], asyncio.Future[list[Answer]]]] = []
        size = 0
        while self._waiting and (not parts or size + len(self._waiting[0][0]) <= self._most):
            samples, answer = self._waiting.popleft()
            self._samples -= len(samples)
            if not answer.done():  # else: nobody waits for it any more
                parts.append((samples, answer))
                size += len(samples)
        if not parts:
            return
        self._busy = True
        self._observe(size)
        batch = [sample for samples, _ in parts for sample in samples]
        running = asyncio.get_running_loop().run_in_executor(self._executor, self._work, batch)
        running.add_done_callback(lambda done: self._finish(parts, done))

    def _finish(
        self,
        parts: list[tuple[list[Sample], asyncio.Future[list[Answer]]]],
        done: "asyncio.Future[Sequence[Answer]]",
    ) -> None:
        self._busy = False
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        start = 0
        for samples, answer in parts:
            if not answer.done():
                if error is not None:
                    answer.set_exception(error)
                else:
                    answer.set_result(list(done.result()[start : start + len(samples)]))
            start += len(samples)
        if self._waiting:
            self._start()


def _give_up(answer: "asyncio.Future[list[Answer]]", timeout: float) -> None:
    if not answer.done():
        answer.set_exception(
            Refused(503, "Timeout", f"not answered within {timeout:g} s: try again later", 1)
        )
