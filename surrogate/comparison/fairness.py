"""Ways in which a comparison would not be one, each of them looked for.

What is new to the surrogate is the matter of `held_out`, what is measured that of `measures`, what
is timed that of `timing`; the page ``docs/benchmark-protocol.md`` lists them all.
"""

import numpy as np
import torch

from simulations.datasets import Dataset
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoding

# Moments that differ by less are those of the same data, summed in another order
SAME_MOMENT = 1e-4


class Unfair(ValueError):
    """The two sides of a comparison would not be measured alike."""


def refuse_other_hardware(emulator: Surrogate, whose: str) -> None:
    """A surrogate on an accelerator would be timed against a solver on one core.

    Raises:
        Unfair: some of its weights are not on the processor.
    """
    for name, tensor in _state(emulator).items():
        if tensor.device.type != "cpu":
            raise Unfair(
                f"{whose}: its {name} are on {tensor.device}, the solver runs on the processor; "
                "times are those of one thread for both"
            )


def precision(emulator: Surrogate) -> str:
    """The data types of the network's weights, as they are found."""
    found = sorted(
        {
            str(t.dtype).removeprefix("torch.")
            for t in _state(emulator).values()
            if t.is_floating_point()
        }
    )
    return " and ".join(found) or "float32"


def foreign_normalisation(emulator: Surrogate, dataset: Dataset) -> list[str]:
    """Moments that do not come from the train split may have seen what is held out."""
    ours = getattr(emulator, "encoding", None)
    if not isinstance(ours, Encoding):
        return []
    theirs = Encoding.of_dataset(dataset).moments

    def same(name: str) -> bool:
        deviation = np.max(np.abs(theirs[name][1]))
        pairs = zip(ours.moments[name], theirs[name], strict=True)
        return all(
            np.allclose(a, b, rtol=SAME_MOMENT, atol=SAME_MOMENT * deviation) for a, b in pairs
        )

    strange = [name for name in ours.moments if name not in theirs or not same(name)]
    if not strange:
        return []
    return [
        f"{', '.join(strange)} {'is' if len(strange) == 1 else 'are'} normalised by figures that "
        "are not those of the train split: other data may have been seen."
    ]


def _state(emulator: Surrogate) -> dict[str, torch.Tensor]:
    network = getattr(emulator, "network", None)
    return dict(network.state_dict()) if isinstance(network, torch.nn.Module) else {}
