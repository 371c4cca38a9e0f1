"""POD and Chebyshev polynomials: from parameters to fields, fitted in closed form.

References:
    Xiu, Karniadakis, The Wiener–Askey polynomial chaos for stochastic differential equations, SIAM
    Journal on Scientific Computing 24 (2002) 619: polynomials of the parameters.
    Hesthaven, Ubbiali, Non-intrusive reduced order modeling of nonlinear problems using neural
    networks, Journal of Computational Physics 363 (2018) 55: regression of POD coefficients.
"""

import itertools
import math

import torch
from torch import Tensor

from surrogate.networks.network import Network, Signature

# Penalties that are tried: factor from one degree to the next, and strength at degree 0
GROWTHS = (1.3, 1.6, 2.0)
STRENGTHS = tuple(10.0**k for k in range(-13, -2))


class PODPolynomial(Network):
    """POD coefficients as polynomials of the parameters.

        y(θ) = Σ_k Φ_k Σ_α c_kα Π_p T_α_p(θ_p),    |α| ≤ degree,

    with Chebyshev polynomials T and an orthonormal basis Φ for each output field. Where a solution
    depends analytically on few parameters, the coefficients fall exponentially with the degree |α|,
    and the error goes far below what gradient descent reaches. That is the prior: the fit is ridge
    regression with a penalty that grows exponentially with the degree, at the rate and strength of
    the smallest leave-one-out error, which costs no data. Basis and fit weigh each sample by the
    inverse of its size, because it is relative errors that count.

    Polynomials do not extrapolate: outside [−1, 1] a parameter is taken as the nearest end.

    Args:
        modes: basis vectors for each output field, at most.
        max_terms: polynomial terms, at most; it bounds the degree.
    """

    def __init__(self, modes: int = 64, max_terms: int = 400) -> None:
        super().__init__(modes=modes, max_terms=max_terms)
        self.modes = modes
        self.max_terms = max_terms

    def create_layers(self, signature: Signature) -> None:
        if signature.in_channels:
            raise ValueError(
                f"in_channels={signature.in_channels}: PODPolynomial takes parameters alone; "
                "FNO takes fields"
            )
        exponents = multi_indices(signature.in_scalars, self.max_terms)
        self.register_buffer("exponents", exponents, persistent=False)
        points = math.prod(signature.grid)
        self.bases = [f"basis_{i}" for i in range(len(signature.field_channels))]
        ranks = []
        for name, channels in zip(self.bases, signature.field_channels, strict=True):
            ranks.append(min(self.modes, points * channels))
            self.register_buffer(name, torch.zeros(ranks[-1], points * channels))
        self.ranks = [*ranks, signature.out_scalars]
        self.register_buffer("coefficients", torch.zeros(exponents.shape[1], sum(self.ranks)))

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        assert self.signature is not None
        terms = self.terms(scalars).double()
        fitted = []
        channels = out_fields.double().split(list(self.signature.field_channels), dim=-1)
        for name, field in zip(self.bases, channels, strict=True):
            snapshots = field.flatten(1)
            weights = 1 / snapshots.norm(dim=1, keepdim=True).clamp_min(1e-12)
            basis = getattr(self, name)
            vectors = principal_vectors(weights * snapshots, len(basis))
            basis[: len(vectors)] = vectors
            fitted.append(self._fit(terms, snapshots @ basis.double().T, weights))
        for value in out_scalars.double().unbind(dim=1):
            weights = 1 / value.abs().clamp_min(1e-12)[:, None]
            fitted.append(self._fit(terms, value[:, None], weights))
        self.coefficients.copy_(torch.cat(fitted, dim=1))

    def _fit(self, terms: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted ridge regression with the penalty of the smallest leave-one-out error."""
        n = len(terms)
        matrix, weighted = weights * terms, weights * targets
        degrees = self.exponents.sum(dim=0).double()
        scale = float(weights.pow(2).mean().sqrt()) * math.sqrt(n)
        best, best_error = torch.zeros(terms.shape[1], targets.shape[1]).double(), math.inf
        for growth, strength in itertools.product(GROWTHS, STRENGTHS):
            penalty = torch.diag(scale * strength * growth**degrees)
            q, r = torch.linalg.qr(torch.cat([matrix, penalty]))
            q = q[:n]
            fit = torch.linalg.solve_triangular(r, q.T @ weighted, upper=True)
            # The error at each sample if it were left out follows from its leverage (Allen's PRESS)
            leverage = q.pow(2).sum(dim=1, keepdim=True)
            left_out = (weighted - matrix @ fit) / (1 - leverage)
            error = float(left_out.norm(dim=1).mean())
            if error < best_error:
                best, best_error = fit, error
        return best

    def terms(self, scalars: Tensor) -> Tensor:
        """Values of all polynomial terms, ``(batch, terms)``."""
        # In double precision: the argument of the cosine is multiplied by the degree
        angles = torch.acos(scalars.double().clamp(-1.0, 1.0))
        order = torch.arange(int(self.exponents.max()) + 1, device=scalars.device)
        chebyshev = torch.cos(angles[..., None] * order).to(scalars.dtype)
        terms = chebyshev[:, 0].index_select(1, self.exponents[0])
        for parameter in range(1, len(self.exponents)):
            terms = terms * chebyshev[:, parameter].index_select(1, self.exponents[parameter])
        return terms

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        assert self.signature is not None
        *latent, out_scalars = (self.terms(scalars) @ self.coefficients).split(self.ranks, dim=1)
        shape = (len(scalars), *self.signature.grid)
        parts = [
            (z @ getattr(self, name)).reshape(*shape, channels)
            for name, z, channels in zip(
                self.bases, latent, self.signature.field_channels, strict=True
            )
        ]
        return torch.cat([*parts, scalars.new_zeros(*shape, 0)], dim=-1), out_scalars


def multi_indices(dimensions: int, max_terms: int) -> Tensor:
    """Exponents ``(dimensions, terms)`` of all terms up to the highest degree that fits."""
    degree = 0
    while math.comb(dimensions + degree + 1, dimensions) <= max_terms:
        degree += 1
    exponents = [
        index
        for index in itertools.product(range(degree + 1), repeat=dimensions)
        if sum(index) <= degree
    ]
    return torch.tensor(sorted(exponents, key=sum)).T.contiguous()


def principal_vectors(snapshots: Tensor, count: int) -> Tensor:
    """The first principal directions ``(≤ count, features)`` of ``(samples, features)``.

    By the eigenvectors of the smaller of the two Gram matrices, which squares the singular values:
    those below a millionth of the largest are noise and left out.
    """
    if len(snapshots) < snapshots.shape[1]:
        values, vectors = torch.linalg.eigh(snapshots @ snapshots.T)
        vectors = vectors.T @ snapshots / values.clamp_min(1e-300).sqrt()[:, None]
    else:
        values, vectors = torch.linalg.eigh(snapshots.T @ snapshots)
        vectors = vectors.T
    significant = int((values > 1e-12 * values[-1]).sum())
    return vectors.flip(0)[: min(count, significant)]
