"""Neural surrogates that replace a simulation at inference.

``surrogate.train(dataset)`` returns a `Surrogate`, which is called like the simulation and returns
the same `xarray.Dataset`; ``surrogate.compare`` says what it is worth.

torch is imported when the first of these names is used, so that the command line answers at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surrogate.comparison import Comparison, compare
    from surrogate.deploy import export
    from surrogate.emulator import OutOfDomainWarning, Surrogate, SurrogateFileError, load
    from surrogate.networks import (
        FNO,
        MLP,
        ChannelsFirst,
        Climatology,
        Constrained,
        DeepONet,
        DilatedResNet,
        FactorizedFNO,
        GaussianProcess,
        GraphNet,
        Koopman,
        Persistence,
        PODLinear,
        PODNet,
        PODPolynomial,
        Transolver,
        TuckerFNO,
        UNet,
    )
    from surrogate.propagation import Propagator
    from surrogate.training import find_learning_rate, train
    from surrogate.training_page import training_report
    from surrogate.tuning import Tuning, tune

_HOMES = {
    "ChannelsFirst": "surrogate.networks",
    "Climatology": "surrogate.networks",
    "Comparison": "surrogate.comparison",
    "Constrained": "surrogate.networks",
    "DilatedResNet": "surrogate.networks",
    "FNO": "surrogate.networks",
    "FactorizedFNO": "surrogate.networks",
    "DeepONet": "surrogate.networks",
    "GaussianProcess": "surrogate.networks",
    "GraphNet": "surrogate.networks",
    "Koopman": "surrogate.networks",
    "MLP": "surrogate.networks",
    "OutOfDomainWarning": "surrogate.emulator",
    "PODLinear": "surrogate.networks",
    "PODNet": "surrogate.networks",
    "PODPolynomial": "surrogate.networks",
    "Persistence": "surrogate.networks",
    "Propagator": "surrogate.propagation",
    "Surrogate": "surrogate.emulator",
    "SurrogateFileError": "surrogate.emulator",
    "Transolver": "surrogate.networks",
    "TuckerFNO": "surrogate.networks",
    "Tuning": "surrogate.tuning",
    "UNet": "surrogate.networks",
    "compare": "surrogate.comparison",
    "find_learning_rate": "surrogate.training",
    "export": "surrogate.deploy",
    "load": "surrogate.emulator",
    "train": "surrogate.training",
    "training_report": "surrogate.training_page",
    "tune": "surrogate.tuning",
}

__all__ = [
    "FNO",
    "MLP",
    "ChannelsFirst",
    "Climatology",
    "Comparison",
    "Constrained",
    "DeepONet",
    "DilatedResNet",
    "FactorizedFNO",
    "GaussianProcess",
    "GraphNet",
    "Koopman",
    "OutOfDomainWarning",
    "PODLinear",
    "PODNet",
    "PODPolynomial",
    "Persistence",
    "Propagator",
    "Surrogate",
    "SurrogateFileError",
    "Transolver",
    "TuckerFNO",
    "Tuning",
    "UNet",
    "compare",
    "export",
    "find_learning_rate",
    "load",
    "train",
    "training_report",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'surrogate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
