"""What every request passes: its size, its key, and what is written down about it."""

import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from surrogate.server.errors import Refused
from surrogate.server.metrics import Metrics

log = logging.getLogger("surrogate.server")

#: Answered without a key: what orchestrators ask for, and the page, which asks its user for it
OPEN_PATHS = frozenset({"/health", "/ready", "/", "/page.css", "/page.js", "/icon.svg"})

#: The page may run its own script and talk to its own service, nothing else
SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

#: Where a request is told what is written about it
RECORD = "surrogate.record"


class _Gone(Exception):
    """The client has closed the connection before its request was complete."""


class Gate:
    """Reads the body within its limit, checks the key, and logs and counts the answer.

    Args:
        app: what answers.
        api_keys: one of them is needed, if there are any.
        max_body: bytes of a body.
        metrics: what is counted.
    """

    def __init__(
        self, app: ASGIApp, api_keys: Sequence[str], max_body: int, metrics: Metrics
    ) -> None:
        self.app, self.max_body, self.metrics = app, max_body, metrics
        self._keys = [_digest(key.encode()) for key in api_keys]
        self._prefix, self._numbers = secrets.token_hex(4), count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        identity = f"{self._prefix}-{next(self._numbers)}"
        record: dict[str, Any] = {}
        scope[RECORD] = record
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    *SECURITY_HEADERS,
                    (b"x-request-id", identity.encode()),
                ]
            await send(message)

        try:
            self._check_key(scope)
            body = await self._body(scope, receive)
            await self.app(scope, _replay(body, receive), send_marked)
        except _Gone:
            record["error"] = "the client has gone"
        except Refused as error:
            record["error"] = error.message
            await error.response()(scope, receive, send_marked)
        except Exception as error:
            log.exception("%s %s", identity, scope["path"])
            record["error"] = f"{type(error).__name__}: {error}"
            if not status:
                refusal = Refused(500, "InternalError", f"an error in the service, see {identity}")
                await refusal.response()(scope, receive, send_marked)
        seconds = time.perf_counter() - start
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.requests.labels(route, status).inc()
        self.metrics.latency.labels(route).observe(seconds)
        if log.isEnabledFor(logging.INFO):
            client = scope.get("client")
            log.info(
                "request",
                extra={
                    "fields": {
                        "id": identity,
                        "client": client[0] if client else None,
                        "method": scope["method"],
                        "path": scope["path"][:200],
                        "status": status,
                        "ms": round(1000 * seconds, 3),
                        **record,
                    }
                },
            )

    def _check_key(self, scope: Scope) -> None:
        if not self._keys or scope["path"] in OPEN_PATHS:
            return
        given = b""
        for name, value in scope["headers"]:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                given = value[7:].strip()
            elif name == b"x-api-key":
                given = value
        # Digests have one length, and all keys are compared: the time says nothing
        digest = _digest(given)
        matches = [hmac.compare_digest(digest, key) for key in self._keys]
        if not any(matches):
            raise Refused(
                401, "Unauthorized", "a valid key is needed: Authorization: Bearer KEY or X-API-Key"
            )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, refused as soon as it is known to be too large."""
        declared, kind = None, b""
        for name, value in scope["headers"]:
            if name == b"content-length":
                known = value.isdigit() and len(value) < 19
                declared = int(value) if known else self.max_body + 1
            elif name == b"content-type":
                kind = value.partition(b";")[0].strip().lower()
        if declared is not None and declared > self.max_body:
            raise self._too_large(declared)
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            piece = message.get("body", b"")
            size += len(piece)
            if size > self.max_body:
                raise self._too_large(size)
            pieces.append(piece)
            if not message.get("more_body", False):
                break
        # What a page of another site may send without asking is not of this type
        if scope["method"] == "POST" and kind != b"application/json":
            raise Refused(415, "UnsupportedMediaType", "content-type: must be application/json")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _too_large(self, size: int) -> Refused:
        return Refused(
            413, "TooLarge", f"the body has {size} bytes or more: {self.max_body} are allowed"
        )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what becomes of the connection."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, message and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
