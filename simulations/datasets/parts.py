"""Where in a foreign file each number is, and reading it from there.

A *part* is what one split has in one file: trajectories that follow each other. The formats
(`well`, `pdebench`) say where its variables are and along which axes; here they are read, with the
axes that a file leaves out filled in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.layout import Trajectories, coefficient_names
from simulations.datasets.recorded import Recorded
from simulations.datasets.untrusted import DatasetError, open_untrusted

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Variable:
    """Where a variable is.

    Attributes:
        location: name of the dataset in the file; in a file with a group for each sample, in the
            group.
        axes: what its axes are, in this order: ``"sample"``, ``"time"``, the names of the grid's
            axes, ``"component"``, ``"component2"``, or ``"channel"``, along which one
            entry is taken. What is missing is constant.
        channel: which entry that is.
    """

    location: str
    axes: tuple[str, ...]
    channel: int = 0


@dataclass(frozen=True)
class Part:
    """Trajectories ``start`` to ``stop`` of a file.

    Attributes:
        path: the file.
        start: position of the first trajectory in the file.
        stop: position after the last.
        first: index of the first one among all trajectories of the dataset.
        parameters: value of each parameter, ``(sample,)``.
        variables: where each field and coefficient is.
        groups: of each trajectory the group it is in, if each has one.
        stride: of the stored times and of the points along each axis, every how manieth is read.
    """

    path: Path
    start: int
    stop: int
    first: int
    parameters: Mapping[str, Array] = field(compare=False)
    variables: Mapping[str, Variable] = field(compare=False)
    groups: tuple[str, ...] = field(default=(), compare=False)
    stride: tuple[int, int] = (1, 1)

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return str(self.path)

    def cut(self, length: int) -> Iterator["Part"]:
        """The same trajectories, at most so many a part."""
        for begin in range(0, len(self), length):
            end = min(begin + length, len(self))
            yield replace(
                self,
                start=self.start + begin,
                stop=self.start + end,
                first=self.first + begin,
                parameters={name: v[begin:end] for name, v in self.parameters.items()},
            )


class OpenPart:
    """A part whose file is open. Samples are counted from the first of the part.

    Args:
        part: the part.
        simulation: the declarations that the arrays follow.

    Raises:
        DatasetError: the file is unsafe or damaged, or a variable is not as declared.
    """

    def __init__(self, part: Part, simulation: Recorded) -> None:
        self._part = part
        self._grid = simulation.grid
        self._n_times = simulation.times.size
        self._fields = simulation.fields
        self._inputs = {
            name: simulation.field_inputs[name] for name in coefficient_names(simulation)
        }
        self._file = open_untrusted(part.path)
        try:
            for name, variable in part.variables.items():
                self._check(name, variable)
        except DatasetError:
            self.close()
            raise

    def __enter__(self) -> "OpenPart":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._part)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a field ``(sample, time, *space, *component)``, or of what is constant."""
        if name in ("sample", *self._part.parameters):
            return (len(self._part),)
        if name in self._inputs:
            return (len(self._part), *self._inputs[name].shape(self._grid))
        return (len(self._part), self._n_times, *self._fields[name].shape(self._grid))

    def whole(self, name: str) -> NDArray[Any]:
        """All of a variable."""
        if name == "sample":
            return np.arange(self._part.first, self._part.first + len(self._part))
        if name in self._part.parameters:
            return self._part.parameters[name]
        return self.block(name, slice(None))

    def read(self, name: str, out: Array, sample: int, *frames: slice) -> None:
        """Frames of one sample, or, of what does not change with time, the one that there is."""
        out[:] = self.block(name, slice(sample, sample + 1), *frames)[0]

    def block(self, name: str, samples: slice, times: slice = slice(None)) -> Array:
        """Some samples and times of a field or coefficient, float32."""
        variable = self._part.variables[name]
        chosen = range(*samples.indices(len(self._part)))
        frames = range(*times.indices(self._n_times))
        if not chosen or not frames:
            shape = self.shape(name)
            tail = shape[1:] if name in self._inputs else (len(frames), *shape[2:])
            return np.empty((len(chosen), *tail), np.float32)
        try:
            if self._part.groups:
                stored = np.stack([self._select(variable, i, None, frames) for i in chosen])
            else:
                stored = self._select(variable, None, chosen, frames)
            return self._arrange(name, variable, stored, len(chosen), len(frames))
        except DatasetError:
            raise
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise DatasetError(f"{self._part}: {name} is not readable ({error})") from None

    def _dataset(self, variable: Variable, sample: int = 0) -> h5py.Dataset:
        groups = self._part.groups
        prefix = f"{groups[self._part.start + sample]}/" if groups else ""
        found = self._file.get(prefix + variable.location)
        if not isinstance(found, h5py.Dataset):
            raise DatasetError(f"{self._part}: lacks {prefix}{variable.location}")
        return found

    def _check(self, name: str, variable: Variable) -> None:
        dataset = self._dataset(variable)
        time_stride, space_stride = self._part.stride
        expected = {
            **{a.name: a.points.size for a in self._grid.axes},
            "component": self._grid.ndim,
            "component2": self._grid.ndim,
        }
        fits = dataset.ndim == len(variable.axes) and dataset.dtype.kind in "biuf"
        for axis, size in zip(variable.axes, dataset.shape, strict=False):
            if not fits:
                break
            if axis in expected:
                available = -(-size // space_stride) if axis in self._grid.names else size
                fits = available == expected[axis]
            elif axis == "time":
                fits = -(-size // time_stride) >= self._n_times
            elif axis == "sample":
                fits = size >= self._part.stop
            else:
                fits = size > variable.channel
        if not fits:
            raise DatasetError(
                f"{self._part}: {variable.location} has shape {dataset.shape} and type "
                f"{dataset.dtype}, which are not those of {name} along {list(variable.axes)}"
            )

    def _select(
        self, variable: Variable, sample: int | None, chosen: range | None, frames: range
    ) -> NDArray[Any]:
        """What is stored of some samples and times, in the axes of the file."""
        time_stride, space_stride = self._part.stride
        selection: list[Any] = []
        thinned: list[Any] = []
        for axis in variable.axes:
            if axis == "sample":
                assert chosen is not None
                selection.append(_stored(chosen, self._part.start, 1))
            elif axis == "time":
                selection.append(_stored(frames, 0, time_stride))
            elif axis == "channel":
                selection.append(variable.channel)
            else:
                selection.append(slice(None))
            # Points are left out in memory: HDF5 picks single numbers slowly
            if axis != "channel":
                thinned.append(slice(None, None, space_stride if axis in self._grid.names else 1))
        dataset = self._dataset(variable, sample or 0)
        return np.asarray(dataset[tuple(selection)], dtype=np.float32)[tuple(thinned)]

    def _arrange(
        self, name: str, variable: Variable, stored: NDArray[Any], samples: int, frames: int
    ) -> Array:
        """With the axes that the file leaves out."""
        axes = [axis for axis in variable.axes if axis != "channel"]
        if self._part.groups:
            axes.insert(0, "sample")
        declared = self._inputs.get(name) or self._fields[name]
        wanted = ["sample", *([] if name in self._inputs else ["time"])]
        if getattr(declared, "spatial", True):
            wanted += self._grid.names
        wanted += ["component", "component2"][: declared.order]
        values = stored[tuple(slice(None) if a in axes else None for a in wanted)]
        sizes = {axis.name: axis.points.size for axis in self._grid.axes}
        sizes |= {"sample": samples, "time": frames}
        shape = [sizes.get(axis, self._grid.ndim) for axis in wanted]
        return np.ascontiguousarray(np.broadcast_to(values, shape))


@dataclass(frozen=True)
class Contents:
    """What a foreign dataset holds.

    Attributes:
        simulation: the declarations.
        parts: of each split.
    """

    simulation: Recorded
    parts: Mapping[str, tuple[Part, ...]]


def _stored(wanted: range, offset: int, stride: int) -> slice:
    """The slice of a file for a range of positions in what is read of it."""
    first, last = offset + wanted[0] * stride, offset + wanted[-1] * stride
    return slice(first, last + 1, wanted.step * stride)


def read_part(
    part: Part,
    simulation: Recorded,
    samples: slice = slice(None),
    times: slice = slice(None),
) -> Trajectories:
    """What is in a part, or some of it, read alone.

    Raises:
        DatasetError: the file is unsafe or damaged, or a variable is not as declared.
    """
    with OpenPart(part, simulation) as opened:
        return Trajectories(
            opened.whole("sample")[samples],
            {name: values[samples] for name, values in part.parameters.items()},
            {name: opened.block(name, samples) for name in coefficient_names(simulation)},
            {name: opened.block(name, samples, times) for name in simulation.fields},
        )
