"""The model of this package: checked when it is loaded, and what it is asked too."""

import hashlib
import io
import json
import math
import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answer import Answer

#: Samples that are answered at a time, which bounds the memory beside that of the answer
CHUNK = 64


class InvalidInput(ValueError):
    """An input is not admissible; the message says which and what is."""


class OutOfDomainWarning(UserWarning):
    """An input is unlike those of the training, so that no error is promised."""


class DamagedPackage(RuntimeError):
    """A file of this package is not the one that was delivered."""


def read_file(name: str) -> bytes:
    """A data file of this package."""
    return files(__package__).joinpath(name).read_bytes()


@cache
def read_about() -> dict[str, Any]:
    """The description that was delivered with the model."""
    return json.loads(read_file("about.json"))


class Model:
    """The graph and its calibration, loaded once.

    Raises:
        DamagedPackage: the digest of a file is not the one in the description.
    """

    def __init__(self) -> None:
        import onnxruntime

        self.about = read_about()
        options = onnxruntime.SessionOptions()
        # Threads that wait for the next call in a loop take the processor from everybody else
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(
            self._checked("model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.half_width: dict[str, NDArray] = {}
        self.domain = None
        if self.about["calibration"] is not None:
            arrays = dict(np.load(io.BytesIO(self._checked("calibration.npz")), allow_pickle=False))
            for name in self.about["fields"]:
                self.half_width[name] = arrays.pop(f"half_width/{name}")
            domain = import_module(".domain", __package__)
            self.domain = domain.Domain.of(
                self.about["calibration"]["domain"],
                {name.removeprefix("domain/"): values for name, values in arrays.items()},
            )

    def _checked(self, name: str) -> bytes:
        content = read_file(name)
        if hashlib.sha256(content).hexdigest() != self.about["sha256"][name]:
            raise DamagedPackage(f"{name}: not the file that was delivered; install it again")
        return content

    def predict(self, inputs: Mapping[str, Any]) -> Answer:
        """See ``predict`` of the package."""
        given, size = self._complete(inputs)
        n = 1 if size is None else size
        batch = {name: np.broadcast_to(v, (n, *v.shape[1:])) for name, v in given.items()}
        inside = self._inside(batch, n)
        parts = []
        for start in range(0, n, CHUNK):
            part = {k: v[start : start + CHUNK].astype(np.float32) for k, v in batch.items()}
            parts.append(self.session.run(self.outputs, part))
        joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
        p_value = None if self.domain is None else np.asarray(self.domain.p_values(batch))
        if size is None:
            joined, inside = [values[0] for values in joined], inside[0]
            batch = {name: values[0] for name, values in batch.items()}
            p_value = None if p_value is None else p_value[0]
        fields = dict(zip(self.outputs, joined, strict=True))
        return Answer(
            fields=fields,
            inputs=batch,
            in_domain=inside,
            domain_p_value=p_value,
            half_width=self.half_width,
            about=self.about,
        )

    def _complete(self, inputs: Mapping[str, Any]) -> tuple[dict[str, NDArray], int | None]:
        """All inputs with a batch in front, and its size; None where no input has one."""
        known = {**self.about["parameters"], **self.about["field_inputs"]}
        for name in inputs:
            if name not in known:
                raise InvalidInput(f"{name}: no such input; there are {', '.join(known)}")
        given, size = {}, None
        for name, declared in known.items():
            if name not in inputs:
                raise InvalidInput(f"{name}: missing; {in_words(declared)}")
            shape = tuple(declared.get("shape", ()))
            values = self._numbers(name, inputs[name], declared)
            if values.shape == shape:
                given[name] = values[None]
                continue
            if values.shape[1:] != shape or values.ndim != len(shape) + 1 or not len(values):
                allowed = "a number or (batch,)" if not shape else f"{shape} or {('batch', *shape)}"
                raise InvalidInput(f"{name} has shape {values.shape}: must be {allowed}")
            if size not in (None, len(values)):
                raise InvalidInput(f"{name} has {len(values)} values: others have {size}")
            given[name], size = values, len(values)
        return given, size

    def _numbers(self, name: str, value: Any, declared: Mapping[str, Any]) -> NDArray:
        try:
            values = np.asarray(value)
            if values.dtype.kind not in "iuf":
                raise TypeError
        except (TypeError, ValueError):
            raise InvalidInput(f"{name}={value!r}: must be numbers; {in_words(declared)}") from None
        values = values.astype(np.float64)
        low, high = limits(declared)
        wrong = ~((values >= low) & (values <= high) & np.isfinite(values))
        if wrong.any():
            raise InvalidInput(f"{name}={values[wrong].flat[0]:g}: {in_words(declared)}")
        return values

    def _inside(self, batch: Mapping[str, NDArray], n: int) -> NDArray:
        """Whether all parameters of a sample are in the ranges of the training."""
        inside = np.ones(n, bool)
        for name, declared in self.about["parameters"].items():
            low, high = declared["trained"]
            outside = ~((batch[name] >= low) & (batch[name] <= high))
            if outside.any():
                worst = batch[name][outside][0]
                warnings.warn(
                    f"{name}={worst:g} is outside the training range [{low:g}, {high:g}]",
                    OutOfDomainWarning,
                    stacklevel=4,
                )
            inside &= ~outside
        return inside


def limits(declared: Mapping[str, Any]) -> tuple[float, float]:
    """The admissible range of an input; null is infinite."""
    low, high = declared["admissible"]
    return -math.inf if low is None else low, math.inf if high is None else high


def in_words(declared: Mapping[str, Any]) -> str:
    """What an input is and what is allowed."""
    low, high = limits(declared)
    unit = "" if declared["unit"] == "1" else f" {declared['unit']}"
    return f"{declared['description']} must lie in [{low:g}, {high:g}]{unit}"
