"""Transformer whose tokens are slices of the domain, learnt from the fields.

References:
    H. Wu et al., "Transolver: a fast transformer solver for PDEs on general geometries", ICML 2024,
    arXiv:2402.02366.
"""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.grid_network import Geometry, GridNetwork, modulated
from surrogate.networks.network import Signature
from surrogate.networks.pointwise import Pointwise, mlp


class PhysicsAttention(nn.Module):
    """Attention among ``slices`` weighted means of the points, for each head.

        s_i = softmax(S(A x_i) / τ)
        z_m = ∫ s_m B x / ∫ s_m
        v_i = O Σ_m s_im attention(z)_m

    Integrals, not sums over points: the tokens do not depend on the resolution.
    """

    def __init__(self, width: int, heads: int, slices: int) -> None:
        super().__init__()
        self.heads, self.slices = heads, slices
        size = width // heads
        self.values = Pointwise(width, width)
        self.assign = Pointwise(width, heads * slices)
        self.attend = nn.Linear(size, 3 * size, bias=False)
        self.out = Pointwise(width, width)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        batch, points = x.shape[0], weights.shape[0]
        heads, slices = self.heads, self.slices
        share = self.assign(x).reshape(batch, points, heads, slices).softmax(dim=-1)
        share = share.transpose(1, 2).reshape(batch * heads, points, slices)
        values = self.values(x).reshape(batch, points, heads, -1)
        values = values.transpose(1, 2).reshape(batch * heads, points, -1)
        counted = (share * weights[:, None]).transpose(1, 2)
        tokens = (counted @ values) / (counted.sum(dim=2, keepdim=True) + 1e-6)
        query, key, value = self.attend(tokens).chunk(3, dim=-1)
        # Each head is a sample of its own by now, but exporters insist on an axis for heads
        attended = F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])
        tokens = attended[:, 0]
        v = (share @ tokens).reshape(batch, heads, points, -1).transpose(1, 2)
        return self.out(v.reshape(x.shape))


class TransolverBlock(nn.Module):
    """One layer of :class:`Transolver`."""

    def __init__(self, width: int, heads: int, slices: int, expansion: float) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = PhysicsAttention(width, heads, slices)
        self.before_mix = nn.LayerNorm(width)
        self.mix = mlp(width, round(expansion * width), width)

    def forward(self, x: Tensor, here: Geometry, modulation: Tensor | None) -> Tensor:
        x = x + self.attention(modulated(self.before_attention(x), modulation), here.weights)
        return x + self.mix(self.before_mix(x))


class Transolver(GridNetwork):
    """Transolver on 1-D, 2-D and 3-D grids: points are tokens of nothing but value and place.

        y       = x_l + PhysicsAttention((1 + γ_l) ⊙ LayerNorm(x_l) + β_l)
        x_{l+1} = y + MLP(LayerNorm(y))

    All that points know of each other goes through the tokens of `PhysicsAttention`, at a cost
    proportional to the number of points. Nothing in it is local: from few samples it learns
    transport badly. For the lift, the projection, ``γ_l``, ``β_l`` and scalar
    outputs see `GridNetwork`. Where a point is, it learns from coordinates along all axes: waves of
    ``frequencies`` wave numbers, which match where an axis is periodic.

    Args:
        width: channels of the hidden fields, a multiple of ``heads``.
        layers: number of blocks.
        heads: of the attention.
        slices: tokens of each head.
        expansion: ratio of hidden to outer width in the MLP of a block.
        frequencies: of the coordinates.
        projection: hidden width of the output MLPs.

    Raises:
        ValueError: if a setting is out of range.
    """

    any_grid = True
    recipe: ClassVar[dict[str, Any]] = {"epochs": 100, "batch_size": 8, "learning_rate": 2e-3}

    def __init__(
        self,
        width: int = 64,
        layers: int = 4,
        heads: int = 4,
        slices: int = 32,
        expansion: float = 2.0,
        frequencies: int = 8,
        projection: int = 128,
    ) -> None:
        super().__init__(
            width=width,
            layers=layers,
            heads=heads,
            slices=slices,
            expansion=expansion,
            frequencies=frequencies,
            projection=projection,
        )
        self._check_at_least_one("layers", "heads", "slices", "frequencies")
        if width % heads:
            raise ValueError(f"heads={heads}: must divide width={width}")
        if round(expansion * width) < 1:
            raise ValueError(f"expansion={expansion}: leaves no channel of width={width}")
        self.frequencies = frequencies

    def create_blocks(self, signature: Signature) -> list[int]:
        config = self.config
        self.blocks = nn.ModuleList(
            TransolverBlock(config["width"], config["heads"], config["slices"], config["expansion"])
            for _ in range(config["layers"])
        )
        return [config["width"]] * config["layers"]
