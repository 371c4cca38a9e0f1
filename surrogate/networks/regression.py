"""Ridge regression whose penalty is chosen by the leave-one-out error.

References:
    Allen, The relationship between variable selection and data augmentation and a method for
    prediction, Technometrics 16 (1974) 125: the leave-one-out error (PRESS).
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def ridge_regression(
    terms: Tensor, targets: Tensor, weights: Tensor, penalties: Iterable[Tensor]
) -> Tensor:
    """Coefficients ``(terms, outputs)`` of the penalty with the smallest leave-one-out error.

    Args:
        terms: shape ``(samples, terms)``.
        targets: shape ``(samples, outputs)``.
        weights: of the residuals of each sample, ``(samples, 1)``.
        penalties: each of shape ``(terms,)``, in units of the norm of the weights.
    """
    n = len(terms)
    matrix, weighted = weights * terms, weights * targets
    scale = float(weights.pow(2).mean().sqrt()) * math.sqrt(n)
    best = torch.zeros(terms.shape[1], targets.shape[1], dtype=terms.dtype)
    best_error = math.inf
    for penalty in penalties:
        q, r = torch.linalg.qr(torch.cat([matrix, torch.diag(scale * penalty)]))
        q = q[:n]
        fit = torch.linalg.solve_triangular(r, q.T @ weighted, upper=True)
        # The error at each sample, if it were left out, follows from its leverage
        leverage = q.pow(2).sum(dim=1, keepdim=True)
        left_out = (weighted - matrix @ fit) / (1 - leverage)
        error = float(left_out.norm(dim=1).mean())
        if error < best_error:
            best, best_error = fit, error
    return best
