"""Where, when and with which versions something was measured."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def processor() -> str:
    """Name of the processor: Linux keeps it in a file, elsewhere `platform` knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine(*packages: str) -> dict[str, str | int]:
    """This machine, the date, and the installed versions of the packages involved."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def machine_in_words(*packages: str) -> str:
    """The same as a line of text."""
    here = machine(*packages)
    versions = ", ".join(f"{name} {here[name]}" for name in packages)
    return (
        f"{here['processor']}, {here['cores']} cores, {platform.system()} {platform.release()}, "
        f"Python {here['python']}, {versions}; {str(here['date'])[:10]}"
    )
