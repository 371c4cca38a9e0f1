"""What surrogates say about a candidate before the solver does: disagreement, and features.

A score is any function of some surrogates and a batch of inputs that answers ``(batch,)`` numbers,
large where the solver is wanted: `disagreement` is one, the residual of a simulation's own
equations, normalised by that of true data, would be another and needs a single surrogate.

References:
    Musekamp et al., Active learning for neural PDE solvers, ICLR 2025, arXiv:2408.01536.
    Charikar, Chen, Farach-Colton, Finding frequent items in data streams, Theoretical Computer
    Science 312 (2004) 3: the sketch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from surrogate import metrics
from surrogate.emulator import Surrogate

Array = NDArray[np.floating]
Batch = Mapping[str, Array]
Score = Callable[[Sequence[Surrogate], Batch], Array]

LAYERS = ("last", "output")

# Longer features are sketched: distances between samples keep to about 1/√512 of themselves
LONGEST_FEATURE = 512


def disagreement(members: Sequence[Surrogate], batch: Batch) -> Array:
    """How far surrogates are from their mean, relative to its size.

        s = mean over fields of √( ⟨‖y_m − ȳ‖²⟩_m / ‖ȳ‖² )

    with the norms of the error that training reports.

    Args:
        members: of one simulation, at least two.
        batch: every parameter ``(batch,)`` and field input ``(batch, *space, *component)``.

    Returns:
        ``(batch,)``.
    """
    answers = [member.predict(**batch) for member in members]
    grid = members[0].simulation.grid
    scores = []
    for name, field in members[0].simulation.fields.items():
        first = members[0].encoding.first_frame[name]
        weights = field.weights(grid)
        found = [answer[name][:, first:].astype(np.float64) for answer in answers]
        mean = sum(found[1:], found[0]) / len(found)
        spread = [metrics.relative_l2(values, mean, weights) ** 2 for values in found]
        scores.append(np.sqrt(np.mean(spread, axis=0)))
    return np.mean(scores, axis=0)


def features(emulator: Surrogate, batch: Batch, layer: str = "last") -> Array:
    """Where candidates lie as a network sees them, ``(batch, feature)``.

    Args:
        emulator: whose network it is.
        batch: as for `disagreement`.
        layer: ``"last"`` for what enters the last dense layer (of a propagator the mean over
            steps), ``"output"`` for the answer: the shape of each field, ``y / ‖y‖``, and its size,
            ``log ‖y‖``, so that equal distances are equal relative differences. A network without
            dense layers, such as a polynomial, has answers alone.
    """
    if layer == "last":
        entering = _last_layer(emulator, batch)
        if entering is not None:
            return _sketch(entering)
    answer = emulator.predict(**batch)
    shapes, sizes = [], []
    for name, values in answer.items():
        flat = torch.as_tensor(values[:, emulator.encoding.first_frame[name] :]).double().flatten(1)
        size = flat.norm(dim=1, keepdim=True).clamp_min(np.finfo(np.float32).tiny)
        shapes.append(flat / size)
        sizes.append(size.log())
    return np.concatenate([_sketch(torch.cat(shapes, dim=1)), torch.cat(sizes, dim=1)], axis=1)


def _last_layer(emulator: Surrogate, batch: Batch) -> Tensor | None:
    """What enters the dense layer that is called last, if there is one that knows samples."""
    n = len(next(iter(batch.values())))
    inputs = emulator.encoding.encode_inputs(batch, batch, n)
    entered: dict[nn.Module, list[Tensor]] = {}

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        earlier = entered.pop(module, [])  # last is whatever was called last
        entered[module] = [*earlier, arguments[0]]

    dense = [module for module in emulator.learner.modules() if isinstance(module, nn.Linear)]
    hooks = [module.register_forward_pre_hook(note) for module in dense]
    try:
        with torch.inference_mode():
            emulator.network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    last = list(entered.values())[-1] if entered else []
    if not last or len(last[0]) != n:  # graphs have all nodes in one row
        return None
    return torch.stack([values.flatten(1) for values in last]).mean(dim=0)


def _sketch(values: Tensor) -> Array:
    """At most so many features: each entry is added to, or taken from, one of them at random."""
    size = values.shape[1]
    if size <= LONGEST_FEATURE:
        return values.double().numpy()
    generator = torch.Generator().manual_seed(size)
    place = torch.randint(LONGEST_FEATURE, (size,), generator=generator)
    sign = torch.randint(2, (size,), generator=generator) * 2.0 - 1.0
    sketched = torch.zeros(len(values), LONGEST_FEATURE, dtype=torch.float64)
    return sketched.index_add_(1, place, (values * sign).double()).numpy()
