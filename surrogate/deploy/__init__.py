"""Surrogates outside this package: one file that holds all, for programs that know nothing of it.

`whole` makes one module of encoding, network and decoding, `metadata` says in JSON what its numbers
are, and `graphs` writes both to a file.
"""

from surrogate.deploy.graphs import FORMATS, METADATA_KEY, export

__all__ = ["FORMATS", "METADATA_KEY", "export"]
