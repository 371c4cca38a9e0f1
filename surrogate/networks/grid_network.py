"""The frame of all networks that work on the points of a grid: lift, blocks, projection."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from surrogate.networks import geometry
from surrogate.networks.network import Network, Signature
from surrogate.networks.pointwise import mlp


class Geometry(NamedTuple):
    """What does not depend on the data: computed once a grid.

    Args:
        coordinates: what is appended to the fields, ``(*grid, coordinates)``.
        weights: share of the domain that each point stands for, ``(points,)``.
        operators: matrices that the blocks of a network need.
    """

    coordinates: Tensor
    weights: Tensor
    operators: Any


class GridNetwork(Network):
    """Base of networks on grids of one to three axes, channels last.

        x_0     = lift(fields, coordinates)
        x_{l+1} = block_l(x_l; γ_l, β_l)
        fields  = project(x_L)
        scalars = readout(∫ x_L)

    A small MLP computes a scale ``γ_l`` and a shift ``β_l`` for each channel from the scalar
    inputs; its last layer starts at a tenth of its usual size, so that a fresh network is nearly
    unconditioned. The integral over the domain is the mean of ``x_L`` weighted by what each point
    stands for.

    Coordinates are appended only where there is an origin: ``2x - 1`` on axes that are not
    periodic, and ``sin 2πx, cos 2πx`` on periodic ones if asked for or if nothing else tells the
    points apart (no field inputs). Without them a network may commute with translations.

    A subclass has the settings ``width``, ``projection``, ``coordinates`` (true if it has none) and
    perhaps ``lifting``, and makes ``self.blocks``.

    References:
        E. Perez et al., "FiLM: visual reasoning with a general conditioning layer", AAAI 2018,
        arXiv:1709.07871.
    """

    lift: nn.Sequential
    blocks: nn.ModuleList
    project: nn.Sequential | None
    readout: nn.Sequential | None
    modulate: nn.Sequential | None
    frequencies = 1
    """Of the coordinates, see :func:`surrogate.networks.geometry.coordinates`."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._geometries: dict[tuple[int, ...], Geometry] = {}
        self._check_at_least_one("width", "projection")

    def _check_at_least_one(self, *names: str) -> None:
        for name in names:
            value = self.config[name]
            if (value if isinstance(value, int) else min(value, default=0)) < 1:
                raise ValueError(f"{name}={value}: must be at least 1")

    @abstractmethod
    def create_blocks(self, signature: Signature) -> list[int]:
        """Make ``self.blocks`` and return how many channels of each one are modulated."""

    def create_operators(self, grid: tuple[int, ...], like: Tensor) -> Any:
        """Matrices for this grid, of the type and on the device of ``like``; none by default."""
        return None

    def create_layers(self, signature: Signature) -> None:
        if len(signature.grid) not in (1, 2, 3):
            raise ValueError(
                f"grid={signature.grid}: {type(self).__name__} works on grids of one, two or three "
                "axes"
            )
        everywhere = self.config.get("coordinates", True) or signature.in_channels == 0
        self.located = [everywhere or not wraps for wraps in signature.periodic]
        width, hidden = self.config["width"], self.config["projection"]
        positions = self._coordinates(signature, signature.grid).shape[-1]
        self.lift = mlp(signature.in_channels + positions, self.config.get("lifting"), width)
        self.modulated = self.create_blocks(signature)
        self.project = (
            mlp(width, hidden, signature.out_channels) if signature.out_channels else None
        )
        self.readout = mlp(width, hidden, signature.out_scalars) if signature.out_scalars else None
        self.modulate = None
        if signature.in_scalars:
            self.modulate = mlp(signature.in_scalars, width, 2 * sum(self.modulated))
            for parameter in self.modulate[-1].parameters():
                parameter.data *= 0.1

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        batch, *grid, _ = fields.shape
        here = self._geometry(tuple(grid))
        position = here.coordinates.expand(batch, *here.coordinates.shape)
        x = self.lift(torch.cat([fields, position], dim=-1))
        modulations: Sequence[Tensor | None] = [None] * len(self.modulated)
        if self.modulate is not None:
            parts = self.modulate(scalars).split([2 * n for n in self.modulated], dim=1)
            modulations = [part.reshape(batch, 2, *[1] * len(grid), -1) for part in parts]
        x = self.transform(x, here, modulations)
        out_fields = x.new_empty(batch, *grid, 0) if self.project is None else self.project(x)
        if self.readout is None:
            return out_fields, x.new_empty(batch, 0)
        return out_fields, self.readout(here.weights @ x.flatten(1, -2))

    def transform(self, x: Tensor, here: Geometry, modulations: Sequence[Tensor | None]) -> Tensor:
        """Apply the blocks, one after another by default, to ``(batch, *grid, width)``."""
        for block, modulation in zip(self.blocks, modulations, strict=True):
            x = block(x, here, modulation)
        return x

    def _coordinates(self, signature: Signature, grid: tuple[int, ...]) -> Tensor:
        return geometry.coordinates(
            grid, signature.periodic, signature.placement, self.located, self.frequencies
        )

    def _geometry(self, grid: tuple[int, ...]) -> Geometry:
        """Everything that depends on the grid alone, kept for the next call."""
        if grid in self._geometries:
            return self._geometries[grid]
        assert self.signature is not None
        signature, like = self.signature, next(self.lift.parameters())
        here = Geometry(
            self._coordinates(signature, grid).to(like),
            geometry.weights(grid, signature.periodic, signature.placement).to(like),
            self.create_operators(grid, like),
        )
        # What is computed while a graph is being recorded belongs to that graph.
        if not torch.compiler.is_compiling():
            self._geometries[grid] = here
        return here

    def build(self, signature: Signature) -> Self:
        super().build(signature)
        self._geometry(signature.grid)
        return self

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # After a change of type or device the matrices come from float64 again, not from a cast.
        super()._apply(fn, recurse)
        self._geometries = {}
        if self.signature is not None:
            self._geometry(self.signature.grid)
        return self


def modulated(y: Tensor, modulation: Tensor | None) -> Tensor:
    """``(1 + γ) ⊙ y + β`` of ``(batch, *grid, channels)``, for ``(γ, β)`` along axis 1."""
    if modulation is None:
        return y
    scale, shift = modulation.unbind(dim=1)
    return torch.addcmul(shift, 1 + scale, y)
