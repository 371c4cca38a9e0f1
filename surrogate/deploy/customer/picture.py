"""A picture of an answer, by matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answer import Answer
from .files import check_ending
from .model import InvalidInput

PICTURES = (".png", ".svg", ".pdf")


def save_picture(path: Path, answer: Answer) -> None:
    """Draw each field at the last time; what is not spatial is drawn over time.

    Of vectors and tensors the size is drawn, of a batch the first sample, and of what has more
    than two axes the plane in the middle.

    Raises:
        InvalidInput: the ending of the file is unknown, or no field can be drawn.
        ModuleNotFoundError: matplotlib is not installed.
    """
    check_ending(path, PICTURES)
    from matplotlib.figure import Figure

    about, coordinates = answer.about, answer.coordinates()
    axes = about["axes"]
    names = [
        name
        for name, declared in about["fields"].items()
        if declared["spatial"] or len(about["times"]) > 1
    ]
    if not names:
        raise InvalidInput("plot: the answer is numbers alone, of which there is no picture")
    figure = Figure(figsize=(4.8 * len(names), 4.0), layout="constrained")
    for i, name in enumerate(names):
        declared, values = about["fields"][name], answer[name]
        values = values[0] if answer.is_batch else values
        values = _size(values, declared["order"])
        panel = figure.add_subplot(1, len(names), i + 1)
        unit = "" if declared["unit"] == "1" else f" ({declared['unit']})"
        panel.set_title(declared["description"] + unit)
        if not declared["spatial"]:
            panel.plot(coordinates["time"].values, values)
            panel.set_xlabel(f"time ({about['time_unit']})")
        else:
            _draw(figure, panel, axes, values[-1])
    figure.savefig(path, dpi=150)


def _size(values: NDArray, order: int) -> NDArray:
    if not order:
        return values
    return np.sqrt(np.square(values).sum(axis=tuple(range(-order, 0))))


def _draw(figure: Any, panel: Any, axes: list[dict[str, Any]], values: NDArray) -> None:
    for _ in range(values.ndim - 2):
        values = values[..., values.shape[-1] // 2]
    panel.set_xlabel(f"{axes[0]['name']} ({axes[0]['unit']})")
    if values.ndim == 1:
        panel.plot(axes[0]["points"], values)
        return
    mesh = panel.pcolormesh(axes[0]["points"], axes[1]["points"], values.T, shading="nearest")
    panel.set_ylabel(f"{axes[1]['name']} ({axes[1]['unit']})")
    panel.set_aspect("auto")
    figure.colorbar(mesh, ax=panel)
