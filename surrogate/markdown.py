"""Tables in Markdown, and pages whose sections are replaced one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a Markdown table; the columns are the keys of all rows in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *body, strict=True)]
    lines = [columns, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def replace_section(name: str, text: str, path: Path) -> None:
    """Put ``text`` between ``<!-- begin name -->`` and ``<!-- end name -->``, or append it.

    Raises:
        ValueError: one of the marks is there without the other, or more than once.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    page = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin not in page and end not in page:
        page = f"{page.rstrip()}\n\n{section}\n"
    elif page.count(begin) == page.count(end) == 1 and page.index(begin) < page.index(end):
        before, rest = page.split(begin)
        page = before + section + rest.split(end)[1]
    else:
        raise ValueError(f"{path}: {begin} and {end} must each occur once, in this order")
    path.write_text(page, encoding="utf-8")
