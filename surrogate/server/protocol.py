"""HTTP with patience that ends: slow, endless and overlong requests do not hold a connection."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# From the first byte of a request to its last; and from the connection to the first
REQUEST_SECONDS = 20.0
# Of the request line and the headers together
HEAD_BYTES = 64 << 10


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on the time of a request and on the size of its head.

    A client that sends a byte a second would otherwise be waited for without end, and a header
    without end be kept in memory.
    """

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None
    _head_bytes: int | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > HEAD_BYTES:
            self._refuse(431, "the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._arm()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._disarm()
        super().on_message_complete()

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self.request_seconds, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._refuse(408, f"the request took longer than {self.request_seconds:g} s")

    def _refuse(self, status: int, message: str) -> None:
        """Say why, unless an answer has begun, and close the connection."""
        if self.transport.is_closing():
            return
        if self.cycle is None or (not self.cycle.response_started or self.cycle.response_complete):
            body = b'{"error": {"type": "BadRequest", "message": "%s"}}' % message.encode()
            head = (
                b"content-type: application/json\r\nconnection: close\r\ncontent-length: "
                + str(len(body)).encode()
                + b"\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
