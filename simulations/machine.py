"""Where, when and with which versions something was measured, and what room there is."""

import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

# What the numbers of a solution may depend on
NUMERICAL_PACKAGES = ("numpy", "numba", "scipy", "rocket-fft", "h5py")


def processor() -> str:
    """Name of the processor: Linux keeps it in a file, elsewhere `platform` knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def free_memory() -> float:
    """Bytes of memory that nothing uses; where nobody knows, a modest guess."""
    with suppress(AttributeError, ValueError, OSError):
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return 4 * 1024**3


@cache
def versions() -> dict[str, str]:
    """Of Python and the packages that the numbers in a dataset may depend on."""
    found = {name: version(name) for name in NUMERICAL_PACKAGES}
    return {"python": platform.python_version(), **found}


@cache
def git_state() -> dict[str, str | bool] | None:
    """Commit of the checkout that `simulations` is imported from, and whether it was changed since.

    None for an installed package, or where there is no git.
    """
    package = Path(__file__).parent
    if not (package.parent / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(package), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.strip()

    try:
        changes = git("status", "--porcelain", "--", str(package))
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.SubprocessError):
        return None


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
