"""The process of a service: logs, signals, and the end."""

import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import uvicorn

import surrogate
from simulations.simulation import InvalidInput
from surrogate.emulator import OutOfDomainWarning, Surrogate
from surrogate.server.app import create_app
from surrogate.server.gate import JSONFormatter
from surrogate.server.options import DEFAULTS, Options
from surrogate.server.protocol import PatientProtocol

# Connections at a time; the next one is told so
MOST_CONNECTIONS = 2048
KEEP_ALIVE_SECONDS = 30
# What has been accepted may take so long after the signal to end
GRACE_SECONDS = 30


def load_models(arguments: list[str]) -> dict[str, Surrogate]:
    """Surrogates by name from ``FOLDER`` or ``NAME=FOLDER``; without a name that of the folder.

    Raises:
        InvalidInput: two of one name.
        SurrogateFileError: a folder is not a saved surrogate.
    """
    models: dict[str, Surrogate] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        if not equals:
            name, folder = Path(argument).resolve().name, argument
        if name in models:
            raise InvalidInput(f"model {name!r}: given twice; call one of them NAME=FOLDER")
        models[name] = surrogate.load(folder)
    return models


def serve(
    models: Mapping[str, Surrogate],
    options: Options = DEFAULTS,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: int = 1,
    quiet: bool = False,
) -> None:
    """Answer until the process is told to end; what has been accepted is then still answered.

    Args:
        models: surrogates by the name that clients use.
        options: limits and switches.
        host: address to listen at; ``0.0.0.0`` for all of the machine.
        port: 0 for any that is free.
        threads: of torch.
        quiet: write no line for each request.

    Raises:
        InvalidInput: as `create_app` does.
    """
    _log_as_json(quiet)
    # Answers say so themselves, and Python would keep each text that it has shown
    warnings.simplefilter("ignore", OutOfDomainWarning)
    torch.set_num_threads(threads)
    app = create_app(models, options)
    config = uvicorn.Config(
        app,
        host,
        port,
        http=PatientProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run()


def _log_as_json(quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("surrogate.server").setLevel(logging.WARNING if quiet else logging.INFO)
