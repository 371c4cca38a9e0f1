"""Fourier neural operator whose spectral weights are low-rank Tucker tensors.

References:
    J. Kossaifi, N. Kovachki, K. Azizzadenesheli, A. Anandkumar, "Multi-grid tensorized Fourier
    neural operator for high-resolution PDEs", TMLR 2024, arXiv:2310.00120 (TFNO).
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from surrogate.networks.fno import FNO
from surrogate.networks.fourier import Transforms, convolved
from surrogate.networks.pointwise import Pointwise


class TuckerConv(nn.Module):
    """`SpectralConv` with ``W[k, i, o] = Σ G[r, p, q] Π_a A_a[k_a, r_a] I[i, p] O[q, o]``.

    The core ``G`` is complex, the factors are real. ``I`` and ``O`` act on channels and therefore
    commute with the transforms: the field is reduced to ``p`` channels before the transform and
    expanded from ``q`` after it. What is multiplied with coefficients, ``Σ_r G Π_a A_a``, is formed
    once in a step; it is as small as the ranks of the channels squared.

    Args:
        width: channels in and out.
        modes: number of frequencies ``0 … modes-1`` along each axis.
        rank: of each dimension of ``W``, as a share of its size.
    """

    def __init__(self, width: int, modes: Sequence[int], rank: float) -> None:
        super().__init__()
        frequencies = [2 * k - 1 for k in modes[:-1]] + [modes[-1]]
        ranks = [max(1, round(rank * k)) for k in frequencies]
        inner = max(1, round(rank * width))
        self.factors = nn.ParameterList(
            nn.init.orthogonal_(torch.empty(k, r)) for k, r in zip(frequencies, ranks, strict=True)
        )
        self.reduce = Pointwise(width, inner, bias=False)
        self.expand = Pointwise(inner, width, bias=False)
        self.core = nn.Parameter(torch.empty(2, *ranks, inner, inner))
        nn.init.orthogonal_(self.reduce.weight)
        nn.init.orthogonal_(self.expand.weight)
        # As `spectral_weight`: the columns of a factor have the share r / k of its variance
        shares = [r / k for k, r in zip(frequencies, ranks, strict=True)]
        nn.init.normal_(self.core, std=0.1 / math.sqrt(2 * inner * math.prod(shares)))

    @property
    def weight(self) -> Tensor:
        """``W`` without the factors of the channels, as `SpectralConv` stores it."""
        weight = self.core
        for axis, factor in enumerate(self.factors):
            before, rank = weight.shape[: axis + 1], weight.shape[axis + 1]
            flat = factor @ weight.reshape(math.prod(before), rank, -1)
            weight = flat.reshape(*before, len(factor), *weight.shape[axis + 2 :])
        return weight.reshape(2, -1, *self.core.shape[-2:])

    def forward(self, u: Tensor, transforms: Transforms, onto: Tensor) -> Tensor:
        return onto + self.expand(convolved(self.reduce(u), self.weight, transforms))


class TuckerFNO(FNO):
    """TFNO: an `FNO` with fewer weights, for few training samples and many modes.

        W_l[k, i, o] = Σ G[r, p, q] Π_a A_a[k_a, r_a] I[i, p] O[q, o]

    Its blocks are those of `FNO` with `TuckerConv` in place of `SpectralConv`. The number of
    spectral weights is about ``rank`` to the power of the number of axes plus two of that of an
    `FNO`, and the transforms are of ``rank`` times as many channels.

    Args:
        modes: frequencies ``0 … modes-1`` kept along each axis, one number or one for each axis;
            at most as many as the grid can represent.
        width: channels of the hidden fields.
        layers: number of blocks.
        rank: of each dimension of the weights, as a share of its size.
        projection: hidden width of the output MLPs.
        lifting: hidden width of the input MLP; by default the lift is linear.
        channel_mlp: use the blocks of neuraloperator, with this ratio of hidden to outer width.
        padding: extension by zero of axes that are not periodic, as a fraction of the domain.
        coordinates: append coordinates of periodic axes too.

    Raises:
        ValueError: if a setting is out of range.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 100, "batch_size": 8, "learning_rate": 4e-3}

    def __init__(
        self,
        modes: int | Sequence[int] = 16,
        width: int = 48,
        layers: int = 4,
        rank: float = 0.5,
        projection: int = 128,
        lifting: int | None = None,
        channel_mlp: float | None = None,
        padding: float = 0.25,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            modes, width, layers, projection, lifting, channel_mlp, padding, coordinates
        )
        self.config["rank"] = rank
        if not 0 < rank <= 1:
            raise ValueError(f"rank={rank}: must lie in (0, 1]")

    def create_convolution(self, width: int) -> nn.Module:
        return TuckerConv(width, self.modes, self.config["rank"])
