"""Constraints that a field keeps exactly: maps of any values to values that satisfy them.

They act on normalised values ``z``; the physical ones are ``p = mean + std · z``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from surrogate.networks import geometry
from surrogate.networks.network import Signature


@dataclass(frozen=True)
class Scope:
    """What a constraint knows of the field it acts on.

    Args:
        signature: of the network.
        field: which of its output fields.
        first: the given first frame, repeated for each frame, ``(batch, *grid, channels)``.
        mean: of the normalisation, ``(channels,)``.
        std: of the normalisation, ``(channels,)``.
        lengths: physical length of each axis, ``(axes,)``.
    """

    signature: Signature
    field: int
    first: Tensor
    mean: Tensor
    std: Tensor
    lengths: Tensor


class Constraint(ABC):
    """A map of the values of a field onto, or into, those that satisfy an equation."""

    def check(self, signature: Signature, field: int) -> None:  # noqa: B027 any field will do
        """Raise ValueError, saying what is needed, if a field of this kind cannot keep it."""

    @abstractmethod
    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        """Normalised values ``(batch, *grid, channels)`` that satisfy the constraint."""

    def targets(self, z: Tensor, scope: Scope) -> Tensor:
        """What a network must answer for the constrained answer to be ``z``."""
        return z


def _mean(z: Tensor, signature: Signature) -> Tensor:
    """The integral over the domain divided by its size, ``(batch, 1…, channels)``."""
    for axis, (wraps, place) in enumerate(
        zip(signature.periodic, signature.placement, strict=True), start=1
    ):
        share = geometry.quadrature(z.shape[axis], wraps, place).to(z)
        z = (z.movedim(axis, -1) @ share).unsqueeze(axis)
    return z


class ZeroMean(Constraint):
    """``p ← p − ∫p dx / |Ω|``, for each component and stored time."""

    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        return z - (_mean(z, scope.signature) + scope.mean / scope.std)


class ConservedMean(Constraint):
    """``p ← p − ∫(p − p₀) dx / |Ω|``: the integral of the given first frame ``p₀`` is kept.

    True of a density between closed walls, or on a periodic domain, without sources.
    """

    def check(self, signature: Signature, field: int) -> None:
        if signature.initial[field] < 0:
            raise ValueError("conserved_mean needs a field whose first frame is given")

    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        return z - _mean(z - scope.first, scope.signature)


class Positive(Constraint):
    """``p ← ε + std · softplus(p / std)``, with ``ε`` a few units of round-off.

    Nearly the identity where the field exceeds its deviation. ``ε`` keeps ``mean + std · z``
    positive in the precision of the network. No projection: two applications are not one.
    """

    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        zero = -scope.mean / scope.std
        return zero + self._floor(z, scope) + softplus(z - zero)

    def targets(self, z: Tensor, scope: Scope) -> Tensor:
        zero = -scope.mean / scope.std
        # softplus⁻¹; measured fields may touch zero, which softplus reaches at −∞
        above = (z - zero - self._floor(z, scope)).clamp_min(1e-4)
        return zero + above + torch.log(-torch.expm1(-above))

    @staticmethod
    def _floor(z: Tensor, scope: Scope) -> Tensor:
        # What z may be the sum of: the first frame and a change
        size = (scope.mean / scope.std).abs() + scope.first.abs() + 1
        return 8 * torch.finfo(z.dtype).eps * size


class DivergenceFree(Constraint):
    """Helmholtz projection of vectors on a periodic grid: ``p̂ ← p̂ − k (k · p̂) / |k|²``.

    With it the spectral divergence ``Σ ∂p_i/∂x_i`` vanishes; where an axis has an even number of
    points, the derivative of its highest wave is 0, as it has no other real value on the grid.

    References:
        A. J. Chorin, "Numerical solution of the Navier-Stokes equations", Math. Comp. 22 (1968);
        C. M. Jiang et al., "Enforcing physical constraints in CNNs through differentiable PDE
        layer", ICLR 2020 workshop.
    """

    def check(self, signature: Signature, field: int) -> None:
        axes = len(signature.grid)
        if axes not in (2, 3) or not all(signature.periodic):
            raise ValueError(
                "divergence_free needs a grid of two or three axes that are all periodic, "
                f"not periodic={signature.periodic}"
            )
        if signature.components[field] != axes:
            raise ValueError(
                f"divergence_free needs a vector of {axes} components, "
                f"not {signature.components[field]}"
            )

    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        grid = z.shape[1:-1]
        over = tuple(range(1, 1 + len(grid)))
        spectrum = torch.fft.rfftn(z * scope.std, dim=over).unflatten(-1, (-1, len(grid)))
        k = wave_numbers(grid, scope.lengths.to(z))
        square = k.square().sum(dim=-1, keepdim=True)
        along = (spectrum * k[..., None, :]).sum(dim=-1, keepdim=True)
        # Waves without a derivative, the mean first of all, stay: there along = 0
        gradient = along * (k / torch.where(square > 0, square, 1.0))[..., None, :]
        parallel = torch.fft.irfftn(gradient.flatten(-2), s=grid, dim=over)
        return z - parallel / scope.std


def wave_numbers(grid: tuple[int, ...], lengths: Tensor) -> Tensor:
    """Wave vectors of ``rfftn`` in units of 2π, ``(*half grid, axes)``, the highest waves 0."""
    columns = []
    for axis, n in enumerate(grid):
        last = axis == len(grid) - 1
        index = (torch.fft.rfftfreq if last else torch.fft.fftfreq)(n, 1 / n)
        index = torch.where(2 * index.abs().round() == n, 0.0, index.round())
        columns.append(index.to(lengths) / lengths[axis])
    return torch.stack(torch.meshgrid(*columns, indexing="ij"), dim=-1)


class Walls(Constraint):
    """``p ← g`` in the points on walls: Dirichlet conditions on axes that are not periodic.

    Args:
        values: ``g`` on all walls, a number or one for each component; or for each axis of the
            grid null or a pair, of the lower and the upper wall, of such values or null, as in
            ``[null, [0, [1, 0]]]``. Where walls meet, the later one is taken.
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def check(self, signature: Signature, field: int) -> None:
        walls = self._walls(signature, field)
        if not walls:
            raise ValueError(
                f"walls={self.values!r} needs an axis that is not periodic, "
                f"not periodic={signature.periodic}"
            )
        for axis, *_ in walls:
            if signature.periodic[axis] or signature.placement[axis] == "cells":
                raise ValueError(
                    f"walls={self.values!r} needs points on the walls; axis {axis} has none: "
                    f"periodic={signature.periodic}, placement={signature.placement}"
                )

    def _walls(self, signature: Signature, field: int) -> list[tuple[int, int, list[float]]]:
        """Axis, side (0 or −1) and value of each component, of every wall."""
        components = signature.components[field]

        def of_components(value: Any) -> list[float] | None:
            given = value if isinstance(value, (list, tuple)) else [value] * components
            numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in given)
            return [float(v) for v in given] if numbers and len(given) == components else None

        everywhere = of_components(self.values)
        if everywhere is not None:
            free = [axis for axis, wraps in enumerate(signature.periodic) if not wraps]
            return [(axis, side, everywhere) for axis in free for side in (0, -1)]
        walls = []
        by_axis = self.values if isinstance(self.values, (list, tuple)) else ()
        right = len(by_axis) == len(signature.grid)
        for axis, pair in enumerate(by_axis):
            if pair is None:
                continue
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                right = False
                break
            for side, value in zip((0, -1), pair, strict=True):
                numbers = of_components(value)
                right = right and (value is None or numbers is not None)
                if numbers is not None:
                    walls.append((axis, side, numbers))
        if not right:
            raise ValueError(
                f"walls={self.values!r}: must be a number or one for each of {components} "
                f"components, or for each of {len(signature.grid)} axes null or a pair of such "
                "values or null"
            )
        return walls

    def __call__(self, z: Tensor, scope: Scope) -> Tensor:
        frames = scope.signature.frames[scope.field]
        for axis, side, values in self._walls(scope.signature, scope.field):
            n = z.shape[1 + axis]
            on_wall = (torch.arange(n, device=z.device) == side % n).reshape(
                -1, *[1] * (z.ndim - 2 - axis)
            )
            z = torch.where(on_wall, (z.new_tensor(values * frames) - scope.mean) / scope.std, z)
        return z


NAMED: dict[str, type[Constraint]] = {
    "zero_mean": ZeroMean,
    "conserved_mean": ConservedMean,
    "positive": Positive,
    "divergence_free": DivergenceFree,
}
ALLOWED = f"{', '.join(NAMED)}, {{'walls': value}}"


def constraints_of(field: str, declared: Any) -> list[Constraint]:
    """The constraints that a user has declared for a field.

    Args:
        field: its name, for messages.
        declared: a name of `NAMED`, ``{"walls": values}``, or ``["divergence_free", …]`` with one
            of the means, which are the only ones that keep each other.

    Raises:
        ValueError: there is no such constraint, or two that undo each other.
    """
    several = list(declared) if isinstance(declared, (list, tuple)) else [declared]
    found: list[Constraint] = []
    for one in several:
        if isinstance(one, str) and one in NAMED:
            found.append(NAMED[one]())
        elif isinstance(one, Mapping) and list(one) == ["walls"]:
            found.append(Walls(one["walls"]))
        else:
            raise ValueError(f"{field}={declared!r}: a constraint must be one of {ALLOWED}")
    # The mean is a wave that the projection leaves alone
    means = sum(isinstance(c, (ZeroMean, ConservedMean)) for c in found)
    free = sum(isinstance(c, DivergenceFree) for c in found)
    if len(found) != 1 and not (len(found) == 2 and means == free == 1):
        raise ValueError(
            f"{field}={declared!r}: must be one constraint, or divergence_free and one of "
            "zero_mean and conserved_mean"
        )
    return found
