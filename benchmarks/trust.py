"""Trust: whether bounds hold, and whether what is unlike the training data is noticed.

Surrogates and truths are kept in a folder, where they are not made again. The sections may be run
one by one, and quickly to see whether they work, which writes no results:

    python -m benchmarks.trust [SECTION ...] [--folder FOLDER] [--quick]
"""

import argparse
import importlib
import tempfile
from pathlib import Path

from benchmarks.report import replace_section

#: Of each section the module whose ``section(folder, quick)`` writes it.
SECTIONS = {
    "coverage": "benchmarks.trust_coverage",
    "domain": "benchmarks.trust_domain",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--folder", type=Path, help="where surrogates and truths are kept")
    parser.add_argument("--quick", action="store_true", help="small sizes, no results written")
    arguments = parser.parse_args()
    names = arguments.sections or list(SECTIONS)
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"{', '.join(unknown)}: no such section; there are {', '.join(SECTIONS)}")
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="trust-"))
    for name in names:
        section = importlib.import_module(SECTIONS[name]).section
        text = section(folder, arguments.quick)
        print(text, flush=True)
        if not arguments.quick:
            replace_section(f"trust: {name}", text)


if __name__ == "__main__":
    main()
