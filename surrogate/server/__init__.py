"""A service that answers for surrogates over HTTP, with a page for people.

`create_app` makes the application of ASGI, `serve` runs it. FastAPI is imported with the first of
them: the process that solves for a service imports this package and needs neither it nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surrogate.server.app import create_app
    from surrogate.server.options import Options
    from surrogate.server.run import serve

_HOMES = {
    "Options": "surrogate.server.options",
    "create_app": "surrogate.server.app",
    "serve": "surrogate.server.run",
}

__all__ = ["Options", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'surrogate.server' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
