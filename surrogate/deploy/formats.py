"""The forms in which a surrogate leaves this package."""

from collections.abc import Callable
from pathlib import Path

from simulations.datasets.publish import published
from surrogate.deploy.fmu import write_fmu
from surrogate.deploy.graphs import write_onnx, write_torch
from surrogate.deploy.release import Release
from surrogate.deploy.wheel import write_wheel
from surrogate.emulator import Surrogate

GRAPHS: dict[str, Callable[[Surrogate, Path], None]] = {"onnx": write_onnx, "torch": write_torch}
FORMATS = (*GRAPHS, "wheel", "fmu")


def export(
    emulator: Surrogate,
    path: str | Path,
    to: str = "onnx",
    *,
    name: str | None = None,
    version: str = "1.0.0",
    licence: str | None = None,
    author: str | None = None,
) -> Path:
    """Write a surrogate to one file that needs no code of this package to be used.

    The graph of ``onnx`` and ``torch`` takes every parameter ``(batch,)`` and every field input
    ``(batch, *space, *component)`` by name in physical units and gives every field ``(batch, time,
    *space, *component)`` by name, all float32. The batch may have any size; the grid and the times
    are those of the training. What the numbers are stands as JSON in the file.

    Args:
        emulator: the surrogate; its network may be any module that torch can export.
        path: the file, which must not exist; for ``wheel`` the folder to write it to.
        to: ``onnx``; ``torch`` for a file of ``torch.export.save``; ``wheel`` for a package that
            needs numpy and onnxruntime alone; ``fmu`` for a block of other simulators.
        name: of the package or the block; a block is called like the system by default.
        version: of the package or the block.
        licence: of the package or the block, an SPDX expression.
        author: of the package or the block.

    Returns:
        The file.

    Raises:
        ValueError: the format or one of the names is not admissible, or the network cannot be
            exported to the format.
        FileExistsError: the file exists.
        ModuleNotFoundError: the packages of the extra ``onnx`` are not installed.
    """
    path = Path(path)
    if to not in FORMATS:
        raise ValueError(f"to={to!r}: must be one of {', '.join(FORMATS)}")
    if to == "wheel":
        if name is None:
            raise ValueError("name: a wheel needs one, such as cavity-heat")
        return write_wheel(emulator, path, Release(name, version, licence, author))
    if path.exists():
        raise FileExistsError(f"{path}: exists; choose another file")
    if to == "fmu":
        release = Release(name or type(emulator.simulation).__name__, version, licence, author)
        with published(path, exclusive=True) as temporary:
            write_fmu(emulator, temporary, release)
        return path
    for key, value in {"name": name, "licence": licence, "author": author}.items():
        if value is not None:
            raise ValueError(f"{key}={value!r}: a file of {to} has none; a wheel and an fmu do")
    with published(path, exclusive=True) as temporary:
        GRAPHS[to](emulator, temporary)
    return path
