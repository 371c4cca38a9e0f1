"""Files of a surrogate's graph: ONNX for any runtime, torch's own for programs that have torch."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from simulations.datasets.publish import published
from surrogate.deploy.metadata import describe
from surrogate.deploy.whole import Whole
from surrogate.emulator import Surrogate

#: Under which the metadata are in an ONNX file, and with ``.json`` among the extra files of torch
METADATA_KEY = "physurrogate"


def export(emulator: Surrogate, path: str | Path, to: str = "onnx") -> Path:
    """Write a surrogate to one file that needs no code of this package to be used.

    The graph takes every parameter ``(batch,)`` and every field input ``(batch, *space,
    *component)`` by name in physical units and gives every field ``(batch, time, *space,
    *component)`` by name, all float32. The batch may have any size; the grid and the times are
    those of the training. What the numbers are stands as JSON in the file.

    Args:
        emulator: the surrogate; its network may be any module that torch can export.
        path: the file, which must not exist.
        to: ``onnx``, or ``torch`` for a file of ``torch.export.save``.

    Raises:
        ValueError: the format is unknown, or the network cannot be exported to it.
        FileExistsError: the file exists.
        ModuleNotFoundError: the packages of the extra ``onnx`` are not installed.
    """
    path = Path(path)
    if to not in FORMATS:
        raise ValueError(f"to={to!r}: must be one of {', '.join(FORMATS)}")
    if path.exists():
        raise FileExistsError(f"{path}: exists; choose another file")
    whole = Whole(emulator)
    metadata = json.dumps(describe(emulator), allow_nan=False)
    with published(path, exclusive=True) as temporary, _quiet():
        FORMATS[to](whole, _record(whole), metadata, temporary)
    return path


def _record(whole: Whole) -> ExportedProgram:
    # Not 0 and 1, which torch takes to be constants
    example = whole.example(3)
    batch = Dim("batch", min=1)
    sizes = {"inputs": {name: {0: batch} for name in example}}
    with torch.no_grad():
        whole(example)  # fills the caches of the encoding with values, not with symbols
        try:
            return torch.export.export(whole, (example,), dynamic_shapes=sizes)
        except Exception as error:  # whatever the code of a network raises when it is recorded
            raise _not_exportable(whole, error) from error


def _write_onnx(whole: Whole, program: ExportedProgram, metadata: str, path: Path) -> None:
    import onnxruntime
    import onnxscript  # noqa: F401  (named by the error if it is missing)

    try:
        exported = torch.onnx.export(
            program,
            dynamic_shapes={"inputs": {name: {0: "batch"} for name in whole.inputs}},  # its name
            input_names=whole.inputs,
            output_names=whole.outputs,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise _not_exportable(whole, error) from error
    assert exported is not None
    exported.model.metadata_props[METADATA_KEY] = metadata
    exported.save(path, external_data=False)
    try:  # what the exporter writes, a runtime may still refuse
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # classes of its own
        raise _not_exportable(whole, error) from error


def _write_torch(whole: Whole, program: ExportedProgram, metadata: str, path: Path) -> None:
    with open(path, "wb") as file:  # by name torch insists on the suffix .pt2
        torch.export.save(program, file, extra_files={f"{METADATA_KEY}.json": metadata})


FORMATS: dict[str, Callable[[Whole, ExportedProgram, str, Path], None]] = {
    "onnx": _write_onnx,
    "torch": _write_torch,
}


def _not_exportable(whole: Whole, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).strip().splitlines()[0]
    return ValueError(f"{type(whole.network).__name__} cannot be exported: {reason}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about packages and passes that are not ours."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
