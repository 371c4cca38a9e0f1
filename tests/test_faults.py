"""Whatever goes wrong: a clear error or a clean continuation, and no data lost."""

import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import h5py
import numpy as np
import pytest

import simulations
from simulations.datasets import SPLITS, Dataset, DatasetError
from simulations.datasets.publish import published
from tests.faulty import Faulty, Followed
from tests.toy import Toy

# The package exports a function of the same name
generation = importlib.import_module("simulations.generate")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no signals to kill with")

ROOT = Path(__file__).parent.parent
N = 12
# Of the first draws with seed 0, number 0 hangs and number 6 dies
FAULTY = Faulty(hangs=0.07, dies=0.0018)
TIMEOUT = 4.0


def digests(folder):
    files = [*folder.glob("data/*/*.hdf5"), folder / "stats.yaml", folder / "failures.jsonl"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def failures(folder):
    return [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]


def indices(dataset):
    return sorted(i for record in dataset.records() for i in record["indices"])


@pytest.fixture(scope="module")
def whole(generate_here, tmp_path_factory):
    """A dataset of the toy, made undisturbed."""
    return generate_here(Toy(), N, tmp_path_factory.mktemp("whole") / "toy")


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def wounded(tmp_path_factory):
    """A dataset whose solver hangs for one draw and kills its process for another."""
    path = tmp_path_factory.mktemp("wounded") / "toy"
    simulations.generate(FAULTY, N, path, workers=1, timeout=TIMEOUT, progress=False)
    return path


@pytest.fixture
def harmless(monkeypatch):
    """The faulty toy for this process: it must not be asked for what hung or died."""

    def solve(self, inputs):
        assert self.dies <= inputs["kappa"] <= self.hangs
        return Toy.solve(self, inputs)

    monkeypatch.setattr(Faulty, "solve", solve)


class TestSolversThatHangOrDie:
    def test_are_set_apart_and_replaced(self, wounded, whole):
        dataset = Dataset(wounded)
        assert indices(dataset) == [i for i in range(N) if i not in (0, 6)] + [2**32, 2**32 + 6]
        hung, died = sorted(failures(wounded), key=lambda failure: failure["index"])
        assert (hung["index"], hung["kind"], hung["time"]) == (0, "timeout", None)
        assert hung["reason"] == f"took longer than {TIMEOUT:g} s"
        assert hung["inputs"]["kappa"] == dataset.inputs(0)["kappa"] > FAULTY.hangs
        assert (died["index"], died["kind"], died["time"]) == (6, "died", None)
        assert died["reason"].startswith("its process died 2 times (killed by SIGKILL, perhaps")
        undisturbed = {i: v for s in SPLITS for i, v in values(whole, s)}
        for split in SPLITS:
            for index, theta in values(dataset, split):
                if index < 2**32:
                    assert np.array_equal(theta, undisturbed[index])
        assert not list(wounded.glob("records/*.quarantine.jsonl"))
        assert not list(wounded.rglob("*.tmp"))

    def test_stay_so_when_their_shards_are_made_again(
        self, wounded, harmless, generate_here, tmp_path
    ):
        before = digests(wounded)
        shutil.copytree(wounded, tmp_path / "copy")
        for shard in (tmp_path / "copy").glob("data/train/*"):
            shard.unlink()
        generate_here(FAULTY, N, tmp_path / "copy")
        assert digests(tmp_path / "copy") == before

    def test_stay_so_when_the_dataset_is_extended(
        self, harmless, generate_here, tmp_path, monkeypatch
    ):
        """A shard with room for more is made again; it remembers from its record."""
        monkeypatch.setattr(generation, "SHARDS_PER_DATASET", 1)
        folder = tmp_path / "toy"
        dataset = generate_here(Faulty(hangs=1e9), 4, folder)
        record_path = folder / "records" / "train-00000.json"
        record = json.loads(record_path.read_text())
        failure = {"index": 0, "kind": "timeout", "time": None, "reason": "took long"}
        record["failures"] = [failure]
        record_path.write_text(json.dumps(record))
        assert 0 in indices(dataset)
        extended = generate_here(Faulty(hangs=1e9), 5, folder)
        assert 0 not in indices(extended)
        assert 2**32 in indices(extended)
        inputs = {name: extended.inputs(0)[name] for name in Toy.parameters}
        assert failures(folder) == [{**failure, "inputs": inputs}]

    def test_stay_so_when_the_run_is_killed_before_the_shard_is_there(
        self, wounded, harmless, generate_here, tmp_path
    ):
        lines = [
            {"index": failure["index"], **{k: failure[k] for k in ("kind", "time", "reason")}}
            for failure in failures(wounded)
        ]
        folder = tmp_path / "toy"
        (folder / "records").mkdir(parents=True)
        shutil.copy(wounded / "dataset.json", folder)
        for record in wounded.glob("records/*.json"):
            planned = json.loads(record.read_text())["planned"]
            text = "".join(json.dumps(line) + "\n" for line in lines if line["index"] in planned)
            if text:
                (folder / "records" / f"{record.stem}.quarantine.jsonl").write_text(text)
        assert len(list(folder.glob("records/*"))) == 2
        generate_here(FAULTY, N, folder)
        assert digests(folder) == digests(wounded)
        assert not list(folder.glob("records/*.quarantine.jsonl"))

    @pytest.mark.slow
    def test_are_remembered_at_once(self, tmp_path, monkeypatch):
        """The parent is killed right after the timeout: the next run does not hang again."""
        supervisor = importlib.import_module("simulations.generation.supervisor")
        seen = []

        def remember(folder, plan, given_up):
            real(folder, plan, given_up)
            seen.append(plan.quarantine_path(folder).read_text())
            raise KeyboardInterrupt

        real = supervisor.remember
        monkeypatch.setattr(supervisor, "remember", remember)
        with pytest.raises(KeyboardInterrupt):
            simulations.generate(FAULTY, N, tmp_path, workers=1, timeout=TIMEOUT, progress=False)
        assert json.loads(seen[0])["index"] == 0


def values(dataset, split):
    data = dataset.load(split)
    return zip(data.indices.tolist(), data.fields["theta"], strict=True)


class TestKilled:
    def test_a_worker(self, generate_here, tmp_path):
        """Its shard is made again; nobody notices."""
        trail = tmp_path / "trail"
        simulation = Followed(trail=str(trail))
        killer = Thread(target=kill_the_first, args=(trail,))
        killer.start()
        simulations.generate(simulation, N, tmp_path / "toy", workers=1, progress=False)
        killer.join()
        assert trail.with_suffix(".killed").exists()
        undisturbed = generate_here(simulation, N, tmp_path / "undisturbed")
        assert digests(tmp_path / "toy") == digests(undisturbed.path)
        assert failures(tmp_path / "toy") == []

    @pytest.mark.parametrize(
        "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
    )
    def test_the_parent(self, number, generate_here, tmp_path):
        folder = tmp_path / "toy"
        process = start("toy = Toy(pause=0.2)", folder)
        wait_for(lambda: process.poll() is not None or list(folder.glob("data/*/*.hdf5")))
        process.send_signal(number)
        process.communicate(timeout=60)  # until the last process has closed its stderr
        assert process.returncode == -number
        made = {path.name for path in folder.glob("data/*/*.hdf5")}
        assert 0 < len(made) < N
        simulation = Toy(pause=0.2)
        undisturbed = generate_here(simulation, N, tmp_path / "undisturbed")
        for name, digest in digests(undisturbed.path).items():
            if name in made:
                assert digest == digests_of_shards(folder)[name]
        generate_here(simulation, N, folder)
        assert digests(folder) == digests(undisturbed.path)
        assert not list(folder.rglob("*.tmp"))


def kill_the_first(trail):
    wait_for(lambda: trail.exists() and trail.read_text())
    os.kill(int(trail.read_text()), signal.SIGKILL)
    trail.with_suffix(".killed").touch()


def digests_of_shards(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("data/*/*.hdf5")
    }


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def start(setup, folder, **options):
    script = f"""
import simulations, sys
from tests.toy import Toy
{setup}
simulations.generate(toy, {N}, sys.argv[1], workers=1, progress=False)
"""
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


class TestFullDisk:
    def test_a_limit_on_the_size_of_files(self, whole, generate_here, tmp_path):
        size = max(path.stat().st_size for path in whole.path.glob("data/*/*.hdf5"))
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size - 1000},) * 2)"
        # Compiled before: the cache of kernels is larger than what may be written here
        Toy().warm_up()
        process = start(f"{limit}; toy = Toy()", tmp_path / "toy")
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 1
        assert "hdf5: cannot be written" in errors
        assert "File too large" in errors
        assert "run the same command again to continue" in errors
        assert not list(tmp_path.rglob("*.hdf5"))
        assert not list(tmp_path.rglob("*.tmp"))
        generate_here(Toy(), N, tmp_path / "toy")
        assert digests(tmp_path / "toy") == digests(whole.path)

    def test_a_full_file_system(self, whole, generate_here, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        size = sum(path.stat().st_size for path in whole.path.glob("data/*/*.hdf5"))
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "none", disk], capture_output=True
        )
        if mounted.returncode:
            pytest.skip("may not mount a small file system")
        try:
            with pytest.raises(
                OSError, match=r"cannot be written \(No space left on device\).* run the"
            ):
                generate_here(Toy(), N, disk / "toy")
            made = digests_of_shards(disk / "toy")
            assert made
            assert made.items() < digests_of_shards(whole.path).items()
            assert not list(disk.rglob("*.tmp"))
            subprocess.run(["mount", "-o", f"remount,size={8 * size}", disk], check=True)
            generate_here(Toy(), N, disk / "toy")
            assert digests(disk / "toy") == digests(whole.path)
        finally:
            subprocess.run(["umount", disk], check=True)


class TestDamage:
    def test_a_corrupted_shard_is_made_again_when_asked_to_verify(self, whole, copy, generate_here):
        shard = copy / "data" / "train" / "train-00002.hdf5"
        content = bytearray(shard.read_bytes())
        content[-100] ^= 1
        shard.write_bytes(content)
        generate_here(Toy(), N, copy)
        assert digests(copy) != digests(whole.path), "the size is right"
        generate_here(Toy(), N, copy, verify=True)
        assert digests(copy) == digests(whole.path)

    def test_only_what_is_damaged_is_made_again(self, copy, generate_here):
        before = {path: path.stat().st_mtime_ns for path in copy.glob("data/*/*")}
        generate_here(Toy(), N, copy, verify=True)
        assert {path: path.stat().st_mtime_ns for path in copy.glob("data/*/*")} == before

    @pytest.mark.parametrize("damage", ["truncated", "missing"])
    @pytest.mark.parametrize("what", ["shard", "record"])
    def test_what_is_not_whole_is_made_again(self, whole, copy, generate_here, damage, what):
        path = {
            "shard": copy / "data" / "train" / "train-00001.hdf5",
            "record": copy / "records" / "train-00001.json",
        }[what]
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(DatasetError, match="run generate again"):
            Dataset(copy).load("train")
        generate_here(Toy(), N, copy)
        assert digests(copy) == digests(whole.path)

    def test_a_file_of_somebody_else_is_named_and_left_alone(self, copy, generate_here):
        (copy / "notes.txt").write_text("precious")
        foreign = copy / "data" / "train" / "mine.hdf5"
        with h5py.File(foreign, "w") as file:
            file["pressure"] = 1.0
        generate_here(Toy(), N, copy)
        assert (copy / "notes.txt").read_text() == "precious"
        with pytest.raises(DatasetError, match=r"mine.hdf5: is not a shard of this dataset"):
            Dataset(copy).load("train")
        foreign.unlink()
        Dataset(copy).load("train")

    def test_another_version_of_the_format(self, copy, generate_here):
        manifest = json.loads((copy / "dataset.json").read_text()) | {"format_version": 2}
        (copy / "dataset.json").write_text(json.dumps(manifest))
        before = digests(copy)
        with pytest.raises(DatasetError, match="format version 2; this package reads 1"):
            generate_here(Toy(), N, copy)
        assert digests(copy) == before


class TestTwoAtOnce:
    def test_on_the_same_shards(self, whole, tmp_path):
        folder = tmp_path / "toy"
        processes = [start("toy = Toy()", folder) for _ in range(2)]
        for process in processes:
            errors = process.communicate(timeout=120)[1]
            assert process.returncode == 0, errors
        assert digests(folder) == digests(whole.path)
        assert not list(folder.rglob("*.tmp"))

    def test_the_first_description_stays(self, monkeypatch, tmp_path):
        """Two jobs that start at once with different seeds: one is told, and nothing is mixed."""
        real = generation.publish_text

        def publish_text(path, text, **options):
            monkeypatch.setattr(generation, "publish_text", real)
            (tmp_path / "data").mkdir()
            path.write_text(json.dumps(json.loads(text) | {"seed": 1}))
            real(path, text, **options)

        monkeypatch.setattr(generation, "publish_text", publish_text)
        with pytest.raises(DatasetError, match="holds a dataset with seed=1, not 0"):
            simulations.generate(Toy(), N, tmp_path)
        assert json.loads((tmp_path / "dataset.json").read_text())["seed"] == 1
        assert not list(tmp_path.rglob("*.tmp"))

    def test_a_job_that_starts_while_we_look_into_the_folder(self, copy, monkeypatch, tmp_path):
        """What is found beside a description is not held against the folder, whenever it came."""
        real = Path.iterdir

        def iterdir(folder):
            shutil.copytree(copy, folder, dirs_exist_ok=True)
            return real(folder)

        monkeypatch.setattr(Path, "iterdir", iterdir)
        (tmp_path / "toy").mkdir()
        simulations.generate(Toy(), N, tmp_path / "toy", progress=False)

    def test_publishing_exclusively(self, tmp_path):
        target = tmp_path / "a.txt"
        with published(target, exclusive=True) as temporary:
            temporary.write_text("first")
        with pytest.raises(FileExistsError), published(target, exclusive=True) as temporary:
            temporary.write_text("second")
        assert target.read_text() == "first"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
