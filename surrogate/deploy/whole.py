"""The whole surrogate as one module: physical inputs by name to physical outputs by name."""

import torch
from torch import Tensor, nn

from surrogate.emulator import Surrogate


class Whole(nn.Module):
    """Encoding, network and decoding of a surrogate in one ``forward``.

    It calls the same `Encoding` as `Surrogate.predict`, so that there is one formula for both.
    Nothing is checked in it: a graph that is recorded from it holds arithmetic alone.
    """

    def __init__(self, emulator: Surrogate) -> None:
        super().__init__()
        self.network, self.encoding = emulator.network, emulator.encoding
        simulation = emulator.simulation
        self.inputs = [*simulation.parameters, *simulation.field_inputs]
        self.outputs = list(simulation.fields)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of each field ``(batch, time, *space, *component)``.

        Args:
            inputs: every parameter, ``(batch,)``, and every field input, ``(batch, *space,
                *component)``, float32.
        """
        n = inputs[self.inputs[0]].shape[0]
        fields, scalars = self.encoding.normalise(inputs, n)
        fields, scalars = self.network(fields, scalars)
        answer = self.encoding.denormalise(fields, scalars, inputs)
        return {name: answer[name] for name in self.outputs}

    def example(self, n: int) -> dict[str, Tensor]:
        """Inputs to record the graph with: parameters inside their ranges, fields of noise."""
        simulation = self.encoding.simulation
        generator = torch.Generator().manual_seed(0)
        shares = torch.linspace(0.25, 0.75, n)
        inputs = {}
        for name in simulation.parameters:
            low, high = self.encoding.ranges[name]
            inputs[name] = low + (high - low) * shares
        for name, declared in simulation.field_inputs.items():
            mean, std = (
                torch.tensor(moment, dtype=torch.float32)
                for moment in self.encoding.moments[declared.initial_of or name]
            )
            shape = (n, *declared.shape(simulation.grid))
            inputs[name] = mean + std * torch.randn(shape, generator=generator)
        return inputs
