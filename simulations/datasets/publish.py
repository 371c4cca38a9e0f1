"""Files that appear complete or not at all."""

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import get_ident

# What a process that cannot be asked has not touched for so long is nobody's any more
ABANDONED_SECONDS = 7 * 24 * 3600.0

#: What threads of this process are writing.
_in_work: set[Path] = set()


@contextmanager
def published(path: Path, *, exclusive: bool = False, durable: bool = True) -> Iterator[Path]:
    """Hand out a temporary path in the same folder; publish it under ``path`` on success.

    The content is on the disk before the name is: a reader never sees half a file, and neither does
    a run that continues after a crash.

    Args:
        path: where the file appears.
        exclusive: whether a file that is there stays.
        durable: wait for the disk. Without, half a file may be found after a power failure, though
            not after the death of a process: for what is checked on reading and can be made again.

    Raises:
        FileExistsError: it is exclusive, and another process was faster.
    """
    owner = f"{get_ident()}.{this_machine()}.{os.getpid()}"
    temporary = path.absolute().with_name(f".{path.name}.{owner}.tmp")
    _in_work.add(temporary)
    try:
        yield temporary
        if durable:
            with open(temporary, "rb+") as file:  # Windows syncs only what is open for writing
                os.fsync(file.fileno())
        if not (exclusive and _linked(temporary, path)):
            os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        _in_work.remove(temporary)


def _linked(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # not on every file system
        return False
    return True


def publish_text(path: Path, text: str, *, exclusive: bool = False, durable: bool = True) -> None:
    """Write a small text file in one piece; see `published`."""
    with published(path, exclusive=exclusive, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_abandoned(folder: Path) -> None:
    """Delete what killed processes have left behind under ``folder``.

    Processes of this machine are asked whether they live. Those of others cannot be: what they have
    left is deleted when it is a week old.
    """
    now = time.time()
    for temporary in folder.absolute().rglob(".*.tmp"):
        owner, _, process = temporary.name.removesuffix(".tmp").rpartition(".")
        if not process.isdecimal() or temporary in _in_work:
            continue
        is_ours = owner.endswith(f".{this_machine()}") and os.name != "nt"  # cannot ask there
        with suppress(FileNotFoundError):  # published meanwhile
            if is_ours:
                is_abandoned = not _is_alive(int(process))
            else:
                is_abandoned = now - temporary.stat().st_mtime > ABANDONED_SECONDS
            if is_abandoned:
                temporary.unlink()


@cache
def this_machine() -> str:
    """Names where process numbers mean the same: containers share host names, and none of them."""
    marks = []
    with suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        marks.append(os.readlink("/proc/self/ns/pid"))
    return f"{socket.gethostname()}-{hashlib.sha256(''.join(marks).encode()).hexdigest()[:8]}"


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
