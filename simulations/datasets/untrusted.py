"""Opening HDF5 files that somebody else has made.

An HDF5 file can do more than hold numbers: links and raw storage may lie in any other file of the
machine, a kilobyte may declare terabytes, a filter may load a plugin, and groups may contain
themselves. `open_untrusted` walks the whole file before anything is read and lets pass what numbers
on grids need, and nothing else. Names and types are looked at, data are not, so that it takes
milliseconds; a file that has passed and has not changed is not walked again.

What passes: groups and datasets under hard links; integers, floats, booleans and text of fixed
length, contiguous or in chunks, with the filters of `FILTERS`; attributes that also may be text of
any length and the references by which netCDF-4 ties variables to their dimensions.

Not looked for are flaws of the HDF5 library itself: damaged text of any length in an attribute can
keep HDF5 2.0.0 busy for ever. Reading our own shards reads no text.
"""

import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

import h5py
from h5py import h5a, h5d, h5g, h5l, h5o, h5t, h5z

#: Compression and check sums that every HDF5 library has built in.
FILTERS = {
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_FLETCHER32: "fletcher32",
    h5z.FILTER_LZF: "lzf",
}

#: What the data of a file may be in memory: so many times its size, but any file may be small.
#: Smooth fields compress to a third, fields that are mostly zero to a hundredth.
EXPANSION = 200
SMALL_BYTES = 64 * 1024**2

#: Reading one number reads a chunk.
CHUNK_BYTES = 1024**3

MAX_LINKS = 200_000
MAX_DEPTH = 16
MAX_ATTRIBUTES = 512
ATTRIBUTE_BYTES = 1024**2
#: Each may be as long as the file, and all may be the same bytes of it.
ATTRIBUTE_TEXTS = 1024
#: What a value of any length takes in the attribute itself: a length and where it lies.
VARYING_BYTES = 16
#: Too little for one of these, whatever the type.
HARMLESS_BYTES = 8

NUMBERS = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)

# Files that have passed, by what changes when they do
_passed: set[tuple[int, ...]] = set()
_PASSED_AT_MOST = 100_000


class DatasetError(ValueError):
    """A folder or file is not the dataset it should be; the message says what is wrong."""


class UnsafeFile(DatasetError):
    """A file contains what data on grids do not need and what could do harm."""


def open_untrusted(path: str | Path, **options: Any) -> h5py.File:
    """Open an HDF5 file for reading, after a look at everything it declares.

    Args:
        path: the file.
        **options: of `h5py.File` that concern caches, such as ``rdcc_nbytes``.

    Raises:
        UnsafeFile: naming the file, the object in it, and what is not allowed.
        DatasetError: the file is not HDF5, or is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(f"{path}: not a regular file")
    times = (status.st_mtime_ns, status.st_ctime_ns)  # the second cannot be set back
    identity = (status.st_dev, status.st_ino, status.st_size, *times)
    try:
        file = h5py.File(path, "r", locking=False, **options)
    except PermissionError:
        raise
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"{path}: not readable as HDF5 ({error})") from None
    if identity in _passed:
        return file
    try:
        _Inspection(path, status.st_size).run(file)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        file.close()
        if isinstance(error, UnsafeFile):
            raise
        raise DatasetError(f"{path}: damaged ({error})") from None
    if len(_passed) >= _PASSED_AT_MOST:
        _passed.clear()
    _passed.add(identity)
    return file


class _Inspection:
    """One walk through a file, with what is counted on the way."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.limit = max(SMALL_BYTES, EXPANSION * size)
        self.links = 0
        self.bytes = 0

    def refuse(self, name: str, reason: str) -> NoReturn:
        raise UnsafeFile(f"{self.path}: {name or '/'}: {reason}")

    def run(self, file: h5py.File) -> None:
        """Look at every object once, however many links lead to it."""
        root = h5g.open(file.id, b"/")
        address = h5o.get_info(root).addr
        seen = {address}
        self.attributes("", root)
        waiting: list[tuple[str, h5g.GroupID, tuple[int, ...]]] = [("", root, (address,))]
        while waiting:
            name, group, ancestors = waiting.pop()
            if len(ancestors) > MAX_DEPTH:
                self.refuse(name, f"groups are nested more than {MAX_DEPTH} deep")
            for link, kind, address in self.members(name, group):
                child = f"{name}/{_text(link)}"
                if kind != h5l.TYPE_HARD:
                    what = {h5l.TYPE_SOFT: "a soft", h5l.TYPE_EXTERNAL: "an external"}
                    self.refuse(child, f"{what.get(kind, 'a user-defined')} link is not allowed")
                if address in ancestors:
                    self.refuse(child, "a group that contains itself is not allowed")
                if address in seen:
                    continue
                seen.add(address)
                target = h5o.open(group, link)
                if isinstance(target, h5g.GroupID):
                    waiting.append((child, target, (*ancestors, address)))
                elif isinstance(target, h5d.DatasetID):
                    self.dataset(child, target)
                else:
                    self.refuse(child, "only groups and datasets are allowed")
                self.attributes(child, target)

    def members(self, name: str, group: h5g.GroupID) -> list[tuple[bytes, int, int]]:
        """Name and kind of each link in a group, and the address it leads to."""
        found: list[tuple[bytes, int, int]] = []

        def collect(link: bytes, info: Any) -> bool | None:
            hard = info.type == h5l.TYPE_HARD
            found.append((link, info.type, info.u if hard else -1))
            return True if self.links + len(found) > MAX_LINKS else None

        group.links.iterate(collect, info=True)
        self.links += len(found)
        if self.links > MAX_LINKS:
            self.refuse(name, f"the file has more than {MAX_LINKS} links")
        return found

    def dataset(self, name: str, dataset: Any) -> None:
        stored = dataset.get_type()
        is_text = stored.get_class() == h5t.STRING and not stored.is_variable_str()
        if not is_text and stored.get_class() not in NUMBERS:
            self.refuse(
                name,
                f"data of class {_class_name(stored)} are not allowed, "
                "only integers, floats, booleans and text of fixed length",
            )
        creation = dataset.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL:
            self.refuse(name, "a virtual dataset is not allowed")
        if creation.get_external_count():
            self.refuse(name, "raw data in another file are not allowed")
        self.filters(name, creation)
        shape = dataset.get_space().shape or ()
        declared = math.prod(shape) * stored.get_size()
        self.bytes += declared
        if self.bytes > self.limit:
            self.refuse(
                name,
                f"shape {shape} brings what the file declares to {self.bytes:,} bytes; with its "
                f"size it may declare {self.limit:,}",
            )
        if layout == h5d.CHUNKED:
            chunk = math.prod(creation.get_chunk()) * stored.get_size()
            if chunk > CHUNK_BYTES:
                self.refuse(name, f"a chunk of {chunk:,} bytes exceeds {CHUNK_BYTES:,}")

    def filters(self, name: str, creation: Any) -> None:
        codes = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
        for code in codes:
            if code not in FILTERS:
                allowed = ", ".join(FILTERS.values())
                self.refuse(name, f"filter {code} is not allowed, only {allowed}")
        if len(set(codes)) < len(codes):  # what is compressed twice expands a million times
            self.refuse(name, "a filter is applied twice")

    def attributes(self, name: str, target: Any) -> None:
        found: list[tuple[bytes, int]] = []

        def collect(attribute: bytes, info: Any) -> bool | None:
            found.append((attribute, info.data_size))
            return True if len(found) > MAX_ATTRIBUTES else None  # what is not None ends the walk

        h5a.iterate(target, collect, info=True)
        if len(found) > MAX_ATTRIBUTES:
            self.refuse(name, f"has more than {MAX_ATTRIBUTES} attributes")
        for attribute, size in found:
            if size <= HARMLESS_BYTES:
                continue
            label = f"{name or '/'}: attribute {_text(attribute)}"
            if size > ATTRIBUTE_BYTES:
                self.refuse(label, f"holds {size:,} bytes, at most {ATTRIBUTE_BYTES:,} are allowed")
            stored = h5a.open(target, attribute).get_type()
            varying = _allowed_in_attributes(stored)
            if varying is None:
                self.refuse(label, f"the class {_class_name(stored)} is not allowed")
            if varying and size > ATTRIBUTE_TEXTS * VARYING_BYTES:
                self.refuse(label, f"holds more than {ATTRIBUTE_TEXTS} values of any length")


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _allowed_in_attributes(stored: Any) -> bool | None:
    """Whether the length of a value varies; None if the type is not allowed."""
    kind = stored.get_class()
    if kind == h5t.STRING:
        return bool(stored.is_variable_str())
    if kind in NUMBERS or kind == h5t.REFERENCE:
        return False
    if kind == h5t.VLEN:  # the axes of a variable, as netCDF-4 has them
        return True if stored.get_super().get_class() == h5t.REFERENCE else None
    if kind == h5t.COMPOUND:  # the variables of an axis
        members = [stored.get_member_type(i) for i in range(stored.get_nmembers())]
        simple = all(m.get_class() in (*NUMBERS, h5t.REFERENCE) for m in members)
        return False if simple else None
    return None


def _class_name(stored: Any) -> str:
    kind = stored.get_class()
    if kind == h5t.STRING:
        return "text of any length"
    names = ("BITFIELD", "COMPOUND", "REFERENCE", "VLEN", "ARRAY", "OPAQUE", "TIME")
    return next((n.lower() for n in names if kind == getattr(h5t, n)), "unknown")
