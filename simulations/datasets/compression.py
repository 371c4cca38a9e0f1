"""Smaller files: a lossless filter, and how many bits of a number are worth keeping.

Most of a float32 of a simulation is noise: discretisation errors are far above its precision of
6e-8. Rounding to fewer bits of the mantissa turns this noise into zeros, which a filter removes.

References:
    Klöwer, Razinger, Dominguez, Düben, Palmer, Compressing atmospheric data into its real
    information content, Nature Computational Science 1 (2021).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simulations.simulation import InvalidInput, check_setting

# That every HDF5 library has built in
METHODS = ("gzip",)

MANTISSA_BITS = 23


@dataclass(frozen=True)
class Compression:
    """How fields and field inputs are stored.

    Args:
        method: ``"gzip"``, after a shuffle of the bytes.
        level: effort of the filter, 1 to 9.
        keep_bits: bits of the mantissa that are kept of fields, out of 23; all by default. The
            relative error of each number is at most ``2**-(keep_bits + 1)``. Inputs stay exact.

    Raises:
        InvalidInput: an argument is out of range.
    """

    method: str = "gzip"
    level: int = 1
    keep_bits: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidInput(f"method={self.method!r}: must be one of {list(METHODS)}")
        check_setting("level", self.level, 1, 9, integer=True)
        if self.keep_bits is not None:
            check_setting("keep_bits", self.keep_bits, 1, MANTISSA_BITS, integer=True)

    @classmethod
    def from_json(cls, described: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(**described)

    def to_json(self) -> dict[str, Any]:
        """What the constructor takes, as JSON values."""
        return asdict(self)

    @property
    def filters(self) -> dict[str, Any]:
        """What `h5py.Group.create_dataset` takes."""
        return {"compression": self.method, "compression_opts": self.level, "shuffle": True}

    @property
    def attributes(self) -> dict[str, Any]:
        """What a field says about its precision."""
        if self.keep_bits is None:
            return {}
        return {"keep_bits": self.keep_bits, "relative_error_bound": 0.5 ** (self.keep_bits + 1)}


def rounded(values: NDArray[np.floating], keep_bits: int) -> NDArray[np.float32]:
    """The nearest numbers with so many bits of mantissa, ties to even.

    What is not finite stays as it is, and so do denormal numbers and those so large that rounding
    would leave the finite ones: the bound on the relative error holds for all.
    """
    exact = np.ascontiguousarray(values, dtype=np.float32)
    dropped = MANTISSA_BITS - keep_bits
    if dropped == 0:
        return exact
    bits = exact.view(np.uint32)
    tie = (bits >> dropped) & 1
    nearest = bits + tie + np.uint32((1 << (dropped - 1)) - 1)
    nearest &= np.uint32(0xFFFFFFFF << dropped & 0xFFFFFFFF)
    found = nearest.view(np.float32)
    normal = np.abs(exact) >= np.finfo(np.float32).tiny
    return np.where(normal & np.isfinite(found) & np.isfinite(exact), found, exact)
