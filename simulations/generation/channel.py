"""Messages between two processes over a pair of pipes."""

import contextlib
import pickle
import queue
from collections.abc import Callable
from threading import Thread
from typing import IO, Any

#: What `Channel.receive` returns once the other side has closed its end or died.
CLOSED = "closed"


class Channel:
    """Sends and receives picklable values; a thread of its own listens all the time.

    Args:
        readable: pipe from the other side.
        writable: pipe to the other side.
        at_end: called by the listening thread when the other side is gone.
    """

    def __init__(
        self,
        readable: IO[bytes],
        writable: IO[bytes],
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._readable, self._writable, self._at_end = readable, writable, at_end
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        Thread(target=self._listen, daemon=True).start()

    def send(self, message: Any) -> None:
        """Raises BrokenPipeError if the other side is gone."""
        pickle.dump(message, self._writable)
        self._writable.flush()

    def receive(self, timeout: float | None = None) -> Any:
        """The next message or `CLOSED`.

        Raises:
            TimeoutError: none came within ``timeout`` seconds.
        """
        try:
            return self._received.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None

    def close(self) -> None:
        """Close this end, which the other side notices."""
        with contextlib.suppress(OSError):  # what could not be sent cannot be flushed either
            self._writable.close()

    def _listen(self) -> None:
        try:
            with self._readable:
                while True:
                    self._received.put(pickle.load(self._readable))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):  # also: cut off half-way
            self._received.put(CLOSED)
            if self._at_end is not None:
                self._at_end()
