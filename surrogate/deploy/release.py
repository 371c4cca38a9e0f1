"""What a delivery is called, and whose it is."""

import keyword
import re
import sys
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

#: Import names that a delivery would hide, or be hidden by
TAKEN = {"numpy", "onnxruntime", "matplotlib", "pyarrow", "surrogate", "simulations"}


@dataclass(frozen=True)
class Release:
    """Name, version, licence and author of something that is handed over.

    Args:
        name: of the distribution, such as ``cavity-heat``, as PEP 503 and 508 have it.
        version: as PEP 440 has it.
        licence: an SPDX expression such as ``MIT`` or ``LicenseRef-Proprietary``.
        author: who answers for it.

    Raises:
        ValueError: one of them is not admissible.
    """

    name: str
    version: str = "1.0.0"
    licence: str | None = None
    author: str | None = None

    def __post_init__(self) -> None:
        given = self.name
        try:
            name = canonicalize_name(given, validate=True)
        except InvalidName:
            raise ValueError(
                f"name={given!r}: must be letters, digits, '-', '_' and '.', and begin and end "
                "with a letter or digit"
            ) from None
        object.__setattr__(self, "name", name)
        taken = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names, *TAKEN}
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.module):
            raise ValueError(f"name={given!r}: must begin with a letter to be imported")
        if self.module in taken:
            raise ValueError(f"name={given!r}: Python or a package has this name already")
        try:
            object.__setattr__(self, "version", str(Version(self.version)))
        except InvalidVersion:
            raise ValueError(f"version={self.version!r}: must be like 1.0.0 (PEP 440)") from None
        if self.licence is not None:
            try:
                canonical = canonicalize_license_expression(self.licence)
            except InvalidLicenseExpression:
                raise ValueError(
                    f"licence={self.licence!r}: must be an SPDX expression, such as MIT or "
                    "LicenseRef-Proprietary"
                ) from None
            object.__setattr__(self, "licence", str(canonical))
        if self.author is not None and (not self.author.strip() or not self.author.isprintable()):
            raise ValueError(f"author={self.author!r}: must be one line of text")

    @property
    def module(self) -> str:
        """Under which it is imported."""
        return self.name.replace("-", "_").replace(".", "_")
