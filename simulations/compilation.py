"""How kernels are compiled: one decorator, and a disk cache that cannot go stale.

Numba caches a compiled kernel under the hash of *its own* file. A kernel that calls another one
from a different file keeps running the old callee after that file changes. The cache folder is
therefore named after a hash of all sources of this package, so that any edit starts afresh.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

#: Everything LLVM may do except assume that there is no NaN: blow-up is detected by NaN.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}


def user_cache_directory() -> Path:
    """Folder for files that can be made again: ``PHYSURROGATE_CACHE`` or the platform's own."""
    if chosen := os.environ.get("PHYSURROGATE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "physurrogate"


@cache
def kernel_cache_directory() -> Path:
    """Folder of the compiled kernels of exactly these sources and this Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return user_cache_directory() / "kernels" / digest.hexdigest()[:16]


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a module-level function of arrays and scalars to machine code, cached on disk.

    The kernel releases the GIL, never raises ``ZeroDivisionError`` (a division by zero gives inf,
    which lets loops vectorise) and may reassociate sums.
    """
    # Numba reads the folder when the decorator runs; other people's caches are left alone.
    config: Any = numba.config
    others = config.CACHE_DIR
    if not others:
        config.CACHE_DIR = str(kernel_cache_directory())
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FASTMATH)(function)
    finally:
        config.CACHE_DIR = others
