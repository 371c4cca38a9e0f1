"""Frames out of shards that stay open.

An array that is neither in chunks nor compressed lies in its file as it does in memory. Where all
arrays of a shard do, they are read from there straight into place: a system call and a copy, about
what memory takes. The layers of HDF5 double that for large frames, and multiply it for small ones.
Other shards are read through HDF5.
"""

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from simulations.datasets.untrusted import DatasetError, open_untrusted

# Of one process, for one split: some systems allow 256 files in all
MAX_OPEN_FILES = 64

Version = tuple[int, int]


def file_version(path: str | Path) -> Version:
    """What tells a file from another one under the same name: its size and its last change."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


class Reader(Protocol):
    """An open shard, or another part of a dataset."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, the samples first."""

    def whole(self, name: str) -> NDArray[Any]:
        """An array."""

    def read(self, name: str, out: NDArray[np.float32], sample: int, *frames: slice) -> None:
        """Put frames of a sample, or what is constant in time, into an array that is contiguous."""

    def close(self) -> None:
        """Give the file back."""


@dataclass(frozen=True)
class Place:
    """Where an array lies in its file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Layout:
    """Where the arrays lie in this version of a file; None if HDF5 has to be asked."""

    version: Version
    places: Mapping[str, Place] | None


def open_shard(path: Path, known: MutableMapping[Path, Layout]) -> Reader:
    """Open a shard for reading.

    Args:
        path: the file.
        known: of shards that were open before; what is found out is added.
    """
    version = file_version(path)
    layout = known.get(path)
    if layout is None or layout.version != version:
        shard = Hdf5Shard(path)
        layout = known[path] = Layout(version, shard.places())
        if layout.places is None:
            return shard
        shard.close()
    return Hdf5Shard(path) if layout.places is None else RawShard(path, layout.places)


class Hdf5Shard:
    """A shard that HDF5 has to decode."""

    def __init__(self, path: Path) -> None:
        self._file = open_untrusted(path)
        self._arrays: dict[str, h5py.Dataset] = {}

    def _array(self, name: str) -> h5py.Dataset:
        if name not in self._arrays:
            self._arrays[name] = self._file[name]
        return self._arrays[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, the samples first."""
        return self._array(name).shape

    def whole(self, name: str) -> NDArray[Any]:
        """An array."""
        return self._array(name)[:]

    def read(self, name: str, out: NDArray[np.float32], sample: int, *frames: slice) -> None:
        """Put frames of a sample, or what is constant in time, into an array."""
        out[:] = self._array(name)[sample, *frames]

    def places(self) -> dict[str, Place] | None:
        """Where each array lies, if all lie in the file as they do in memory."""
        places = {}
        for name, stored in self._file.items():
            if isinstance(stored, h5py.Dataset):
                place = _place(stored)
                if place is None:
                    return None
                places[name] = place
        return places

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class RawShard:
    """A shard whose arrays lie in the file as they do in memory."""

    def __init__(self, path: Path, places: Mapping[str, Place]) -> None:
        self._places = places
        self._descriptor = os.open(path, os.O_RDONLY)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, the samples first."""
        return self._places[name].shape

    def whole(self, name: str) -> NDArray[Any]:
        """An array."""
        place = self._places[name]
        out = np.empty(place.shape, place.dtype)
        self._fill(out, place.offset)
        return out

    def read(self, name: str, out: NDArray[np.float32], sample: int, *frames: slice) -> None:
        """Put frames of a sample, or what is constant in time, into an array."""
        place = self._places[name]
        offset = place.offset + sample * 4 * math.prod(place.shape[1:])
        if not frames:
            self._fill(out, offset)
            return
        frame = 4 * math.prod(place.shape[2:])
        start, _, stride = frames[0].indices(place.shape[1])
        offset += start * frame
        if stride == 1:
            self._fill(out, offset)
        else:
            for position in range(len(out)):
                self._fill(out[position : position + 1], offset + position * stride * frame)

    def _fill(self, out: NDArray[Any], offset: int) -> None:
        found = os.preadv(self._descriptor, [out.data], offset)
        while found < out.nbytes:  # a system call stops after 2 GB
            rest = out.data.cast("B")[found:]
            more = os.preadv(self._descriptor, [rest], offset + found)
            if not more:
                raise OSError(f"ends before byte {offset + out.nbytes}")
            found += more

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def _place(stored: h5py.Dataset) -> Place | None:
    """Where an array lies, if its numbers are ours and follow each other."""
    offset = stored.id.get_offset()  # None for chunks, other files, and what was never written
    is_ours = stored.dtype == np.float32 or (stored.dtype.kind == "i" and stored.dtype.isnative)
    if offset is None or not is_ours or not hasattr(os, "preadv"):
        return None
    return Place(offset, stored.shape, stored.dtype)


class OpenShards:
    """The shards that this process has used last, open.

    May be pickled and taken along by a fork: each process opens files of its own. Threads take
    turns.

    Args:
        open_part: opens a shard or another part, whose text is the path of its file.
        versions: of the file of each part; another one is refused.
        limit: how many stay open.
    """

    def __init__(
        self,
        open_part: Callable[[Any], Reader],
        versions: Mapping[Hashable, Version],
        limit: int = MAX_OPEN_FILES,
    ) -> None:
        self._open_part = open_part
        self._versions = versions
        self._limit = limit
        self._readers: OrderedDict[Hashable, Reader] = OrderedDict()
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._turn = RLock()
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        return OpenShards, (self._open_part, self._versions, self._limit)

    def __del__(self) -> None:
        self._close()

    @contextmanager
    def use(self, part: Hashable) -> Iterator[Reader]:
        """The part, open, which no other thread uses meanwhile.

        Raises:
            DatasetError: its file is gone, damaged, or another one than it was.
        """
        if self._process != os.getpid():  # forked, perhaps while another thread had its turn
            self._start()
        with self._turn:
            try:
                if part not in self._readers:
                    self._open(part)
                self._readers.move_to_end(part)
                yield self._readers[part]
            except (OSError, KeyError) as error:
                raise DatasetError(f"{part}: not readable any more ({error})") from None

    def _open(self, part: Hashable) -> None:
        while len(self._readers) >= self._limit:
            self._readers.popitem(last=False)[1].close()
        reader = self._open_part(part)
        # Once it is open: what comes under the same name later does not matter
        if file_version(str(part)) != self._versions[part]:
            reader.close()
            raise OSError("it has been replaced")
        self._readers[part] = reader

    def close(self) -> None:
        """Close all files; the next use opens them again."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        while self._readers:
            self._readers.popitem()[1].close()
