"""What one asks of a model beyond its answers: which inputs fit, which are best, which matter."""

from surrogate.inverse.bayes import calibrate
from surrogate.inverse.likelihood import ModelError, measure_model_error
from surrogate.inverse.observations import Observations
from surrogate.inverse.optimisation import Optimum, optimise
from surrogate.inverse.posterior import Posterior
from surrogate.inverse.sobol import Sensitivity, sensitivity

__all__ = [
    "ModelError",
    "Observations",
    "Optimum",
    "Posterior",
    "Sensitivity",
    "calibrate",
    "measure_model_error",
    "optimise",
    "sensitivity",
]
