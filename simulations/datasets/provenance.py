"""What a dataset says about its making.

What is the same for all workers is written into the shards; hosts, dates and wall times, which are
not, into the records beside them.
"""

import socket
from datetime import UTC, datetime
from typing import Any

from simulations.machine import git_state, versions
from simulations.simulation import Simulation, package_version

#: Of the description of a dataset; they stay what they were when it is continued.
KEYS = ("preset", "package", "versions", "git")


def of_dataset(simulation: Simulation) -> dict[str, Any]:
    """For ``dataset.json``: with what the dataset was begun."""
    return {
        "preset": preset_of(simulation),
        "package": f"physurrogate {package_version()}",
        "versions": versions(),
        "git": git_state(),
    }


def of_shard() -> dict[str, Any]:
    """For the record of a shard: where, when and with what it was made."""
    return {
        "host": socket.gethostname(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "package": f"physurrogate {package_version()}",
        "versions": versions(),
        "git": git_state(),
    }


def preset_of(simulation: Simulation) -> str | None:
    """Name of the published settings that these are, if they are."""
    system = type(simulation)
    return next((name for name in system.presets if system.preset(name) == simulation), None)
