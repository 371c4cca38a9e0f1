"""Every kind of damage is found, under its own name, and what is whole is left in peace."""

import hashlib
import json
import shutil
from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
import yaml

from simulations.datasets import (
    Compression,
    Dataset,
    DatasetError,
    layout,
    statistics,
    well_format,
)
from simulations.datasets.quality import check
from simulations.inputs import SineWaves
from simulations.simulation import Sampling
from simulations.systems import Heat
from surrogate import cli
from tests.toy import Toy

HEAT = Heat(ndim=1, n=32, n_times=6)
CLOSE = Heat(ndim=1, n=32, t_end=0.2, n_times=41, initial=SineWaves(waves=3, highest=3))
N = 24


@pytest.fixture(scope="module")
def made(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("quality") / "heat"
    return generate_here(HEAT, N, path, seed=1)


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy")
    return Dataset(tmp_path / "copy")


def kinds(dataset):
    return {problem.kind for problem in check(dataset.path).problems}


def but_residuals(dataset):
    """Frames that somebody has changed do not fulfil the equation either."""
    return [problem for problem in check(dataset.path).problems if problem.kind != "residual"]


def change(shard, edit):
    """Edit a shard and its record, as somebody who means it would; the statistics stay."""
    with h5py.File(shard, "r+") as file:
        edit(file)
    path = shard.parents[2] / "records" / f"{shard.stem}.json"
    record = json.loads(path.read_text())
    record["bytes"] = shard.stat().st_size
    record["sha256"] = hashlib.sha256(shard.read_bytes()).hexdigest()
    path.write_text(json.dumps(record))


class TestWhole:
    def test_a_clean_dataset_gives_no_finding(self, made):
        quality = check(made.path)
        assert quality.problems == []
        assert len(quality.trajectories) == N
        assert 0 < quality.drift["mean"] < 1e-7
        assert "nothing to complain about" in quality.verdict

    def test_nor_does_one_with_vectors_tensors_and_failures(self, generate_here, tmp_path):
        dataset = generate_here(Toy(runaway=0.02), 23, tmp_path / "toy", seed=3)
        quality = check(dataset.path)
        assert quality.problems == []
        assert quality.failures

    def test_nor_does_a_single_file_or_a_folder_without_description(self, copy):
        assert check(copy.shards("train")[0]).problems == []
        (copy.path / "dataset.json").unlink()
        shutil.rmtree(copy.path / "records")
        assert check(copy.path).problems == []

    def test_nor_do_bits_that_were_dropped_on_purpose(self, generate_here, tmp_path):
        short = Compression(keep_bits=8)
        dataset = generate_here(Heat(ndim=1, n=32), 10, tmp_path / "short", compression=short)
        quality = check(dataset.path)
        assert quality.problems == []
        assert 1e-6 < quality.drift["mean"] < quality.rounding

    def test_something_else(self, tmp_path):
        with pytest.raises(DatasetError, match="neither a dataset nor a file of one"):
            check(tmp_path)


class TestFiles:
    def test_a_flipped_byte(self, copy):
        shard = copy.shards("train")[3]
        content = bytearray(shard.read_bytes())
        content[-7] ^= 1
        shard.write_bytes(content)
        problems = check(copy.path).problems
        assert ("checksum", f"data/train/{shard.name}") in {(p.kind, p.file) for p in problems}

    def test_half_a_file(self, copy):
        shard = copy.shards("valid")[0]
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
        assert kinds(copy) == {"size"}

    def test_a_missing_shard(self, copy):
        copy.shards("test")[0].unlink()
        assert kinds(copy) == {"missing file"}

    def test_a_missing_shard_and_its_record(self, copy):
        shard = copy.shards("test")[0]
        shard.unlink()
        (copy.path / "records" / f"{shard.stem}.json").unlink()
        (problem,) = check(copy.path).problems
        assert problem.kind == "count"
        assert "of 24 trajectories are in no shard" in problem.message

    def test_foreign_and_half_files(self, copy):
        (copy.path / "data" / "train" / "notes.txt").write_text("mine")
        (copy.path / ".dataset.json.host.1.tmp").write_text("")
        assert kinds(copy) == {"foreign file", "half file"}

    def test_a_damaged_record(self, copy):
        next((copy.path / "records").glob("train*")).write_text('{"planned": [')
        assert {"record", "foreign file", "count"} <= kinds(copy)

    @pytest.mark.parametrize("key", ["planned", "indices", "sha256", "bytes", "parameters"])
    def test_a_record_with_nonsense_in_it(self, copy, key):
        path = next((copy.path / "records").glob("train*"))
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: [None]}))
        assert {"record", "foreign file", "count"} <= kinds(copy)

    @pytest.mark.parametrize("key", ["n", "splits", "seed", "system", "settings"])
    def test_a_description_with_nonsense_in_it(self, copy, key):
        path = copy.path / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: "nonsense"}))
        assert "description" in kinds(copy)

    @pytest.mark.parametrize("text", ["", "[]", '{"format_version": 1}', "\x00"])
    def test_a_damaged_description(self, copy, text):
        (copy.path / "dataset.json").write_text(text)
        assert "description" in kinds(copy)

    def test_a_moved_trajectory(self, copy):
        """The fractions of the splits are part of the plan."""
        path = copy.path / "dataset.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(manifest | {"splits": [0.5, 0.25, 0.25]}))
        assert kinds(copy) == {"count"}

    def test_other_numbers_than_recorded(self, copy):
        def edit(file):
            file["alpha"][0] *= 1.5
            file["time"][1] += 0.1
            file["sample"][0] += 1000

        change(copy.shards("test")[0], edit)
        assert kinds(copy) - {"residual"} == {"parameters", "grid", "indices"}

    def test_statistics_of_other_data(self, copy):
        path = copy.path / "stats.yaml"
        stored = yaml.safe_load(path.read_text())
        stored["std_delta"]["u"] *= 1 + 1e-4
        path.write_text(yaml.safe_dump(stored))
        (problem,) = check(copy.path).problems
        assert problem.message == "not those of the data: std_delta of u"

    def test_whatever_is_cut_off_or_zeroed(self, copy):
        shard = copy.shards("train")[0]
        whole = shard.read_bytes()
        for share in (0.0, 0.01, 0.3, 0.9):
            shard.write_bytes(whole[: int(share * len(whole))])
            assert {problem.kind for problem in check(shard).problems} == {"unreadable"}
            assert kinds(copy) == {"size"}
        shard.write_bytes(bytes(len(whole)))
        assert kinds(copy) == {"checksum"}


class TestContent:
    def test_not_a_number(self, copy):
        change(copy.shards("test")[0], lambda file: file["u"].__setitem__((0, 3, 5), np.nan))
        (problem,) = check(copy.path).problems
        assert problem.kind == "not finite"
        assert problem.message.startswith("u has 1 values that are not finite, trajectory")

    def test_infinity_in_the_train_split(self, copy):
        change(copy.shards("train")[1], lambda file: file["u"].__setitem__((0, 3, 5), np.inf))
        assert kinds(copy) == {"not finite"}

    def test_a_frozen_frame(self, copy):
        change(copy.shards("test")[0], lambda f: f["u"].__setitem__((0, 4), f["u"][0, 3]))
        (problem,) = but_residuals(copy)
        assert (problem.kind, problem.severity) == ("frozen", "warning")
        assert problem.message.startswith("all fields stand still from frame 4 on")

    def test_one_field_of_several_stands_still(self, generate_here, tmp_path):
        dataset = generate_here(Toy(), 10, tmp_path / "toy", seed=3)
        change(
            dataset.shards("test")[0], lambda f: f["theta"].__setitem__((0, 2), f["theta"][0, 1])
        )
        (problem,) = check(dataset.path).problems
        assert problem.message.startswith("theta alone stands still from frame 2")

    def test_a_repeated_frame(self, copy):
        change(copy.shards("test")[0], lambda f: f["u"].__setitem__((0, 5), f["u"][0, 2]))
        (problem,) = but_residuals(copy)
        assert problem.kind == "repeated frame"
        assert "frame 5 is frame 2 again" in problem.message

    def test_a_train_trajectory_in_the_test_split(self, copy):
        with h5py.File(copy.shards("train")[0]) as file:
            u, alpha = file["u"][0], file["alpha"][0]

        def edit(file):
            file["u"][0], file["alpha"][0] = u, alpha

        change(copy.shards("test")[0], edit)
        leaks = [p for p in check(copy.path).problems if p.kind == "leak"]
        assert [p.severity for p in leaks] == ["error"]
        assert leaks[0].file.startswith("data/test")

    def test_the_same_solution_under_another_parameter(self, copy):
        with h5py.File(copy.shards("train")[0]) as file:
            u = file["u"][0]
        change(copy.shards("test")[0], lambda file: file["u"].__setitem__(0, u))
        (problem,) = but_residuals(copy)
        assert (problem.kind, problem.severity) == ("leak", "warning")

    def test_a_scaled_trajectory(self, copy):
        change(copy.shards("test")[0], lambda f: f["u"].__setitem__(0, 20 * f["u"][0]))
        (problem,) = check(copy.path).problems
        assert (problem.kind, problem.severity) == ("outlier", "warning")

    def test_a_sum_that_is_not_conserved(self, copy):
        change(copy.shards("test")[0], lambda f: f["u"].__setitem__((0, 3), f["u"][0, 3] + 1e-5))
        (problem,) = check(copy.path).problems
        assert problem.kind == "conservation"
        assert problem.message.startswith("mean is conserved and drifts by up to")


@pytest.fixture(scope="module")
def heat(generate_here, tmp_path_factory):
    """Frames close enough for a time derivative, of a pattern that the grid resolves."""
    return generate_here(CLOSE, N, tmp_path_factory.mktemp("equations") / "heat", seed=1)


class TestEquations:
    @pytest.fixture
    def copy(self, heat, tmp_path):
        shutil.copytree(heat.path, tmp_path / "copy")
        return Dataset(tmp_path / "copy")

    def test_solutions_fulfil_theirs(self, heat):
        quality = check(heat.path)
        assert quality.problems == []
        assert 0 < quality.defect["heat"] < 1e-3
        assert quality.to_json()["defect"] == quality.defect

    def test_a_wrong_parameter(self, copy):
        change(copy.shards("test")[0], lambda f: f["alpha"].__setitem__(0, 1.3 * f["alpha"][0]))
        (problem,) = (p for p in check(copy.path).problems if p.kind == "residual")
        assert problem.severity == "warning"
        assert problem.message.startswith("the frames miss the equation of heat by")
        assert len(problem.indices) == 1

    def test_a_rough_frame_stands_out_among_the_other_trajectories(self, generate_here, tmp_path):
        """Frames around it cannot say what is right there, but nowhere else is it like that."""
        alike = replace(CLOSE, t_end=2.0, sampling=Sampling(cases=[{"alpha": 0.01}]))
        made = generate_here(alike, N, tmp_path / "alike", seed=1)
        assert check(made.path).problems == []
        sawtooth = 0.02 * (-1.0) ** np.arange(32)

        def roughen(file):
            file["u"][0, 20] += sawtooth

        change(made.shards("test")[0], roughen)
        (problem,) = check(made.path).problems
        assert (problem.kind, problem.severity) == ("residual", "warning")
        assert "half of all by less than" in problem.message

    def test_frames_in_the_wrong_order(self, copy):
        def swap(file):
            file["u"][0, 10:12] = file["u"][0, 10:12][::-1]

        change(copy.shards("test")[0], swap)
        assert kinds(copy) == {"residual"}

    def test_bits_that_were_dropped_are_allowed_for(self, generate_here, tmp_path):
        made = generate_here(
            CLOSE, N, tmp_path / "heat", seed=1, compression=Compression(keep_bits=9)
        )
        quality = check(made.path)
        assert quality.defect["heat"] > 0.01
        assert not [problem for problem in quality.problems if problem.kind == "residual"]


class TestFormat:
    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda f: f.attrs.__delitem__("grid_type"), "lacks the attributes grid_type"),
            (lambda f: f.__delitem__("t2_fields"), "lacks the groups t2_fields"),
            (lambda f: f["dimensions"].__delitem__("x"), "lacks dimensions/x"),
            (lambda f: f["t0_fields/u"].attrs.__setitem__("time_varying", 1), "must be a boolean"),
            (lambda f: f["t0_fields"].__delitem__("u"), "listed in field_names and missing"),
            (lambda f: f.attrs.__setitem__("n_trajectories", 99), "its flags say (99, 6, 32)"),
            (
                lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("bc_type", "ODD"),
                "bc_type=ODD",
            ),
            (lambda f: f.attrs.__setitem__("simulation_parameters", ["a"]), "the parameter a must"),
        ],
    )
    def test_each_rule(self, copy, edit, message):
        shard = copy.shards("train")[0]
        with h5py.File(shard, "r+") as file:
            assert list(well_format.violations(file)) == []
            edit(file)
            found = list(well_format.violations(file))
        assert any(message in text for text in found)
        assert "format" in {problem.kind for problem in check(shard).problems}


class TestCommandLine:
    def run(self, *arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", *map(str, arguments)])
        return ended.value.code

    def test_exit_codes(self, copy, capsys):
        assert self.run(copy.path, "--strict") == 0
        assert capsys.readouterr().out.endswith("24 trajectories, nothing to complain about\n")
        (copy.path / "notes.txt").write_text("mine")
        assert self.run(copy.path) == 0
        assert self.run(copy.path, "--strict") == 1
        copy.shards("test")[0].unlink()
        capsys.readouterr()
        assert self.run(copy.path, "--json") == 1
        problems = json.loads(capsys.readouterr().out)["problems"]
        assert [p["kind"] for p in problems] == ["missing file", "foreign file"]
        assert self.run(copy.path / "nowhere") == 2

    def test_the_page(self, copy, tmp_path):
        change(copy.shards("test")[0], lambda f: f["u"].__setitem__((0, 3), 20.0))
        assert self.run(copy.path, "--html", tmp_path / "page.html") == 1
        page = (tmp_path / "page.html").read_text()
        for heading in ("Findings", "Parameters", "What is conserved", "Trajectories", "Cost"):
            assert f"<h2>{heading}</h2>" in page
        assert page.index('class="verdict bad"') < page.index("Findings")
        assert "error: conservation" in page
        assert "src=" not in page
        assert 'href="http' not in page


class TestStatistics:
    @pytest.mark.parametrize("offset", [0.0, 1e4, -3e6])
    def test_streamed_equal_two_passes_whatever_the_shards(self, offset):
        """Far from zero float32 itself is coarse: what is compared are the stored numbers."""
        rng = np.random.default_rng(4)
        theta = (offset + rng.normal(size=(9, 5, 12, 6))).astype(np.float32)
        empty = {"flux": np.zeros((9, 5, 12, 6, 2)), "load": np.zeros((9, 5, 12, 6, 2, 2))}
        fields = {"theta": theta, **empty, "power": np.zeros((9, 5))}
        found = []
        for cuts in ([], [4], [1, 2, 7], [8]):
            edges = [0, *cuts, 9]
            shards = []
            for low, high in pairwise(edges):
                part = {name: values[low:high] for name, values in fields.items()}
                samples = layout.Trajectories(np.arange(low, high), {}, {}, part)
                shards.append(statistics.shard_moments(Toy(), samples))
            found.append(statistics.well_statistics(shards))
        exact = theta.astype(np.float64)
        change = np.diff(theta, axis=1).astype(np.float64)
        for each in found:
            np.testing.assert_allclose(each["mean"]["theta"], exact.mean(), rtol=1e-6)
            np.testing.assert_allclose(each["std"]["theta"], exact.std(), rtol=1e-6)
            np.testing.assert_allclose(each["std_delta"]["theta"], change.std(), rtol=1e-6)
