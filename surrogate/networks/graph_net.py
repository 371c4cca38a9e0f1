"""Message passing between individuals, such as particles.

References:
    Battaglia et al., Interaction networks for learning about objects, relations and physics,
    NeurIPS 2016, arXiv:1612.00222.
    Sanchez-Gonzalez et al., Learning to simulate complex physics with graph networks, ICML 2020,
    arXiv:2002.09405.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from surrogate.networks.network import Network, Signature
from surrogate.networks.perceptron import Perceptron

#: Distance, in standardised coordinates, below which an encounter is close
CLOSE = 0.1


class Messages(nn.Module):
    """One round of messages along the edges, and what the receivers make of them."""

    def __init__(self, width: int, edge: int) -> None:
        super().__init__()
        # The first layer of the message, by parts: receivers and senders are fewer than edges
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width, bias=False)
        self.between = nn.Linear(edge, width, bias=False)
        self.message = nn.Linear(width, width)
        self.update = Perceptron(2 * width, width, 1, width)

    def forward(self, h: Tensor, edges: Tensor, senders: Tensor) -> Tensor:
        first = self.receiver(h)[:, :, None] + _gather(self.sender(h), senders)
        messages = self.message(F.gelu(first + self.between(edges))).mean(dim=2)
        return h + self.update(torch.cat([h, messages], dim=-1))


class GraphNet(Network):
    """Message passing on the graph of nearest neighbours.

        h_i = encode(v_i, θ)
        h_i ← h_i + U(h_i, mean_j M(h_i, h_j, r_ij, |r_ij|, 1 / (δ + |r_ij|))),   r_ij = x_j − x_i
        y_i = first frame of i + decode(h_i)

    with the coordinates x, all other channels v of an individual and the scalars θ; j runs over the
    nearest neighbours of i at the start, and over everybody where they are few. Scalar outputs are
    read from the mean of h. Relabelling the individuals relabels the answer, and moving all of them
    moves it along: coordinates enter by differences alone.

    It needs to be told what channels mean. The first frames that are given (``Signature.initial``)
    are taken to be coordinates first and velocities after them; an individual whose fields start
    unknown is told from others by its channels alone. What is not physical: coordinates are
    standardised axis by axis, so that rotations and the units of distances are only learnt; forces
    are not opposite in pairs, so that momentum and energy are kept as well as they are learnt; a
    box whose side changes from sample to sample has no single ``period``.

    Args:
        width: of the hidden layers.
        rounds: of messages.
        neighbours: of each individual.
        positions: how many of the fields with a given first frame are coordinates, the first ones;
            half of them by default.
        period: side of a periodic box in standardised coordinates, ``side / std``, for all axes;
            differences are then those to the nearest image.

    Raises:
        ValueError: if a setting is out of range, or there is no single axis of individuals.
    """

    recipe: ClassVar[dict[str, Any]] = {"epochs": 200, "batch_size": 16, "learning_rate": 2e-3}
    adds_first_frames = True
    first_frames: Tensor
    everybody: Tensor

    def __init__(
        self,
        width: int = 64,
        rounds: int = 3,
        neighbours: int = 16,
        positions: int | None = None,
        period: float | None = None,
    ) -> None:
        super().__init__(
            width=width, rounds=rounds, neighbours=neighbours, positions=positions, period=period
        )
        self._check_at_least_one("width", "rounds", "neighbours")
        if positions is not None and positions < 0:
            raise ValueError(f"positions={positions}: must be 0 or more")
        if period is not None and not period > 0:
            raise ValueError(f"period={period}: must be positive")

    def create_layers(self, signature: Signature) -> None:
        if len(signature.grid) != 1 or signature.grid[0] < 2 or not signature.in_channels:
            raise ValueError(
                f"grid={signature.grid}, in_channels={signature.in_channels}: GraphNet works on "
                "one axis of two or more individuals that have field inputs"
            )
        width, members = self.config["width"], signature.grid[0]
        given = [start for start in signature.initial if start >= 0]
        positions = self.config["positions"]
        positions = len(given) // 2 if positions is None else positions
        if positions > len(given):
            raise ValueError(
                f"positions={positions}: only {len(given)} fields have a given first frame"
            )
        self.coordinates = given[:positions]
        self.others = [c for c in range(signature.in_channels) if c not in self.coordinates]
        # Without coordinates nobody is near
        count = min(self.config["neighbours"], members - 1) if positions else members - 1
        self.is_complete, self.count = count == members - 1, count
        apart = torch.arange(members - 1)[None].expand(members, -1)
        everybody = apart + (apart >= torch.arange(members)[:, None]).long()
        self.register_buffer("everybody", everybody, persistent=False)
        sources = torch.tensor(signature.first_frames, dtype=torch.long)
        self.register_buffer("first_frames", sources, persistent=False)
        features = len(self.others) + signature.in_scalars
        self.encode = Perceptron(features, width, 1, width)
        edge = positions + 2
        self.rounds = nn.ModuleList(Messages(width, edge) for _ in range(self.config["rounds"]))
        self.decode = Perceptron(width, width, 1, signature.out_channels)
        self.readout = None
        if signature.out_scalars:
            self.readout = Perceptron(width, width, 1, signature.out_scalars)

    def apart(self, difference: Tensor) -> Tensor:
        """A difference of coordinates, in a periodic box to the nearest image."""
        period = self.config["period"]
        if period is None:
            return difference
        return difference - period * torch.round(difference / period)

    def senders(self, x: Tensor) -> Tensor:
        """Whom each individual hears, ``(batch, members, count)``."""
        if self.is_complete:
            return self.everybody.expand(x.shape[0], -1, -1)
        others = _gather(x, self.everybody.expand(x.shape[0], -1, -1))
        squared = self.apart(others - x[:, :, None]).square().sum(dim=-1)
        nearest = squared.topk(self.count, dim=-1, largest=False).indices
        return self.everybody.expand(x.shape[0], -1, -1).gather(2, nearest)

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        self.check_inputs(fields, scalars)
        batch, members = fields.shape[:2]
        x = fields[..., self.coordinates]
        senders = self.senders(x.detach())
        r = fields.new_empty(batch, members, self.count, 0)
        if self.coordinates:  # no runtime of graphs can gather nothing
            r = self.apart(_gather(x, senders) - x[:, :, None])
        # The square root has no derivative at zero, where individuals coincide
        distance = (r.square().sum(dim=-1, keepdim=True) + 1e-12).sqrt()
        edges = torch.cat([r, distance, 1 / (CLOSE + distance)], dim=-1)
        common = scalars[:, None].expand(batch, members, -1)
        h = self.encode(torch.cat([fields[..., self.others], common], dim=-1))
        for messages in self.rounds:
            h = messages(h, edges, senders)
        known = torch.cat([fields, fields.new_zeros(batch, members, 1)], dim=-1)
        out_fields = self.decode(h) + known[..., self.first_frames]
        if self.readout is None:
            return out_fields, h.new_empty(batch, 0)
        return out_fields, self.readout(h.mean(dim=1))


def _gather(values: Tensor, senders: Tensor) -> Tensor:
    """Rows of ``(batch, members, channels)`` at ``(batch, members, count)`` indices."""
    batch, members, count = senders.shape
    index = senders.reshape(batch, members * count, 1).expand(-1, -1, values.shape[-1])
    return values.gather(1, index).reshape(batch, members, count, values.shape[-1])
