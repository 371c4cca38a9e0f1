"""How each system is verified: one module a system, functions that measure and compare.

The tests run these checks, ``surrogate verify NAME`` prints them, and ``docs/verification.md`` is
written from them: one place says what a solver has been held against.
"""

import importlib
import pkgutil

from simulations.simulation import InvalidInput
from simulations.verification.check import CHECKS, Check, Finding
from simulations.verification.report import Result, page, run

__all__ = ["Check", "Finding", "Result", "checks", "page", "run"]


def checks(system: str | None = None) -> list[Check]:
    """The checks of a system by name, or of the whole catalogue, ordered by system.

    Raises:
        InvalidInput: there is no check of such a system.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = [check for check in CHECKS if system in (None, check.system.__name__)]
    if not found:
        known = sorted({check.system.__name__ for check in CHECKS})
        raise InvalidInput(f"{system}: no such system; there are {', '.join(known)}")
    return sorted(found, key=lambda check: check.system.__name__)
