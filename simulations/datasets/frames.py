"""Frames out of shards that stay open.

A field that is neither in chunks nor compressed is an array at some offset of its file. Where all
fields of a shard are, their frames are read from there straight into place: a system call and a
copy, about what memory takes. The layers of HDF5 double that for large frames, and multiply it for
small ones. Other shards are read through HDF5.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.reader import DatasetError

# Of one process, for one split: some systems allow 256 files in all
MAX_OPEN_FILES = 64

Shape = tuple[int, ...]


def _open(path: Path) -> h5py.File:
    return h5py.File(path, "r")


@dataclass(frozen=True)
class Shard:
    """What is known of a shard without opening it again.

    Attributes:
        path: the file.
        version: size and time of the last change, by which another file under the same name is
            told from this one.
        indices: index of each draw, ``(sample,)``.
        parameters: value of each parameter, ``(sample,)``.
        shapes: of each array, the shape of what belongs to a sample.
        offsets: where in the file each array begins; None if HDF5 has to be asked for them.
    """

    path: Path
    version: tuple[int, int]
    indices: NDArray[np.int64]
    parameters: Mapping[str, NDArray[np.float32]]
    shapes: Mapping[str, Shape]
    offsets: Mapping[str, int] | None

    @classmethod
    def describe(
        cls, path: Path, parameters: Sequence[str], shapes: Mapping[str, Shape]
    ) -> "Shard":
        """Look into a shard.

        Args:
            path: the file.
            parameters: names of the parameters.
            shapes: of each array, the shape of what belongs to a sample.

        Raises:
            DatasetError: an array has another shape.
            OSError, KeyError: the file is not readable, or lacks something.
        """
        version = _version(path)
        with _open(path) as file:
            indices = file["sample"][:].astype(np.int64)
            for name, shape in shapes.items():
                if file[name].shape != (indices.size, *shape):
                    raise DatasetError(
                        f"{path}: {name} has the shape {file[name].shape}, "
                        f"not {(indices.size, *shape)}"
                    )
            found = {name: _offset(file[name]) for name in shapes}
            offsets = {name: offset for name, offset in found.items() if offset is not None}
            return cls(
                path,
                version,
                indices,
                {name: file[name][:] for name in parameters},
                shapes,
                offsets if len(offsets) == len(shapes) else None,
            )

    def load(self, into: Mapping[str, NDArray[np.float32]]) -> None:
        """All samples, into arrays of shape ``(sample, *shape)``."""
        with _readable(self), _open(self.path) as file:
            self.check_version()
            for name, values in into.items():
                file[name].read_direct(values)

    def check_version(self) -> None:
        """Refuse another file of the same name, once it is open: what comes later is harmless."""
        if _version(self.path) != self.version:
            raise OSError("it has been replaced since")


class Reader(Protocol):
    """An open shard."""

    def read(self, name: str, out: NDArray[np.float32], sample: int, frames: slice) -> None:
        """Put frames of one sample into a contiguous array."""

    def read_constant(self, name: str, out: NDArray[np.float32], sample: int) -> None:
        """Put what does not change with time into a contiguous array."""

    def close(self) -> None:
        """Give the file back."""


class _Raw:
    """A shard whose arrays lie in the file as they do in memory."""

    def __init__(self, shard: Shard) -> None:
        offsets = shard.offsets or {}
        self._places = {
            name: (offsets[name], 4 * int(np.prod(shape)), 4 * int(np.prod(shape[1:])))
            for name, shape in shard.shapes.items()
        }
        self._descriptor = os.open(shard.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def read(self, name: str, out: NDArray[np.float32], sample: int, frames: slice) -> None:
        offset, sample_bytes, frame_bytes = self._places[name]
        offset += sample * sample_bytes + frames.start * frame_bytes
        if frames.step == 1:
            self._fill(out, offset)
        else:
            for position in range(len(out)):
                step = position * frames.step * frame_bytes
                self._fill(out[position : position + 1], offset + step)

    def read_constant(self, name: str, out: NDArray[np.float32], sample: int) -> None:
        offset, sample_bytes, _ = self._places[name]
        self._fill(out, offset + sample * sample_bytes)

    def _fill(self, out: NDArray[np.float32], offset: int) -> None:
        found = os.preadv(self._descriptor, [out.data], offset)
        while found < out.nbytes:  # a system call may stop after 2 GB
            more = os.preadv(self._descriptor, [out.data.cast("B")[found:]], offset + found)
            if not more:
                raise OSError(f"ends before byte {offset + out.nbytes}")
            found += more

    def close(self) -> None:
        os.close(self._descriptor)


class _Hdf5:
    """A shard that HDF5 has to decode."""

    def __init__(self, shard: Shard) -> None:
        self._file = _open(shard.path)
        self._arrays = {name: self._file[name] for name in shard.shapes}

    def read(self, name: str, out: NDArray[np.float32], sample: int, frames: slice) -> None:
        out[:] = self._arrays[name][sample, frames]

    def read_constant(self, name: str, out: NDArray[np.float32], sample: int) -> None:
        out[:] = self._arrays[name][sample]

    def close(self) -> None:
        self._file.close()


class OpenShards:
    """The shards that this process has used last, open.

    May be pickled and taken along by a fork: each process opens files of its own. Threads take
    turns.
    """

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._readers: OrderedDict[Path, Reader] = OrderedDict()
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._turn = RLock()
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenShards, (self._limit,)

    def __del__(self) -> None:
        self._close()

    @contextmanager
    def use(self, shard: Shard) -> Iterator[Reader]:
        """The shard, open, which no other thread uses meanwhile.

        Raises:
            DatasetError: it is gone, damaged, or another one than it was.
        """
        if self._process != os.getpid():  # forked, perhaps while another thread had its turn
            self._start()
        with self._turn, _readable(shard):
            if shard.path not in self._readers:
                while len(self._readers) >= self._limit:
                    self._readers.popitem(last=False)[1].close()
                raw = shard.offsets is not None
                self._readers[shard.path] = _Raw(shard) if raw else _Hdf5(shard)
                try:
                    shard.check_version()
                except OSError:
                    self._readers.pop(shard.path).close()
                    raise
            self._readers.move_to_end(shard.path)
            yield self._readers[shard.path]

    def close(self) -> None:
        """Close all files; the next use opens them again."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()


@contextmanager
def _readable(shard: Shard) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError) as error:
        raise DatasetError(f"{shard.path}: not readable as a shard any more ({error})") from None


def _version(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _offset(stored: h5py.Dataset) -> int | None:
    """Where an array begins in its file, if it lies there as it does in memory."""
    creation = stored.id.get_create_plist()
    if (
        not hasattr(os, "preadv")
        or stored.dtype != np.float32  # of the byte order of this machine
        or creation.get_layout() != h5py.h5d.CONTIGUOUS
        or creation.get_external_count()
    ):
        return None
    return stored.id.get_offset()
