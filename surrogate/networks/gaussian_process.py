"""Gaussian processes on POD coefficients: the classical surrogate of few samples.

References:
    Rasmussen, Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1.
    Guo, Hesthaven, Reduced order modeling for nonlinear structural analysis using Gaussian process
    regression, Computer Methods in Applied Mechanics and Engineering 341 (2018) 807.
"""

import warnings
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from surrogate.networks.network import Signature
from surrogate.networks.pod import PODDecoder, PODInputs

#: Variance of noise relative to that of a coefficient: the smallest that double precision bears
NOISE = (1e-9, 1.0)
LENGTHS = (1e-2, 1e3)
#: Lengths from which the likelihood is climbed: from one alone it stops at false summits
STARTS = (0.4, 2.0)
#: What stays in double precision: weights are large and of either sign
EXACT = ("samples", "weights", "inverse_squares", "strength", "mean")
#: One process for each of more outputs than these takes too long
LARGEST = 512


class GaussianProcess(PODDecoder):
    """The posterior mean of a Gaussian process for each POD coefficient of the outputs.

        c(x) = m + σ k(x, X) (k(X, X) + ε I)^(−1) (C − m) / σ,
        k(x, x') = s exp(−½ Σ_d (x_d − x'_d)² / l_d²)

    over the parameters and the leading whitened POD coefficients of the field inputs. The
    hyper-parameters s, l_d and ε of each coefficient are those of the largest marginal likelihood,
    found by scikit-learn on some of the samples; all samples then give the weights, of which a
    Cholesky factorisation finds the exact ones. Predictions need no scikit-learn.

    Args:
        modes: coefficients of each output field, at most.
        input_modes: coefficients of all field inputs together, at most.
        points: training samples that are kept, at most: the first ones.
        tuning: samples that the hyper-parameters are fitted to, at most.

    Raises:
        ValueError: if a setting is out of range, or there are too many outputs.
        ModuleNotFoundError: on ``prepare``, if scikit-learn is not installed.
    """

    samples: Tensor
    weights: Tensor
    inverse_squares: Tensor
    strength: Tensor
    mean: Tensor

    def __init__(
        self, modes: int = 24, input_modes: int = 10, points: int = 1000, tuning: int = 120
    ) -> None:
        super().__init__(modes=modes, input_modes=input_modes, points=points, tuning=tuning)
        self._check_at_least_one("modes", "input_modes", "points", "tuning")
        self.modes = modes

    def create_layers(self, signature: Signature) -> None:
        super().create_layers(signature)
        self.inputs = PODInputs(signature, self.config["input_modes"])
        outputs, points = sum(self.ranks), self.config["points"]
        if outputs > LARGEST:
            raise ValueError(
                f"modes={self.modes}, out_scalars={signature.out_scalars}: {outputs} coefficients, "
                f"one Gaussian process each, must be at most {LARGEST}"
            )
        shapes = [(points, self.inputs.size), (points, outputs), (self.inputs.size, outputs)]
        for name, shape in zip(EXACT, [*shapes, (outputs,), (outputs,)], strict=True):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def fit(
        self, fields: Tensor, scalars: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> None:
        self.inputs.fit(fields)
        x = self.inputs(fields, scalars).double()[: self.config["points"]]
        y = torch.cat(targets, dim=1)[: self.config["points"]]
        self.samples[: len(x)] = x
        self.mean.copy_(y.mean(dim=0))
        deviation = y.std(dim=0)
        for i in range(y.shape[1]):
            if not deviation[i] > 1e-12 * deviation.max():
                continue
            target = (y[:, i] - self.mean[i]) / deviation[i]
            tuned = slice(self.config["tuning"])
            strength, lengths, noise = hyper_parameters(x[tuned], target[tuned])
            self.inverse_squares[:, i] = 1 / lengths**2
            self.strength[i] = strength * deviation[i]
            kernel = strength * torch.exp(-0.5 * _squares(x / lengths, x / lengths))
            factor = torch.linalg.cholesky(kernel + noise * torch.eye(len(x)).to(kernel))
            self.weights[: len(x), i] = torch.cholesky_solve(target[:, None], factor)[:, 0]

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        x = self.inputs(fields, scalars)
        apart = (x.to(self.samples)[:, None] - self.samples).square()
        kernel = torch.exp(-0.5 * (apart @ self.inverse_squares))
        coefficients = self.mean + self.strength * (kernel * self.weights).sum(dim=1)
        return self.decode(coefficients.to(x.dtype))

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        exact = {name: self._buffers[name] for name in EXACT if name in self._buffers}
        super()._apply(fn, recurse)
        for name, value in exact.items():
            moved = getattr(self, name)
            self._buffers[name] = None if value is None else value.to(moved.device)
        return self


def hyper_parameters(x: Tensor, y: Tensor) -> tuple[float, Tensor, float]:
    """Strength, lengths ``(inputs,)`` and noise of the largest marginal likelihood."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    fitted = []
    for start in STARTS:
        lengths = RBF([start] * x.shape[1], LENGTHS)
        kernel = ConstantKernel(1.0, (1e-3, 1e5)) * lengths + WhiteKernel(1e-4, NOISE)
        process = GaussianProcessRegressor(kernel, alpha=1e-10)
        with warnings.catch_warnings():
            # A hyper-parameter at its bound: a length without effect, or a map without noise
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.append(process.fit(x.numpy(), y.numpy()))
    process = max(fitted, key=lambda process: process.log_marginal_likelihood_value_)
    product, white = process.kernel_.k1, process.kernel_.k2
    scales = torch.as_tensor(product.k2.length_scale, dtype=torch.float64).reshape(-1)
    return float(product.k1.constant_value), scales, float(white.noise_level)


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of rows, without the cancellation of a binomial formula."""
    return (a[:, None] - b).square().sum(dim=-1)
