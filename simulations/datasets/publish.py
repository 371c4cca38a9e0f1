"""Files that appear complete or not at all."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Hand out a temporary path in the same folder; publish it under ``path`` on success.

    The content is on the disk before the name is: a reader never sees half a file, and neither does
    a run that continues after a crash.
    """
    owner = f"{socket.gethostname()}.{os.getpid()}"
    temporary = path.with_name(f".{path.name}.{owner}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as file:  # Windows syncs only what is open for writing
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def publish_text(path: Path, text: str) -> None:
    """Write a small text file in one piece."""
    with published(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_abandoned(folder: Path) -> None:
    """Delete what killed processes of this machine have left behind under ``folder``."""
    if os.name == "nt":  # there is no harmless way to ask there whether a process is alive
        return
    for temporary in folder.rglob(".*.tmp"):
        owner, _, process = temporary.name.removesuffix(".tmp").rpartition(".")
        is_ours = owner.endswith(f".{socket.gethostname()}") and process.isdecimal()
        if is_ours and not _is_alive(int(process)):
            temporary.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether another process has this number and is not merely waiting to be buried."""
    if process == os.getpid():  # of a predecessor: numbers repeat when a container restarts
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # no such file system here, or the process has ended meanwhile
        return True
    return state != "Z"


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and renames are durable
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
