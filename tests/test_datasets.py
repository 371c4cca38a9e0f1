"""Datasets on disk: the same bytes however they are made, and nothing silently wrong."""

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
import yaml
from hypothesis import given
from hypothesis import strategies as st

import simulations
from simulations.datasets import SPLITS, Dataset, DatasetError, Trajectories, layout, statistics
from simulations.datasets.publish import (
    ABANDONED_SECONDS,
    publish_text,
    published,
    remove_abandoned,
    this_machine,
)
from simulations.designs import sample_generator
from simulations.generation import execution
from simulations.generation.plan import plan_shards
from simulations.inputs import Distribution
from simulations.simulation import Field, InvalidInput, SimulationDiverged
from tests.toy import Toy

# The package exports a function of the same name
generation = importlib.import_module("simulations.generate")

ROOT = Path(__file__).parent.parent
# About a third of its draws diverge
TOY = Toy(runaway=0.02)
N = 23


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What most tests read: made by two workers, some draws having diverged."""
    path = tmp_path_factory.mktemp("made") / "toy"
    return simulations.generate(TOY, N, path, seed=3, workers=2, progress=False)


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy")
    return Dataset(tmp_path / "copy")


def fingerprint(folder):
    """SHA-256 of everything that must not depend on how the data were made."""
    files = [*folder.glob("data/*/*"), folder / "stats.yaml", folder / "failures.jsonl"]
    files.append(folder / "dataset.json")
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def by_index(dataset):
    """Each trajectory of all splits by the index of its draw, with the split."""
    found = {}
    for split in filter(dataset.count, SPLITS):
        data = dataset.load(split)
        for position, index in enumerate(data.indices.tolist()):
            assert index not in found
            values = {**data.parameters, **data.field_inputs, **data.fields}
            found[index] = (split, {name: array[position] for name, array in values.items()})
    return found


class TestSameBytes:
    def test_one_worker_or_two(self, made, tmp_path):
        serial = simulations.generate(TOY, N, tmp_path, seed=3, workers=1, progress=False)
        assert fingerprint(serial.path) == fingerprint(made.path)

    def test_without_worker_processes(self, made, generate_here, tmp_path):
        alone = generate_here(TOY, N, tmp_path, seed=3)
        assert fingerprint(alone.path) == fingerprint(made.path)

    def test_another_seed_gives_other_data(self, made, generate_here, tmp_path):
        other = fingerprint(generate_here(TOY, N, tmp_path, seed=4).path)
        same = {name for name, digest in fingerprint(made.path).items() if other[name] == digest}
        assert same == set()

    def test_continuing_after_losses(self, made, copy, generate_here):
        """Whatever is lost, only that is made again, and the bytes are the same."""
        before = {path: path.stat().st_mtime_ns for path in copy.path.glob("data/*/*.hdf5")}
        lost = [copy.shards("train")[0], copy.shards("train")[-1], copy.shards("test")[0]]
        lost[0].unlink()
        record = copy.path / "records" / "train-00003.json"
        record.unlink()
        truncated = copy.shards("valid")[0]
        truncated.write_bytes(truncated.read_bytes()[:-100])
        (copy.path / "records" / "test-00000.json").write_text('{"planned": [9')
        (copy.path / "records" / f"{lost[1].stem}.json").write_text("[]")
        (copy.path / "stats.yaml").unlink()
        (copy.path / "failures.jsonl").write_text("nonsense")
        generate_here(TOY, N, copy.path, seed=3)
        assert fingerprint(copy.path) == fingerprint(made.path)
        remade = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
        assert remade == {*lost, truncated, copy.path / "data" / "train" / "train-00003.hdf5"}

    def test_asking_again_solves_nothing(self, copy, monkeypatch):
        monkeypatch.setattr(Toy, "solve", None)
        before = fingerprint(copy.path)
        simulations.generate(TOY, N, copy.path, seed=3, progress=False)
        assert fingerprint(copy.path) == before

    def test_the_recorded_checksums_are_those_of_the_files(self, made):
        digests = fingerprint(made.path)
        for split in SPLITS:
            for shard, record in zip(made.shards(split), made.records(split), strict=True):
                assert record["sha256"] == digests[f"data/{split}/{shard.name}"]
                assert record["bytes"] == shard.stat().st_size
                assert len(record["wall_time_seconds"]) == len(record["indices"])
                assert min(record["wall_time_seconds"]) > 0

    def test_nothing_is_left_behind(self, made):
        expected = {"dataset.json", "stats.yaml", "failures.jsonl", "data", "records"}
        assert {path.name for path in made.path.iterdir()} == expected
        assert not list(made.path.rglob("*.tmp"))


class TestExtending:
    def test_equals_generating_at_once(self, made, generate_here, tmp_path):
        generate_here(TOY, 9, tmp_path, seed=3)
        extended = generate_here(TOY, N, tmp_path, seed=3)
        assert len(extended) == N
        longer, atonce = by_index(extended), by_index(made)
        assert longer.keys() == atonce.keys()
        for index, (split, values) in longer.items():
            assert split == atonce[index][0]
            for name, array in values.items():
                assert np.array_equal(array, atonce[index][1][name]), (index, name)
        for name in ("failures.jsonl", "stats.yaml"):
            assert (tmp_path / name).exists()
        assert failures(extended) == failures(made)
        compare_statistics(extended.path, made.path)

    @pytest.mark.parametrize(("before", "after"), [(21, 29), (5, 40)])
    def test_keeps_what_is_there(self, generate_here, tmp_path, before, after):
        first = by_index(generate_here(Toy(), before, tmp_path, seed=1))
        untouched = {path: path.stat().st_mtime_ns for path in tmp_path.glob("data/*/*.hdf5")}
        second = by_index(generate_here(Toy(), after, tmp_path, seed=1))
        for index, (split, _) in first.items():
            assert second[index][0] == split
        again = {path: path.stat().st_mtime_ns for path in untouched}
        # Only the last shard of a split may have had room for more
        changed = [path.stem for path in untouched if untouched[path] != again[path]]
        assert len({name.split("-")[0] for name in changed}) == len(changed)

    @given(
        ns=st.tuples(st.integers(1, 300), st.integers(1, 300)).map(sorted),
        weights=st.tuples(*[st.integers(0, 10)] * 3).filter(any),
        size=st.integers(1, 20),
    )
    def test_no_index_ever_moves(self, ns, weights, size):
        splits = [weight / sum(weights) for weight in weights]
        small, large = (
            list(plan_shards({"splits": splits, "n": n, "samples_per_shard": size})) for n in ns
        )
        for n, plans in zip(ns, (small, large), strict=True):
            indices = [index for plan in plans for index in plan.indices]
            assert sorted(indices) == list(range(n))
            assert len({(plan.split, plan.number) for plan in plans}) == len(plans)
            assert all(0 < len(plan.indices) <= size for plan in plans)
            for split, fraction in zip(SPLITS, splits, strict=True):
                count = sum(len(plan.indices) for plan in plans if plan.split == split)
                assert abs(count - fraction * n) <= 1.0 + 1e-9
        later = {(plan.split, plan.number): plan.indices for plan in large}
        for plan in small:
            assert later[plan.split, plan.number][: len(plan.indices)] == plan.indices


class TestSplits:
    def test_eighty_ten_ten_by_trajectory(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=6, n_times=2), 100, tmp_path)
        members = {split: set(dataset.load(split).indices.tolist()) for split in SPLITS}
        assert {split: len(m) for split, m in members.items()} == {
            "train": 80,
            "valid": 10,
            "test": 10,
        }
        assert set.union(*members.values()) == set(range(100))
        # Spread over all draws, so that any prefix of them has the same fractions
        assert max(members["valid"]) > 80
        assert min(members["test"]) < 20
        assert repr(dataset) == f"Dataset({str(tmp_path)!r}: Toy, train 80, valid 10, test 10)"

    def test_other_fractions(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=6), 4, tmp_path, splits=(0.0, 0.5, 0.5))
        assert [dataset.count(split) for split in SPLITS] == [0, 2, 2]
        assert not (tmp_path / "stats.yaml").exists()
        with pytest.raises(DatasetError, match="the train split has no trajectories"):
            dataset.load("train")
        with pytest.raises(DatasetError, match="the train split has no trajectories"):
            dataset.to_xarray("train")

    def test_numbers_may_be_those_of_numpy(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=np.int64(6)), np.int64(20), tmp_path, seed=np.uint32(1))
        assert dataset.simulation == Toy(n=6)
        assert sum(dataset.count(split) for split in SPLITS) == 20

    def test_a_single_trajectory_is_for_training(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=6, n_times=1), 1, tmp_path)
        assert [dataset.count(split) for split in SPLITS] == [1, 0, 0]
        assert "mean_delta" not in yaml.safe_load((tmp_path / "stats.yaml").read_text())


def failures(dataset):
    lines = (dataset.path / "failures.jsonl").read_text().splitlines()
    return sorted((json.loads(line) for line in lines), key=lambda failure: failure["index"])


class TestFailures:
    def test_are_recorded_with_inputs_and_reason(self, made):
        recorded = failures(made)
        assert recorded
        for failure in recorded:
            assert set(failure) == {"index", "kind", "time", "reason", "inputs"}
            assert failure["kind"] == "diverged"
            assert failure["reason"] == "the heat runs away"
            assert failure["time"] == TOY.t_end / 2
            drawn = made.inputs(failure["index"])
            assert set(failure["inputs"]) == set(TOY.parameters), "fields follow from the index"
            for name, value in failure["inputs"].items():
                assert value == drawn[name]
            with pytest.raises(SimulationDiverged):
                TOY(**drawn)

    def test_a_replacement_has_an_index_of_its_own(self, made):
        failed = {failure["index"] for failure in failures(made)}
        solved = by_index(made)
        assert not failed & solved.keys()
        places = {index % 2**32 for index in solved}
        assert places == set(range(N))
        for index in failed:
            # The next attempt at the same place either failed too or is in the data
            assert index + 2**32 in failed | solved.keys()
        replaced = [index for index in solved if index >= 2**32]
        assert sorted({index % 2**32 for index in failed}) == sorted(i % 2**32 for i in replaced)
        assert max(replaced) >= 2 * 2**32, "choose a seed with two failures in a row"

    def test_a_silent_nan_is_a_failure_too(self, made, generate_here, tmp_path):
        silent = generate_here(Toy(runaway=0.02, silent=True), N, tmp_path, seed=3)
        assert by_index(silent).keys() == by_index(made).keys()
        assert {f["reason"] for f in failures(silent)} == {"theta is not finite in float32"}
        for split in SPLITS:
            assert all(np.isfinite(v).all() for v in silent.load(split).fields.values())

    def test_ten_in_a_row_stop_it(self, tmp_path):
        with pytest.raises(
            SimulationDiverged, match=r"t=0.25: 10 draws in a row, the last with the heat runs"
        ):
            simulations.generate(Toy(runaway=0.0), 3, tmp_path, workers=1, progress=False)
        assert not list(tmp_path.rglob("*.hdf5"))
        assert not list(tmp_path.rglob("*.tmp"))

    def test_a_worker_that_dies_is_reported(self, tmp_path):
        with pytest.raises(
            RuntimeError, match=r"4 worker processes have died \(exit code 1\).* run the same"
        ):
            simulations.generate(Deadly(), 3, tmp_path, workers=1, progress=False)


@dataclass(frozen=True)
class Deadly(Toy):
    """Ends the process that solves it, but not while it warms up."""

    def solve(self, inputs):
        if self.n == 12:
            os._exit(1)
        return super().solve(inputs)


class TestContent:
    def test_sample_i_is_the_solution_of_draw_i(self, made):
        for index, (_, values) in by_index(made).items():
            inputs = TOY.sample(sample_generator(3, index))
            solution = TOY.run(inputs)
            for name in TOY.fields:
                assert np.array_equal(values[name], solution[name].astype(np.float32))
            for name in ("kappa", "offset", "source"):
                assert np.array_equal(values[name], np.asarray(inputs[name], dtype=np.float32))

    def test_draws_are_different_and_depend_on_seed_and_index(self):
        first = [
            sample_generator(seed, index).random()
            for seed in (0, 1, 2**70)
            for index in (0, 1, 2**32, 2**32 + 1, 2**33)
        ]
        assert len(set(first)) == len(first)
        assert sample_generator(5, 8).random() == sample_generator(5, 8).random()

    def test_the_dataset_knows_its_simulation(self, made):
        assert made.simulation == TOY
        assert made.seed == 3
        assert len(made) == N
        assert made.solver_seconds > 0

    def test_everything_is_float32(self, made):
        data = made.load("train")
        for values in (*data.parameters.values(), *data.field_inputs.values()):
            assert values.dtype == np.float32
        assert len(data) == len(data.indices) == made.count("train")

    @pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
    @pytest.mark.filterwarnings("error")
    def test_xarray_opens_a_shard(self, made, engine):
        pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
        data = layout.read_shard(made.shards("train")[1], TOY)
        with xarray.open_dataset(made.shards("train")[1], engine=engine) as shard:
            assert shard["theta"].dims == ("sample", "time", "x", "y")
            assert shard["flux"].dims == ("sample", "time", "x", "y", "component")
            assert shard["load"].dims == ("sample", "time", "x", "y", "component", "component2")
            assert shard["power"].dims == ("sample", "time")
            assert shard["source"].dims == ("sample", "x", "y")
            assert shard["kappa"].dims == ("sample",)
            for name in TOY.fields:
                assert np.array_equal(shard[name], data.fields[name])
                assert shard[name].attrs["units"] == TOY.fields[name].unit
                assert shard[name].attrs["long_name"] == TOY.fields[name].description
            assert np.array_equal(shard["sample"], data.indices)
            for axis in TOY.grid.axes:
                np.testing.assert_allclose(shard[axis.name], axis.points, rtol=1e-6)
                assert shard[axis.name].attrs["units"] == "m"
            np.testing.assert_allclose(shard["time"], TOY.times, rtol=1e-6)
            assert shard.attrs["dataset_name"] == "Toy"
            assert shard.attrs["seed"] == "3"

    @pytest.mark.filterwarnings("error")
    def test_a_split_as_one_xarray_dataset(self, made, tmp_path):
        data, joined = made.load("train"), made.to_xarray("train")
        assert np.array_equal(joined["sample"], data.indices)
        assert np.array_equal(joined["load"], data.fields["load"])
        assert joined.attrs["n_trajectories"] == len(data)
        joined.to_netcdf(tmp_path / "train.nc", engine="h5netcdf")
        with xarray.open_dataset(tmp_path / "train.nc", engine="h5netcdf") as again:
            xarray.testing.assert_equal(again, joined)

    def test_a_shard_has_the_layout_of_the_well(self, made):
        """Axis rules and flags as the format checker of The Well demands them."""
        with h5py.File(made.shards("train")[0]) as file:
            n = file.attrs["n_trajectories"]
            assert list(file["dimensions"].attrs["spatial_dims"]) == ["x", "y"]
            assert file.attrs["n_spatial_dims"] == 2
            groups = {"t0_fields": ["theta", "source"], "t1_fields": ["flux"]}
            groups |= {"t2_fields": ["load"], "scalars": ["kappa", "offset", "power"]}
            for group, names in groups.items():
                assert list(file[group].attrs["field_names"]) == names
                for name in names:
                    member = file[group][name]
                    assert member == file[name], "a hard link, not a copy"
                    sizes = [n] if member.attrs["sample_varying"] else []
                    sizes += [5] if member.attrs["time_varying"] else []
                    if group != "scalars":
                        assert member.attrs["dim_varying"].dtype == bool
                        assert member.attrs["dim_varying"].all()
                        sizes += [12, 6] + [2] * int(group[1])
                    assert member.shape == tuple(sizes)
                    for flag in ("sample_varying", "time_varying"):
                        assert isinstance(member.attrs[flag], np.bool_)
            assert file["dimensions/time"].attrs["time_varying"]
            assert not file["dimensions/x"].attrs["time_varying"]
            sides = {
                name: (group.attrs["bc_type"], group["mask"][:].nonzero()[0].tolist())
                for name, group in file["boundary_conditions"].items()
            }
            assert sides == {
                "x_periodic": ("PERIODIC", [0, 11]),
                "y_wall": ("WALL", [0]),
                "y_open": ("OPEN", [5]),
            }

    def test_a_vector_without_space_is_not_a_scalar_of_the_well(self, monkeypatch, tmp_path):
        fields: Mapping[str, Field] = {"force": Field("force", "N", order=1, spatial=False)}
        monkeypatch.setattr(Toy, "fields", fields)
        empty = np.zeros((2, 12, 6))
        parameters = {"kappa": np.zeros(2), "offset": np.zeros(2)}
        force = np.arange(20.0).reshape(2, 5, 2)
        samples = Trajectories(np.arange(2), parameters, {"source": empty}, {"force": force})
        layout.write_shard(tmp_path / "shard.hdf5", Toy(), samples, seed=0)
        with h5py.File(tmp_path / "shard.hdf5") as file:
            assert list(file["scalars"].attrs["field_names"]) == ["kappa", "offset"]
        with xarray.open_dataset(tmp_path / "shard.hdf5", engine="h5netcdf") as shard:
            assert shard["force"].dims == ("sample", "time", "component")
            assert np.array_equal(shard["force"], force)


def compare_statistics(path, other):
    ours, theirs = (yaml.safe_load((p / "stats.yaml").read_text()) for p in (path, other))
    assert ours.keys() == theirs.keys()
    for kind in ours:
        assert ours[kind].keys() == theirs[kind].keys()
        for name in ours[kind]:
            np.testing.assert_allclose(ours[kind][name], theirs[kind][name], rtol=1e-10, atol=1e-12)


class TestStatistics:
    def test_are_those_of_two_passes_over_the_train_split(self, made):
        found = yaml.safe_load((made.path / "stats.yaml").read_text())
        data = made.load("train")
        assert len(made.shards("train")) > 5
        everything = {**data.fields, **data.field_inputs}
        assert set(found) == {"mean", "std", "rms", "mean_delta", "std_delta", "rms_delta"}
        assert set(found["mean"]) == {"theta", "flux", "load", "power", "source"}
        assert set(found["mean_delta"]) == {"theta", "flux", "load", "power"}
        for name, values in everything.items():
            values = values.astype(np.float64)
            order = TOY.fields[name].order if name in TOY.fields else 0
            for suffix in ("", "_delta"):
                if name not in found["mean" + suffix]:
                    continue
                if suffix:
                    values = np.diff(values, axis=1)
                axes = tuple(range(values.ndim - order))
                mean = values.mean(axis=axes)
                std = np.sqrt(((values - mean) ** 2).mean(axis=axes))
                rms = np.sqrt((values**2).mean(axis=axes))
                assert np.shape(found["mean" + suffix][name]) == (2,) * order
                np.testing.assert_allclose(found["mean" + suffix][name], mean, rtol=1e-6)
                np.testing.assert_allclose(found["std" + suffix][name], std, rtol=1e-6)
                np.testing.assert_allclose(found["rms" + suffix][name], rms, rtol=1e-6)

    @given(
        sizes=st.lists(st.integers(1, 50), min_size=1, max_size=10),
        offset=st.sampled_from([0.0, 1.0, -1e4, 1e8]),
        seed=st.integers(0, 2**32),
    )
    def test_merging_loses_no_digits_to_a_large_mean(self, sizes, offset, seed):
        rng = np.random.default_rng(seed)
        parts = [offset + rng.standard_normal((size, 3)) for size in sizes]
        moments = [
            {
                "count": len(part),
                "mean": part.mean(axis=0).tolist(),
                "centred": ((part - part.mean(axis=0)) ** 2).sum(axis=0).tolist(),
            }
            for part in parts
        ]
        merged, whole = statistics.merge(moments), np.concatenate(parts)
        assert merged["count"] == len(whole)
        np.testing.assert_allclose(merged["mean"], whole.mean(axis=0), rtol=1e-12, atol=1e-12)
        centred = ((whole - whole.mean(axis=0)) ** 2).sum(axis=0)
        np.testing.assert_allclose(merged["centred"], centred, rtol=1e-6, atol=1e-6)


class TestErrors:
    def test_a_folder_with_something_else(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(DatasetError, match="is not empty and not a dataset; choose another"):
            simulations.generate(Toy(), 3, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_a_file_instead_of_a_folder(self, tmp_path):
        (tmp_path / "file").write_text("precious")
        with pytest.raises(DatasetError, match="file: is a file; choose another folder"):
            simulations.generate(Toy(), 3, tmp_path / "file")

    @pytest.mark.parametrize("name", ["nowhere", "."])
    def test_reading_what_is_not_a_dataset(self, tmp_path, name):
        with pytest.raises(DatasetError, match=r"not a dataset \(there is no dataset.json\)"):
            Dataset(tmp_path / name)

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"seed": 4}, "holds a dataset with seed=3, not 4; choose another folder"),
            ({"splits": (0.5, 0.25, 0.25)}, r"splits=\[0.8, 0.1, 0.1\], not \[0.5, 0.25, 0.25\]"),
            ({"simulation": Toy(n=8, runaway=0.02)}, "settings={.*'n': 12.*}, not {.*'n': 8"),
            ({"simulation": Deadly(runaway=0.02)}, "system=Toy, not Deadly"),
            ({"n": N - 1}, f"n={N - 1}: .* already holds {N} trajectories"),
        ],
    )
    def test_another_dataset_in_the_folder(self, copy, change, complaint):
        before = fingerprint(copy.path)
        arguments = {"simulation": TOY, "n": N, "path": copy.path, "seed": 3} | change
        with pytest.raises(DatasetError, match=complaint):
            simulations.generate(**arguments)
        assert fingerprint(copy.path) == before

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"", "not a dataset description"),
            (b'{"format_version": 1, "system"', "not a dataset description"),
            (b"\xff\xfe\x00", "not a dataset description"),
            (b"[1]", "not a dataset description"),
            (b'{"n": 3}', "not a dataset description"),
            (b'{"format_version": 1, "n": 3}', r"lacks \['system', 'settings'"),
            (b'{"format_version": 99}', "format version 99; this package reads 1"),
        ],
    )
    def test_a_corrupted_description(self, copy, content, complaint):
        (copy.path / "dataset.json").write_bytes(content)
        with pytest.raises(DatasetError, match=complaint):
            Dataset(copy.path)
        with pytest.raises(DatasetError, match=complaint):
            simulations.generate(TOY, N, copy.path, seed=3)

    def test_a_corrupted_record(self, copy):
        (copy.path / "records" / "train-00001.json").write_text('{"planned": [')
        complaint = r"train-00001.json: not a record of a shard .* run generate again to repair"
        for read in (copy.load, copy.to_xarray, copy.count):
            with pytest.raises(DatasetError, match=complaint):
                read("train")

    def test_a_missing_shard(self, copy):
        copy.shards("train")[2].unlink()
        total = sum(1 for _ in copy.records("train"))
        complaint = f"{total - 1} of {total} train shards are there; run generate again to complete"
        for read in (copy.load, copy.to_xarray):
            with pytest.raises(DatasetError, match=complaint):
                read("train")
        copy.load("valid")

    def test_a_missing_shard_together_with_its_record(self, copy):
        lost = copy.shards("train")[2]
        lost.unlink()
        (copy.path / "records" / f"{lost.stem}.json").unlink()
        complaint = f"holds {N - 2} of {N} trajectories; run generate again to complete"
        for read in (copy.load, copy.to_xarray):
            with pytest.raises(DatasetError, match=complaint):
                read("train")

    @pytest.mark.parametrize("kept", [0, 7, 0.5, -1])
    def test_a_truncated_shard(self, copy, kept):
        shard = copy.shards("train")[1]
        content = shard.read_bytes()
        shard.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else kept])
        for read in (copy.load, copy.to_xarray):
            with pytest.raises(DatasetError, match=f"{shard.name}: not readable as a shard"):
                read("train")

    def test_a_shard_of_something_else(self, copy):
        with h5py.File(copy.shards("train")[0], "w") as file:
            file["pressure"] = 1.0
        with pytest.raises(DatasetError, match=r"train-00000.hdf5: not readable as a shard"):
            copy.load("train")

    def test_a_split_that_does_not_exist(self, made):
        for read in (made.load, made.to_xarray, made.shards):
            with pytest.raises(ValueError, match=r"split='dev': must be one of \['train', 'valid'"):
                read("dev")

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"n": 0}, r"n=0: must be an integer in \[1, 1e\+12\]"),
            ({"n": 2.5}, "n=2.5: must be an integer"),
            ({"n": True}, "n=True: must be an integer"),
            ({"seed": -1}, r"seed=-1: must be an integer in \[0, inf\]"),
            ({"seed": None}, "seed=None: must be an integer"),
            ({"workers": 0}, r"workers=0: must be an integer in \[1, 4096\]"),
            ({"workers": 1.5}, "workers=1.5: must be an integer"),
            ({"splits": (0.8, 0.1)}, r"splits=\(0.8, 0.1\): must be three fractions"),
            ({"splits": (0.8, 0.1, 0.2)}, "must be three fractions that add up to 1"),
            ({"splits": (1.5, -0.25, -0.25)}, "must be three fractions that add up to 1"),
            ({"splits": (np.nan, 0.1, 0.1)}, "must be three fractions that add up to 1"),
        ],
    )
    def test_arguments_out_of_range(self, tmp_path, arguments, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            simulations.generate(
                **{"simulation": Toy(), "n": 3, "path": tmp_path / "d"} | arguments
            )
        assert not (tmp_path / "d").exists()

    def test_a_dataset_of_a_system_that_is_not_imported(self, copy):
        manifest = copy.manifest | {"system": "Unheard"}
        (copy.path / "dataset.json").write_text(json.dumps(manifest))
        with pytest.raises(InvalidInput, match="Unheard: no such system"):
            Dataset(copy.path).load("train")


@dataclass(frozen=True)
class Flat(Distribution):
    def sample(self, rng, grid):
        return np.full(grid.shape, rng.random())


class TestProcesses:
    def test_a_class_defined_in_a_function_is_generated_in_one_process(self, tmp_path, capsys):
        @dataclass(frozen=True)
        class Local(Toy):
            pass

        with pytest.warns(
            UserWarning, match=r"Local is defined in the running program or in a function"
        ):
            dataset = simulations.generate(Local(), 2, tmp_path)
        assert len(dataset.load("train")) == 2
        assert "Local: 100%" in capsys.readouterr().err

    def test_what_refers_to_the_main_module(self, monkeypatch):
        main = sys.modules["__main__"]
        assert execution.main_module_of(Toy()) is None
        monkeypatch.setattr(Flat, "__module__", "__main__")
        monkeypatch.setattr(main, "Flat", Flat, raising=False)
        monkeypatch.setattr(main, "__file__", __file__, raising=False)
        monkeypatch.setattr(main, "__spec__", None)
        assert execution.main_module_of(Toy(initial=Flat())) == __file__
        assert not execution.is_out_of_reach(Toy(initial=Flat()))
        for elsewhere in ("<stdin>", None):
            monkeypatch.setattr(main, "__file__", elsewhere)
            assert execution.is_out_of_reach(Toy(initial=Flat()))
            assert not execution.is_out_of_reach(Toy())

    def test_a_script_without_the_main_guard(self, tmp_path):
        script = """
import simulations
from tests.toy import Toy
print("started")
data = simulations.generate(Toy(n=6), 4, "data", workers=2, progress=False)
print(len(data), len(data.load("train")))
"""
        assert run_script(script, tmp_path) == ["started", "4 3"]

    def test_a_system_and_a_distribution_defined_in_a_guarded_script(self, tmp_path):
        script = """
from dataclasses import dataclass
import numpy as np
import simulations
from simulations.inputs import Distribution
from tests.toy import Toy

@dataclass(frozen=True)
class Flat(Distribution):
    level: float = 2.0

    def sample(self, rng, grid):
        return np.full(grid.shape, self.level)

@dataclass(frozen=True)
class Mine(Toy):
    initial: Distribution = Flat()

if __name__ == "__main__":
    data = simulations.generate(Mine(n=6), 4, "data", workers=2, progress=False)
    print(len(data), type(data.simulation).__name__, data.simulation == Mine(n=6))
"""
        assert run_script(script, tmp_path) == ["4 Mine True"]


def finished_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def run_script(text, folder):
    (folder / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


class TestPublishing:
    def test_content_is_on_the_disk_before_the_name_is(self, monkeypatch, tmp_path):
        calls = []
        real_sync, real_replace = os.fsync, os.replace

        def fsync(descriptor):
            calls.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
            real_sync(descriptor)

        def replace(source, target):
            calls.append(("replace", Path(target).name))
            real_replace(source, target)

        if not Path("/proc/self/fd").exists():
            pytest.skip("needs /proc to see which file is synchronised")
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", replace)
        publish_text(tmp_path / "a.txt", "new")
        assert [kind for kind, _ in calls] == ["fsync", "replace", "fsync"]
        assert calls[0][1].startswith(".a.txt.")
        assert calls[1:] == [("replace", "a.txt"), ("fsync", tmp_path.name)]

    def test_readers_see_the_old_content_until_the_new_is_whole(self, tmp_path):
        target = tmp_path / "a.txt"
        publish_text(target, "old")
        with published(target) as temporary:
            temporary.write_text("half")
            assert target.read_text() == "old"
            assert temporary.parent == target.parent
            remove_abandoned(tmp_path)
            temporary.write_text("new")
        assert target.read_text() == "new"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_a_failure_publishes_nothing_and_leaves_nothing(self, tmp_path):
        target = tmp_path / "a.txt"
        publish_text(target, "old")

        def fail():
            with published(target) as temporary:
                temporary.write_text("half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert target.read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]

    def test_only_what_a_dead_process_of_this_machine_or_a_week_ago_left_is_removed(self, tmp_path):
        host, dead = this_machine(), finished_process()
        gone = [
            f".train-00000.hdf5.{host}.{dead}.tmp",
            f".stats.yaml.{host}.{dead}.tmp",
            f".stats.yaml.{host}.{os.getpid()}.tmp",
        ]
        kept = [
            f".train-00001.hdf5.{host}.{os.getppid()}.tmp",
            f".train-00002.hdf5.other{host}.{dead}.tmp",
            f".train-00003.hdf5.elsewhere.{dead}.tmp",
            f".notes.{host}.draft.tmp",
            f"train-00004.hdf5.{host}.{dead}.tmp",
            ".tmp",
        ]
        folder = tmp_path / "data" / "train"
        folder.mkdir(parents=True)
        for name in (*gone, *kept):
            (folder / name).touch()
        old = folder / f".train-00005.hdf5.elsewhere.{dead}.tmp"
        old.touch()
        week_ago = time.time() - ABANDONED_SECONDS
        os.utime(old, (week_ago - 10, week_ago - 10))
        os.utime(folder / kept[1], (week_ago + 1000, week_ago + 1000))
        remove_abandoned(tmp_path)
        assert {path.name for path in folder.iterdir()} == set(kept)

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
    def test_a_killed_process_that_nobody_has_waited_for_is_dead(self, tmp_path):
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        temporary = tmp_path / f".a.{this_machine()}.{process.pid}.tmp"
        temporary.touch()
        remove_abandoned(tmp_path)
        assert temporary.exists()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        remove_abandoned(tmp_path)
        assert not temporary.exists()
        process.communicate()

    @pytest.mark.parametrize("with_folders", [False, True])
    def test_a_run_killed_before_its_first_file_can_be_repeated(
        self, generate_here, tmp_path, with_folders
    ):
        """Only what a kill while ``dataset.json`` was written can have left is tolerated."""
        (tmp_path / f".dataset.json.{this_machine()}.999999.tmp").write_text("{")
        if with_folders:
            (tmp_path / "data").mkdir()
            with pytest.raises(DatasetError, match="not empty and not a dataset"):
                simulations.generate(Toy(n=6), 2, tmp_path)
        else:
            generate_here(Toy(n=6), 2, tmp_path)
            assert not list(tmp_path.rglob("*.tmp"))

    def test_the_description_comes_first(self, monkeypatch, tmp_path):
        """Otherwise a kill right after the start would leave a folder nobody accepts."""
        monkeypatch.setattr(generation, "publish_text", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            simulations.generate(Toy(), 2, tmp_path / "d")
        assert list((tmp_path / "d").iterdir()) == []
