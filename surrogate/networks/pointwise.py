"""Maps that are the same at every point of a grid, channels last."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Pointwise(nn.Linear):
    """The same linear map of the channels at every point of a grid, ``(batch, *grid, channels)``.

    On a CPU in single precision it is computed as a convolution with a kernel of one point. The
    numbers are those of the matrix product, but oneDNN is up to twice as fast as the BLAS at
    matrices as tall and narrow as these, above all on CPUs not made by Intel.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self._is_faster_as_convolution(x):
            return super().forward(x)
        image = x.reshape(x.shape[0], -1, 1, self.in_features).permute(0, 3, 1, 2)
        image = F.conv2d(image, self.weight[:, :, None, None], self.bias)
        return image.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)

    def _is_faster_as_convolution(self, x: Tensor) -> bool:
        return (
            x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.ndim > 2
            and x.shape[0] > 1
            and self.out_features >= 16
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )


def mlp(inputs: int, hidden: int | None, outputs: int) -> nn.Sequential:
    """One hidden layer with GELU, or a linear map where ``hidden`` is None."""
    if hidden is None:
        return nn.Sequential(Pointwise(inputs, outputs))
    return nn.Sequential(Pointwise(inputs, hidden), nn.GELU(), Pointwise(hidden, outputs))
