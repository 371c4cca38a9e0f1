"""Frames out of shards that stay open."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

# Of one process, for one split: some systems allow 256 files in all
MAX_OPEN_FILES = 64


def _open(path: Path) -> h5py.File:
    return h5py.File(path, "r")


class Shard:
    """One open shard."""

    def __init__(self, path: Path) -> None:
        self._file = _open(path)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a variable."""
        return self._file[name].shape

    def whole(self, name: str) -> NDArray[Any]:
        """A variable."""
        return self._file[name][:]

    def read(self, name: str, out: NDArray[np.float32], sample: int, *frames: slice) -> None:
        """Frames of one sample, or, of what does not change with time, the one that there is."""
        out[:] = self._file[name][sample, *frames]

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class OpenShards:
    """The shards that this process has used last, open.

    May be pickled and taken along by a fork: each process opens files of its own. Threads take
    turns.
    """

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._turn = RLock()
        self._shards: OrderedDict[Path, Shard] = OrderedDict()

    def __getstate__(self) -> int:
        return self._limit

    def __setstate__(self, limit: int) -> None:
        self.__init__(limit)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._shards)

    @contextmanager
    def use(self, path: Path) -> Iterator[Shard]:
        """The shard, which no other thread uses meanwhile."""
        if self._process != os.getpid():  # what a fork has copied belongs to the parent
            self._start()
        with self._turn:
            if path not in self._shards:
                while len(self._shards) >= self._limit:
                    self._shards.popitem(last=False)[1].close()
                self._shards[path] = Shard(path)
            self._shards.move_to_end(path)
            yield self._shards[path]

    def close(self) -> None:
        """Close all files; the next use opens them again."""
        with self._turn:
            while self._shards:
                self._shards.popitem()[1].close()
