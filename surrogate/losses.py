"""Training losses on torch tensors."""

import torch
from torch import Tensor


def relative_l2(prediction: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Relative L2 error of each sample, ``‖p − y‖ / ‖y‖``, shape ``(batch,)``.

    Args:
        prediction: ``(batch, …)``.
        target: the same shape.
        weights: quadrature weights that broadcast against the batch; equal weights by default.
    """
    difference = (prediction - target) ** 2
    size = target**2
    if weights is not None:
        difference, size = weights * difference, weights * size
    error, norm = difference.flatten(1).sum(1), size.flatten(1).sum(1)
    # The gradient of a root is infinite at 0, where a perfect prediction would put it
    return torch.sqrt(error + 1e-24 * norm) / torch.sqrt(norm + torch.finfo(norm.dtype).tiny)
