"""Two processes are one: same batches, gradients and files; and what a killed one leaves behind."""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import surrogate
from simulations.datasets import Dataset
from surrogate import distributed, loop
from surrogate.distributed import Team
from surrogate.encoding import Encoding
from surrogate.propagation import Propagator, Rollout, change_deviations
from surrogate.recipe import Recipe
from tests.test_training import Affine
from tests.toy import Toy

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here) -> Dataset:
    return generate_here(Toy(n=6, n_times=3), 40, tmp_path_factory.mktemp("distributed") / "toy")


def test_every_sample_has_one_owner_and_what_is_left_over_goes_round():
    for size in (1, 2, 3, 5):
        owned = np.zeros((7, 10), int)
        for rank in range(size):
            for turn in range(7):
                owned[turn, Team(rank, size).share(10, turn)] += 1
        assert (owned == 1).all()
    single = [Team(0, 3).share(1, turn) for turn in range(6)]
    assert sum(part.stop - part.start for part in single) == 2


@pytest.mark.parametrize("limit", [1e12, 0.0], ids=["held", "streamed"])
@pytest.mark.parametrize("size", [2, 3])
def test_the_parts_of_a_batch_are_the_batch(dataset, limit, size):
    encoding = Encoding.of_dataset(dataset)

    def batches(team):
        split = loop.Split(dataset, "train", encoding, limit, "cpu", team=team)
        assert (split._held is None) == (limit == 0)
        return list(split.batches(5, torch.Generator().manual_seed(3)))

    parts = [batches(Team(rank, size)) for rank in range(size)]
    uneven = False
    for position, whole in enumerate(batches(Team())):
        assembled = torch.full_like(whole.samples.fields_out, torch.nan)
        for part in parts:
            samples, rows, of = part[position]
            assert of == whole.size
            assembled[rows] = samples.fields_out
            uneven |= len(rows) != of / size
        assert torch.equal(assembled, whole.samples.fields_out)
    assert uneven


def test_a_process_reads_its_own_samples_alone(dataset, monkeypatch):
    read = Dataset.read
    counts = []

    def counted(data, part, samples=slice(None), times=slice(None)):
        found = read(data, part, samples, times)
        counts.append(len(found))
        return found

    monkeypatch.setattr(Dataset, "read", counted)
    encoding = Encoding.of_dataset(dataset)
    for rank in range(2):
        counts.clear()
        loop.Split(dataset, "train", encoding, 1e12, "cpu", team=Team(rank, 2))
        assert abs(sum(counts) - dataset.count("train") / 2) <= 1


class Rehearsal(Team):
    """A member of a team that meets the others in threads."""

    barrier: threading.Barrier
    table: dict

    def add(self, tensors):
        tensors = list(tensors)
        self.table[self.rank] = [tensor.clone() for tensor in tensors]
        self.barrier.wait()
        sums = [sum(parts) for parts in zip(*map(self.table.get, range(self.size)), strict=True)]
        self.barrier.wait()
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total)


def rehearsed(size, act):
    """What each of the members of a team returns."""
    barrier, table, results = threading.Barrier(size, timeout=60), {}, {}

    def member(rank):
        team = Rehearsal(rank, size)
        object.__setattr__(team, "barrier", barrier)
        object.__setattr__(team, "table", table)
        try:
            results[rank] = act(team)
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[rank] for rank in range(size)]


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_gradients_of_the_parts_are_that_of_the_whole(dataset, batch_size):
    """Also where a process has no sample of a batch."""
    encoding = Encoding.of_dataset(dataset)

    def act(team):
        recipe = Recipe(batch_size=batch_size, accumulate=2, precision="float64")
        network = Affine().build(encoding.signature).double()
        for weight in network.parameters():
            torch.nn.init.constant_(weight, 0.01)
        split = loop.Split(dataset, "train", encoding, 1e12, "cpu", torch.float64, team)
        run = loop.Run(network, encoding, recipe, "", "cpu", torch.float64, team)
        batches = split.batches(batch_size, torch.Generator().manual_seed(1))
        losses = [run.step(group, 1e-3)[0] for group in loop.grouped(batches, 2)]
        return losses, network.layer.weight.detach(), run._validate(split)

    ((losses, weight, valid),) = rehearsed(1, act)
    for theirs, their_weight, their_valid in rehearsed(2, act):
        assert theirs == pytest.approx(losses, rel=1e-10)
        torch.testing.assert_close(their_weight, weight, rtol=1e-8, atol=1e-10)
        assert their_valid == pytest.approx(valid, rel=1e-10)


def test_what_is_random_in_a_step_is_that_of_the_whole_batch(dataset):
    encoding = Encoding.of_dataset(dataset)
    network = Rollout(Affine(), encoding, Propagator(noise=0.5), change_deviations(dataset))
    network.build()
    batch = loop.Split(dataset, "train", encoding, 1e12, "cpu").everything()

    def errors(rows):
        torch.manual_seed(0)
        return network.errors(
            batch.pick(rows), encoding.weights, 0.0, rows=rows, size=len(batch.scalars_in)
        )

    everything = errors(torch.arange(len(batch.scalars_in)))
    rows = torch.tensor([3, 8, 20])
    torch.testing.assert_close(errors(rows), everything[rows])


def test_more_processes_than_trajectories_are_refused(dataset):
    with pytest.raises(ValueError, match="9 processes: the valid split has 4 trajectories only"):
        loop.Split(dataset, "valid", Encoding.of_dataset(dataset), 1e12, "cpu", team=Team(0, 9))


def test_alone_nothing_is_asked_of_others():
    with distributed.joined() as team:
        assert team == distributed.team() == Team()
    tensor = torch.ones(3)
    team.add([tensor])
    team.take_from_leader([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert team.total(2.0, 3.0) == [2.0, 3.0]


def test_importing_the_script_leaves_the_function_in_its_place():
    importlib.import_module("surrogate.train")
    assert callable(surrogate.train)
    assert surrogate.train is importlib.import_module("surrogate.training").train


# Run by torchrun: checkpoints after every epoch, and a word on who it is
SCRIPT = """
import os, runpy, sys
from pathlib import Path
import tests.toy  # whose system the dataset names
from surrogate import loop
loop.CHECKPOINT_SECONDS = 0.0
Path(sys.argv[1], os.environ["RANK"]).write_text(str(os.getpid()))
del sys.argv[1]
runpy.run_module("surrogate.train", run_name="__main__", alter_sys=True)
"""


def started(folder, processes, *arguments):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = {
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
        "MASTER_ADDR": "127.0.0.1",
    }  # fmt: skip
    command = [sys.executable, str(script), str(folder)]
    if processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *torchrun, *command[1:]]
    else:
        environment["RANK"] = ""
        command[1:2] = [str(script)]
        environment.pop("RANK")
        command = [sys.executable, "-c", SCRIPT.replace('os.environ["RANK"]', '"0"'), str(folder)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        env=os.environ | environment,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--network=FNO", "--set", "modes=3", "--set", "width=8", "--recipe", "average=0.9"],
        ["--network=PODNet", "--recipe", "accumulate=2"],
        ["--network=FNO", "--set", "modes=3", "--set", "width=8", "--propagator",
         "--step", "noise=0.1", "--step", "unroll=2"],
    ],
    ids=["FNO", "PODNet", "propagator"],
)  # fmt: skip
def test_two_processes_have_the_losses_of_one(dataset, tmp_path, options):
    histories = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        fixed = ["--epochs=4", "--batch-size=5", "--quiet"]
        code, errors = finished(
            started(folder, processes, dataset.path, "-o", folder / "model", *fixed, *options)
        )
        assert code == 0, errors
        emulator = surrogate.load(folder / "model")
        assert emulator.training["processes"] == processes
        assert set(emulator.training["test_relative_l2"]) == set(Toy.fields)
        histories.append(emulator.training["history"])
    assert len(histories[0]) == 4
    for ours, theirs in zip(*histories, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-4)


@pytest.mark.slow
def test_a_killed_process_ends_the_training_and_any_number_continue_it(dataset, tmp_path):
    model = tmp_path / "model"
    arguments = [dataset.path, "-o", model, "--network=FNO", "--set", "modes=3", "--quiet"]
    arguments += ["--epochs=60"]
    process = started(tmp_path, 2, *arguments)
    deadline = time.monotonic() + 200
    while not (model / "checkpoint.safetensors").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)
    code, errors = finished(process)
    assert code != 0
    assert "another process of this training has ended; the same command continues it" in errors
    assert not (model / "config.json").exists()
    kept = json.loads(dict(_metadata(model / "checkpoint.safetensors"))["training"])
    assert 0 < len(kept["history"]) < 60
    code, errors = finished(started(tmp_path, 1, *arguments))
    assert code == 0, errors
    history = surrogate.load(model).training["history"]
    assert len(history) == 60
    assert history[: len(kept["history"])] == kept["history"]
    assert not (model / "checkpoint.safetensors").exists()


def _metadata(path):
    with loop.safe_open(path, "pt") as file:
        return file.metadata().items()
