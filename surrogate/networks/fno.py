"""The Fourier neural operator with its transforms as small real matrix products.

References:
    Z. Li et al., "Fourier neural operator for parametric partial differential equations",
    ICLR 2021, arXiv:2010.08895.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.fourier import (
    SpectralConv,
    Transforms,
    check_padding,
    fourier_transforms,
    kept_modes,
)
from surrogate.networks.grid_network import Geometry, GridNetwork, modulated
from surrogate.networks.network import Signature
from surrogate.networks.pointwise import Pointwise, mlp


class FourierBlock(nn.Module):
    """One layer of :class:`FNO`, with all terms of its equations."""

    def __init__(
        self, width: int, spectral: nn.Module, channel_mlp: float | None, last: bool
    ) -> None:
        super().__init__()
        self.last = last
        self.spectral = spectral
        self.local = Pointwise(width, width)
        self.gate = None
        if channel_mlp is None:
            self.mix = mlp(width, None, width)
        else:
            self.mix = mlp(width, round(channel_mlp * width), width)
            self.gate = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, here: Geometry, modulation: Tensor | None) -> Tensor:
        y = modulated(self.spectral(x, here.operators, onto=self.local(x)), modulation)
        if self.gate is None:
            return x + self.mix(F.gelu(y))
        if self.last:
            return torch.addcmul(self.mix(y), self.gate, x)
        return F.gelu(torch.addcmul(self.mix(F.gelu(y)), self.gate, x))


class FNO(GridNetwork):
    """Fourier neural operator on 1-D, 2-D and 3-D grids, channels last.

        x_0     = lift(fields, coordinates)
        y_l     = (1 + γ_l) ⊙ (K_l x_l + W_l x_l + b_l) + β_l
        x_{l+1} = x_l + V_l GELU(y_l)
        fields  = project(x_L)

    with the convolution ``K_l`` of `SpectralConv`; for ``γ_l``, ``β_l`` and scalar outputs see
    `GridNetwork`. With ``channel_mlp`` the blocks are those of neuraloperator,
    ``x_{l+1} = GELU(MLP(GELU(y_l)) + g_l ⊙ x_l)``, in the last one without the outer two GELU.

    On a fully periodic grid without coordinates the map commutes with translations. A fresh network
    is nearly local, see `spectral_weight`.

    Args:
        modes: frequencies ``0 … modes-1`` kept along each axis, one number or one for each axis;
            at most as many as the grid can represent.
        width: channels of the hidden fields.
        layers: number of blocks.
        projection: hidden width of the output MLPs.
        lifting: hidden width of the input MLP; by default the lift is linear.
        channel_mlp: use the blocks of neuraloperator, with this ratio of hidden to outer width.
        padding: extension by zero of axes that are not periodic, as a fraction of the domain.
        coordinates: append coordinates of periodic axes too, for problems with a pattern fixed in
            space such as a forcing.

    Raises:
        ValueError: if a setting is out of range.
    """

    any_grid = True
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 100,
        "batch_size": 20,
        "learning_rate": 4e-3,
    }

    def __init__(
        self,
        modes: int | Sequence[int] = 16,
        width: int = 32,
        layers: int = 4,
        projection: int = 128,
        lifting: int | None = None,
        channel_mlp: float | None = None,
        padding: float = 0.25,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            modes=modes if isinstance(modes, int) else list(modes),
            width=width,
            layers=layers,
            projection=projection,
            lifting=lifting,
            channel_mlp=channel_mlp,
            padding=padding,
            coordinates=coordinates,
        )
        self._check_at_least_one("modes", "layers")
        check_padding(padding)

    def create_blocks(self, signature: Signature) -> list[int]:
        self.modes = kept_modes(signature, self.config["modes"], self.config["padding"])
        width, layers = self.config["width"], self.config["layers"]
        self.blocks = nn.ModuleList(
            FourierBlock(
                width,
                self.create_convolution(width),
                self.config["channel_mlp"],
                last=layer == layers - 1,
            )
            for layer in range(layers)
        )
        return [width] * layers

    def create_convolution(self, width: int) -> nn.Module:
        """The spectral part of a block."""
        return SpectralConv(width, width, self.modes)

    def create_operators(self, grid: tuple[int, ...], like: Tensor) -> Transforms:
        assert self.signature is not None
        return fourier_transforms(
            grid,
            self.modes,
            self.signature.periodic,
            self.config["padding"],
            like.dtype,
            like.device,
            self.signature.placement,
        )
