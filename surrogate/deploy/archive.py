"""Zip files whose bytes depend on their content alone."""

import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

#: The first moment that a zip file can name
EARLIEST = 315532800


def write_zip(path: Path, content: Mapping[str, bytes]) -> None:
    """Write files in the order of their names, at the time of ``SOURCE_DATE_EPOCH`` or at none.

    Raises:
        ValueError: that variable is not a number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not given.isdecimal():
        raise ValueError(f"SOURCE_DATE_EPOCH={given!r}: must be seconds since 1970")
    moment = time.gmtime(max(int(given or 0), EARLIEST))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, moment)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # everywhere the same
            archive.writestr(entry, content[name], zipfile.ZIP_DEFLATED, 9)
