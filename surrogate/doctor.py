"""What is wrong with an installation and its machine, and what mends it.

`look` gathers the facts, and each check is a function of them that knows one way in which things go
wrong. torch is looked for, not imported: it may be what is broken.
"""

import multiprocessing
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

from simulations.machine import free_memory, processor

Level = Literal["ok", "warning", "error"]

#: Oldest torch without a known hole: CVE-2025-32434, code from a file that `weights_only` should
#: have kept from running; CVE-2026-24747, memory that such a file overwrites
TORCH_RUNS_FILES = "2.6"
TORCH_OVERWRITES = "2.10"
#: Packages whose versions are told
PACKAGES = (
    "physurrogate",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "rocket-fft",
    "h5py",
    "xarray",
    "torch",
    "onnxruntime",
)
#: Each of them sets how many threads something may have
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
#: Of these file systems, those on which locks of HDF5 are known to fail
NETWORKED = {"nfs", "nfs4", "lustre", "cifs", "smb3", "smbfs", "gpfs", "beegfs", "fuse.sshfs"}
LARGE_CACHE = 2 * 1024**3
LITTLE_SPACE = 1024**3
LITTLE_MEMORY = 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: what it is about.
        level: ``error`` where something does not work or is dangerous.
        message: what was found.
        fix: what mends it; empty where nothing has to be.
    """

    subject: str
    level: Level
    message: str
    fix: str = ""

    def text(self) -> str:
        lines = f"{self.level:<8} {self.subject}: {self.message}"
        return f"{lines}\n         fix: {self.fix}" if self.fix else lines

    def to_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Facts:
    """All that the checks look at."""

    python: str
    platform: str
    processor: str
    cores: int
    allowed_cores: int
    load: float
    free_memory: float
    versions: Mapping[str, str]
    numpy_of_numba: str
    environment: Mapping[str, str]
    start_method: str
    cache: Path
    cache_bytes: int
    cache_problem: str
    cache_free: float
    folder: Path
    folder_type: str
    gpus: tuple[str, ...]
    compiler: str


def examine(facts: Facts | None = None) -> list[Finding]:
    """All findings about this machine, or about the given facts."""
    facts = look() if facts is None else facts
    return [finding for check in CHECKS for finding in check(facts)]


def look() -> Facts:
    """The facts of this process, its machine and the present folder."""
    from simulations.compilation import user_cache_directory

    cache, folder = user_cache_directory(), Path.cwd()
    allowed = os.cpu_count() or 1
    with suppress(AttributeError):  # Linux
        allowed = len(os.sched_getaffinity(0))
    load = 0.0
    with suppress(AttributeError, OSError):
        load = os.getloadavg()[0]
    problem, space = _try_to_write(cache)
    return Facts(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor(),
        cores=os.cpu_count() or 1,
        allowed_cores=allowed,
        load=load,
        free_memory=free_memory(),
        versions=_versions(),
        numpy_of_numba=_numpy_of_numba(),
        environment=dict(os.environ),
        start_method=multiprocessing.get_start_method(),
        cache=cache,
        cache_bytes=_size(cache),
        cache_problem=problem,
        cache_free=space,
        folder=folder,
        folder_type=_file_system(folder),
        gpus=_gpus(),
        compiler=shutil.which("cc") or shutil.which("gcc") or "",
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _numpy_of_numba() -> str:
    """Which numpy this numba accepts, as it says itself."""
    with suppress(PackageNotFoundError):
        for text in requires("numba") or []:
            requirement = Requirement(text)
            if requirement.name == "numpy":
                return str(requirement.specifier)
    return ""


def _try_to_write(folder: Path) -> tuple[str, float]:
    """Why nothing can be written to a folder, empty if it can; and the free bytes there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"1")
        return "", float(shutil.disk_usage(folder).free)
    except OSError as error:
        return error.strerror or str(error), 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # another process may clean up
            total += path.stat().st_size if path.is_file() else 0
    return total


def _file_system(folder: Path) -> str:
    """Type of the file system of a folder, where the kernel tells (Linux)."""
    best, kind = "", ""
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
            _, where, found, *_ = line.split()
            where = where.replace("\\040", " ")
            if folder.is_relative_to(where) and len(where) >= len(best):
                best, kind = where, found
    return kind


def _gpus() -> tuple[str, ...]:
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip())


def check_versions(facts: Facts) -> Iterator[Finding]:
    """What is installed."""
    told = ", ".join(f"{name} {number}" for name, number in facts.versions.items())
    yield Finding("versions", "ok", f"Python {facts.python}, {told}")
    for name in ("numpy", "numba", "h5py", "xarray"):
        if name not in facts.versions:
            fix = "pip install physurrogate"
            yield Finding(name, "error", "is not installed", fix)


def check_numpy(facts: Facts) -> Iterator[Finding]:
    """numba accepts some versions of numpy only, and says so at import or crashes later."""
    installed, allowed = facts.versions.get("numpy"), facts.numpy_of_numba
    if installed is None or not allowed:
        return
    if Requirement(f"numpy{allowed}").specifier.contains(installed, prereleases=True):
        yield Finding("numpy and numba", "ok", f"numpy {installed} is in {allowed}")
    else:
        numba = facts.versions.get("numba", "?")
        message = f"numba {numba} works with numpy{allowed}, and numpy {installed} is installed"
        fix = f"pip install 'numpy{allowed}', or a newer numba"
        yield Finding("numpy and numba", "error", message, fix)


def check_torch(facts: Facts) -> Iterator[Finding]:
    """Old versions of torch run or are damaged by files that others have made."""
    installed = facts.versions.get("torch")
    if installed is None:
        message = "is not installed: solvers and datasets work, surrogates do not"
        yield Finding("torch", "warning", message, "pip install 'physurrogate[surrogate]'")
    elif Version(installed) < Version(TORCH_RUNS_FILES):
        message = f"{installed} runs code from checkpoints of others (CVE-2025-32434)"
        yield Finding("torch", "error", message, f"pip install 'torch>={TORCH_OVERWRITES}'")
    elif Version(installed) < Version(TORCH_OVERWRITES):
        message = f"{installed} can be damaged by checkpoints of others (CVE-2026-24747)"
        fix = f"pip install 'torch>={TORCH_OVERWRITES}'; files of physurrogate hold no pickles"
        yield Finding("torch", "warning", message, fix)
    else:
        yield Finding("torch", "ok", installed)


def check_gpu(facts: Facts) -> Iterator[Finding]:
    """A GPU is of use with a build of torch that knows it."""
    installed = facts.versions.get("torch")
    if not facts.gpus:
        yield Finding("GPU", "ok", "none; training and prediction use the processor")
    elif installed and (Version(installed).local or "").startswith("cpu"):
        message = f"{'; '.join(facts.gpus)}, but torch {installed} is built without CUDA"
        yield Finding("GPU", "warning", message, "install a build of torch with CUDA")
    else:
        yield Finding("GPU", "ok", "; ".join(facts.gpus))


def check_threads(facts: Facts) -> Iterator[Finding]:
    """More threads than cores wait for each other in loops: a call may take fifty times as long."""
    given, wrong = {}, []
    for name in THREADS:
        value = facts.environment.get(name)
        if value is None:
            continue
        given[name] = value
        if not value.isdecimal() or int(value) < 1:
            wrong.append(f"{name}={value} is not a number of threads")
        elif int(value) > facts.allowed_cores:
            wrong.append(f"{name}={value}, and {facts.allowed_cores} cores may be used")
    fix = f"export OMP_NUM_THREADS={facts.allowed_cores}, and the same for the others"
    if wrong:
        yield Finding("threads", "warning", "; ".join(wrong), fix)
    elif facts.allowed_cores < facts.cores and "OMP_NUM_THREADS" not in given:
        message = (
            f"this process may use {facts.allowed_cores} of {facts.cores} cores, and nothing says "
            "how many threads to start"
        )
        yield Finding("threads", "warning", message, fix)
    else:
        told = ", ".join(f"{name}={value}" for name, value in given.items()) or "not limited"
        yield Finding("threads", "ok", f"{facts.allowed_cores} cores; {told}")
    if facts.load > 1.5 * facts.cores:
        message = f"{facts.load:.1f} processes want {facts.cores} cores: timings mean little"
        yield Finding("load", "warning", message, "wait, or set OMP_NUM_THREADS=1")
    if facts.environment.get("OMP_WAIT_POLICY", "").upper() == "ACTIVE":
        message = "OMP_WAIT_POLICY=ACTIVE: threads that wait keep their cores busy"
        yield Finding("OpenMP", "warning", message, "export OMP_WAIT_POLICY=PASSIVE")


def check_threading_layer(facts: Facts) -> Iterator[Finding]:
    """Parallel kernels of GNU OpenMP kill forked children; those of workqueue bear no threads."""
    layer = facts.environment.get("NUMBA_THREADING_LAYER", "")
    if layer == "workqueue":
        message = "NUMBA_THREADING_LAYER=workqueue: two threads in parallel kernels abort Python"
        yield Finding("numba", "warning", message, "unset NUMBA_THREADING_LAYER")
    if layer == "omp" and facts.start_method == "fork":
        message = (
            "NUMBA_THREADING_LAYER=omp: processes that multiprocessing forks after a parallel "
            "kernel are killed (ours are serial)"
        )
        fix = "multiprocessing.set_start_method('forkserver'), or unset NUMBA_THREADING_LAYER"
        yield Finding("numba", "warning", message, fix)
    if facts.environment.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        message = "NUMBA_DISABLE_JIT is set: kernels run as Python, a thousand times slower"
        yield Finding("numba", "error", message, "unset NUMBA_DISABLE_JIT")


def check_cache(facts: Facts) -> Iterator[Finding]:
    """Compiled kernels are kept on disk; without it every process compiles for seconds."""
    if facts.cache_problem:
        message = f"{facts.cache}: cannot be written to ({facts.cache_problem})"
        fix = "export PHYSURROGATE_CACHE to a folder of this machine that can"
        yield Finding("kernel cache", "error", message, fix)
        return
    size = f"{facts.cache}: {facts.cache_bytes / 1e6:,.0f} MB"
    if facts.cache_free < LITTLE_SPACE:
        message = f"{size}, and the disk has {facts.cache_free / 1e6:,.0f} MB left"
        yield Finding("kernel cache", "warning", message, "free some space")
    elif facts.cache_bytes > LARGE_CACHE:
        fix = f"delete {facts.cache}/kernels: what is needed is compiled again"
        yield Finding("kernel cache", "warning", size, fix)
    else:
        yield Finding("kernel cache", "ok", size)
    own = facts.environment.get("NUMBA_CACHE_DIR")
    if own:
        message = (
            f"NUMBA_CACHE_DIR={own}: kernels there stay as they are when what they call changes"
        )
        yield Finding("kernel cache", "warning", message, "unset it and set PHYSURROGATE_CACHE")


def check_files(facts: Facts) -> Iterator[Finding]:
    """HDF5 locks files, which network file systems may not know."""
    locking = facts.environment.get("HDF5_USE_FILE_LOCKING", "").upper()
    unlocked = locking in ("FALSE", "0", "BEST_EFFORT")
    if facts.folder_type in NETWORKED and not unlocked:
        message = f"{facts.folder} is on {facts.folder_type}, where locking HDF5 files may fail"
        yield Finding("HDF5", "warning", message, "export HDF5_USE_FILE_LOCKING=FALSE")
    else:
        yield Finding("HDF5", "ok", f"{facts.folder} is on {facts.folder_type or 'a local disk'}")


def check_memory(facts: Facts) -> Iterator[Finding]:
    """What is left for solvers and batches."""
    free = f"{facts.free_memory / 1e9:.1f} GB free"
    if facts.free_memory < LITTLE_MEMORY:
        fix = "end other programs, or use fewer workers"
        yield Finding("memory", "warning", free, fix)
    else:
        yield Finding("memory", "ok", free)


def check_compiler(facts: Facts) -> Iterator[Finding]:
    """FMUs are compiled."""
    found = facts.environment.get("CC") or facts.compiler
    message = found or "none; only the export of FMUs needs one"
    yield Finding("C compiler", "ok", message)


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    check_versions,
    check_numpy,
    check_torch,
    check_gpu,
    check_threads,
    check_threading_layer,
    check_cache,
    check_files,
    check_memory,
    check_compiler,
)
