"""Running checks, and the page that says what came out."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simulations.machine import machine_in_words
from simulations.verification.check import Check, Finding


@dataclass(frozen=True)
class Result:
    """A check and what it found."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings)

    def text(self) -> str:
        """Lines for a terminal."""
        lines = [f"{self.check.system.__name__}: {self.check.title}"]
        for finding in self.findings:
            mark = "ok  " if finding.holds else "FAIL"
            lines.append(f"  {mark} {finding.quantity}: {finding.measured:.6g}, {allowed(finding)}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        return {
            "system": self.check.system.__name__,
            "check": self.check.title,
            "holds": self.holds,
            "findings": [
                {
                    "quantity": f.quantity,
                    "measured": f.measured,
                    "expected": f.expected,
                    "low": f.low,
                    "high": f.high if f.high < float("inf") else None,
                    "holds": f.holds,
                    "source": f.source,
                }
                for f in self.findings
            ],
        }


def run(check: Check) -> Result:
    """Measure."""
    return Result(check, tuple(check.measure()))


def allowed(finding: Finding) -> str:
    """What the number has to be, in words."""
    if finding.expected is None:
        return f"at most {finding.high:.3g}"
    if finding.high == float("inf"):
        return f"expected {finding.expected:g}, at least {finding.low:g}"
    return f"expected {finding.expected:.9g} ± {finding.high - finding.expected:.2g}"


def page(results: Sequence[Result]) -> str:
    """Markdown page of results, by system."""
    held = sum(result.holds for result in results)
    lines = [
        "# Verification",
        "",
        "Written by `surrogate verify -o docs/verification.md`. Each line is a number that was",
        "measured when this page was written, and what it has to be; the tests hold the solvers to",
        f"the same bounds. {held} of {len(results)} checks hold.",
        "",
        f"Machine: {machine_in_words('physurrogate', 'numpy', 'scipy', 'numba')}.",
    ]
    for system, group in itertools.groupby(results, key=lambda r: r.check.system.__name__):
        lines += ["", f"## {system}"]
        for result in group:
            lines += ["", f"**{result.check.title}**", ""]
            lines += ["| quantity | measured | has to be | source | |", "|---|---|---|---|---|"]
            for f in result.findings:
                cells = [f.quantity, f"{f.measured:.6g}", allowed(f), f.source]
                cells.append("✓" if f.holds else "✗")
                lines.append(
                    f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
                )
    return "\n".join(lines) + "\n"
