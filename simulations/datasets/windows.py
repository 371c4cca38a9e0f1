"""Windows over time of the trajectories of a split, from memory or from the files."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulations.datasets import layout
from simulations.datasets.frames import OpenShards, Version, file_version
from simulations.datasets.reader import Dataset, DatasetError
from simulations.machine import free_memory
from simulations.simulation import check_setting


class Window(NamedTuple):
    """A batch of windows.

    Attributes:
        samples: index of the draw, ``(batch,)``.
        starts: stored time of the first frame, ``(batch,)``; negative where the first stored frame
            is repeated until time has reached it.
        parameters: value of each parameter, ``(batch,)``.
        field_inputs: values of each field input that is not an initial condition,
            ``(batch, *space)``.
        fields: values of each output, ``(batch, history + horizon, *space, *component)``.
    """

    samples: NDArray[np.int64]
    starts: NDArray[np.int64]
    parameters: Mapping[str, NDArray[np.float32]]
    field_inputs: Mapping[str, NDArray[np.float32]]
    fields: Mapping[str, NDArray[np.float32]]


class Windows:
    """All windows of ``history + horizon`` frames in the trajectories of a split.

    A sequence ordered by trajectory and time, as PyTorch's ``DataLoader`` takes it. Frame ``j`` of
    a window is that of the stored time ``max(start + stride · j, 0)``. What fits is read into
    memory once; otherwise each process keeps the files open that it has used last and reads what it
    is asked for. A pickle takes no data along: its copy reads from the files, which the system
    keeps in memory once for all processes.

    Args:
        dataset: the dataset.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        history: frames that are known.
        horizon: frames that are to be predicted. With ``history + horizon`` as many as there are
            stored times, a window is a trajectory.
        stride: stored times from one frame of a window to the next.
        repeat_first: also give the windows whose history begins before the first stored time,
            filled with the first frame; the last frame of the history is always a stored one.
        memory_gigabytes: what the split may take in memory; by default half of what is free.

    Raises:
        ValueError: an argument is out of range, or no window fits into the stored times.
        DatasetError: the split is empty, or a shard is missing or unreadable.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        *,
        history: int = 1,
        horizon: int = 1,
        stride: int = 1,
        repeat_first: bool = False,
        memory_gigabytes: float | None = None,
    ) -> None:
        check_setting("history", history, 0, integer=True)
        check_setting("horizon", horizon, 0, integer=True)
        check_setting("stride", stride, 1, integer=True)
        if memory_gigabytes is not None:
            check_setting("memory_gigabytes", memory_gigabytes, 0)
        simulation = dataset.simulation
        n_times = simulation.times.size
        frames = history + horizon
        missing = stride * max(history - 1, 0) if repeat_first else 0
        self._per_trajectory = n_times - stride * (frames - 1) + missing
        if frames < 1 or self._per_trajectory < 1:
            raise ValueError(
                f"history={history}, horizon={horizon}, stride={stride}: no such window fits into "
                f"{n_times} stored times"
            )
        self._first_start = -missing
        self._stride = stride
        self._steps = stride * np.arange(frames)
        grid = simulation.grid
        self._fields = {
            name: (n_times, *field.shape(grid)) for name, field in simulation.fields.items()
        }
        self._field_inputs = {
            name: simulation.field_inputs[name].shape(grid)
            for name in layout.coefficient_names(simulation)
        }
        shapes = self._fields | self._field_inputs
        described = list(
            dataset.each_part(
                split, lambda part: _describe(dataset, part, shapes, list(simulation.parameters))
            )
        )
        self._parts = [part for part, *_ in described]
        # Position of the first trajectory of each part, and the end
        self._bounds = np.cumsum([0, *(len(indices) for _, _, indices, _ in described)])
        self._samples = np.concatenate([indices for _, _, indices, _ in described])
        self._parameters = {
            name: np.concatenate([values[name] for *_, values in described])
            for name in simulation.parameters
        }
        versions = {part: version for part, version, *_ in described}
        self._open_shards = OpenShards(dataset.open_part, versions)
        limit = free_memory() / 2 if memory_gigabytes is None else memory_gigabytes * 1024**3
        needed = 4 * len(self._samples) * sum(int(np.prod(shape)) for shape in shapes.values())
        self._held = self._load() if needed <= limit else None

    def _load(self) -> dict[str, NDArray[np.float32]]:
        held = {
            name: np.empty((len(self._samples), *shape), np.float32)
            for name, shape in (self._fields | self._field_inputs).items()
        }
        for part, start, end in zip(self._parts, self._bounds, self._bounds[1:], strict=False):
            with self._open_shards.use(part) as shard:
                for name, values in held.items():
                    values[start:end] = shard.whole(name)
        self._open_shards.close()
        return held

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_held": None}

    def __len__(self) -> int:
        return len(self._samples) * self._per_trajectory

    @property
    def in_memory(self) -> bool:
        """Whether the split is held in memory."""
        return self._held is not None

    def batch(self, indices: Sequence[int] | NDArray[np.integer]) -> Window:
        """The windows with these indices, in this order.

        Raises:
            IndexError: there is no such window.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"indices={wanted}: there are windows 0 to {len(self) - 1}")
        trajectories, starts = np.divmod(wanted, self._per_trajectory)
        starts += self._first_start
        read = self._stream if self._held is None else self._pick
        values = read(trajectories, starts)
        return Window(
            self._samples[trajectories],
            starts,
            {name: values[trajectories] for name, values in self._parameters.items()},
            {name: values[name] for name in self._field_inputs},
            {name: values[name] for name in self._fields},
        )

    def _pick(
        self, trajectories: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """From memory."""
        assert self._held is not None
        times = np.maximum(starts[:, None] + self._steps, 0)
        picked = {name: self._held[name][trajectories[:, None], times] for name in self._fields}
        return picked | {name: self._held[name][trajectories] for name in self._field_inputs}

    def _stream(
        self, trajectories: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """From the files, in the order in which the frames lie there."""
        batch, frames = len(trajectories), len(self._steps)
        out = {
            name: np.empty((batch, frames, *shape[1:]), np.float32)
            for name, shape in self._fields.items()
        }
        constant = {
            name: np.empty((batch, *shape), np.float32)
            for name, shape in self._field_inputs.items()
        }
        shards = np.searchsorted(self._bounds, trajectories, side="right") - 1
        order = np.lexsort((starts, trajectories))
        for rows in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            if not rows.size:
                continue
            number = shards[rows[0]]
            with self._open_shards.use(self._parts[number]) as shard:
                for row in rows.tolist():
                    sample = int(trajectories[row] - self._bounds[number])
                    start = int(starts[row])
                    repeats = max(0, -(start // self._stride))
                    stored = slice(
                        start + repeats * self._stride, start + frames * self._stride, self._stride
                    )
                    for name, values in out.items():
                        shard.read(name, values[row, repeats:], sample, stored)
                        if repeats:
                            shard.read(name, values[row, :1], sample, slice(1))
                            values[row, 1:repeats] = values[row, 0]
                    for name, values in constant.items():
                        shard.read(name, values[row], sample)
        return out | constant

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One window: what `Window` holds, without the axis of the batch."""
        return self.__getitems__([range(len(self))[index]])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Several windows at once: what ``DataLoader`` asks for."""
        batch = self.batch(indices)._asdict()
        return [
            {
                key: {name: array[row] for name, array in value.items()}
                if isinstance(value, Mapping)
                else value[row]
                for key, value in batch.items()
            }
            for row in range(len(indices))
        ]


def _describe(
    dataset: Dataset, part: Any, shapes: Mapping[str, tuple[int, ...]], parameters: Sequence[str]
) -> tuple[Any, Version, NDArray[np.int64], dict[str, NDArray[Any]]]:
    """A part, its version, and what is small: the index of each draw and its parameters."""
    version = file_version(str(part))
    with closing(dataset.open_part(part)) as shard:
        indices = shard.whole("sample").astype(np.int64)
        for name, shape in shapes.items():
            if shard.shape(name) != (indices.size, *shape):
                raise DatasetError(
                    f"{part}: {name} has the shape {shard.shape(name)}, "
                    f"not {(indices.size, *shape)}"
                )
        return part, version, indices, {name: shard.whole(name) for name in parameters}
