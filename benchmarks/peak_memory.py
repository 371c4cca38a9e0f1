"""The most memory that a program and each of its processes have held (Linux only)."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

INTERVAL = 0.02


class Peak(NamedTuple):
    """Resident memory in MB: of the process itself, and of the largest that it has started."""

    own: float
    child: float


def peak_memory(command: Sequence[str]) -> Peak:
    """Run a program and watch it.

    The kernel keeps the peak of each process; it is read until the process ends, so that only what
    a process takes in its last moments can be missed.

    Raises:
        CalledProcessError: the program has failed.
    """
    peaks: dict[int, float] = {}
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            for number in [process.pid, *_descendants(process.pid)]:
                peaks[number] = max(peaks.get(number, 0.0), _peak(number))
            time.sleep(INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    own = peaks.pop(process.pid)
    return Peak(own, max(peaks.values(), default=0.0))


def _descendants(process: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            numbers = [int(number) for number in children.read_text().split()]
        except OSError:  # has ended meanwhile
            continue
        for number in numbers:
            found += [number, *_descendants(number)]
    return found


def _peak(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) / 1000 if lines else 0.0  # what has ended holds nothing
