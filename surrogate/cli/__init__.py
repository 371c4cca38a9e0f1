"""The command line. It parses, calls the library and prints; numba and torch are imported late."""

import sys
import warnings
from typing import Any

import typer

from surrogate.cli.app import FAILED, MISUSED, OK, app

# isort: off
# Importing them makes their commands known, in this order
from surrogate.cli import solvers  # noqa: F401
from surrogate.cli import datasets  # noqa: F401
from surrogate.cli import surrogates  # noqa: F401
from surrogate.cli import growth  # noqa: F401
from surrogate.cli import serving  # noqa: F401
from surrogate.cli import benchmark  # noqa: F401
from surrogate.cli import pictures  # noqa: F401
from surrogate.cli import inverse  # noqa: F401
from surrogate.cli import trust  # noqa: F401
from surrogate.cli import deployment  # noqa: F401
# isort: on

#: Which extra brings a module that is missing
EXTRAS = {
    "dask": "dask",
    "distributed": "dask",
    "fastapi": "serve",
    "httptools": "serve",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "orjson": "serve",
    "prometheus_client": "serve",
    "pydantic": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "emcee": "inverse",
    "onnxruntime": "onnx",
    "optuna": "tune",
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point: errors are one line on stderr, and the exit code says whose they are."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None) -> int:
    """The exit code of a command line, whose error has been printed."""
    warnings.showwarning = _warn
    try:
        code = app(arguments or sys.argv[1:] or ["--help"], standalone_mode=False)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command continues", 130)
    except Exception as error:
        usage_message = getattr(error, "format_message", None)
        if usage_message is not None:
            return _complain(usage_message(), MISUSED)
        if isinstance(error, typer.Abort):
            return _complain("aborted", FAILED)
        if isinstance(error, ModuleNotFoundError):
            extra = EXTRAS.get(error.name or "", "surrogate")
            return _complain(f"{error}: pip install 'physurrogate[{extra}]'", FAILED)
        if isinstance(error, ValueError):
            return _complain(str(error), MISUSED)
        if isinstance(error, (RuntimeError, OSError, MemoryError)):
            return _complain(str(error) or type(error).__name__, FAILED)
        raise
    return code or OK


def _complain(message: str, code: int) -> int:
    typer.echo("surrogate: " + " ".join(message.split()), err=True)
    return code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    _complain(f"warning: {message}", OK)
