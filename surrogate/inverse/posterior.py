"""What is known of parameters after observations, and whether the chains that say so agree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray
from scipy.special import ndtri
from scipy.stats import rankdata

from simulations.simulation import Array
from surrogate.inverse.box import Box


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws from the posterior of the unknown parameters.

    Args:
        samples: physical parameters ``(chain, draw, parameter)``, chains of an ensemble together.
        names: of the parameters.
        map: the most probable parameters, of the surrogate.
        method: how the draws were made, in words.
        model_error: what was assumed of the surrogate's error, in words.
        solver_calls: runs of the solver, those for the model error included.
        acceptance: share of accepted proposals, of each stage.
        ensembles: groups of chains that were made without the others.
    """

    samples: Array
    names: tuple[str, ...]
    map: Mapping[str, float]
    method: str
    model_error: str
    solver_calls: int
    acceptance: Mapping[str, float]
    ensembles: int
    box: Box = field(repr=False)

    @property
    def draws(self) -> Array:
        """All draws ``(n, parameter)``."""
        return self.samples.reshape(-1, len(self.names))

    @property
    def r_hat(self) -> dict[str, float]:
        """Of each parameter, between ensembles and their halves; above 1.05 they do not agree."""
        count, draws, d = self.samples.shape
        grouped = self.samples.reshape(self.ensembles, count // self.ensembles, draws, d)
        pooled = grouped.swapaxes(1, 2).reshape(self.ensembles, -1, d)
        return {n: split_r_hat(pooled[..., i]) for i, n in enumerate(self.names)}

    @property
    def ess(self) -> dict[str, float]:
        """Effective sample size: as many independent draws would be worth as much."""
        return {n: effective_size(self.samples[..., i]) for i, n in enumerate(self.names)}

    def summary(self) -> dict[str, dict[str, float]]:
        """Of each parameter mean, standard deviation, 90 % interval, R̂ and effective size."""
        r_hat, ess = self.r_hat, self.ess
        found = {}
        for i, name in enumerate(self.names):
            values = self.draws[:, i]
            low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
            found[name] = {
                "mean": float(values.mean()),
                "std": float(values.std()),
                "5%": float(low),
                "median": float(median),
                "95%": float(high),
                "map": float(self.map[name]),
                "r_hat": r_hat[name],
                "ess": ess[name],
            }
        return found

    def to_json(self) -> dict[str, Any]:
        """The summary, and how it came to be."""
        return {
            "parameters": self.summary(),
            "method": self.method,
            "model_error": self.model_error,
            "solver_calls": self.solver_calls,
            "acceptance": dict(self.acceptance),
        }

    def predict(self, n: int = 200, coverage: float = 0.9, seed: int = 0) -> xarray.Dataset:
        """The surrogate's answer over ``n`` of the draws: mean, and bounds of each value.

        Of a field ``u`` there are ``u_lower`` and ``u_upper``, between which the posterior has the
        given probability. The surrogate's own error is not in them.
        """
        chosen = np.random.default_rng(seed).choice(self.draws, n)
        with torch.no_grad():
            answers = self.box.answers(torch.from_numpy(self.box.coordinates(chosen)))
        values = {name: answer.double().numpy() for name, answer in answers.items()}
        means = {name: v.mean(axis=0) for name, v in values.items()}
        parameters = dict(zip(self.names, self.draws.mean(axis=0), strict=True))
        attributes = {"answered_by": "posterior mean of a surrogate", "coverage": coverage}
        simulation = self.box.emulator.simulation
        labelled = simulation.label(means, {**self.box.fixed, **parameters}, attributes)
        for name, drawn in values.items():
            low, high = np.quantile(drawn, [0.5 - coverage / 2, 0.5 + coverage / 2], axis=0)
            described = labelled[name].attrs
            labelled[f"{name}_lower"] = (labelled[name].dims, low, described)
            labelled[f"{name}_upper"] = (labelled[name].dims, high, described)
        return labelled


def _ranked_halves(chains: Array) -> Array:
    """Both halves of each chain, as normal scores of the ranks of all draws."""
    half = chains.shape[1] // 2
    halves = np.concatenate([chains[:, :half], chains[:, -half:]])
    ranks = rankdata(halves).reshape(halves.shape)
    return ndtri((ranks - 0.375) / (halves.size + 0.25))


def split_r_hat(chains: Array) -> float:
    """Rank-normalised split R̂ of chains ``(chain, draw)``.

    References:
        Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16 (2021) 667.
    """
    z = _ranked_halves(chains)
    n = z.shape[1]
    within = z.var(axis=1, ddof=1).mean()
    between = n * z.mean(axis=1).var(ddof=1)
    return float(np.sqrt((n - 1) / n + between / (n * within))) if within > 0 else np.inf


def effective_size(chains: Array) -> float:
    """Effective sample size of chains ``(chain, draw)`` for the mean of their ranks.

    Autocorrelations are summed in pairs while these are positive and fall (Geyer).

    References:
        As `split_r_hat`.
    """
    z = _ranked_halves(chains)
    m, n = z.shape
    within = z.var(axis=1, ddof=1).mean()
    if not within > 0:
        return 1.0
    total = (n - 1) / n * within + z.mean(axis=1).var(ddof=1)
    centred = z - z.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n].mean(axis=0) / n
    rho = 1 - (within - covariance * n / (n - 1)) / total
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = np.argmax(pairs <= 0) if (pairs <= 0).any() else len(pairs)
    tau = max(-1 + 2 * np.minimum.accumulate(pairs[:positive]).sum(), 1 / np.log10(m * n))
    return float(m * n / tau)
