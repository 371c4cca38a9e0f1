"""How probable observations are where a surrogate answers: noise, and the surrogate's own error."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.linalg import solve_triangular
from torch import Tensor

from simulations.simulation import Array, InvalidInput
from surrogate.inverse.box import Box
from surrogate.inverse.observations import Observations


@dataclass(frozen=True, eq=False)
class ModelError:
    """What a model's answers lack at the observations: normal, with this mean and covariance.

    Args:
        mean: of the truth minus the answer, ``(m,)``.
        covariance: ``(m, m)``.
        source: where it is from, in words.
    """

    mean: Array
    covariance: Array
    source: str

    @classmethod
    def none(cls, m: int) -> "ModelError":
        return cls(np.zeros(m), np.zeros((m, m)), "none")

    @classmethod
    def of_size(
        cls, observations: Observations, relative: dict[str, float], scale: Array, source: str
    ) -> "ModelError":
        """A relative L2 error of each field, as a standard deviation at its observations.

        Half of the variance is an error that all observations of a field share, so that many of
        them do not average it away.

        Args:
            relative: error of each observed field, as a share of its root mean square.
            scale: that root mean square at each observation, ``(m,)``.
        """
        fields = np.array(observations.fields)
        deviation = scale * np.array([relative[name] for name in observations.fields])
        shared = (fields[:, None] == fields).astype(np.float64)
        covariance = 0.5 * np.outer(deviation, deviation) * (np.eye(len(fields)) + shared)
        return cls(np.zeros(len(fields)), covariance, source)


def measure_model_error(box: Box, observations: Observations, draws: Array) -> ModelError:
    """The error of a surrogate at the observations, from solver runs at coordinates ``(n, d)``.

    The approximation error approach: mean and covariance of what the solver sees beyond the
    surrogate. The covariance is shrunk towards its diagonal (Ledoit and Wolf), for n may be less
    than m, and widened for mean and covariance being estimates from n.

    References:
        Kaipio and Somersalo, Journal of Computational and Applied Mathematics 198 (2007) 493.
        Ledoit and Wolf, Journal of Multivariate Analysis 88 (2004) 365.
    """
    with torch.no_grad():
        answered = observations.seen(box.answers(torch.from_numpy(draws))).numpy()
    solved = np.stack([observations.seen_in(box.solved(z)) for z in draws])
    errors = solved - answered
    n, mean = len(errors), errors.mean(axis=0)
    centred = errors - mean
    sample = centred.T @ centred / (n - 1)
    diagonal = np.diag(np.diag(sample))
    distance = np.sum((sample - diagonal) ** 2)
    scatter = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in centred) / n**2
    share = 1.0 if distance == 0 else min(1.0, scatter / distance)
    covariance = (1 + 1 / n) * (share * diagonal + (1 - share) * sample)
    return ModelError(mean, covariance, f"measured in {n} solver runs")


class Likelihood:
    """Gaussian log likelihood of observations, of the surrogate and of the solver.

        log L(z) = −½ (y − H F(z) − m)ᵀ (C + N)⁻¹ (y − H F(z) − m) + const

    with the noise N, and mean m and covariance C of the surrogate's error; the solver has none.
    """

    def __init__(self, box: Box, observations: Observations, error: ModelError) -> None:
        m = len(observations)
        if error.mean.shape != (m,) or error.covariance.shape != (m, m):
            raise InvalidInput(
                f"model_error of {error.mean.shape[0]} values: there are {m} observations"
            )
        self.box, self.observations, self.error = box, observations, error

    @cached_property
    def _whitening(self) -> Tensor:
        noise = np.diag(self.observations.noise**2)
        root = np.linalg.cholesky(self.error.covariance + noise)
        return torch.from_numpy(solve_triangular(root, np.eye(len(root)), lower=True))

    def of_surrogate(self, z: Tensor) -> Tensor:
        """``(n,)`` at coordinates ``(n, d)``, differentiable; −∞ where an answer is not finite."""
        seen = self.observations.seen(self.box.answers(z))
        target = torch.from_numpy(self.observations.values - self.error.mean)
        misfit = -0.5 * ((target - seen) @ self._whitening.T).square().sum(-1)
        return torch.where(torch.isfinite(misfit), misfit, -torch.inf)

    def of_solver(self, z: Array) -> float:
        """At one point ``(d,)``."""
        seen = self.observations.seen_in(self.box.solved(z))
        misfit = (self.observations.values - seen) / self.observations.noise
        return -0.5 * float(misfit @ misfit)

    def spread(self, z: Array) -> Array:
        """Covariance ``(d, d)`` of a uniform prior and the linearised surrogate around ``z``."""
        step = 1e-3 * np.eye(len(z))
        with torch.no_grad():
            seen = self.observations.seen(
                self.box.answers(torch.from_numpy(np.concatenate([z + step, z - step])))
            )
            slopes = ((seen[: len(z)] - seen[len(z) :]) / 2e-3) @ self._whitening.T
        return np.linalg.inv((slopes @ slopes.T).numpy() + 12.0 * np.eye(len(z)))
