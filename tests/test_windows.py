"""Windows over time: the same numbers from memory and from the files, in every process."""

import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import h5py
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from simulations.datasets import Compression, Dataset, DatasetError, Windows
from tests.toy import Toy

TOY = Toy(n=6, n_times=7)
N = 50


@pytest.fixture(scope="module", params=[None, Compression()], ids=["plain", "compressed"])
def made(request, generate_here, tmp_path_factory):
    """Several shards a split, so that a batch takes from more than one."""
    path = tmp_path_factory.mktemp("made") / "toy"
    return generate_here(TOY, N, path, seed=3, compression=request.param)


@pytest.fixture(scope="module")
def loaded(made):
    return made.load("train")


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy")
    return Dataset(tmp_path / "copy")


def enumerated(n, history, horizon, stride, repeat_first):
    """All windows, one after another: number of the trajectory, first time, all times."""
    first = -(history - 1) * stride if repeat_first and history else 0
    found = []
    for trajectory in range(n):
        for start in range(first, TOY.n_times):
            times = [start + stride * j for j in range(history + horizon)]
            if times[-1] < TOY.n_times:
                found.append((trajectory, start, [max(time, 0) for time in times]))
    return found


def check(batch, data, wanted):
    """A batch is what plain slicing of all trajectories gives."""
    assert batch.samples.tolist() == [data.indices[trajectory] for trajectory, _, _ in wanted]
    assert batch.starts.tolist() == [start for _, start, _ in wanted]
    for name, values in data.fields.items():
        sliced = np.stack([values[trajectory, times] for trajectory, _, times in wanted])
        assert batch.fields[name].dtype == np.float32
        assert np.array_equal(batch.fields[name], sliced), name
    for kind in ("parameters", "field_inputs"):
        for name, values in getattr(data, kind).items():
            sliced = np.stack([values[trajectory] for trajectory, _, _ in wanted])
            assert np.array_equal(getattr(batch, kind)[name], sliced), name
    assert list(batch.fields) == list(data.fields)
    assert list(batch.parameters) == list(data.parameters)
    assert list(batch.field_inputs) == list(data.field_inputs)


shapes = {
    "history": st.integers(0, 4),
    "horizon": st.integers(0, 4),
    "stride": st.integers(1, 3),
    "repeat_first": st.booleans(),
}


class TestAgainstSlicing:
    @given(in_memory=st.booleans(), data=st.data(), **shapes)
    def test_every_shape_of_window(self, made, loaded, data, in_memory, **shape):
        assume(shape["history"] + shape["horizon"] > 0)
        known = enumerated(len(loaded), **shape)
        options = shape | {"memory_gigabytes": None if in_memory else 0}
        if not known:
            with pytest.raises(ValueError, match="no such window fits into 7 stored times"):
                Windows(made, "train", **options)
            return
        windows = Windows(made, "train", **options)
        assert windows.in_memory is in_memory
        assert len(windows) == len(known)
        picked = data.draw(st.lists(st.integers(0, len(known) - 1), min_size=1, max_size=12))
        check(windows.batch(picked), loaded, [known[i] for i in picked])

    @pytest.mark.parametrize("memory", [None, 0])
    def test_a_window_may_be_a_trajectory(self, made, loaded, memory):
        for history in (0, 1, 7):
            horizon = 7 - history
            windows = Windows(
                made, "train", history=history, horizon=horizon, memory_gigabytes=memory
            )
            assert len(windows) == len(loaded)
            batch = windows.batch(np.arange(len(loaded))[::-1])
            for name, values in loaded.fields.items():
                assert np.array_equal(batch.fields[name], values[::-1])

    @pytest.mark.parametrize("memory", [None, 0])
    def test_one_stored_time(self, generate_here, tmp_path, memory):
        steady = generate_here(Toy(n=6, n_times=1), 5, tmp_path)
        data = steady.load("train")
        windows = Windows(steady, "train", history=0, horizon=1, memory_gigabytes=memory)
        assert len(windows) == len(data)
        assert np.array_equal(windows.batch([1]).fields["theta"], data.fields["theta"][1:2])
        with pytest.raises(ValueError, match="history=1, horizon=1, stride=1: no such window"):
            Windows(steady, "train")

    @pytest.mark.parametrize(("history", "horizon", "stride"), [(3, 1, 2), (4, 1, 3), (2, 2, 3)])
    def test_all_windows_that_repeat_the_first_frame(self, made, loaded, history, horizon, stride):
        """Starts that are no multiple of the stride, too."""
        shape = {"history": history, "horizon": horizon, "stride": stride, "repeat_first": True}
        windows = Windows(made, "train", memory_gigabytes=0, **shape)
        known = enumerated(len(loaded), **shape)
        assert len(windows) == len(known)
        check(windows.batch(range(len(known))), loaded, known)

    def test_repeated_first_frames_by_hand(self, made, loaded):
        """Three known frames and one to predict: the first window knows one frame only."""
        windows = Windows(
            made, "train", history=3, horizon=1, repeat_first=True, memory_gigabytes=0
        )
        batch = windows.batch([0, 1, 2, 6])
        u = loaded.fields["theta"]
        assert batch.starts.tolist() == [-2, -1, 0, -2]
        assert np.array_equal(batch.fields["theta"][0], u[0, [0, 0, 0, 1]])
        assert np.array_equal(batch.fields["theta"][1], u[0, [0, 0, 1, 2]])
        assert np.array_equal(batch.fields["theta"][2], u[0, [0, 1, 2, 3]])
        assert np.array_equal(batch.fields["theta"][3], u[1, [0, 0, 0, 1]])


class TestSequence:
    def test_items_are_rows_of_a_batch(self, made):
        windows = Windows(made, "valid", history=2, memory_gigabytes=0)
        batch = windows.batch(range(len(windows)))
        for index, item in enumerate(windows):
            assert item.keys() == set(batch._fields)
            assert item["samples"] == batch.samples[index]
            assert item["starts"] == batch.starts[index]
            assert item["parameters"]["kappa"] == batch.parameters["kappa"][index]
            assert np.array_equal(
                item["field_inputs"]["source"], batch.field_inputs["source"][index]
            )
            assert np.array_equal(item["fields"]["flux"], batch.fields["flux"][index])
        assert index == len(windows) - 1
        assert np.array_equal(windows[-1]["fields"]["load"], item["fields"]["load"])

    @pytest.mark.parametrize("index", [30, -31, 10**9])
    def test_there_are_no_others(self, made, index):
        windows = Windows(made, "valid")
        assert len(windows) == 30
        with pytest.raises(IndexError):
            windows[index]
        with pytest.raises(IndexError, match="there are windows 0 to 29"):
            windows.batch([0, index])

    def test_a_batch_may_be_empty(self, made):
        for memory in (None, 0):
            batch = Windows(made, "valid", memory_gigabytes=memory).batch([])
            assert batch.fields["flux"].shape == (0, 2, 6, 3, 2)

    def test_what_is_handed_out_may_be_changed(self, made, loaded):
        windows = Windows(made, "train")
        for values in windows.batch([0]).fields.values():
            values[:] = np.nan
        assert np.array_equal(windows.batch([0]).fields["theta"][0], loaded.fields["theta"][0, :2])


class TestProcessesAndThreads:
    @pytest.mark.parametrize(
        ("method", "memory", "workers"), [("fork", None, 2), ("fork", 0, 2), ("spawn", None, 1)]
    )
    def test_workers(self, made, loaded, method, memory, workers):
        if method == "spawn" and made.compression is not None:
            pytest.skip("takes seconds to start, and passes a pickle like the other")
        windows = Windows(made, "train", history=2, stride=2, memory_gigabytes=memory)
        here = windows.batch([3, 90])  # the parent has files open when it forks
        loader = DataLoader(
            windows,
            batch_size=16,
            num_workers=workers,
            multiprocessing_context=method,
            timeout=120,
        )
        known = iter(enumerated(len(loaded), 2, 1, 2, False))
        for batch in loader:
            for row, start in enumerate(batch["starts"].tolist()):
                trajectory, wanted_start, times = next(known)
                assert batch["samples"][row] == loaded.indices[trajectory]
                assert start == wanted_start
                for name, values in loaded.fields.items():
                    assert np.array_equal(batch["fields"][name][row], values[trajectory, times])
        assert next(known, None) is None
        again = windows.batch([3, 90])
        assert np.array_equal(here.fields["load"], again.fields["load"])

    def test_a_loader_may_ask_for_batches(self, made):
        windows = Windows(made, "train")
        sampler = BatchSampler(RandomSampler(windows), 8, drop_last=True)
        batch = next(iter(DataLoader(windows, batch_sampler=sampler)))
        assert batch["fields"]["load"].shape == (8, 2, 6, 3, 2, 2)

    def test_a_pickle_takes_no_data_along(self, made, loaded):
        windows = Windows(made, "train", history=3)
        assert windows.in_memory
        pickled = pickle.dumps(windows)
        assert loaded.fields["load"][3].tobytes() not in pickled
        copied = pickle.loads(pickled)
        assert not copied.in_memory
        assert windows.in_memory
        assert np.array_equal(copied.batch([7]).fields["load"], windows.batch([7]).fields["load"])

    def test_the_simulation_need_not_be_known_where_a_pickle_is_read(self, generate_here, tmp_path):
        class Local(Toy):
            """Of no module."""

        dataset = generate_here(Local(n=6), 5, tmp_path)
        windows = Windows(dataset, "train", memory_gigabytes=0)
        copied = pickle.loads(pickle.dumps(windows))
        assert np.array_equal(copied.batch([2]).fields["load"], windows.batch([2]).fields["load"])

    def test_a_fork_while_a_thread_reads(self, made):
        """The child has a copy of the lock that nobody will ever release there."""
        windows = Windows(made, "train", memory_gigabytes=0)
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(target=lambda: answers.put(windows.batch([3]).fields["power"]))
        is_reading, may_end = Event(), Event()

        def read():
            with windows._open_shards.use(made.shards("train")[0]):
                is_reading.set()
                may_end.wait()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(read)
            is_reading.wait()
            child.start()
            child.join(30)
            may_end.set()
        child.kill()
        assert child.exitcode == 0
        assert np.array_equal(answers.get(), windows.batch([3]).fields["power"])

    def test_threads(self, made, loaded, monkeypatch):
        """More shards than may be open: threads close what others have just used."""
        windows = Windows(made, "train", memory_gigabytes=0)
        windows._open_shards._limit = 2
        known = enumerated(len(loaded), 1, 1, 1, False)
        rng = np.random.default_rng(0)
        asked = [rng.integers(0, len(known), 8).tolist() for _ in range(60)]
        with ThreadPoolExecutor(4) as pool:
            for picked, batch in zip(asked, pool.map(windows.batch, asked), strict=True):
                check(batch, loaded, [known[i] for i in picked])


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
class TestOpenFiles:
    @staticmethod
    def opened(dataset):
        """Shards of a dataset that this process holds open."""
        found = []
        for descriptor in Path("/proc/self/fd").iterdir():
            try:
                found.append(os.readlink(descriptor))
            except FileNotFoundError:  # the one that listed the others
                continue
        return [path for path in found if path.startswith(f"{dataset.path.resolve()}/")]

    def test_stay_open_up_to_a_limit(self, copy):
        windows = Windows(copy, "train", memory_gigabytes=0)
        assert len(copy.shards("train")) > 5
        windows._open_shards._limit = 3
        for _ in range(2):
            windows.batch(range(len(windows)))
            opened = self.opened(copy)
            assert sorted(opened) == sorted(map(str, copy.shards("train")[-3:]))
        del windows
        assert self.opened(copy) == []

    def test_none_stays_open_when_the_data_are_in_memory(self, copy):
        windows = Windows(copy, "train")
        windows.batch([0])
        assert self.opened(copy) == []

    def test_none_is_left_behind_by_an_error(self, copy):
        shard = copy.shards("train")[3]
        with h5py.File(shard, "r+") as file:
            del file["flux"]
        with pytest.raises(DatasetError, match=f"{shard.name}: not readable as a shard"):
            Windows(copy, "train")
        assert self.opened(copy) == []


class TestBadShards:
    @pytest.mark.parametrize("memory", [None, 0])
    def test_another_file_under_the_same_name(self, copy, monkeypatch, memory):
        """An extended dataset has longer shards, in which everything lies elsewhere."""
        windows = Windows(copy, "train", memory_gigabytes=0)
        first, other = copy.shards("train")[:2]
        shutil.copyfile(other, first)
        with pytest.raises(DatasetError, match=f"{first.name}: .*it has been replaced"):
            windows.batch([0]) if memory == 0 else windows._load()
        assert windows.batch([60]).fields["theta"].size

    def test_one_that_is_gone(self, copy):
        windows = Windows(copy, "train", memory_gigabytes=0)
        first = copy.shards("train")[0]
        first.unlink()
        with pytest.raises(DatasetError, match=f"{first.name}: not readable any more"):
            windows.batch([0])

    def test_one_that_has_become_shorter_while_it_was_open(self, copy):
        if copy.compression is not None:
            pytest.skip("what HDF5 has decoded it remembers")
        windows = Windows(copy, "train", memory_gigabytes=0)
        batch = windows.batch([0])
        first = copy.shards("train")[0]
        os.truncate(first, 100)
        with pytest.raises(DatasetError, match=f"{first.name}: not readable any more"):
            windows.batch([5])
        assert batch.fields["theta"].size

    def test_other_shapes(self, copy):
        shard = copy.shards("train")[2]
        with h5py.File(shard, "r+") as file:
            values = file["power"][:, :-1]
            del file["power"]
            file["power"] = values
        with pytest.raises(DatasetError, match=rf"{shard.name}: power has the shape \(4, 6\)"):
            Windows(copy, "train")

    def test_what_does_not_lie_in_one_piece_is_read_all_the_same(self, copy, loaded):
        """Chunks, other numbers, a block before the data: as other programs may write them."""
        first, second, third = copy.shards("train")[:3]
        with h5py.File(first, "r+") as file:
            values = file["theta"][:]
            del file["theta"]
            file.create_dataset("theta", data=values, chunks=(2, 3, 4, 2))
        with h5py.File(second, "r+") as file:
            values = file["flux"][:]
            del file["flux"]
            file.create_dataset("flux", data=values, dtype=">f8")
        with (
            h5py.File(third) as file,
            h5py.File(third.with_suffix(".new"), "w", userblock_size=512) as new,
        ):
            for name in file:
                file.copy(name, new)
        third.with_suffix(".new").replace(third)
        windows = Windows(copy, "train", memory_gigabytes=0)
        picked = list(range(0, 72, 5))
        known = enumerated(len(loaded), 1, 1, 1, False)
        check(windows.batch(picked), loaded, [known[i] for i in picked])


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"history": -1}, "history=-1"),
            ({"horizon": 1.5}, "horizon=1.5"),
            ({"stride": 0}, "stride=0"),
            ({"history": 0, "horizon": 0}, "history=0, horizon=0"),
            ({"history": 7}, "history=7, horizon=1"),
            ({"memory_gigabytes": -1}, "memory_gigabytes=-1"),
        ],
    )
    def test_arguments(self, made, options, named):
        with pytest.raises(ValueError, match=named):
            Windows(made, "train", **options)

    def test_an_unknown_split(self, made):
        with pytest.raises(ValueError, match="split='all': must be one of"):
            Windows(made, "all")
