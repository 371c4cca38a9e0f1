"""Which optimiser moves which weights."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from surrogate.recipe import Recipe


def create(recipe: Recipe, weights: Sequence[Tensor]) -> list[Optimizer]:
    """The optimisers of a recipe, which together move all weights.

    Muon replaces the gradient of a matrix by the nearest orthogonal one. Its updates are scaled to
    the root mean square of those of AdamW, so that both go by the same learning rate and decay.

    Raises:
        ValueError: the installed torch has no such optimiser.

    References:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
        https://kellerjordan.github.io/posts/muon.
        J. Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    matrices: list[Tensor] = []
    if recipe.optimizer == "muon":
        if not hasattr(torch.optim, "Muon"):
            raise ValueError(
                f"optimizer='muon': needs torch 2.9 or newer, this is {torch.__version__}"
            )
        matrices = [weight for weight in weights if weight.ndim == 2]
    chosen = set(map(id, matrices))
    others = [weight for weight in weights if id(weight) not in chosen]
    optimizers: list[Optimizer] = []
    if matrices:
        optimizers.append(torch.optim.Muon(matrices, rate, decay, adjust_lr_fn="match_rms_adamw"))
    if others:
        optimizers.append(torch.optim.AdamW(others, rate, weight_decay=decay))
    return optimizers


def state(optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """All tensors the optimisers remember, named ``optimiser.weight.quantity``."""
    return {
        f"{which}.{index}.{name}": value
        for which, optimizer in enumerate(optimizers)
        for index, quantities in optimizer.state_dict()["state"].items()
        for name, value in quantities.items()
    }


def restore(optimizers: Iterable[Optimizer], tensors: dict[str, Tensor]) -> None:
    """Give optimisers the `state` that others of the same recipe and network had."""
    for which, optimizer in enumerate(optimizers):
        remembered: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            owner, index, name = key.split(".", 2)
            if int(owner) == which:
                remembered.setdefault(int(index), {})[name] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": remembered, "param_groups": groups})
