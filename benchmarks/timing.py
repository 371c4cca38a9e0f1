"""The one way this project measures time.

What is compared runs side by side: alternating in one process, on one pinned core, after a warm-up
that is not measured. Each sample is accompanied by the load that other processes put on the machine
meanwhile, and medians are taken over the samples that were left alone. Process CPU time is reported
beside wall time, because it hardly changes when the machine is shared.
"""

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# A sample is clean if others used less than this share of one core meanwhile
CLEAN_LOAD = 0.15


@dataclass(frozen=True)
class Timing:
    """Duration of one call.

    Args:
        wall: median wall time in s.
        cpu: median CPU time of this process in s.
        spread: distance between the quartiles of the wall time, relative to its median.
        samples: number of samples.
        clean: how many of them were undisturbed; the medians are over these if there are at least
            three, otherwise over all.
        load: median load of the other processes, in cores; NaN where the system does not tell.
    """

    wall: float
    cpu: float
    spread: float
    samples: int
    clean: int
    load: float


def pin_to_one_core() -> None:
    """Keep this process and its threads on the last core it may use (Linux only)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def side_by_side(
    calls: Mapping[str, Callable[[], object]],
    *,
    samples: int = 15,
    seconds: float = 0.25,
    patience: float = 2.0,
) -> dict[str, Timing]:
    """Time several calls against each other.

    Args:
        calls: what to call, by name. The first calls compile and are not measured.
        samples: number of rounds; each call is sampled once a round.
        seconds: duration of a sample, over which a short call is repeated.
        patience: how long to wait before each sample for the machine to become quiet, in s.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, round(seconds / (time.perf_counter() - start)))
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
    for _ in range(samples):
        for name, call in calls.items():
            _wait_until_quiet(patience)
            taken[name].append(_sample(call, repeats[name]))
    return {name: _summary(sampled) for name, sampled in taken.items()}


def _sample(call: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Wall time and CPU time of a call, and the load of the others meanwhile."""
    gc.collect()
    gc.disable()
    try:
        others = _cpu_seconds_of_others()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(repeats):
            call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        load = (_cpu_seconds_of_others() - others) / wall
    finally:
        gc.enable()
    return wall / repeats, cpu / repeats, load


def _summary(sampled: list[tuple[float, float, float]]) -> Timing:
    clean = [sample for sample in sampled if not sample[2] > CLEAN_LOAD]
    walls, cpus, _ = zip(*(clean if len(clean) >= 3 else sampled), strict=True)
    quarter, median, three_quarters = statistics.quantiles(walls, n=4, method="inclusive")
    return Timing(
        wall=median,
        cpu=statistics.median(cpus),
        spread=(three_quarters - quarter) / median,
        samples=len(sampled),
        clean=len(clean),
        load=statistics.median(load for *_, load in sampled),
    )


def _wait_until_quiet(patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        others, start = _cpu_seconds_of_others(), time.perf_counter()
        time.sleep(0.2)
        load = (_cpu_seconds_of_others() - others) / (time.perf_counter() - start)
        if not load > CLEAN_LOAD:
            return


def _cpu_seconds_of_others() -> float:
    """CPU time that all other processes together have used since the machine was started."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return float("nan")
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields)
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return busy - own.user - own.system - own.children_user - own.children_system
