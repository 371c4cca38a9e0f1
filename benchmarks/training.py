"""Training steps of our FNO against those of neuraloperator, one thread, side by side.

Run in an environment that has ``neuraloperator==2.0.0``, on a machine as quiet as it gets;
elsewhere the rows of the rival are left out:

    python -m benchmarks.training
"""

import ctypes
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core, side_by_side
from simulations.machine import machine_in_words
from surrogate.losses import relative_l2
from surrogate.networks import FNO, Signature


@dataclass(frozen=True)
class Case:
    """One size of problem, periodic, one channel in and out.

    Args:
        grid: points along each axis.
        modes: frequencies ``0 … modes-1`` on each axis.
        width: hidden channels.
        batch: samples in a step.
    """

    grid: tuple[int, ...]
    modes: int
    width: int
    batch: int

    def __str__(self) -> str:
        grid = "×".join(map(str, self.grid))
        return f"{grid}, {self.modes} modes, width {self.width}, batch {self.batch}"


CASES = (
    Case(grid=(1024,), modes=9, width=64, batch=32),
    Case(grid=(64, 64), modes=12, width=32, batch=20),
)


@dataclass(frozen=True)
class Contender:
    """A network with the data in its own layout."""

    code: str
    network: nn.Module
    predict: Callable[[], Tensor]
    target: Tensor
    bfloat16: bool = False

    def make_step(self) -> Callable[[], object]:
        """Forward, relative L2 error, backward, Adam."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bfloat16):
                prediction = self.predict()
            relative_l2(prediction.float(), self.target).mean().backward()
            optimizer.step()

        return step


def rows(samples: int = 15) -> list[dict[str, object]]:
    """Each contender in each case; the ratios are to the first of the case."""
    return [row for case in CASES for row in measured(case, samples)]


def measured(case: Case, samples: int) -> list[dict[str, object]]:
    contenders = contenders_of(case)
    steps = {str(i): contender.make_step() for i, contender in enumerate(contenders)}
    timings = side_by_side(steps, samples=samples)
    reference = timings["0"]
    return [
        {
            "case": str(case),
            "network": contender.code,
            "precision": "bfloat16 autocast" if contender.bfloat16 else "float32",
            "parameters": count_parameters(contender.network),
            "CPU ms a step": 1e3 * timing.cpu,
            "samples/CPU s": case.batch / timing.cpu,
            "wall ms a step": 1e3 * timing.wall,
            "clean samples": f"{timing.clean}/{timing.samples}",
            "times as fast (CPU)": reference.cpu / timing.cpu,
            "times as fast (wall)": reference.wall / timing.wall,
        }
        for contender, timing in zip(contenders, timings.values(), strict=True)
    ]


def contenders_of(case: Case) -> list[Contender]:
    """neuraloperator's FNO if installed, the same architecture of ours, and our default."""
    torch.manual_seed(0)
    axes = len(case.grid)
    u, target = torch.randn(2, case.batch, *case.grid, 1)
    axis_points = [torch.arange(n) / n for n in case.grid]
    positions = torch.stack(torch.meshgrid(*axis_points, indexing="ij"), dim=-1)
    positions = positions.expand(case.batch, *positions.shape)
    scalars = torch.empty(case.batch, 0)
    default = FNO(modes=case.modes, width=case.width).build(signature(case, channels=1))

    # Their grid embedding appends i / n on every axis in each call: so do we, in the input
    same = same_architecture(case)

    def predict_same() -> Tensor:
        return same(torch.cat([u, positions], dim=-1), scalars)[0]

    ours = [
        Contender("ours, same architecture", same, predict_same, target),
        Contender("ours, same architecture", same, predict_same, target, bfloat16=True),
        Contender("ours, default blocks", default, lambda: default(u, scalars)[0], target),
    ]
    if find_spec("neuralop") is None:
        return ours
    rival = neuraloperator(case)
    copy_weights(rival, same, axes)
    u_first, target_first = (x.movedim(-1, 1).contiguous() for x in (u, target))

    def predict_rival() -> Tensor:
        return rival(u_first)

    with torch.no_grad():
        theirs = predict_rival().movedim(1, -1)
        difference = float((predict_same() - theirs).norm() / theirs.norm())
    if difference > 1e-5:
        raise AssertionError(f"{case}: with equal weights the outputs differ by {difference:.1e}")
    return [
        Contender("neuraloperator", rival, predict_rival, target_first),
        Contender("neuraloperator", rival, predict_rival, target_first, bfloat16=True),
        *ours,
    ]


def signature(case: Case, channels: int) -> Signature:
    periodic = (True,) * len(case.grid)
    return Signature(case.grid, periodic, in_channels=channels, in_scalars=0, out_channels=1)


def same_architecture(case: Case) -> FNO:
    """The defaults of neuraloperator's FNO: an input and an output MLP, a channel MLP per block."""
    network = FNO(
        modes=case.modes,
        width=case.width,
        lifting=2 * case.width,
        projection=2 * case.width,
        channel_mlp=0.5,
    )
    return network.build(signature(case, channels=1 + len(case.grid)))


def neuraloperator(case: Case) -> Any:
    """Its FNO with all defaults.

    ``n_modes`` counts frequencies of both signs, so ``2 modes - 1`` keeps ``|k| < modes``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neuralop.models import FNO as TheirFNO

    n_modes = (2 * case.modes - 1,) * len(case.grid)
    return TheirFNO(n_modes=n_modes, in_channels=1, out_channels=1, hidden_channels=case.width)


@torch.no_grad()
def copy_weights(rival: Any, ours: FNO, axes: int) -> None:
    """Give our network the weights of theirs, after which both are the same function."""

    def copy_mlp(target: nn.Sequential, source: Any) -> None:
        for linear, convolution in zip((target[0], target[2]), source.fcs, strict=True):
            linear.weight.copy_(convolution.weight.flatten(1))
            linear.bias.copy_(convolution.bias)

    copy_mlp(ours.lift, rival.lifting)
    copy_mlp(ours.project, rival.projection)
    theirs = rival.fno_blocks
    for i, block in enumerate(ours.blocks):
        weight = theirs.convs[i].weight.to_tensor()
        weight = weight.permute(*range(2, 2 + axes), 0, 1).flatten(0, axes - 1)
        block.spectral.weight.copy_(torch.view_as_real(weight).movedim(-1, 0))
        block.local.weight.copy_(theirs.fno_skips[i].conv.weight.flatten(1))
        block.local.bias.copy_(theirs.convs[i].bias.flatten())
        copy_mlp(block.mix, theirs.channel_mlp[i])
        block.gate.copy_(theirs.channel_mlp_skips[i].weight.flatten())


def count_parameters(network: nn.Module) -> int:
    """Real numbers: a complex parameter is two."""
    return sum(math.prod(p.shape) * (1 + p.is_complex()) for p in network.parameters())


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of returning them to the system after every tensor.

    Page faults otherwise cost as much as the arithmetic, to all contenders.
    """
    m_trim_threshold, m_mmap_max = -1, -4
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def main() -> None:
    pin_to_one_core()
    keep_freed_memory()
    torch.set_num_threads(1)
    rivals = ["neuraloperator"] if find_spec("neuralop") else []
    note = "" if rivals else "neuraloperator is not installed: its rows are left out."
    text = f"""## Training

One step: forward, relative L2 error, backward, Adam. One thread, alternating in one process pinned
to one core; medians of samples that other processes left alone, if there were three of them. In the
rows of the same architecture both networks have equal weights at the start and equal outputs to
1e-5; the allocator is told to keep freed memory, for all. Machine:
{machine_in_words("torch", *rivals)}.
{note}

{table(rows())}
"""
    print(text)
    replace_section("training", text)


if __name__ == "__main__":
    main()
