"""A surrogate of a simulation, in a package of its own that needs numpy and onnxruntime alone.

``predict`` answers, ``about`` says for what: the system, parameters with units and ranges, fields,
grid, times, errors. The same from a shell: see ``--help`` of the command of this package's name.

These files go into every exported wheel as they are; what differs between wheels are the data
beside them.
"""

from functools import cache
from typing import Any

from .answer import Answer
from .model import DamagedPackage, InvalidInput, Model, OutOfDomainWarning, read_about

__all__ = ["Answer", "DamagedPackage", "InvalidInput", "OutOfDomainWarning", "about", "predict"]


def about() -> dict[str, Any]:
    """System, parameters, fields, coordinates, errors and origin, as JSON values."""
    return read_about()


def predict(**inputs: Any) -> Answer:
    """What the simulation would answer.

    Args:
        **inputs: every parameter, a number or ``(batch,)``, and every field input, ``(*space,
            *component)`` or with a batch in front. Those without a batch hold for all of it.

    Warns:
        OutOfDomainWarning: a parameter lies outside the range of the training.

    Raises:
        InvalidInput: an input is missing, unknown, not admissible, or of the wrong shape.
        DamagedPackage: the files are not those that were delivered.
    """
    return _model().predict(inputs)


@cache
def _model() -> Model:
    return Model()
