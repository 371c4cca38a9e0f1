"""POD and Chebyshev polynomials: from parameters to fields, fitted in closed form.

References:
    Xiu, Karniadakis, The Wiener–Askey polynomial chaos for stochastic differential equations, SIAM
    Journal on Scientific Computing 24 (2002) 619: polynomials of the parameters.
"""

import itertools
import math

import torch
from torch import Tensor

from surrogate.networks.network import Signature
from surrogate.networks.pod import PODDecoder
from surrogate.networks.regression import ridge_regression

# Penalties that are tried: factor from one degree to the next, and strength at degree 0
GROWTHS = (1.3, 1.6, 2.0)
STRENGTHS = tuple(10.0**k for k in range(-13, -2))
# Keeps the derivative of the arc cosine finite at the ends, and costs less than rounding does
INWARDS = 1.0 - 1e-10
# With a single parameter the number of terms would not bound it
HIGHEST_DEGREE = 40


class PODPolynomial(PODDecoder):
    """POD coefficients as polynomials of the parameters.

        y(θ) = Σ_k Φ_k Σ_α c_kα Π_p T_α_p(θ_p),    |α| ≤ degree,

    with Chebyshev polynomials T and the basis Φ. Where a solution depends analytically on few
    parameters, the coefficients fall exponentially with the degree |α|, and the error goes far
    below what gradient descent reaches. That is the prior: the fit is ridge regression with a
    penalty that grows exponentially with the degree, at the rate and strength of the smallest
    leave-one-out error, which costs no data. Each sample weighs by the inverse of its size.

    Polynomials do not extrapolate: outside [−1, 1] a parameter is taken as the nearest end.

    Args:
        modes: basis vectors for each output field, at most.
        max_terms: polynomial terms, at most; it bounds the degree.
    """

    exponents: Tensor
    coefficients: Tensor

    def __init__(self, modes: int = 64, max_terms: int = 400) -> None:
        super().__init__(modes=modes, max_terms=max_terms)
        self._check_at_least_one("modes", "max_terms")
        self.modes, self.max_terms = modes, max_terms

    def create_layers(self, signature: Signature) -> None:
        if signature.in_channels:
            raise ValueError(
                f"in_channels={signature.in_channels}: PODPolynomial takes parameters alone; "
                "PODNet and FNO take fields"
            )
        super().create_layers(signature)
        exponents = multi_indices(signature.in_scalars, self.max_terms)
        self.degree = int(exponents.max())
        self.register_buffer("exponents", exponents, persistent=False)
        self.register_buffer("coefficients", torch.zeros(exponents.shape[1], sum(self.ranks)))

    def fit(
        self, fields: Tensor, scalars: Tensor, targets: list[Tensor], weights: list[Tensor]
    ) -> None:
        terms = self.terms(scalars).double()
        # A term of high degree costs exponentially more
        degrees = self.exponents.sum(dim=0).double()
        penalties = [s * g**degrees for g, s in itertools.product(GROWTHS, STRENGTHS)]
        fitted = [
            ridge_regression(terms, target, weight, penalties)
            for target, weight in zip(targets, weights, strict=True)
        ]
        self.coefficients.copy_(torch.cat(fitted, dim=1))

    def terms(self, scalars: Tensor) -> Tensor:
        """Values of all polynomial terms, ``(batch, terms)``."""
        # In double precision: rounding grows with the degree
        x = scalars.double().clamp(-1.0, 1.0)
        # Other runtimes know the arc cosine in single precision at best
        evaluate = chebyshev_by_doubling if torch.compiler.is_compiling() else chebyshev_by_cosine
        chebyshev = evaluate(x, self.degree).to(scalars.dtype)
        terms = chebyshev[:, 0].index_select(1, self.exponents[0])
        for parameter in range(1, self.exponents.shape[0]):
            terms = terms * chebyshev[:, parameter].index_select(1, self.exponents[parameter])
        return terms

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        return self.decode(self.terms(scalars) @ self.coefficients)


def chebyshev_by_cosine(x: Tensor, degree: int) -> Tensor:
    """``T_n(x) = cos(n arccos x)`` for n up to the degree along a new last axis."""
    order = torch.arange(degree + 1, device=x.device)
    return torch.cos(torch.acos(INWARDS * x)[..., None] * order)


def chebyshev_by_doubling(x: Tensor, degree: int) -> Tensor:
    """The same by arithmetic alone, at up to five times the cost.

    T_{m+k} = 2 T_m T_k − T_{m−k},    k = 1 … m
    """
    known = torch.stack([torch.ones_like(x), x], -1)
    while (m := known.shape[-1] - 1) < degree:
        following = 2 * known[..., m:] * known[..., 1:] - known[..., :m].flip(-1)
        known = torch.cat([known, following], -1)
    return known[..., : degree + 1]


def multi_indices(dimensions: int, max_terms: int) -> Tensor:
    """Exponents ``(dimensions, terms)`` of all terms up to the highest total degree that fits."""
    degree = 0
    while degree < HIGHEST_DEGREE and math.comb(dimensions + degree + 1, dimensions) <= max_terms:
        degree += 1
    exponents = [
        index
        for index in itertools.product(range(degree + 1), repeat=dimensions)
        if sum(index) <= degree
    ]
    return torch.tensor(sorted(exponents, key=sum)).T.contiguous()
