"""Joules of the processor, where the machine counts them: the RAPL counters of Linux.

References:
    Khan et al., RAPL in action, ACM TOMPECS 3 (2018) 9: accuracy and update rate of the counters.
"""

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class EnergyMeter:
    """Counters of all processor packages; each ends at its range and begins again.

    Args:
        zones: folders with ``energy_uj`` and ``max_energy_range_uj``.
    """

    zones: tuple[Path, ...]

    def read(self) -> tuple[int, ...]:
        """The counters in µJ."""
        return tuple(int((zone / "energy_uj").read_text()) for zone in self.zones)

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float:
        """Energy between two readings that are less than one round of the counters apart."""
        total = 0
        for zone, first, last in zip(self.zones, before, after, strict=True):
            if last < first:
                last += int((zone / "max_energy_range_uj").read_text())
            total += last - first
        return total * 1e-6


def find_meter(root: Path = POWERCAP) -> tuple[EnergyMeter | None, str]:
    """The meter of this machine if it can be read, and in words what was found."""
    # Zones within a package have a second number, and are part of it
    zones = tuple(sorted(path for path in root.glob("*-rapl:*") if path.name.count(":") == 1))
    if not zones:
        return None, f"not measured: this machine has no counters in {root}"
    meter = EnergyMeter(zones)
    try:
        meter.read()
    except (OSError, ValueError):
        return None, f"not measured: the counters in {root} cannot be read by this user"
    return meter, f"{len(zones)} processor packages by RAPL, all that ran on them included"
