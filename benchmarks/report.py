"""RESULTS.md: sections that each benchmark replaces without touching the others."""

from pathlib import Path

from surrogate import markdown
from surrogate.markdown import table

__all__ = ["replace_section", "table"]

RESULTS = Path(__file__).with_name("RESULTS.md")


def replace_section(name: str, text: str, path: Path = RESULTS) -> None:
    """As `surrogate.markdown.replace_section`, by default in ``RESULTS.md``."""
    markdown.replace_section(name, text, path)
