"""How the inputs and outputs of a simulation become the tensors of a network, and back.

Everything that is particular to a system is in its declarations; nothing here looks at its name.
Parameters are mapped from their sampling range to [−1, 1], in the logarithm where that is their
scale. Fields are standardised by the moments of the train split, component by component. The stored
times of a field, and its components, are channels; the frame that is an initial condition is not
predicted but copied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulations.datasets import Dataset, Trajectories, statistics
from simulations.simulation import Simulation
from surrogate.networks.geometry import placement_of
from surrogate.networks.network import Scaling, Signature

Array = NDArray[np.floating]


class Encoded(NamedTuple):
    """Normalised tensors of some samples, as a network takes and gives them."""

    fields_in: Tensor
    scalars_in: Tensor
    fields_out: Tensor
    scalars_out: Tensor

    def pick(self, samples: Tensor) -> "Encoded":
        """The samples with these indices."""
        return Encoded(*(tensor[samples] for tensor in self))


@dataclass(frozen=True)
class OutputChannels:
    """Where a field's values are among the output channels, and how they are standardised."""

    name: str
    spatial: bool
    channels: slice
    mean: Array
    std: Array


@dataclass(frozen=True, eq=False)
class Encoding:
    """The map between a simulation's arrays and a network's tensors.

    Args:
        simulation: the declarations.
        moments: for each stored variable its ``(mean, std)``, a number or one a component.
        ranges: smallest and largest value of each parameter in the train split.
    """

    simulation: Simulation
    moments: Mapping[str, tuple[Any, Any]]
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> "Encoding":
        """Moments and ranges of the train split, from what was gathered while it was written."""
        shards = [record["moments"] for record in dataset.records("train")]
        moments = {}
        for name in shards[0]:
            merged = statistics.merge(shard[name]["value"] for shard in shards)
            deviation = np.sqrt(np.asarray(merged["centred"]) / merged["count"])
            # A field that never changes keeps its unit of measurement
            deviation = np.where(deviation > 0, deviation, 1.0)
            moments[name] = (np.asarray(merged["mean"]).tolist(), deviation.tolist())
        ranges = {}
        for name in dataset.simulation.parameters:
            values = [v for record in dataset.records("train") for v in record["parameters"][name]]
            ranges[name] = (min(values), max(values))
        return cls(dataset.simulation, moments, ranges)

    @cached_property
    def first_frame(self) -> dict[str, int]:
        """Of each field, the first stored frame that has to be predicted."""
        given = {f.initial_of for f in self.simulation.field_inputs.values()}
        return {name: int(name in given) for name in self.simulation.fields}

    @cached_property
    def outputs(self) -> tuple[OutputChannels, ...]:
        """The layout of the output channels, fields and scalars each counted from 0."""
        layout = []
        used = {True: 0, False: 0}
        for name, field in self.simulation.fields.items():
            frames = self.simulation.times.size - self.first_frame[name]
            components = self.simulation.grid.ndim**field.order
            start = used[field.spatial]
            used[field.spatial] += frames * components
            mean, std = (
                np.tile(np.broadcast_to(np.ravel(moment), components), frames).astype(np.float32)
                for moment in self.moments[name]
            )
            channels = slice(start, used[field.spatial])
            layout.append(OutputChannels(name, field.spatial, channels, mean, std))
        return tuple(layout)

    @cached_property
    def _affine(self) -> dict[bool, tuple[Tensor, Tensor]]:
        """Mean and deviation of all channels together, of the fields and of the scalars."""

        def joined(moments: list[Array]) -> Tensor:
            return torch.as_tensor(np.concatenate([np.empty(0, np.float32), *moments]))

        return {
            spatial: (
                joined([o.mean for o in self.outputs if o.spatial is spatial]),
                joined([o.std for o in self.outputs if o.spatial is spatial]),
            )
            for spatial in (True, False)
        }

    @cached_property
    def signature(self) -> Signature:
        """The sizes a network has to have."""

        def channels(spatial: bool) -> int:
            return max((o.channels.stop for o in self.outputs if o.spatial is spatial), default=0)

        grid = self.simulation.grid
        first_channel, used = {}, 0
        for declared in self.simulation.field_inputs.values():
            if declared.initial_of is not None:
                first_channel[declared.initial_of] = used
            used += grid.ndim**declared.order
        return Signature(
            grid=grid.shape,
            periodic=grid.periodic,
            in_channels=used,
            in_scalars=len(self.simulation.parameters),
            out_channels=channels(True),
            out_scalars=channels(False),
            field_channels=tuple(
                o.channels.stop - o.channels.start for o in self.outputs if o.spatial
            ),
            placement=tuple(
                placement_of(axis.points, axis.bounds, axis.is_periodic) for axis in grid.axes
            ),
            frames=tuple(
                self.simulation.times.size - self.first_frame[o.name]
                for o in self.outputs
                if o.spatial
            ),
            scalar_frames=self.simulation.times.size,
            initial=tuple(first_channel.get(o.name, -1) for o in self.outputs if o.spatial),
            names=tuple(o.name for o in self.outputs if o.spatial),
        )

    @cached_property
    def scaling(self) -> Scaling:
        """What the output channels are in physical units."""
        mean, std = self._affine[True]
        bounds = [axis.bounds for axis in self.simulation.grid.axes]
        lengths = torch.tensor([high - low for low, high in bounds], dtype=torch.float64)
        return Scaling(mean, std, torch.ones_like(std), torch.zeros_like(std), lengths)

    @cached_property
    def weights(self) -> Tensor:
        """Quadrature weights of the grid points with a trailing axis for the channels."""
        return torch.as_tensor(self.simulation.grid.weights, dtype=torch.float32)[..., None]

    def encode(self, samples: Trajectories) -> Encoded:
        """Tensors of stored trajectories."""
        sources = {}
        for name, field_input in self.simulation.field_inputs.items():
            initial = field_input.initial_of
            sources[name] = samples.fields[initial][:, 0] if initial else samples.field_inputs[name]
        fields_in, scalars_in = self.encode_inputs(samples.parameters, sources, len(samples))
        groups: dict[bool, list[Tensor]] = {True: [], False: []}
        for output in self.outputs:
            values = samples.fields[output.name][:, self.first_frame[output.name] :]
            space = self.simulation.grid.ndim if output.spatial else 0
            # (sample, time, *space, *component) -> (sample, *space, time · component)
            values = np.moveaxis(values, 1, 1 + space)
            channels = output.channels.stop - output.channels.start
            values = values.reshape(*values.shape[: 1 + space], channels)
            groups[output.spatial].append(torch.as_tensor((values - output.mean) / output.std))
        n, shape = len(samples), self.simulation.grid.shape
        fields_out = torch.cat(groups[True], -1) if groups[True] else torch.zeros(n, *shape, 0)
        scalars_out = torch.cat(groups[False], -1) if groups[False] else torch.zeros(n, 0)
        return Encoded(fields_in, scalars_in, fields_out, scalars_out)

    def encode_inputs(
        self, parameters: Mapping[str, Array], field_inputs: Mapping[str, Array], n: int
    ) -> tuple[Tensor, Tensor]:
        """Input tensors: parameters ``(n,)`` and field inputs ``(n, *space, *component)`` by name.

        A vector has one channel for each of its components.
        """
        given = {name: _tensor(field_inputs[name]) for name in self.simulation.field_inputs}
        # Joined here: a call of numpy takes less time than one of torch
        values = np.empty((n, len(self.simulation.parameters)))
        for position, name in enumerate(self.simulation.parameters):
            values[:, position] = parameters[name]
        return self._normalised_fields(given, n), self._normalised_scalars(torch.from_numpy(values))

    def normalise(self, inputs: Mapping[str, Tensor], n: int) -> tuple[Tensor, Tensor]:
        """The same of tensors, in operations that an exported graph can record."""
        scalars = [inputs[name].double() for name in self.simulation.parameters]
        joined = torch.stack(scalars, -1) if scalars else torch.empty(n, 0).double()
        return self._normalised_fields(inputs, n), self._normalised_scalars(joined)

    def _normalised_fields(self, inputs: Mapping[str, Tensor], n: int) -> Tensor:
        shape = self.simulation.grid.shape
        fields = [torch.empty(n, *shape, 0)]
        for name, declared in self.simulation.field_inputs.items():
            mean, std = self._standards[name]
            # In double precision: the mean may be large beside the deviation
            values = (inputs[name].double() - mean) / std
            channels = self.simulation.grid.ndim**declared.order
            fields.append(values.float().reshape(n, *shape, channels))
        return torch.cat(fields, -1) if len(fields) > 1 else fields[0]

    def _normalised_scalars(self, values: Tensor) -> Tensor:
        """All parameters together, ``(n, parameters)`` in double precision."""
        is_log, low, width = self._spans
        if is_log is not None:
            values = torch.where(is_log, torch.log(values), values)
        return (2 * (values - low) / width - 1).float()

    @cached_property
    def _standards(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and deviation of each field input."""
        inputs = self.simulation.field_inputs
        moments = {name: self.moments[f.initial_of or name] for name, f in inputs.items()}
        return {
            name: (torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))
            for name, (mean, std) in moments.items()
        }

    @cached_property
    def _spans(self) -> tuple[Tensor | None, Tensor, Tensor]:
        """Of each parameter: whether its logarithm counts, where that begins, how wide it is."""
        is_log, lows, widths = [], [], []
        for parameter in self.simulation.drawn_parameters.values():
            low, high = parameter.sampling
            is_log.append(parameter.scale == "log")
            if is_log[-1]:
                low, high = float(np.log(low)), float(np.log(high))
            lows.append(low)
            widths.append((high - low) or 1.0)
        return (
            torch.tensor(is_log) if any(is_log) else None,
            torch.tensor(lows, dtype=torch.float64),
            torch.tensor(widths, dtype=torch.float64),
        )

    def decode(
        self, fields: Tensor, scalars: Tensor, field_inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Physical arrays ``(n, time, *space, *component)`` of a network's output."""
        starts = {name: _tensor(field_inputs[name]) for name in self.simulation.field_inputs}
        return {k: v.numpy() for k, v in self.denormalise(fields, scalars, starts).items()}

    def denormalise(
        self, fields: Tensor, scalars: Tensor, field_inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The same as tensors, in operations that an exported graph can record."""
        grid = self.simulation.grid
        physical = {
            # An empty constant cannot be read back from a file of torch.export
            spatial: torch.addcmul(mean, tensor, std) if mean.numel() else tensor
            for (spatial, (mean, std)), tensor in zip(
                self._affine.items(), (fields, scalars), strict=True
            )
        }
        decoded: dict[str, Tensor] = {}
        for output in self.outputs:
            values = physical[output.spatial][..., output.channels]
            declared = self.simulation.fields[output.name]
            space = grid.shape if output.spatial else ()
            frames = self.simulation.times.size - self.first_frame[output.name]
            values = values.reshape(-1, *space, frames, *(grid.ndim,) * declared.order)
            decoded[output.name] = values.movedim(1 + len(space), 1)
        for name, declared_input in self.simulation.field_inputs.items():
            initial = declared_input.initial_of
            if initial is not None:
                first = field_inputs[name].float()[:, None]
                decoded[initial] = torch.cat([first, decoded[initial]], dim=1)
        return decoded

    def to_json(self) -> dict[str, Any]:
        return {"moments": dict(self.moments), "ranges": dict(self.ranges)}


def _tensor(values: Array) -> Tensor:
    """Without a copy where torch can share the memory, which is where it may write."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))
