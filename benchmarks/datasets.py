"""Datasets: what generating costs beside solving, how fast windows are read, and memory.

The Well's loader takes part where it is installed (``the-well==1.2.0``; see CONTRIBUTING.md). The
sections may be run one by one, and quickly to see whether they work, which writes no results:

    python -m benchmarks.datasets [generation] [windows] [memory] [--quick]
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import simulations
from benchmarks.peak_memory import peak_memory
from benchmarks.report import replace_section, table
from benchmarks.timing import Timing, pin_to_one_core, side_by_side
from simulations import Dataset, Simulation
from simulations.datasets import Compression, Windows
from simulations.designs import sample_generator
from simulations.machine import machine_in_words

BATCH = 32

GENERATE = """
import sys, simulations
simulations.generate(
    simulations.Lorenz63(n_times=51), int(sys.argv[1]), sys.argv[2], workers=2, progress=False
)
"""

# In the order in which a training takes them, by two processes that read ahead
STREAM = """
import sys, simulations
from torch.utils.data import DataLoader
from simulations.datasets import Windows
windows = Windows(simulations.Dataset(sys.argv[1]), "train", history=4, memory_gigabytes=0)
for batch in DataLoader(windows, batch_size=32, shuffle=True, num_workers=2):
    pass
"""

Row = dict[str, object]


def generation(folder: Path, quick: bool) -> str:
    """Wall time of `generate` beside that of its solver, by one process and by two."""
    systems: list[Simulation] = [
        simulations.GrayScott(n=64),
        simulations.ShallowWater(n_times=41),
    ]
    if quick:
        systems = [simulations.ShallowWater(n=32)]
    n = 16 if quick else 144
    rows = [_generation_row(system, n, folder, 2 if quick else 3) for system in systems]
    return f"""## Generating datasets

{n} trajectories more, in a dataset of {n + 16}: the time for 16, in which processes start and load
their kernels, is subtracted. The bare solver runs the same draws one after another in one process.
Medians of alternating rounds. Machine: {machine_in_words("physurrogate", "numba", "h5py")}.

{table(rows)}
"""


def _generation_row(simulation: Simulation, n: int, folder: Path, samples: int) -> Row:
    start = 16
    inputs = [simulation.sample(sample_generator(0, i)) for i in range(start, start + n)]
    sizes: list[int] = []

    def bare() -> None:
        for given in inputs:
            simulation.run(given)

    def generate(count: int, workers: int) -> Callable[[], None]:
        def call() -> None:
            path = Path(tempfile.mkdtemp(dir=folder))
            simulations.generate(simulation, count, path, workers=workers, progress=False)
            sizes.append(sum(file.stat().st_size for file in path.glob("data/*/*")) // count)
            shutil.rmtree(path)

        return call

    calls: dict[str, Callable[[], None]] = {"bare": bare}
    for workers in (1, 2):
        calls[f"{workers} start"] = generate(start, workers)
        calls[f"{workers}"] = generate(start + n, workers)
    timings = side_by_side(calls, samples=samples, seconds=0.0)
    one, two = (timings[w].wall - timings[f"{w} start"].wall for w in "12")
    solving = timings["bare"].wall
    return {
        "system": type(simulation).__name__,
        "MB per trajectory": sizes[-1] / 1e6,
        "bare solver [ms]": 1e3 * solving / n,
        "generate [ms]": 1e3 * one / n,
        "overhead [%]": 100 * (one / solving - 1),
        "two processes [ms]": 1e3 * two / n,
        "times faster": one / two,
        "with start": timings["1"].wall / timings["2"].wall,
        "clean": _clean(timings),
    }


def _clean(timings: dict[str, Timing]) -> str:
    """Samples that other processes left alone, of all."""
    found = timings.values()
    return f"{sum(t.clean for t in found)}/{sum(t.samples for t in found)}"


def windows(folder: Path, quick: bool) -> str:
    """Windows of five frames against The Well's loader, and epochs from disk against memory."""
    pin_to_one_core()
    simulation = simulations.ShallowWater(n_times=41)
    n = 6 if quick else 256
    dataset = _generated(simulation, n, folder / "plain")
    size = sum(path.stat().st_size for path in dataset.shards("train"))
    samples = 3 if quick else 9
    rivals = ["the-well"] if find_spec("the_well") else []
    note = "" if rivals else "the-well is not installed: its rows are left out."
    return f"""## Reading datasets

Windows of 4 + 1 frames of {len(dataset)} trajectories of `ShallowWater` in {size / 1e9:.2g} GB,
drawn at random; a frame is three channels of 128². One core; medians of alternating samples.
Machine: {machine_in_words("physurrogate", "h5py", "torch", *rivals)}.
{note}

{table(_window_rows(dataset, bool(rivals), samples))}

An epoch: all windows once, in random order, in batches of {BATCH}. Cold is after the system was
asked to forget the files.

{table(_epoch_rows(dataset, 2 if quick else 5))}

Compressed, batches of {BATCH} random windows of {6 if quick else 24} trajectories, not in memory:

{table(_compression_rows(simulation, 6 if quick else 24, folder, samples))}
"""


def _generated(simulation: Simulation, n: int, path: Path, **options: Any) -> Dataset:
    """A dataset that is all for training."""
    return simulations.generate(simulation, n, path, splits=(1, 0, 0), progress=False, **options)


def _window_rows(dataset: Dataset, with_the_well: bool, samples: int) -> list[Row]:
    """Per window: one after another, and in batches from PyTorch's loader in this process."""
    ours = {
        "physurrogate, from disk": Windows(dataset, "train", history=4, memory_gigabytes=0),
        "physurrogate, in memory": Windows(dataset, "train", history=4, memory_gigabytes=16),
    }
    contenders: dict[str, Any] = dict(ours)
    rival = "WellDataset"
    if with_the_well:
        from the_well.data import WellDataset

        well = WellDataset(
            path=str(dataset.path), well_split_name="train", n_steps_input=4, n_steps_output=1
        )
        _check_equal(well, ours["physurrogate, from disk"])
        contenders = {rival: well, **ours}
    number = len(ours["physurrogate, from disk"])
    rng = np.random.default_rng(0)

    def one_by_one(found: Any) -> None:
        for index in rng.integers(0, number, BATCH).tolist():
            found[index]

    def loader(found: Any) -> None:
        _one_batch(found, rng.integers(0, number, BATCH).tolist())

    def batch(found: Windows) -> None:
        found.batch(rng.integers(0, number, BATCH))

    ways = {"one by one": one_by_one, "DataLoader": loader, "batch": batch}
    calls = {
        f"{name} {way}": partial(call, found)
        for way, call in ways.items()
        for name, found in contenders.items()
        if way != "batch" or name != rival
    }
    timings = side_by_side(calls, samples=samples)
    rows: list[Row] = []
    for key, timing in timings.items():
        way = next(way for way in ways if key.endswith(way))
        name = key.removesuffix(f" {way}")
        same_way = timings.get(f"{rival} {'DataLoader' if way == 'batch' else way}")
        rows.append(
            {
                "loader": name,
                "way": way,
                "window [ms]": 1e3 * timing.wall / BATCH,
                "CPU [ms]": 1e3 * timing.cpu / BATCH,
                "times faster": same_way.wall / timing.wall if same_way else None,
                "clean": f"{timing.clean}/{timing.samples}",
            }
        )
    return rows


def _one_batch(dataset: Any, indices: list[int]) -> Any:
    from torch.utils.data import DataLoader

    return next(iter(DataLoader(dataset, batch_size=len(indices), sampler=indices)))


def _check_equal(well: Any, ours: Windows) -> None:
    """Both are to hand out the same numbers under the same index."""
    if len(well) != len(ours):
        raise AssertionError(f"The Well has {len(well)} windows, physurrogate {len(ours)}")
    for index in (0, len(ours) // 2, len(ours) - 1):
        theirs = np.concatenate([well[index]["input_fields"], well[index]["output_fields"]])
        found = ours[index]["fields"]
        stacked = np.concatenate([found["depth"][..., None], found["velocity"]], axis=-1)
        if not np.array_equal(theirs, stacked):
            raise AssertionError(f"window {index} differs from The Well's")


def _epoch_rows(dataset: Dataset, samples: int) -> list[Row]:
    held = Windows(dataset, "train", history=4, memory_gigabytes=16)
    streamed = Windows(dataset, "train", history=4, memory_gigabytes=0)
    order = np.random.default_rng(0).permutation(len(held))

    def epoch(found: Windows) -> None:
        for start in range(0, len(order), BATCH):
            found.batch(order[start : start + BATCH])

    def cold() -> None:
        for path in dataset.shards("train"):
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        epoch(streamed)

    calls = {"in memory": lambda: epoch(held), "from disk": lambda: epoch(streamed), "cold": cold}
    timings = side_by_side(calls, samples=samples, seconds=0.0)
    return [
        {
            "epoch": name,
            "time [s]": timing.wall,
            "of that in memory": timing.wall / timings["in memory"].wall,
            "spread [%]": 100 * timing.spread,
            "clean": f"{timing.clean}/{timing.samples}",
        }
        for name, timing in timings.items()
    ]


def _compression_rows(simulation: Simulation, n: int, folder: Path, samples: int) -> list[Row]:
    choices: dict[str, Compression | None] = {"none": None}
    for level in (1, 4):
        choices[f"gzip, level {level}"] = Compression(level=level)
    for bits in (15, 12, 7):
        choices[f"gzip, {bits} bits kept"] = Compression(keep_bits=bits)
    sizes, calls = {}, {}
    rng = np.random.default_rng(0)
    for number, (name, compression) in enumerate(choices.items()):
        path = folder / f"compressed-{number}"
        dataset = _generated(simulation, n, path, compression=compression)
        sizes[name] = sum(shard.stat().st_size for shard in dataset.shards("train"))
        found = Windows(dataset, "train", history=4, memory_gigabytes=0)
        calls[name] = lambda w=found: w.batch(rng.integers(0, len(w), BATCH))
    timings = side_by_side(calls, samples=samples)
    return [
        {
            "compression": name,
            "size [%]": 100 * sizes[name] / sizes["none"],
            "relative error at most": (
                compression.attributes.get("relative_error_bound") if compression else None
            ),
            "window [ms]": 1e3 * timings[name].wall / BATCH,
            "clean": f"{timings[name].clean}/{timings[name].samples}",
        }
        for name, compression in choices.items()
    ]


def memory(folder: Path, quick: bool) -> str:
    """Peak memory of generating and of an epoch from disk, for datasets of several sizes."""
    counts = (20, 100) if quick else (100, 1000, 10_000)
    heat = simulations.Heat(ndim=1, n=256, n_times=51)
    _generated(simulations.Lorenz63(n_times=51), 1, folder / "warm")  # compilation takes memory too
    rows = []
    for n in counts:
        generating = peak_memory([sys.executable, "-c", GENERATE, str(n), str(folder / f"ode{n}")])
        dataset = _generated(heat, n, folder / f"heat{n}")
        streaming = peak_memory([sys.executable, "-c", STREAM, str(dataset.path)])
        size = sum(shard.stat().st_size for shard in dataset.shards("train"))
        rows.append(
            {
                "trajectories": n,
                "generate [MB]": generating.own,
                "its worker [MB]": generating.child,
                "data read [MB]": size / 1e6,
                "epoch [MB]": streaming.own,
                "worker of the epoch [MB]": streaming.child,
            }
        )
    changes: Row = {"trajectories": "last / first"}
    for column in rows[0]:
        if column not in ("trajectories", "data read [MB]"):
            changes[column] = rows[-1][column] / rows[0][column]
    return f"""## Memory of datasets

Peak of the resident memory: `generate` with `Lorenz63` (51 stored times, two workers), and an epoch
of windows of `Heat` (256 points, 51 stored times) that PyTorch's loader draws from the files with
two workers. Machine: {machine_in_words("physurrogate", "numba", "h5py", "torch")}.

{table([*rows, changes])}
"""


SECTIONS = {"generation": generation, "windows": windows, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, no results written")
    arguments = parser.parse_args()
    names = arguments.sections or list(SECTIONS)
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"{', '.join(unknown)}: no such section; there are {', '.join(SECTIONS)}")
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            text = SECTIONS[name](Path(folder), arguments.quick)
        print(text, flush=True)
        if not arguments.quick:
            replace_section(f"datasets: {name}", text)


if __name__ == "__main__":
    main()
