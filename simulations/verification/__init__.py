"""How each system is verified: one module a system, functions that measure and compare.

The tests run these checks, ``surrogate verify NAME`` prints them, and ``docs/verification.md`` is
written from them: one place says what a solver has been held against.
"""

import importlib
import pkgutil

from simulations.verification.check import CHECKS, Check, Finding

__all__ = ["Check", "Finding", "checks"]


def checks(system: str | None = None) -> list[Check]:
    """The checks of a system by name, or of the whole catalogue.

    Raises:
        KeyError: there is no check of such a system.
    """
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = [check for check in CHECKS if system in (None, check.system.__name__)]
    if not found:
        raise KeyError(f"{system}: nothing verifies such a system")
    return found
