"""Propagators: networks that advance a state from one stored time to the next.

A `Rollout` makes an operator of such a network: it takes the encoded inputs of a simulation and
answers with all stored times, so that everything that uses a surrogate is the same for both.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simulations.datasets import Dataset, statistics
from simulations.simulation import InvalidInput, check_setting
from surrogate import losses
from surrogate.encoding import Array, Encoded, Encoding
from surrogate.networks.network import Network, Scaling, Signature

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
    if dataset.simulation.times.size < 2:
        return {}
    shards = [record["moments"] for record in dataset.records("train")]
    deviations = {}
    unrecorded = []
    for name in dataset.simulation.fields:
        if any("delta" not in shard.get(name, {}) for shard in shards):
            unrecorded.append(name)
            continue
        merged = statistics.merge(shard[name]["delta"] for shard in shards)
        mean, centred = np.asarray(merged["mean"]), np.asarray(merged["centred"])
        # About zero: a step that changes nothing is the origin of a residual
        deviations[name] = np.sqrt(mean**2 + centred / merged["count"]).tolist()
    return {**deviations, **_computed_deviations(dataset, unrecorded)}


def _computed_deviations(dataset: Dataset, names: list[str]) -> dict[str, Any]:
    """The same from the stored values, where whoever wrote them did not record the changes."""
    squares: dict[str, Any] = dict.fromkeys(names, 0.0)
    counts = dict.fromkeys(names, 0)
    for part in dataset.parts("train") if names else ():
        samples = dataset.read(part)
        for name in names:
            changes = np.diff(samples.fields[name].astype(np.float64), axis=1)
            order = dataset.simulation.fields[name].order
            space = tuple(range(changes.ndim - order))
            squares[name] = squares[name] + np.square(changes).sum(axis=space)
            counts[name] += math.prod(changes.shape[: len(space)])
    return {name: np.sqrt(squares[name] / counts[name]).tolist() for name in names}


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
        self.encoding = encoding
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
        self.intervals = steps
        self.register_buffer("time_steps", self.encode_intervals(steps), persistent=False)
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

    @property
    def state_fields(self) -> tuple[str, ...]:
        """Names of the fields that are fed back, in the order of their channels."""
        outputs = zip(self.encoding.outputs, self.slots, strict=True)
        return tuple(output.name for output, slot in outputs if slot[0] == "state")

    def encode_intervals(self, intervals: Array) -> Tensor:
        """Time steps as the network takes them: relative to the mean of the stored ones."""
        return torch.as_tensor(intervals / self.intervals.mean() - 1, dtype=torch.float32)

    def step(
        self, history: list[Tensor], constant: Tensor, scalars: Tensor, intervals: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next state, and the other fields and scalars of the present one.

        Args:
            history: frames ``(batch, *grid, state)``, the present one last.
            constant: ``(batch, *grid, constant)``.
            scalars: encoded parameters ``(batch, parameters)``.
            intervals: encoded time from the present state to the next, ``(batch,)``.
        """
        if self.is_timed:
            scalars = torch.cat([scalars, intervals[:, None].to(scalars)], 1)
        fields, out_scalars = self.network(torch.cat([*history, constant], -1), scalars)
        following = fields[..., : self.width["state"]]
        if self.problem.residual:
            if self.adds_first_frames:  # what is left is its change, which alone is scaled
                following = following - history[-1]
            following = history[-1] + self.change * following
        return following, fields[..., self.width["state"] :], out_scalars

    @property
    def adds_first_frames(self) -> bool:
        return isinstance(self.network, Network) and self.network.adds_first_frames

    def advance(
        self, history: list[Tensor], constant: Tensor, scalars: Tensor, intervals: Iterable[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One answer of `step` for each interval, each of which starts where the last one ended."""
        for interval in intervals:
            answer = self.step(history, constant, scalars, interval.expand(constant.shape[0]))
            history = [*history[1:], answer[0]]
            yield answer

    def forward(self, fields: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """All stored times from the encoded inputs, as an operator gives them."""
        history = [fields[..., self.initial]] * self.problem.history
        # What is read off the last frame needs one step more, whose state is not used
        intervals = self.time_steps if self.reads else self.time_steps[:-1]
        answers = list(self.advance(history, fields[..., self.constant], scalars, intervals))
        states, others, out_scalars = zip(*answers, strict=True)
        joined = torch.cat([*states[: self.times - 1], *others], -1)
        if not self.reads:
            return joined[..., self.fields_back], scalars.new_empty(scalars.shape[0], 0)
        return joined[..., self.fields_back], torch.cat(out_scalars, 1)[:, self.scalars_back]

    @property
    def reads(self) -> bool:
        """Whether there are outputs that are read off the present state."""
        return self.width["others"] + self.width["scalars"] > 0

    def continued(self, frames: list[tuple[Tensor, Tensor]], intervals: Tensor) -> dict[str, Array]:
        """Physical fields ``(batch, step, *space, *component)`` after the given frames.

        Args:
            frames: encoded inputs that begin at each frame of the history, the present one last.
            intervals: encoded time steps, one for each answer.
        """
        history = [fields[..., self.initial] for fields, _ in frames]
        fields, scalars = frames[-1]
        if self.reads:  # of the last state, by a step of which nothing else is used
            intervals = torch.cat([intervals, intervals[-1:]])
        answers = list(self.advance(history, fields[..., self.constant], scalars, intervals))
        if self.reads:
            present, later = answers[:-1], answers[1:]
        else:
            present, later = answers, answers
        by_kind = {
            "state": torch.stack([answer[0] for answer in present], 1),
            "others": torch.stack([answer[1] for answer in later], 1),
            "scalars": torch.stack([answer[2] for answer in later], 1),
        }
        grid = self.encoding.simulation.grid
        physical: dict[str, Array] = {}
        for output, (kind, part, *_) in zip(self.encoding.outputs, self.slots, strict=True):
            count = part.stop - part.start
            values = by_kind[kind][..., part].numpy() * output.std[:count] + output.mean[:count]
            shape = self.encoding.simulation.fields[output.name].shape(grid)
            physical[output.name] = values.reshape(*values.shape[:2], *shape)
        return physical

    def frames(self, batch: Encoded, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States, other fields and scalars of some stored times, each ``(batch, frame, …)``.

        Args:
            batch: encoded trajectories.
            times: indices of stored times, ``(batch, frame)``. No others are copied.
        """
        n, count = times.shape
        space = (1,) * (batch.fields_in.ndim - 2)

        def picked(source: Tensor, channels: Tensor, width: int, at: Tensor) -> Tensor:
            if not width:
                return source.new_empty(n, count, *source.shape[1:-1], 0)
            index = channels.reshape(-1, width)[at].reshape(n, *space[: source.ndim - 2], -1)
            values = source.gather(-1, index.expand(*source.shape[:-1], -1))
            return values.unflatten(-1, (count, width)).movedim(-2, 1)

        states = picked(batch.fields_out, self.state, self.width["state"], (times - 1).clamp(min=0))
        initial = batch.fields_in[..., self.initial][:, None]
        first = (times == 0).reshape(n, count, *space, 1)
        states = torch.where(first, initial, states)
        others = picked(batch.fields_out, self.others, self.width["others"], times)
        scalars = picked(batch.scalars_out, self.scalars, self.width["scalars"], times)
        return states, others, scalars

    def examples(self, batch: Encoded) -> Encoded:
        """All steps between stored times, as what a network is given and what it has to answer."""
        n, steps, history = len(batch.scalars_in), self.times - 1, self.problem.history
        times = torch.arange(self.times, device=batch.scalars_in.device)
        states, others, scalars = self.frames(batch, times.expand(n, -1))
        before = [(times[:-1] - back).clamp(min=0) for back in reversed(range(history))]
        constant = batch.fields_in[..., self.constant][:, None].expand(
            -1, steps, *states.shape[2:-1], -1
        )
        given = torch.cat([*(states[:, at] for at in before), constant], -1)
        target = states[:, 1:]
        if self.problem.residual:
            target = (target - states[:, :-1]) / self.change
            if self.adds_first_frames:
                target = target + states[:, :-1]
        scalars_in = batch.scalars_in[:, None].expand(-1, steps, -1)
        if self.is_timed:
            intervals = self.time_steps[:-1, None].expand(n, -1, -1)
            scalars_in = torch.cat([scalars_in, intervals], -1)
        answers = torch.cat([target, others[:, :-1]], -1)
        return Encoded(
            *(part.flatten(0, 1) for part in (given, scalars_in, answers, scalars[:, :-1]))
        )

    def build(self) -> None:
        """Create the layers of the network, if it is one of the library's, for a step."""
        if isinstance(self.network, Network):
            self.network.build(self.signature)
            self.network.calibrate(self.scaling)

    def prepare(self, trajectories: Encoded) -> None:
        """Let a network that is fitted see all steps."""
        if isinstance(self.network, Network):
            self.network.prepare(*self.examples(trajectories))

    @property
    def is_fitted(self) -> bool:
        """Whether `Network.prepare` of the network looks at the steps."""
        return isinstance(self.network, Network) and self.network.is_fitted

    def errors(
        self,
        batch: Encoded,
        weights: Tensor,
        progress: float,
        loss: losses.Loss = losses.relative_l2,
        *,
        rows: Tensor | None = None,
        size: int | None = None,
    ) -> Tensor:
        """Training errors ``(batch, fields)`` of examples that start at random stored times.

        Args:
            batch: encoded trajectories.
            weights: quadrature weights of the grid points, ``(*grid, 1)``.
            progress: share of the training that is done.
            loss: of fields; scalars have relative L2 errors.
            rows: which samples of a larger batch these are, by default all; what is random is
                drawn for that one, so that it does not depend on who has which.
            size: of the larger batch.
        """
        device, steps = batch.scalars_in.device, self.problem.steps(progress)
        drawn = len(batch.scalars_in) if size is None else size
        chosen = slice(None) if rows is None else rows.to(device)
        start = torch.randint(self.times - steps, (drawn, 1), device=device)[chosen]
        # The history and the unrolled steps; nothing else of a trajectory is touched
        before = self.problem.history - 1
        window = torch.arange(-before, steps + 1, device=start.device)
        states, others, scalars = self.frames(batch, (start + window).clamp(min=0))
        history = list(states[:, : before + 1].unbind(1))
        if self.problem.noise:
            history = [
                h + self.problem.noise * h.new_empty(drawn, *h.shape[1:]).normal_()[chosen]
                for h in history
            ]
        constant = batch.fields_in[..., self.constant]
        predicted: dict[str, list[Tensor]] = {"state": [], "others": [], "scalars": []}
        target: dict[str, list[Tensor]] = {"state": [], "others": [], "scalars": []}
        for step in range(steps):
            last = step == steps - 1
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and (last or not self.problem.pushforward)
            ):
                intervals = self.time_steps[start[:, 0] + step]
                answer = self.step(history, constant, batch.scalars_in, intervals)
            history = [*history[1:], answer[0]]
            if last or not self.problem.pushforward:
                truth = (
                    states[:, before + step + 1],
                    others[:, before + step],
                    scalars[:, before + step],
                )
                for kind, ours, true in zip(predicted, answer, truth, strict=True):
                    predicted[kind].append(ours)
                    target[kind].append(true)
        errors = []
        for kind, part, offset, scale in self.slots:
            offset, scale = offset.to(states), scale.to(states)
            # Steps are channels, as the stored times of an operator are
            ours, true = (
                torch.cat([scale * (frame[..., part] + offset) for frame in frames[kind]], -1)
                for frames in (predicted, target)
            )
            if kind == "scalars":
                errors.append(losses.relative_l2(ours, true))
            else:
                errors.append(loss(ours, true, weights))
        return torch.stack(errors, 1)
