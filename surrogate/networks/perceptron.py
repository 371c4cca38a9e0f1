"""Multilayer perceptrons with residual blocks."""

from torch import Tensor, nn
from torch.nn import functional as F


class Perceptron(nn.Module):
    """A lift, residual blocks and a linear output.

        h_0     = A x + a
        h_{l+1} = h_l + V_l GELU(W_l h_l + w_l) + v_l
        y       = B GELU(h_L) + b

    Args:
        inputs: entries of x.
        width: of the hidden layers; 0 layers are a linear map.
        layers: residual blocks.
        outputs: entries of y.
    """

    def __init__(self, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.lift = nn.Linear(inputs, width) if layers else None
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(layers)
        )
        self.output = nn.Linear(width if layers else inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.lift is None:
            return self.output(x)
        x = self.lift(x)
        for block in self.blocks:
            x = x + block(x)
        return self.output(F.gelu(x))


def joined_size(points: int, channels: int, scalars: int) -> int:
    """Entries of fields and scalars in one vector.

    Raises:
        ValueError: if they are more than a dense layer should have to do with.
    """
    size = points * channels + scalars
    if size > LARGEST:
        raise ValueError(
            f"{points} points with {channels} channels and {scalars} scalars are {size} values: "
            f"dense layers take and give at most {LARGEST}; PODNet and FNO serve larger grids"
        )
    return size


LARGEST = 2**17
"""Values that a dense layer takes or gives: 17 million weights at a width of 128."""
