"""All benchmarks, one after another, each in a process of its own, into RESULTS.md.

    python -m benchmarks [NAME ...]

Rivals that cannot share an environment with each other have interpreters of their own, named by
``RIVALS_PYTHON``, ``RIVALS_LATTICE_PYTHON`` and ``RIVALS_TRAINING_PYTHON``, see the requirements
files, and ``PHYSURROGATE_WELL_PYTHON``. Without them this one's is used. A benchmark that fails
leaves its section as it was.
"""

import os
import subprocess
import sys
from pathlib import Path

#: Where each one looks for its interpreter
INTERPRETERS = {
    "datasets": "PHYSURROGATE_WELL_PYTHON",
    "solvers": "RIVALS_PYTHON",
    "solvers_cavity": "",
    "solvers_flow": "RIVALS_PYTHON",
    "solvers_gas": "RIVALS_PYTHON",
    "solvers_gray_scott": "RIVALS_PYTHON",
    "solvers_lattice": "RIVALS_LATTICE_PYTHON",
    "solvers_ode": "RIVALS_PYTHON",
    "solvers_particles": "RIVALS_PYTHON",
    "solvers_reaction": "RIVALS_PYTHON",
    "solvers_wave": "RIVALS_PYTHON",
    "networks": "",
    "training": "RIVALS_TRAINING_PYTHON",
    "surrogates": "",
    "serving": "",
    "growth": "",
    "deployment": "",
    "trust": "",
}


def main() -> None:
    names = sys.argv[1:] or list(INTERPRETERS)
    if unknown := [name for name in names if name not in INTERPRETERS]:
        sys.exit(f"{', '.join(unknown)}: no such benchmark; there are {', '.join(INTERPRETERS)}")
    failed = []
    for name in names:
        python = os.environ.get(INTERPRETERS[name] or "-", sys.executable)
        print(f"== {name}", flush=True)
        command = [python, "-m", f"benchmarks.{name}"]
        if subprocess.run(command, cwd=Path(__file__).parents[1]).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
