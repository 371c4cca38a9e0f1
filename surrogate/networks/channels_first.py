"""Modules of other libraries, which put channels before the axes of the grid."""

from typing import Any

import torch
from torch import Tensor, nn


class ChannelsFirst(nn.Module):
    """Gives a module on ``(batch, channels, *grid)`` the ``forward`` of a network.

    Scalar inputs become constant channels after those of the fields; there are no scalar outputs.
    How many channels a dataset asks for, ``Encoding.of_dataset(dataset).signature`` says:

        sizes = Encoding.of_dataset(dataset).signature
        theirs = neuralop.models.FNO(
            n_modes=(32,),
            hidden_channels=32,
            in_channels=sizes.in_channels + sizes.in_scalars,
            out_channels=sizes.out_channels,
        )
        emulator = surrogate.train(dataset, ChannelsFirst(theirs))

    A surrogate made of it predicts and compares like any other; it cannot be saved, because a file
    names no code.

    Args:
        module: any module from one tensor to one tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.register_state_dict_post_hook(_keep_tensors)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        constant = scalars.reshape(scalars.shape[0], *[1] * (fields.ndim - 2), -1)
        constant = constant.expand(*fields.shape[:-1], -1)
        answer = self.module(torch.cat([fields, constant], dim=-1).movedim(-1, 1))
        return answer.movedim(1, -1), answer.new_empty(answer.shape[0], 0)


def _keep_tensors(module: nn.Module, state: dict[str, Any], prefix: str, notes: Any) -> None:
    """neuraloperator puts a dictionary of notes among the tensors."""
    for name in [name for name, value in state.items() if not isinstance(value, Tensor)]:
        del state[name]
