"""How cost grows: time and memory of solver, generation, training and inference.

    python -m benchmarks.growth [LINE ...]     # measures what is missing, writes the pages
    python -m benchmarks.growth --pages        # writes the pages from what has been measured

Each point is measured in a process of its own, and written to ``results/growth.json`` at once: a
run that was killed continues. The pages are the section ``growth`` of RESULTS.md and
``docs/scaling.md``, whose extrapolation rests on nothing but the file.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simulations
from benchmarks.report import replace_section, table
from benchmarks.timing import pin_to_one_core
from simulations.datasets import layout
from simulations.datasets.publish import publish_text
from simulations.machine import machine_in_words
from simulations.simulation import Simulation

KEPT = Path(__file__).parent / "results" / "growth.json"
PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
PATIENCE = 2.0
MOST_REPEATS = 7

Measurement = Callable[[int], float]


@dataclass(frozen=True)
class Line:
    """A cost against a size.

    Args:
        measure: processor seconds at a size, once everything is compiled.
        sizes: each twice the one before, or ten times.
        of: what the size is.
        theory: exponent that is expected.
        why: where that comes from.
    """

    measure: Measurement
    sizes: tuple[int, ...]
    of: str
    theory: float
    why: str


def solving(make: Callable[[int], Simulation]) -> Measurement:
    """A run, the median of a few draws."""

    def measure(size: int) -> float:
        simulation = make(size)
        simulation.warm_up()
        draws = [simulation.sample(np.random.default_rng(seed)) for seed in range(MOST_REPEATS)]
        return _median(lambda i: simulation.run(draws[i]))

    return measure


def generating(make: Callable[[int], Simulation]) -> Measurement:
    """A trajectory solved and stored, without the start of the process that does it."""

    def measure(size: int) -> float:
        few, more = (_generated(make(size), n) for n in (4, 20))
        return max(more - few, 1e-6) / 16

    return measure


def generating_many(simulation: Simulation) -> Measurement:
    """A whole dataset, with the start of the process."""
    return lambda n: _generated(simulation, n)


def _generated(simulation: Simulation, n: int) -> float:
    """Processor seconds of the processes that make a dataset."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.times()
        simulations.generate(simulation, n, folder, workers=1, progress=False)
        after = os.times()
    return sum(after[:4]) - sum(before[:4])


def stepping(ndim: int, modes: int = 8, width: int = 20) -> Measurement:
    """A step of training of an FNO for each sample of its batch."""

    def measure(n: int) -> float:
        import torch

        from surrogate.losses import relative_l2
        from surrogate.networks import FNO, Signature

        torch.set_num_threads(1)
        batch = 4
        signature = Signature((n,) * ndim, (True,) * ndim, 1, 1, out_channels=4)
        network = FNO(modes=modes, width=width).build(signature)
        optimizer = torch.optim.AdamW(network.parameters())
        fields, scalars = torch.randn(batch, *(n,) * ndim, 1), torch.randn(batch, 1)
        target = torch.randn(batch, *(n,) * ndim, 4)

        def step(_: int) -> None:
            optimizer.zero_grad(set_to_none=True)
            relative_l2(network(fields, scalars)[0], target).sum().backward()
            optimizer.step()

        step(0)
        return _median(step) / batch

    return measure


def answering(ndim: int, modes: int = 8, width: int = 20) -> Measurement:
    """An answer of an FNO to a single input."""

    def measure(n: int) -> float:
        import torch

        from surrogate.networks import FNO, Signature

        torch.set_num_threads(1)
        signature = Signature((n,) * ndim, (True,) * ndim, 1, 1, out_channels=4)
        network = FNO(modes=modes, width=width).build(signature).eval()
        fields, scalars = torch.randn(1, *(n,) * ndim, 1), torch.randn(1, 1)
        with torch.inference_mode():
            network(fields, scalars)
            return _median(lambda _: network(fields, scalars))

    return measure


def training(simulation: Simulation) -> Measurement:
    """An epoch of training on a dataset of so many trajectories."""

    def measure(n: int) -> float:
        import torch

        import surrogate

        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            data = simulations.generate(simulation, n, folder, workers=1, progress=False)
            network = surrogate.FNO(modes=8, width=16)
            emulator = surrogate.train(data, network, epochs=2, progress=False)
        return emulator.training["seconds"] / 2

    return measure


def _median(call: Callable[[int], object]) -> float:
    seconds: list[float] = []
    while len(seconds) < MOST_REPEATS and sum(seconds) < PATIENCE:
        start = time.process_time()
        call(len(seconds))
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def _gas(n: int) -> Simulation:
    return simulations.CompressibleNavierStokes(n=n, n_times=3)


def _space(n: int) -> Simulation:
    return simulations.NavierStokes3D(n=n, t_end=1.0, n_times=3)


DIFFUSION = "points; one Fourier transform, whose logarithm adds a little"

LINES: dict[str, Line] = {
    "solver: Heat, 2-D": Line(
        solving(lambda n: simulations.Heat(n=n)), (32, 64, 128, 256), "n", 2.0, DIFFUSION
    ),
    "solver: Heat, n = 32 in 1 to 3 dimensions": Line(
        solving(lambda n: simulations.Heat(ndim=round(np.log2(n) / 5), n=32)),
        (32, 1024, 32768),
        "points",
        1.0,
        DIFFUSION,
    ),
    "solver: Burgers, 1-D": Line(
        solving(lambda n: simulations.Burgers(n=n, tolerance=1e-6)),
        (64, 128, 256, 512),
        "n",
        1.0,
        "points; steps follow the tolerance, not the grid",
    ),
    "solver: DarcyFlow, 2-D": Line(
        solving(lambda n: simulations.DarcyFlow(n=n)),
        (32, 64, 128, 256),
        "n",
        2.0,
        "points; multigrid takes the same cycles on every grid",
    ),
    "solver: CompressibleNavierStokes, 2-D": Line(
        solving(_gas), (16, 32, 64, 128), "n", 3.0, "points, and steps as long as a cell"
    ),
    "solver: NavierStokes3D": Line(
        solving(_space), (8, 16, 32, 64), "n", 3.0, "points; steps follow the tolerance"
    ),
    "generation: Heat, 2-D": Line(
        generating(lambda n: simulations.Heat(n=n)), (32, 64, 128, 256), "n", 2.0, "bytes"
    ),
    "generation: Burgers, trajectories": Line(
        generating_many(simulations.Burgers(n=64, tolerance=1e-6)),
        (100, 1000, 10000),
        "trajectories",
        1.0,
        "runs; small sets pay for the start",
    ),
    "training step: FNO, 2-D": Line(
        stepping(2), (16, 32, 64, 128), "n", 2.0, "points; modes stay the same"
    ),
    "training step: FNO, 3-D": Line(
        stepping(3, modes=4), (8, 16, 32), "n", 3.0, "points; modes stay the same"
    ),
    "training epoch: Burgers, trajectories": Line(
        training(simulations.Burgers(n=64, tolerance=1e-6, n_times=3)),
        (100, 1000, 10000),
        "trajectories",
        1.0,
        "steps",
    ),
    "inference: FNO, 2-D": Line(
        answering(2), (16, 32, 64, 128), "n", 2.0, "points; small grids wait for the calls"
    ),
    "inference: FNO, 3-D": Line(answering(3, modes=4), (8, 16, 32, 64), "n", 3.0, "points"),
}


def measure_one(name: str, size: int) -> dict[str, float]:
    """Seconds and megabytes, in this process, which does nothing else."""
    pin_to_one_core()
    line = LINES[name]
    line.measure(line.sizes[0])  # compiles, and imports
    before = _reset_peak()
    seconds = line.measure(size)
    # Data are generated in another process, whose memory is all its own
    if name.startswith("generation"):
        return {"seconds": seconds, "megabytes": _peak(resource.RUSAGE_CHILDREN)}
    own = _peak(resource.RUSAGE_SELF)
    return {"seconds": seconds, "megabytes": max(own - before, 0.0)}


def _peak(who: int) -> float:
    if who == resource.RUSAGE_SELF:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1000
    return resource.getrusage(who).ru_maxrss / 1000


def _reset_peak() -> float:
    """Forget the peak so far (Linux); returns what is held now in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak(resource.RUSAGE_SELF)


def measured(names: Sequence[str]) -> dict[str, Any]:
    """What is in the file, and what of these lines was not."""
    kept: dict[str, Any] = {"machine": "", "lines": {}}
    if KEPT.exists():
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        points = kept["lines"].setdefault(name, {})
        for size in LINES[name].sizes:
            if str(size) in points:
                continue
            command = [sys.executable, "-m", "benchmarks.growth", "--one", name, str(size)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name}, {size}: failed\n{done.stderr[-500:]}", flush=True)
                continue
            points[str(size)] = json.loads(done.stdout.splitlines()[-1])
            kept["machine"] = machine_in_words("physurrogate", "numba", "torch")
            publish_text(KEPT, json.dumps(kept, indent=1) + "\n")
            print(f"{name}, {size}: {points[str(size)]}", flush=True)
    return kept


def exponent(points: dict[str, dict[str, float]], key: str = "seconds") -> float:
    """Slope in logarithms over the larger sizes, where start-up does not count; NaN of too few."""
    sizes = sorted(map(int, points))[-3:]
    values = [points[str(size)][key] for size in sizes]
    if len(sizes) < 2 or min(values) <= 0:
        return float("nan")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def rows(lines: dict[str, dict[str, dict[str, float]]]) -> list[dict[str, object]]:
    """Of each line its times, largest memory, and the exponents side by side."""
    made = []
    for name, points in lines.items():
        if name not in LINES or not points:
            continue
        line, sizes = LINES[name], sorted(map(int, points))
        times = ", ".join(f"{1e3 * points[str(s)]['seconds']:.3g}" for s in sizes)
        made.append(
            {
                "cost": name,
                "sizes": ", ".join(f"{size:,}" for size in sizes),
                "of": line.of,
                "ms": times,
                "MB at the largest": f"{points[str(sizes[-1])]['megabytes']:.3g}",
                "exponent": f"{exponent(points):.2f}",
                "in theory": f"{line.theory:g}",
                "because of": line.why,
            }
        )
    return made


@dataclass(frozen=True)
class Job:
    """A dataset and the machine that is to make it."""

    n: int = 256
    runs: int = 100_000
    nodes: int = 1000
    cores: int = 64
    frames: int = 9
    epochs: int = 50


def extrapolated(kept: dict[str, Any], job: Job) -> list[dict[str, object]]:
    """What a job takes, by the fitted growth of the measured lines beyond their largest size."""
    solver, solver_exponent = _at(kept, "solver: NavierStokes3D", job.n)
    memory, _ = _at(kept, "solver: NavierStokes3D", job.n, "megabytes")
    step, step_exponent = _at(kept, "training step: FNO, 3-D", job.n)
    answer, answer_exponent = _at(kept, "inference: FNO, 3-D", job.n)
    # The line is over a quarter of the stored default time
    simulation = simulations.NavierStokes3D(n=job.n, t_end=4.0, n_times=job.frames)
    solver *= 4.0
    size = layout.trajectory_bytes(simulation)
    total = size * job.runs
    cores = job.nodes * job.cores
    hours = solver * job.runs / cores / 3600
    epoch = step * job.runs / cores / 3600
    return [
        {"what": "one run", "is": _hours(solver / 3600), "from": f"exponent {solver_exponent:.2f}"},
        {"what": "memory of one run", "is": f"{memory / 1000:.3g} GB", "from": "its own exponent"},
        {
            "what": "one trajectory on disk",
            "is": f"{size / 1e9:.3g} GB",
            "from": "the layout, exact",
        },
        {"what": "the dataset", "is": f"{total / 1e12:.3g} TB", "from": f"{job.runs:,} of these"},
        {
            "what": "generation",
            "is": _hours(hours),
            "from": f"{cores:,} cores, one run on each; nothing is exchanged",
        },
        {
            "what": "to the file system meanwhile",
            "is": f"{total / 1e9 / (3600 * hours):.3g} GB/s",
            "from": f"{total / 1e6 / (3600 * hours) / job.nodes:.3g} MB/s a node",
        },
        {
            "what": "cores of a node by memory",
            "is": f"{job.cores * memory / 1000:.3g} GB",
            "from": f"{job.cores} runs at a time",
        },
        {
            "what": "an epoch of training",
            "is": _hours(epoch),
            "from": f"exponent {step_exponent:.2f}, on the same cores, ideally parallel",
        },
        {
            "what": f"{job.epochs} epochs",
            "is": _hours(job.epochs * epoch),
            "from": "an FNO of width 20 with 4 modes; a real one is larger",
        },
        {
            "what": "read in an epoch",
            "is": f"{total / 1e9 / (3600 * epoch):.3g} GB/s",
            "from": f"{total / 1e12:.3g} TB",
        },
        {
            "what": "an answer on one core",
            "is": _hours(answer / 3600),
            "from": f"exponent {answer_exponent:.2f}",
        },
    ]


def _at(kept: dict[str, Any], name: str, size: int, key: str = "seconds") -> tuple[float, float]:
    """A line continued to a size with its fitted exponent, from its largest point."""
    points = kept["lines"][name]
    slope, largest = exponent(points, key), max(map(int, points))
    return points[str(largest)][key] * (size / largest) ** slope, slope


def _hours(hours: float) -> str:
    for unit, size in (("days", 24.0), ("h", 1.0), ("min", 1 / 60), ("s", 1 / 3600)):
        if hours >= size:
            return f"{hours / size:.3g} {unit}"
    return f"{hours * 3.6e6:.3g} ms"


def write_pages(kept: dict[str, Any]) -> None:
    """The section of RESULTS.md and the page of the extrapolation."""
    body = table(rows(kept["lines"]))
    text = f"""## How cost grows

Processor time of one thread, each point in a process of its own; exponents are fitted to the three
largest sizes. Machine: {kept["machine"]}.

{body}
"""
    replace_section("growth", text)
    needed = {"solver: NavierStokes3D", "training step: FNO, 3-D", "inference: FNO, 3-D"}
    if any(len(kept["lines"].get(name, {})) < 2 for name in needed):
        return
    job = Job()
    PAGE.write_text(
        f"""# Scaling: a 256³ dataset of 10⁵ runs on 1000 nodes

Written by `python -m benchmarks.growth` from `benchmarks/results/growth.json`; nothing on this page
is written by hand. Measured on {kept["machine"]}.

## What was measured

{body}

Exponents are fitted to the three largest sizes, in processor time of one thread.

## What follows from it

The job: {job.runs:,} trajectories of `NavierStokes3D(n={job.n}, t_end=4.0, n_times={job.frames})`
on {job.nodes:,} nodes with {job.cores} cores each, and an FNO trained on them. Figures are the
largest measured point, continued with the fitted exponent. That is {job.n // 64} times beyond
the largest measured grid in each direction: caches, memory bandwidth that the cores of a node
share, and finer structures that need shorter steps are not in it; each makes it dearer.

{table(extrapolated(kept, job))}

Trajectories are independent, and shards are published by renaming: generation needs no network but
that to the file system, and a node that dies costs its unfinished shards
([generate on a cluster](generate-on-a-cluster.md)). Training exchanges one gradient a step.
""",
        encoding="utf-8",
    )


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["--one"]:
        print(json.dumps(measure_one(arguments[1], int(arguments[2]))))
        return
    names = [a for a in arguments if a != "--pages"] or list(LINES)
    if unknown := [name for name in names if name not in LINES]:
        sys.exit(f"{', '.join(unknown)}: no such line; there are {', '.join(LINES)}")
    write_pages(measured([] if "--pages" in arguments else names))


if __name__ == "__main__":
    main()
