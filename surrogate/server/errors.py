"""Refusals: what the service says instead of an answer, in one form for all of them."""

import orjson
from starlette.responses import Response


class Refused(Exception):
    """A request is not answered, and why.

    Args:
        status: of HTTP.
        kind: one word for programs, such as ``InvalidInput``.
        message: one line for people.
        retry_after: seconds after which the same request may be answered.
    """

    def __init__(
        self, status: int, kind: str, message: str, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.retry_after = retry_after

    def response(self) -> Response:
        """``{"error": {"type": …, "message": …}}``, which clients of UM-Bridge understand too."""
        content = {"error": {"type": self.kind, "message": self.message}}
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, round(self.retry_after)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return Response(orjson.dumps(content), self.status, headers, "application/json")
