"""Propagators: networks that advance a state from one stored time to the next.

A `Rollout` makes an operator of such a network: it takes the encoded inputs of a simulation and
answers with all stored times, so that everything that uses a surrogate is the same for both.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulations.datasets import Dataset, statistics
from simulations.simulation import InvalidInput, check_setting
from surrogate import losses
from surrogate.encoding import Encoded, Encoding
from surrogate.networks.network import Scaling, Signature

#: Share of the training over which a curriculum reaches its full length
CURRICULUM = 0.5


@dataclass(frozen=True)
class Propagator:
    """Learn the step from one stored time to the next, and answer by repeating it.

    The state is every field that has an initial condition; it is fed back. Field inputs that are
    none are constant inputs. All other outputs are read off the present state, step by step, and
    not fed back. Where stored times are not equidistant, the step is a scalar input.

    Args:
        history: frames that a step sees; before the first stored one, that is repeated.
        residual: predict the change of the state, scaled by the deviation that changes have.
        unroll: steps that a training example is rolled out, with gradients through all of them.
            With 1 each step starts from the truth (teacher forcing).
        curriculum: begin with one step and reach ``unroll`` after half of the training.
        pushforward: let the gradient and the loss see the last of the unrolled steps only.
        noise: deviation of the normal noise added to the frames a training example starts from,
            as a share of the deviation of the field.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR 2022 (pushforward).
        Sanchez-Gonzalez et al., Learning to simulate complex physics with graph networks, ICML
        2020 (noise).
    """

    history: int = 1
    residual: bool = True
    unroll: int = 1
    curriculum: bool = False
    pushforward: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_setting("history", self.history, 1, 1000, integer=True)
        check_setting("unroll", self.unroll, 1, 1e6, integer=True)
        check_setting("noise", self.noise, 0, 100)
        for name in ("residual", "curriculum", "pushforward"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"{name}={getattr(self, name)!r}: must be true or false")

    def steps(self, progress: float) -> int:
        """Length of the unrolled training examples when this share of the training is done."""
        if not self.curriculum:
            return self.unroll
        return 1 + math.floor((self.unroll - 1) * min(progress / CURRICULUM, 1.0))


def change_deviations(dataset: Dataset) -> dict[str, Any]:
    """Deviation of the change between stored times of each field, from the train records."""
    shards = [record["moments"] for record in dataset.records("train")]
    deviations = {}
    for name in dataset.simulation.fields:
        if "delta" not in shards[0].get(name, {}):
            continue
        merged = statistics.merge(shard[name]["delta"] for shard in shards)
        mean, centred = np.asarray(merged["mean"]), np.asarray(merged["centred"])
        # About zero: a step that changes nothing is the origin of a residual
        deviations[name] = np.sqrt(mean**2 + centred / merged["count"]).tolist()
    return deviations


class Rollout(nn.Module):
    """The operator that repeats a network's step over all stored times.

    Args:
        network: its ``forward`` maps ``history`` frames of the state and the constant fields, and
            the parameters, to the next state (or its change) and the other outputs of the present.
        encoding: of the simulation's inputs and outputs.
        problem: what a step is.
        deviations: of the change of each field, as `change_deviations` finds them.

    Raises:
        ValueError: no field has an initial condition, or there is only one stored time.
    """

    def __init__(
        self,
        network: nn.Module,
        encoding: Encoding,
        problem: Propagator,
        deviations: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.network, self.problem, self.deviations = network, problem, dict(deviations)
        simulation = encoding.simulation
        components = {n: simulation.grid.ndim**f.order for n, f in simulation.fields.items()}
        self.times = simulation.times.size
        if problem.unroll >= self.times:
            raise ValueError(
                f"unroll={problem.unroll}: must be less than the {self.times} stored times"
            )
        initial: list[int] = []
        constant: list[int] = []
        starts = {}
        used = 0
        for declared in simulation.field_inputs.values():
            channels = list(range(used, used + simulation.grid.ndim**declared.order))
            used += len(channels)
            if declared.initial_of is None:
                constant += channels
            else:
                starts[declared.initial_of] = channels
        if not starts:
            raise ValueError(
                f"{type(simulation).__name__}: no field has an initial condition, so that there is "
                "nothing to propagate"
            )
        # Where the channels of each frame are among the outputs, the first frame of a state apart
        layout: dict[str, list[list[int]]] = {"state": [], "others": [], "scalars": []}
        self.slots: list[tuple[str, slice, Tensor, Tensor]] = []
        scale: list[float] = []
        width = {"state": 0, "others": 0, "scalars": 0}
        for output in encoding.outputs:
            name, count = output.name, components[output.name]
            kind = "state" if name in starts else "others" if output.spatial else "scalars"
            channels = list(range(output.channels.start, output.channels.stop))
            layout[kind].append(channels)
            part = slice(width[kind], width[kind] + count)
            width[kind] += count
            mean, std = torch.as_tensor(output.mean[:count]), torch.as_tensor(output.std[:count])
            self.slots.append((kind, part, mean / std, std / std.mean()))
            if name in starts:
                initial += starts[name]
                change = np.broadcast_to(np.ravel(deviations[name]), count) / output.std[:count]
                scale += np.where(change > 0, change, 1.0).tolist()
        self.width = width
        frames = {"state": self.times - 1, "others": self.times, "scalars": self.times}
        for kind, blocks in layout.items():
            by_frame = [
                channel
                for frame in range(frames[kind])
                for block in blocks
                for channel in block[
                    frame * (len(block) // frames[kind]) : (frame + 1)
                    * (len(block) // frames[kind])
                ]
            ]
            self._index(kind, by_frame)
        self._index("initial", initial)
        self._index("constant", constant)
        self._index("fields_back", np.argsort([*self.state.tolist(), *self.others.tolist()]))
        self._index("scalars_back", np.argsort(self.scalars.tolist()))
        self.register_buffer("change", torch.tensor(scale), persistent=False)
        steps = np.diff(simulation.times, append=2 * simulation.times[-1] - simulation.times[-2])
        self.is_timed = not np.allclose(steps, steps[0], rtol=1e-6)
        relative = torch.as_tensor(steps / steps.mean() - 1, dtype=torch.float32)
        self.register_buffer("time_steps", relative, persistent=False)
        self.signature = self._signature(encoding)
        self.scaling = self._scaling(encoding)
        self.recipe = getattr(network, "recipe", {})

    state: Tensor
    others: Tensor
    scalars: Tensor
    initial: Tensor
    constant: Tensor
    fields_back: Tensor
    scalars_back: Tensor
    change: Tensor
    time_steps: Tensor

    def _index(self, name: str, values: Any) -> None:
        index = torch.as_tensor(np.asarray(values, dtype=np.int64))
        self.register_buffer(name, index, persistent=False)

    def _signature(self, encoding: Encoding) -> Signature:
        """Of a step: the fields of the state first, which begin at their present frame."""
        whole, history = encoding.signature, self.problem.history
        state = [part for kind, part, *_ in self.slots if kind == "state"]
        others = [part for kind, part, *_ in self.slots if kind == "others"]
        present = (history - 1) * self.width["state"]
        return replace(
            whole,
            in_channels=history * self.width["state"] + len(self.constant),
            in_scalars=whole.in_scalars + self.is_timed,
            out_channels=self.width["state"] + self.width["others"],
            out_scalars=self.width["scalars"],
            field_channels=tuple(part.stop - part.start for part in state + others),
            frames=(1,) * len(state + others),
            scalar_frames=1,
            initial=(*(present + part.start for part in state), *(-1 for _ in others)),
            names=tuple(
                output.name
                for wanted in ("state", "others")
                for output, (kind, *_) in zip(encoding.outputs, self.slots, strict=True)
                if kind == wanted
            ),
        )

    def _scaling(self, encoding: Encoding) -> Scaling:
        """What a step answers with, in physical units."""
        channels = [*self.state[: self.width["state"]], *self.others[: self.width["others"]]]
        whole, is_change = encoding.scaling, torch.zeros(len(channels))
        change = torch.ones(len(channels))
        if self.problem.residual:
            is_change[: self.width["state"]] = 1.0
            change[: self.width["state"]] = self.change
        index = torch.tensor(channels, dtype=torch.long)
        return Scaling(whole.mean[index], whole.std[index], change, is_change, whole.lengths)

    def step(
        self, history: list[Tensor], constant: Tensor, scalars: Tensor, times: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next state, and the other fields and scalars of the present one.

        Args:
            history: frames ``(batch, *grid, state)``, the present one last.
            constant: ``(batch, *grid, constant)``.
            scalars: encoded parameters ``(batch, parameters)``.
            times: index of the present stored time, ``(batch,)``.
        """
        if self.is_timed:
            scalars = torch.cat([scalars, self.time_steps[times, None].to(scalars)], 1)
        fields, out_scalars = self.network(torch.cat([*history, constant], -1), scalars)
        following = fields[..., : self.width["state"]]
        if self.problem.residual:
            following = history[-1] + self.change * following
        return following, fields[..., self.width["state"] :], out_scalars

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """All stored times from the encoded inputs, as an operator gives them."""
        constant = fields[..., self.constant]
        history = [fields[..., self.initial]] * self.problem.history
        states, others, out_scalars = [], [], []
        # What is read off the last frame needs one step more, whose state is not used
        reads = self.width["others"] + self.width["scalars"] > 0
        for time in range(self.times if reads else self.times - 1):
            present = torch.full((fields.shape[0],), time, device=fields.device)
            following, other, scalar = self.step(history, constant, scalars, present)
            history = [*history[1:], following]
            states.append(following)
            others.append(other)
            out_scalars.append(scalar)
        joined = torch.cat([*states[: self.times - 1], *others], -1)
        if not reads:
            return joined[..., self.fields_back], scalars.new_empty(scalars.shape[0], 0)
        return joined[..., self.fields_back], torch.cat(out_scalars, 1)[:, self.scalars_back]

    def frames(self, batch: Encoded) -> tuple[Tensor, Tensor, Tensor]:
        """States, other fields and scalars of all stored times, each ``(batch, time, …)``."""
        n, *grid, _ = batch.fields_in.shape
        states = torch.cat(
            [batch.fields_in[..., self.initial], batch.fields_out[..., self.state]], -1
        )
        others = batch.fields_out[..., self.others]
        states = states.reshape(n, *grid, self.times, self.width["state"])
        others = others.reshape(n, *grid, self.times, self.width["others"])
        scalars = batch.scalars_out[:, self.scalars].reshape(n, self.times, self.width["scalars"])
        return states.movedim(-2, 1), others.movedim(-2, 1), scalars

    def errors(self, batch: Encoded, weights: Tensor, progress: float) -> Tensor:
        """Training errors ``(batch, fields)`` of examples that start at random stored times."""
        states, others, scalars = self.frames(batch)
        n, steps = len(states), self.problem.steps(progress)
        rows = torch.arange(n, device=states.device)
        start = torch.randint(self.times - steps, (n,), device=states.device)
        history = [
            states[rows, (start - back).clamp(min=0)]
            for back in reversed(range(self.problem.history))
        ]
        if self.problem.noise:
            history = [h + self.problem.noise * torch.randn_like(h) for h in history]
        constant = batch.fields_in[..., self.constant]
        predicted: dict[str, list[Tensor]] = {"state": [], "others": [], "scalars": []}
        target: dict[str, list[Tensor]] = {"state": [], "others": [], "scalars": []}
        for step in range(steps):
            last = step == steps - 1
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and (last or not self.problem.pushforward)
            ):
                answer = self.step(history, constant, batch.scalars_in, start + step)
            history = [*history[1:], answer[0]]
            if last or not self.problem.pushforward:
                truth = (
                    states[rows, start + step + 1],
                    others[rows, start + step],
                    scalars[rows, start + step],
                )
                for kind, ours, true in zip(predicted, answer, truth, strict=True):
                    predicted[kind].append(ours)
                    target[kind].append(true)
        stacked = {kind: torch.stack(values, 1) for kind, values in predicted.items()}
        truths = {kind: torch.stack(values, 1) for kind, values in target.items()}
        errors = []
        for kind, part, offset, scale in self.slots:
            offset, scale = offset.to(states), scale.to(states)
            errors.append(
                losses.relative_l2(
                    scale * (stacked[kind][..., part] + offset),
                    scale * (truths[kind][..., part] + offset),
                    None if kind == "scalars" else weights,
                )
            )
        return torch.stack(errors, 1)
