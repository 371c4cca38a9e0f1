"""Surrogates outside this package, for programs that know nothing of it.

`whole` makes one module of encoding, network and decoding, `metadata` says in JSON what its numbers
are, and `graphs` writes both to a file. `wheel` makes a package for a customer of it, whose modules
are those of `customer`; `fmu` a block for other simulators, in C that `native` writes.
"""

from surrogate.deploy.formats import FORMATS, export
from surrogate.deploy.graphs import METADATA_KEY

__all__ = ["FORMATS", "METADATA_KEY", "export"]
