"""Several processes that train one network: who they are, and what they add up.

    torchrun --nproc-per-node=2 -m surrogate.train DIR -o MODEL

Each process holds its part of the trajectories. All go through the same batches, and each finds the
gradient of those samples of a batch that are its own; the sum over processes is the gradient of the
whole batch, however unequal the parts are. (torch's ``DistributedDataParallel`` takes the mean over
processes and waits for a backward pass of each in every step, which one without a sample in the
batch does not have.) What decides, the clock and the loggers, is the leader's.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as processes
from torch import Tensor


@dataclass(frozen=True)
class Team:
    """The processes of a training, as one of them sees it.

    Args:
        rank: of this one.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def share(self, n: int, turn: int = 0) -> slice:
        """Which of ``n`` neighbours belong to this process.

        Args:
            n: how many there are.
            turn: of several such parts which one it is, so that what is left over goes round.
        """
        position = (self.rank + turn) % self.size
        return slice(n * position // self.size, n * (position + 1) // self.size)

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, which are of one type, by their sums over all processes."""
        if self.size == 1:
            return
        flat = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
        joined = torch.cat([t.flatten() for t in flat])
        with _together():
            processes.all_reduce(joined)
        for tensor, summed in zip(flat, joined.split([t.numel() for t in flat]), strict=True):
            tensor.copy_(summed.view_as(tensor))

    def total(self, *values: float) -> list[float]:
        """Sums of numbers over all processes."""
        numbers = torch.tensor(values, dtype=torch.float64)
        self.add([numbers])
        return [float(number) for number in numbers]

    def of_leader(self, value: float) -> float:
        """The number that the leader has."""
        return self.total(value if self.leads else 0.0)[0]

    def take_from_leader(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the leader."""
        if self.size == 1:
            return
        with _together():
            for tensor in tensors:
                copy = tensor.contiguous()
                processes.broadcast(copy, 0)
                tensor.copy_(copy)


ALONE = Team()


def team() -> Team:
    """The processes that this one has `joined`."""
    if processes.is_available() and processes.is_initialized():
        return Team(processes.get_rank(), processes.get_world_size())
    return ALONE


@contextmanager
def joined() -> Iterator[Team]:
    """Join the processes that torchrun has started, if it has, and leave them at the end.

    Processors talk through gloo, CUDA devices through NCCL, each process having a device.
    """
    if "RANK" not in os.environ:
        yield ALONE
        return
    backend = "gloo"
    if torch.cuda.is_available() and processes.is_nccl_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    processes.init_process_group(backend)
    try:
        yield team()
    finally:
        processes.destroy_process_group()


def neighbours() -> int:
    """Processes of the team on this machine, which share its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if team().size > 1 else 1


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            "another process of this training has ended; the same command continues it from its "
            f"checkpoint ({error})"
        ) from None
