"""Fast, verified physics solvers and the datasets they generate.

Every system is a class: ``simulations.Burgers(n=256)(nu=0.01, seed=7)`` is an `xarray.Dataset`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from simulations.convergence import discretisation_errors
from simulations.datasets import Dataset, DatasetError, Recorded, open_dataset
from simulations.designs import FullGrid, Independent, LatinHypercube, Sobol, Table
from simulations.generate import generate
from simulations.grown import Grown
from simulations.reproduction import replay, reproduce
from simulations.simulation import InvalidInput, Simulation, SimulationDiverged
from simulations.systems import *  # noqa: F403
from simulations.systems import __all__ as _systems

__all__ = [
    "Dataset",
    "DatasetError",
    "FullGrid",
    "Grown",
    "Independent",
    "InvalidInput",
    "LatinHypercube",
    "Simulation",
    "SimulationDiverged",
    "Sobol",
    "Table",
    "catalogue",
    "discretisation_errors",
    "generate",
    "make",
    "open_dataset",
    "replay",
    "reproduce",
    *_systems,
]


def catalogue() -> dict[str, type[Simulation]]:
    """Every system by name: the library's own and those that the program has defined itself.

    Recorded data are none.
    """
    found: dict[str, type[Simulation]] = {}
    waiting = Simulation.__subclasses__()
    while waiting:
        system = waiting.pop()
        if not inspect.isabstract(system) and system is not Recorded:
            found[system.__name__] = system
        waiting.extend(system.__subclasses__())
    return dict(sorted(found.items()))


def make(name: str, settings: Mapping[str, Any] | None = None) -> Simulation:
    """The system of this name with these settings, the inverse of `Simulation.settings`.

    Raises:
        InvalidInput: there is no such system, or no such setting.

    Examples:
        >>> simulation = make("Heat", {"ndim": 1, "n": 64})
        >>> simulation.grid.shape
        (64,)
        >>> simulation(alpha=0.01, seed=0)["u"].dims
        ('time', 'x')
        >>> simulation(alpha=-1.0)
        Traceback (most recent call last):
        simulations.simulation.InvalidInput: alpha=-1.0: thermal diffusivity must lie in ...
    """
    systems = catalogue() | {Recorded.__name__: Recorded}
    if name not in systems:
        raise InvalidInput(f"{name}: no such system; there are {', '.join(catalogue())}")
    return systems[name].from_settings(settings or {})
