"""Files of a surrogate's graph: ONNX for any runtime, torch's own for programs that have torch."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from surrogate.deploy.metadata import describe
from surrogate.deploy.whole import Whole
from surrogate.emulator import Surrogate

#: Under which the metadata are in an ONNX file, and with ``.json`` among the extra files of torch
METADATA_KEY = "physurrogate"


def write_onnx(emulator: Surrogate, path: Path) -> None:
    """Write the graph as ONNX, all weights and the metadata in the one file.

    Raises:
        ValueError: the network cannot be exported, or no runtime could load what comes out.
        ModuleNotFoundError: the packages of the extra ``onnx`` are not installed.
    """
    import onnxruntime
    import onnxscript  # noqa: F401  (named by the error if it is missing)

    whole = Whole(emulator)
    with quiet():
        program = _batched(emulator, whole)
        try:
            exported = torch.onnx.export(
                program,
                dynamic_shapes={"inputs": {name: {0: "batch"} for name in whole.inputs}},
                input_names=whole.inputs,
                output_names=whole.outputs,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise not_exportable(emulator, error) from error
        assert exported is not None
        for node in exported.model.graph.all_nodes():  # lines of code, with paths of this machine
            node.metadata_props.clear()
        exported.model.metadata_props[METADATA_KEY] = _metadata(emulator)
        exported.save(path, external_data=False)
        try:  # what the exporter writes, a runtime may still refuse
            onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # classes of its own
            raise not_exportable(emulator, error) from error


def write_torch(emulator: Surrogate, path: Path) -> None:
    """Write the graph as torch's own file.

    Raises:
        ValueError: the network cannot be exported.
    """
    whole = Whole(emulator)
    extra = {f"{METADATA_KEY}.json": _metadata(emulator)}
    with quiet(), open(path, "wb") as file:  # by name torch insists on the suffix .pt2
        program = _batched(emulator, whole)
        torch.export.save(program, file, extra_files=extra)


def _metadata(emulator: Surrogate) -> str:
    return json.dumps(describe(emulator), allow_nan=False)


def record(
    emulator: Surrogate, module: nn.Module, arguments: tuple[Any, ...], sizes: Any = None
) -> ExportedProgram:
    """The graph of what a module does to arguments, of which some sizes may be free.

    Raises:
        ValueError: torch cannot record what the network of the surrogate does.
    """
    with torch.no_grad():
        module(*arguments)  # fills the caches of the encoding with values, not with symbols
        try:
            return torch.export.export(module, arguments, dynamic_shapes=sizes)
        except Exception as error:  # whatever the code of a network raises when it is recorded
            raise not_exportable(emulator, error) from error


def _batched(emulator: Surrogate, whole: Whole) -> ExportedProgram:
    """The graph for a batch of any size."""
    example = whole.example(3)  # not 0 and 1, which torch takes to be constants
    batch = Dim("batch", min=1)
    return record(emulator, whole, (example,), {"inputs": {name: {0: batch} for name in example}})


def not_exportable(emulator: Surrogate, error: Exception) -> ValueError:
    """That a network cannot leave, for the first line of a reason."""
    reason = (str(error) or type(error).__name__).strip().splitlines()[0]
    return ValueError(f"{emulator.network_name} cannot be exported: {reason}")


@contextmanager
def quiet() -> Iterator[None]:
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
