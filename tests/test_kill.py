"""Killing the generation at any moment loses at most what was in work, and never a byte."""

import hashlib
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulations.datasets import Dataset
from tests.toy import Toy

generation = importlib.import_module("simulations.generate")

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="needs /proc to find the processes to kill"
)

ROOT = Path(__file__).parent.parent
TOY = Toy(runaway=0.05, pause=0.01)
# One trajectory a shard: six kills shall find something to do
N = 64
SETUP = f"from tests.toy import Toy; toy = Toy(runaway={TOY.runaway}, pause={TOY.pause})"
SCRIPT = f"""
import importlib, sys
import simulations
importlib.import_module("simulations.generate").SHARDS_PER_DATASET = {N}
exec(sys.argv[2])
simulations.generate(toy, {N}, sys.argv[1], seed=3, workers=2, progress=False)
"""


def start(folder, cache, setup=SETUP):
    """Generate in a process group of its own."""
    environment = {"PYTHONPATH": str(ROOT), "PHYSURROGATE_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), setup],
        env=os.environ | environment,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def kill_all(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_a_worker(process, rng):
    """Kill one of the processes that solve, and wait for the one that takes its place."""
    before = workers(process)
    os.kill(rng.choice(before), signal.SIGKILL)
    wait_for(process, lambda: set(workers(process)) - set(before))
    return process.poll() is None


def shards(folder):
    return list(folder.glob("data/*/*.hdf5"))


def temporaries(folder):
    return list(folder.rglob(".*.tmp"))


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in shards(folder)
    }


def workers(process):
    """The processes that solve."""
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(number) for child in children for number in child.read_text().split()]


def wait_for(process, condition):
    while process.poll() is None and not condition():
        time.sleep(0.002)


def wait_for_shards(process, folder, n):
    wait_for(process, lambda: len(shards(folder)) >= n)


def wait_for_writing(process, folder):
    while process.poll() is None and not temporaries(folder):
        pass


@pytest.fixture(scope="module")
def reference(generate_here, tmp_path_factory):
    """The same dataset, made undisturbed in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "SHARDS_PER_DATASET", N)
        return generate_here(TOY, N, tmp_path_factory.mktemp("reference") / "toy", seed=3)


def test_six_kills_and_a_run_to_the_end_give_the_same_bytes(reference, tmp_path):
    folder, cache = tmp_path / "toy", tmp_path / "cache"
    whole = digests(reference.path)
    rng = random.Random(1)
    phases = ["starting", "worker", "solving"] + ["writing"] * 3
    rng.shuffle(phases)
    caught_writing = replaced = 0
    for phase in phases:
        process = start(folder, cache)
        if phase == "starting":  # importing, compiling or waiting for the workers
            time.sleep(rng.uniform(0.1, 2.5))
        else:
            wait_for_shards(process, folder, len(shards(folder)) + rng.randint(1, 3))
            if phase == "writing":
                wait_for_writing(process, folder)
            elif phase == "worker":
                replaced += kill_a_worker(process, rng)
            else:
                time.sleep(rng.uniform(0.0, 0.03))
        kill_all(process)
        caught_writing += len(temporaries(folder))
        for name, digest in digests(folder).items():
            assert digest == whole[name], "what is visible is whole"
        for record in folder.glob("records/*.json"):
            json.loads(record.read_text())
    assert 0 < len(shards(folder)) < len(whole), "the kills left something, and something to do"
    assert caught_writing > 0, "no kill has hit a file that was being written"
    assert replaced == 1

    process = start(folder, cache)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 0, errors
    assert digests(folder) == whole
    for name in ("stats.yaml", "failures.jsonl", "dataset.json"):
        assert (folder / name).read_bytes() == (reference.path / name).read_bytes(), name
    assert not temporaries(folder)
    assert len(Dataset(folder).load("train")) == reference.count("train")


def test_a_busy_worker_ends_with_its_killed_parent(tmp_path):
    trail = tmp_path / "trail"
    toy = f"from tests.faulty import Followed; toy = Followed(trail={str(trail)!r})"
    process = start(tmp_path / "toy", tmp_path / "cache", toy)
    wait_for(process, lambda: trail.exists() and trail.read_text())
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    try:
        process.communicate(timeout=30)  # until the last process has closed its stderr
    finally:
        trail.unlink()  # at the latest now
