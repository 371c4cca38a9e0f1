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
    from surrogate.inverse import (
        ModelError,
        Observations,
        calibrate,
        optimise,
        sensitivity,
    )
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
    from surrogate.trust.acquisition import acquire, grow
    from surrogate.trust.bounds import calibrated
    from surrogate.trust.calibration import Calibration
    from surrogate.trust.ensemble import Ensemble
    from surrogate.trust.guard import Guard, guard
    from surrogate.trust.warm_start import warm_start
    from surrogate.tuning import Tuning, tune

_HOMES = {
    "Calibration": "surrogate.trust.calibration",
    "ChannelsFirst": "surrogate.networks",
    "Climatology": "surrogate.networks",
    "Comparison": "surrogate.comparison",
    "Constrained": "surrogate.networks",
    "DilatedResNet": "surrogate.networks",
    "Ensemble": "surrogate.trust.ensemble",
    "FNO": "surrogate.networks",
    "FactorizedFNO": "surrogate.networks",
    "DeepONet": "surrogate.networks",
    "GaussianProcess": "surrogate.networks",
    "GraphNet": "surrogate.networks",
    "Guard": "surrogate.trust.guard",
    "Koopman": "surrogate.networks",
    "MLP": "surrogate.networks",
    "ModelError": "surrogate.inverse",
    "Observations": "surrogate.inverse",
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
    "acquire": "surrogate.trust.acquisition",
    "calibrate": "surrogate.inverse",
    "compare": "surrogate.comparison",
    "find_learning_rate": "surrogate.training",
    "export": "surrogate.deploy",
    "grow": "surrogate.trust.acquisition",
    "calibrated": "surrogate.trust.bounds",
    "guard": "surrogate.trust.guard",
    "load": "surrogate.emulator",
    "optimise": "surrogate.inverse",
    "sensitivity": "surrogate.inverse",
    "train": "surrogate.training",
    "warm_start": "surrogate.trust.warm_start",
    "training_report": "surrogate.training_page",
    "tune": "surrogate.tuning",
}

__all__ = [
    "FNO",
    "MLP",
    "Calibration",
    "ChannelsFirst",
    "Climatology",
    "Comparison",
    "Constrained",
    "DeepONet",
    "DilatedResNet",
    "Ensemble",
    "FactorizedFNO",
    "GaussianProcess",
    "GraphNet",
    "Guard",
    "Koopman",
    "ModelError",
    "Observations",
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
    "acquire",
    "calibrate",
    "calibrated",
    "compare",
    "export",
    "find_learning_rate",
    "grow",
    "guard",
    "load",
    "optimise",
    "sensitivity",
    "train",
    "training_report",
    "tune",
    "warm_start",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'surrogate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
