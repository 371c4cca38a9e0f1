"""Fourier neural operator with one-dimensional transforms, one axis at a time.

References:
    A. Tran, A. Mathews, L. Xie, C. S. Ong, "Factorized Fourier neural operators", ICLR 2023,
    arXiv:2111.13802 (F-FNO).
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from surrogate.networks.fourier import (
    Transforms,
    check_padding,
    fourier_transforms,
    kept_modes,
    multiplied,
    spectral_weight,
)
from surrogate.networks.grid_network import Geometry, GridNetwork, modulated
from surrogate.networks.network import Signature
from surrogate.networks.pointwise import mlp


class FactorizedConv(nn.Module):
    """``v = Σ_a K_a u``, where ``K_a`` convolves along axis ``a`` alone."""

    def __init__(self, width: int, modes: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(spectral_weight(k, width, width) for k in modes)

    def forward(self, u: Tensor, transforms: Transforms) -> Tensor:
        batch, *grid, width = u.shape
        total: Tensor | None = None
        for axis, (weight, (analysis, synthesis)) in enumerate(
            zip(self.weights, transforms, strict=True)
        ):
            before, n, after = math.prod(grid[:axis]), grid[axis], math.prod(grid[axis + 1 :])
            lines = u.reshape(batch * before, n, after * width)
            # (lines, 2, k, after, width) -> (k, 2 · lines · after, width) and back
            c = (analysis @ lines).reshape(batch * before, 2, -1, after, width)
            c = c.permute(2, 1, 0, 3, 4).reshape(c.shape[2], -1, width)
            parts = [
                part.reshape(weight.shape[1], batch * before, after, width).transpose(0, 1)
                for part in multiplied(c, weight)
            ]
            c = torch.stack(parts, dim=1).reshape(batch * before, -1, after * width)
            if total is None:
                v = synthesis @ c
            else:
                onto = total.reshape(lines.shape)
                v = torch.baddbmm(onto, synthesis.expand(lines.shape[0], -1, -1), c)
            total = v.reshape(u.shape)
        assert total is not None
        return total


class FactorizedFNO(GridNetwork):
    """F-FNO on 1-D, 2-D and 3-D grids, channels last.

        y_l     = (1 + γ_l) ⊙ Σ_a K_{l,a} x_l + β_l
        x_{l+1} = x_l + MLP_l(y_l)

    ``K_{l,a}`` convolves along axis ``a`` alone, as `SpectralConv` does in one dimension, so that
    the number of weights grows with the sum of the modes of the axes instead of their product; for
    the lift, the projection, ``γ_l``, ``β_l`` and scalar outputs see `GridNetwork`.

    On a fully periodic grid without coordinates the map commutes with translations.

    Args:
        modes: frequencies ``0 … modes-1`` kept along each axis, one number or one for each axis;
            at most as many as the grid can represent.
        width: channels of the hidden fields.
        layers: number of blocks.
        expansion: ratio of hidden to outer width in the MLP of a block.
        shared: one set of spectral weights for all blocks.
        projection: hidden width of the output MLPs.
        padding: extension by zero of axes that are not periodic, as a fraction of the domain.
        coordinates: append coordinates of periodic axes too.

    Raises:
        ValueError: if a setting is out of range.
    """

    any_grid = True
    recipe: ClassVar[dict[str, Any]] = {"epochs": 100, "batch_size": 8, "learning_rate": 4e-3}

    def __init__(
        self,
        modes: int | Sequence[int] = 16,
        width: int = 32,
        layers: int = 4,
        expansion: float = 2.0,
        shared: bool = False,
        projection: int = 128,
        padding: float = 0.25,
        coordinates: bool = False,
    ) -> None:
        super().__init__(
            modes=modes if isinstance(modes, int) else list(modes),
            width=width,
            layers=layers,
            expansion=expansion,
            shared=shared,
            projection=projection,
            padding=padding,
            coordinates=coordinates,
        )
        self._check_at_least_one("modes", "layers")
        check_padding(padding)
        if round(expansion * width) < 1:
            raise ValueError(f"expansion={expansion}: leaves no channel of width={width}")

    def create_blocks(self, signature: Signature) -> list[int]:
        self.modes = kept_modes(signature, self.config["modes"], self.config["padding"])
        width, layers = self.config["width"], self.config["layers"]
        self.spectral = nn.ModuleList(
            FactorizedConv(width, self.modes) for _ in range(1 if self.config["shared"] else layers)
        )
        hidden = round(self.config["expansion"] * width)
        self.blocks = nn.ModuleList(mlp(width, hidden, width) for _ in range(layers))
        return [width] * layers

    def transform(self, x: Tensor, here: Geometry, modulations: Sequence[Tensor | None]) -> Tensor:
        for layer, (mix, modulation) in enumerate(zip(self.blocks, modulations, strict=True)):
            convolve = self.spectral[layer % len(self.spectral)]
            x = x + mix(modulated(convolve(x, here.operators), modulation))
        return x

    def create_operators(self, grid: tuple[int, ...], like: Tensor) -> Transforms:
        assert self.signature is not None
        transforms: Transforms = []
        for axis, (n, modes) in enumerate(zip(grid, self.modes, strict=True)):
            transforms += fourier_transforms(
                (n,),
                (modes,),
                self.signature.periodic[axis : axis + 1],
                self.config["padding"],
                like.dtype,
                like.device,
                self.signature.placement[axis : axis + 1],
            )
        return transforms
