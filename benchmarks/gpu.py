"""Steps of training and inference on a CUDA device, against the least that they could take.

    python -m benchmarks.gpu

The floor is a roofline: the operations of a step over what the device does in large products of
matrices, or the bytes that they read and write over what it copies, whichever is longer. Both rates
are measured in the same run. Bytes are counted twice: those of each operation by itself, which is
what runs without ``torch.compile``, and those that no fusion can avoid: inputs, outputs, weights
and, in training, their gradients and the memory of AdamW.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import replace_section, table
from benchmarks.training import CASES, Case, count_parameters, signature
from simulations.machine import machine_in_words
from surrogate.losses import relative_l2
from surrogate.networks import FNO, FactorizedFNO, Network, UNet

NETWORKS: dict[str, Callable[[Case], Network]] = {
    "FNO": lambda case: FNO(modes=case.modes, width=case.width),
    "FactorizedFNO": lambda case: FactorizedFNO(modes=case.modes, width=case.width),
    "UNet": lambda case: UNet(width=case.width),
}
#: A device is not filled by the batches of a processor
BATCHES = (16, 256)
WARM_UP, REPEATS = 5, 30
#: Of an optimiser that is fused: weight, gradient and two moments read, weight and moments written
ADAMW_PASSES = 7


@dataclass(frozen=True)
class Work:
    """What a call has to do at least.

    Args:
        flops: floating-point operations in products of matrices.
        moved: bytes that its operations read and write, one by one.
        needed: bytes that have to pass whatever is fused.
    """

    flops: float
    moved: float
    needed: float


@dataclass(frozen=True)
class Device:
    """What a device can do, as measured.

    Args:
        flops: operations per second in products of large matrices.
        bandwidth: bytes per second, read and written, in copying.
    """

    flops: float
    bandwidth: float

    def floor(self, flops: float, moved: float) -> float:
        """Seconds that neither arithmetic nor memory can go below."""
        return max(flops / self.flops, moved / self.bandwidth)


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of all tensors that operations take and give; views move none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        answer = function(*args, **(kwargs or {}))
        if not function.is_view and "empty" not in function.name():
            passed = (*tree_leaves(args), *tree_leaves(kwargs or {}), *tree_leaves(answer))
            self.bytes += sum(t.nbytes for t in passed if isinstance(t, Tensor))
        return answer


def work_of(call: Callable[[], object], needed: float = 0.0) -> Work:
    """Count what a call does, on any device, ``meta`` included."""
    traffic = _Traffic()
    with FlopCounterMode(display=False) as counter, traffic:
        call()
    return Work(float(counter.get_total_flops()), float(traffic.bytes), needed)


def needed_bytes(network: nn.Module, passing: int, element: int, training: bool) -> float:
    """Bytes of a step that no fusion avoids.

    Args:
        network: whose weights are read, in training once more backwards.
        passing: numbers that go in and come out.
        element: bytes of a number in products.
        training: whether gradients are written and AdamW, in float32, moves the weights.
    """
    weights = count_parameters(network)
    if not training:
        return float(element * (passing + weights))
    return float(element * (2 * passing + 2 * weights) + 4 * weights * (1 + ADAMW_PASSES))


def measured_device(dtype: torch.dtype) -> Device:
    """Rates of the current CUDA device."""
    n = 8192
    a, b = torch.randn(2, n, n, device="cuda", dtype=dtype)
    product = seconds_of(lambda: a @ b)
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    copy = seconds_of(lambda: target.copy_(source))
    return Device(2 * n**3 / product, 2 * source.nbytes / copy)


def seconds_of(call: Callable[[], object]) -> float:
    """Median of a call on the current CUDA device."""
    for _ in range(WARM_UP):
        call()
    seconds = []
    for _ in range(REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3)
    return sorted(seconds)[len(seconds) // 2]


def make_calls(
    network: nn.Module, case: Case, batch: int, device: str, bfloat16: bool, compiled: bool = False
) -> dict[str, Callable[[], object]]:
    """A call of the network, and a step of its training, on a device."""
    inputs = torch.randn(batch, *case.grid, 1, device=device)
    target = torch.randn(batch, *case.grid, 1, device=device)
    scalars = torch.empty(batch, 0, device=device)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.AdamW(network.parameters(), fused=device == "cuda")
    kind = "cuda" if device == "cuda" else "cpu"

    def predict() -> Tensor:
        with torch.autocast(kind, torch.bfloat16, bfloat16):
            return forward(inputs, scalars)[0]

    def infer() -> None:
        with torch.inference_mode():
            predict()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        relative_l2(predict().float(), target).mean().backward()
        optimizer.step()

    return {"inference": infer, "training": step}


def rows() -> Iterator[dict[str, object]]:
    """Each network in each case and precision, with its share of the floor."""
    devices = {False: measured_device(torch.float32), True: measured_device(torch.bfloat16)}
    for case in CASES:
        for name, make in NETWORKS.items():
            for batch in BATCHES:
                for bfloat16, compiled in ((False, False), (True, False), (False, True)):
                    torch.manual_seed(0)
                    network = make(case).build(signature(case, channels=1)).to("cuda")
                    # Counted before they are compiled, after which nothing is seen
                    plain = make_calls(network, case, batch, "cuda", bfloat16)
                    passing = 2 * batch * torch.Size(case.grid).numel()
                    calls = make_calls(network, case, batch, "cuda", bfloat16, compiled)
                    for kind, call in calls.items():
                        element = 2 if bfloat16 else 4
                        needed = needed_bytes(network, passing, element, kind == "training")
                        work = work_of(plain[kind], needed)
                        seconds, device = seconds_of(call), devices[bfloat16]
                        each = device.floor(work.flops, work.moved)
                        least = device.floor(work.flops, work.needed)
                        yield {
                            "case": str(case).rsplit(",", 1)[0],
                            "network": name,
                            "batch": batch,
                            "what": kind,
                            "precision": "bfloat16" if bfloat16 else "float32",
                            "compiled": "yes" if compiled else "",
                            "ms": 1e3 * seconds,
                            "samples/s": batch / seconds,
                            "floor of the operations, ms": 1e3 * each,
                            "of it": each / seconds,
                            "floor if all were fused, ms": 1e3 * least,
                        }


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: torch finds no CUDA device; there is nothing to measure")
    device = measured_device(torch.float32)
    text = f"""## Training and inference on a GPU

{torch.cuda.get_device_name()}: {device.flops / 1e12:.3g} Tflop/s in float32 products of matrices,
{device.bandwidth / 1e9:.4g} GB/s in copying, measured in this run. Medians of {REPEATS} calls after
{WARM_UP}. A floor is the longer of arithmetic and memory; that of the operations counts what each
reads and writes by itself. Machine: {machine_in_words("torch")}.

{table(list(rows()))}
"""
    print(text)
    replace_section("gpu", text)


if __name__ == "__main__":
    main()
