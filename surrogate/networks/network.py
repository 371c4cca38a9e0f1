"""What every network is: a module that knows array sizes and nothing of files, units or scaling."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from torch import Tensor, nn

Placement = Literal["cells", "nodes", "chebyshev"]
"""Where the points of an axis are, see :func:`surrogate.networks.geometry.positions`."""


def default_placement(periodic: Sequence[bool]) -> tuple[Placement, ...]:
    """Nodes on periodic axes and cells on others."""
    return tuple("nodes" if wraps else "cells" for wraps in periodic)


@dataclass(frozen=True)
class Signature:
    """The sizes a network is built for. ``dataclasses.asdict`` and back through JSON is lossless.

    Args:
        grid: number of points along each axis; empty where there is no space.
        periodic: whether each axis is periodic.
        in_channels: field inputs at each point, 0 for a map from parameters alone.
        in_scalars: scalar inputs.
        out_channels: field outputs at each point.
        out_scalars: scalar outputs.
        field_channels: how many of the output channels belong to each physical field, in their
            order; by default they are one field. Within a field, stored times come first and the
            components of a vector second: channel ``time · components + component``.
        placement: where the points of each axis are: centres of equal cells, equidistant nodes
            from end to end (on a periodic axis without the end), or the Chebyshev nodes of a
            polynomial. By default nodes on periodic axes and cells on others.
        frames: for each field how many stored times are among its channels, by default one. All
            fields end at the same time; one whose first frame is given begins a frame later.
        scalar_frames: the same for all scalar outputs, each of which has its stored times together.
        initial: for each field the first input channel of its given first frame, −1 where none is
            given; by default none is.
        names: of the output fields, by default their number. They are labels: signatures that
            differ in them alone are equal.

    Raises:
        ValueError: if a size is impossible.
    """

    grid: tuple[int, ...]
    periodic: tuple[bool, ...]
    in_channels: int
    in_scalars: int
    out_channels: int
    out_scalars: int = 0
    field_channels: tuple[int, ...] = ()
    placement: tuple[Placement, ...] = ()
    frames: tuple[int, ...] = ()
    scalar_frames: int = 1
    initial: tuple[int, ...] = ()
    names: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        object.__setattr__(self, "periodic", tuple(self.periodic))
        if min(self.grid, default=1) < 1:
            raise ValueError(f"grid={self.grid}: every axis must have at least one point")
        if len(self.periodic) != len(self.grid):
            raise ValueError(
                f"periodic={self.periodic}: one entry for each axis of grid={self.grid} is needed"
            )
        placement = tuple(self.placement) or default_placement(self.periodic)
        object.__setattr__(self, "placement", placement)
        if len(self.placement) != len(self.grid):
            raise ValueError(
                f"placement={self.placement}: one entry for each axis of grid={self.grid} is needed"
            )
        for place, wraps in zip(self.placement, self.periodic, strict=True):
            if place not in get_args(Placement) or (place == "chebyshev" and wraps):
                raise ValueError(
                    f"placement={self.placement}: must be cells, nodes or, on axes that are not "
                    "periodic, chebyshev"
                )
        for name in ("in_channels", "in_scalars", "out_channels", "out_scalars"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be 0 or more")
        if not self.field_channels and self.out_channels:
            object.__setattr__(self, "field_channels", (self.out_channels,))
        object.__setattr__(self, "field_channels", tuple(self.field_channels))
        if sum(self.field_channels) != self.out_channels:
            raise ValueError(
                f"field_channels={self.field_channels}: must add up to {self.out_channels}"
            )
        fields = len(self.field_channels)
        for name, default in (("frames", 1), ("initial", -1)):
            values = tuple(getattr(self, name)) or (default,) * fields
            object.__setattr__(self, name, values)
            if len(values) != fields:
                raise ValueError(f"{name}={values}: one entry for each of {fields} fields")
        names = tuple(self.names) or tuple(map(str, range(fields)))
        object.__setattr__(self, "names", names)
        if len(names) != fields or len(set(names)) != fields:
            raise ValueError(
                f"names={names}: a different one for each of {fields} fields is needed"
            )
        for channels, frames, start in zip(
            self.field_channels, self.frames, self.initial, strict=True
        ):
            if frames < 1 or channels % frames:
                raise ValueError(
                    f"frames={self.frames}: {channels} channels of a field are not {frames} frames"
                )
            if start >= 0 and start + channels // frames > self.in_channels:
                raise ValueError(
                    f"initial={self.initial}: a first frame exceeds in_channels={self.in_channels}"
                )
        if self.scalar_frames < 1 or self.out_scalars % self.scalar_frames:
            raise ValueError(
                f"scalar_frames={self.scalar_frames}: must divide out_scalars={self.out_scalars}"
            )
        if self.in_channels + self.in_scalars == 0:
            raise ValueError("in_channels=0 and in_scalars=0: a network needs an input")
        if self.out_channels + self.out_scalars == 0:
            raise ValueError("out_channels=0 and out_scalars=0: a network needs an output")

    @property
    def components(self) -> tuple[int, ...]:
        """Components of each field: 1 for a scalar, more for a vector."""
        return tuple(c // n for c, n in zip(self.field_channels, self.frames, strict=True))

    @property
    def first_frames(self) -> tuple[int, ...]:
        """For each output channel the input channel with its first frame, −1 where none is."""
        sources: list[int] = []
        for start, frames, components in zip(
            self.initial, self.frames, self.components, strict=True
        ):
            once = range(start, start + components) if start >= 0 else (-1,) * components
            sources += [*once] * frames
        return tuple(sources)


@dataclass(frozen=True)
class Scaling:
    """What the output channels of a network mean in physical units.

        physical = mean + std · (from_first · first frame + change · output)

    with the first frame as the network is given it.

    Args:
        mean: of each channel.
        std: of each channel.
        change: of each channel; 1 unless the network answers with the change of a state.
        from_first: 1 for channels that are such a change, 0 for others.
        lengths: of each axis of the grid, float64.
    """

    mean: Tensor
    std: Tensor
    change: Tensor
    from_first: Tensor
    lengths: Tensor


class Network(nn.Module, ABC):
    """A map of fields and scalars to fields and scalars, in four steps.

    The constructor takes architecture settings and nothing else; :meth:`build` creates the layers
    for the sizes of a problem; :meth:`prepare` may look at the training data, :meth:`calibrate` at
    their units; ``forward`` evaluates. The name of the class, ``config``, the signature and the
    state dict rebuild a network exactly:

        network = by_name(name)(**config).build(signature)
        network.load_state_dict(state)

    Args:
        config: every argument of the subclass's constructor, by name, as JSON values.
    """

    any_grid = False
    """Whether ``forward`` also takes grids other than that of the signature."""

    adds_first_frames = False
    """Whether ``forward`` answers the given first frames plus a change, instead of the change."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = config
        self.signature: Signature | None = None

    def _check_at_least_one(self, *names: str) -> None:
        """Raise ValueError if one of these settings is smaller than 1."""
        for name in names:
            value = self.config[name]
            if (value if isinstance(value, int) else min(value, default=0)) < 1:
                raise ValueError(f"{name}={value}: must be at least 1")

    def build(self, signature: Signature) -> Self:
        """Create the layers for these sizes and return the network itself.

        Raises:
            RuntimeError: if the network is built already.
            ValueError: if the architecture cannot serve this signature.
        """
        if self.signature is not None:
            raise RuntimeError(f"{type(self).__name__} is already built for {self.signature}")
        self.create_layers(signature)
        self.signature = signature
        return self

    @abstractmethod
    def create_layers(self, signature: Signature) -> None:
        """Create parameters and buffers, whose shapes depend on config and sizes alone."""

    def calibrate(self, scaling: Scaling) -> None:
        """Take note of what the outputs are in physical units, after `build` and before `prepare`.

        Like those of `prepare`, the results must live in the state dict. By default a network
        has no use for units.
        """

    @property
    def is_fitted(self) -> bool:
        """Whether `prepare` looks at the training data."""
        return type(self).prepare is not Network.prepare

    def prepare(
        self, fields: Tensor, scalars: Tensor, out_fields: Tensor, out_scalars: Tensor
    ) -> None:
        """Fit what depends on data (a basis, say) to the normalised training set.

        The results must live in buffers or parameters that ``create_layers`` has made, so that
        the state dict holds them. By default there is nothing to fit.

        Args:
            fields: shape ``(samples, *grid, in_channels)``.
            scalars: shape ``(samples, in_scalars)``.
            out_fields: shape ``(samples, *grid, out_channels)``.
            out_scalars: shape ``(samples, out_scalars)``.
        """

    @abstractmethod
    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the network on a batch.

        Args:
            fields: shape ``(batch, *grid, in_channels)``.
            scalars: shape ``(batch, in_scalars)``.

        Returns:
            Fields ``(batch, *grid, out_channels)`` and scalars ``(batch, out_scalars)``. Where
            there are no channels or scalars, on either side, the last dimension has size 0.

        Raises:
            RuntimeError: before :meth:`build`.
            ValueError: if a shape contradicts the signature.
        """

    def check_inputs(self, fields: Tensor, scalars: Tensor) -> None:
        """Raise the errors of :meth:`forward`."""
        if self.signature is None:
            name = type(self).__name__
            raise RuntimeError(f"{name} has no layers yet: call build(signature) before forward")
        sizes = self.signature
        expected = (*sizes.grid, sizes.in_channels)
        right = fields.shape[1:] == expected or (
            self.any_grid
            and fields.ndim == len(sizes.grid) + 2
            and fields.shape[-1] == sizes.in_channels
        )
        if not right:
            wanted = ", ".join(["batch", *map(str, expected)])
            raise ValueError(f"fields of shape {tuple(fields.shape)}: expected ({wanted})")
        if scalars.ndim != 2 or scalars.shape[1] != sizes.in_scalars:
            raise ValueError(
                f"scalars of shape {tuple(scalars.shape)}: expected (batch, {sizes.in_scalars})"
            )
        if scalars.shape[0] != fields.shape[0]:
            raise ValueError(
                f"a batch of {fields.shape[0]} fields and {scalars.shape[0]} scalars: "
                "both need the same length"
            )
