"""What a dataset says about itself, and whether that is true: info, reproduce, replay, query."""

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

import simulations
from simulations import Table, machine
from simulations.datasets import Dataset, DatasetError, layout, provenance
from simulations.datasets.compression import Compression
from simulations.datasets.description import describe_dataset, describe_shard
from simulations.datasets.query import query
from simulations.simulation import Parameter, Sampling, SimulationDiverged
from surrogate import cli
from tests.toy import Toy

# About a third of its draws diverge
TOY = Toy(n=6, n_times=3, runaway=0.02)
N = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory, generate_here):
    return generate_here(TOY, N, tmp_path_factory.mktemp("made") / "toy", seed=3)


@pytest.fixture
def copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy")
    return Dataset(tmp_path / "copy")


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the command line in this process: (exit code, stdout, stderr)."""
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")  # so that it is put back

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        return ended.value.code or 0, *capsys.readouterr()

    return call


def every_draw(dataset):
    return [i for s in layout.SPLITS for r in dataset.records(s) for i in r["indices"]]


class TestRecords:
    def test_a_shard_says_what_it_is(self, made):
        with h5py.File(made.shards("train")[0]) as file:
            said = {key: json.loads(file.attrs[key]) for key in ("settings", "design", "versions")}
            assert simulations.make(file.attrs["dataset_name"], said["settings"]) == TOY
            assert said["design"] == {"design": "Independent"}
            assert said["versions"]["numpy"] == np.__version__
            assert said["versions"]["python"] == sys.version.split()[0]
            assert set(said["versions"]) >= {"numba", "scipy", "h5py"}
            assert json.loads(file.attrs["preset"]) is None
            assert file.attrs["seed"] == "3"

    def test_what_differs_between_runs_is_beside_the_shards(self, made, monkeypatch):
        record = next(made.records("train"))
        assert record["made"]["host"] == socket.gethostname()
        assert record["made"]["versions"] == machine.versions()
        assert record["made"]["finished"].startswith("20")
        assert len(record["wall_time_seconds"]) == len(record["indices"])
        for shard in made.path.glob("data/*/*.hdf5"):
            assert socket.gethostname().encode() not in shard.read_bytes()

    def test_another_host_writes_the_same_shards(self, made, generate_here, tmp_path, monkeypatch):
        monkeypatch.setattr(provenance.socket, "gethostname", lambda: "elsewhere")
        monkeypatch.setattr(provenance, "git_state", lambda: {"commit": "f" * 40, "dirty": True})
        other = generate_here(TOY, N, tmp_path, seed=3)
        assert next(other.records("train"))["made"]["host"] == "elsewhere"
        for shard in made.path.glob("data/*/*.hdf5"):
            again = tmp_path / shard.relative_to(made.path)
            assert again.read_bytes() == shard.read_bytes()

    def test_a_dataset_says_with_what_it_was_begun_also_when_it_is_extended(
        self, copy, generate_here
    ):
        path = copy.path / "dataset.json"
        manifest = json.loads(path.read_text())
        assert manifest["versions"] == machine.versions()
        path.write_text(json.dumps(manifest | {"versions": {"numpy": "1.0"}}))
        extended = generate_here(TOY, N + 2, copy.path, seed=3)
        assert extended.manifest["versions"] == {"numpy": "1.0"}
        assert extended.manifest["n"] == N + 2

    def test_settings_of_a_published_dataset_have_a_name(self):
        system = simulations.NavierStokes
        name = next(iter(system.presets))
        assert provenance.preset_of(system.preset(name)) == name
        assert provenance.preset_of(system()) is None

    def test_a_description_that_is_too_long_for_hdf5_is_in_the_folder_alone(
        self, generate_here, tmp_path
    ):
        cases = [{"offset": i / 7, "kappa": 0.01} for i in range(3000)]
        long = Toy(n=6, n_times=2, sampling=Sampling(cases=cases))
        dataset = generate_here(long, 2, tmp_path)
        assert dataset.simulation == long
        assert "settings" not in describe_shard(dataset.shards("train")[0])

    def test_git_state_of_a_checkout(self, tmp_path, monkeypatch):
        def git(*arguments):
            identity = ("-c", "user.name=x", "-c", "user.email=x@x")
            subprocess.run(
                ["git", *identity, "-C", tmp_path, *arguments], check=True, capture_output=True
            )

        package = tmp_path / "simulations"
        package.mkdir()
        monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))
        monkeypatch.setattr(machine, "git_state", machine.git_state.__wrapped__)
        assert machine.git_state() is None
        git("init", "-q")
        assert machine.git_state() is None  # nothing is committed yet
        (package / "machine.py").write_text("x = 1")
        git("add", ".")
        git("commit", "-q", "-m", "first")
        state = machine.git_state()
        assert len(state["commit"]) == 40
        assert state["dirty"] is False
        (tmp_path / "notes.txt").write_text("not part of the package")
        assert machine.git_state() == state
        (package / "machine.py").write_text("x = 2")
        assert machine.git_state() == {**state, "dirty": True}


class TestInfo:
    def test_of_a_dataset(self, made):
        said = describe_dataset(made)
        assert said["kind"] == "dataset"
        assert said["system"] == "Toy"
        assert said["settings"] == TOY.settings
        assert said["trajectories"] == {split: made.count(split) for split in layout.SPLITS}
        assert said["complete"] is True
        assert said["failures"] == len((made.path / "failures.jsonl").read_text().splitlines()) > 0
        assert said["bytes"] == sum(p.stat().st_size for p in made.path.glob("data/*/*.hdf5"))
        assert said["hosts"] == {socket.gethostname(): said["shards"]}
        drawn = [made.inputs(index)["kappa"] for index in every_draw(made)]
        assert said["parameters"]["kappa"] == {"min": min(drawn), "max": max(drawn)}
        assert said["variables"]["flux"]["units"] == "K m s-1"

    def test_of_an_unfinished_dataset(self, copy):
        lost = copy.shards("train")[0]
        lost.unlink()
        (copy.path / "records" / f"{lost.stem}.json").unlink()
        assert describe_dataset(copy)["complete"] is False

    def test_a_long_table_is_summarised(self, generate_here, tmp_path):
        table = Table({"kappa": np.linspace(0.001, 0.01, 1000)})
        dataset = generate_here(TOY, 3, tmp_path, design=table)
        assert describe_dataset(dataset)["design"] == table.summary()

    def test_needs_no_system(self, copy, run):
        path = copy.path / "dataset.json"
        path.write_text(json.dumps(copy.manifest | {"system": "Unheard"}))
        code, out, _ = run("info", copy.path)
        assert code == 0
        assert "system: Unheard" in out

    def test_of_a_shard(self, made, run):
        shard = made.shards("train")[0]
        code, out, _ = run("info", shard, "--json")
        assert code == 0
        said = json.loads(out)
        data = layout.read_shard(shard, TOY)
        assert said["kind"] == "shard"
        assert said["settings"] == TOY.settings
        for name in TOY.fields:
            assert said["variables"][name]["shape"] == list(data.fields[name].shape)
        assert said["dimensions"] == {"time": [3], "x": [6], "y": [3]}

    def test_of_a_file_of_the_well(self, tmp_path):
        """Nothing in the root: variables are in their groups alone."""
        with h5py.File(tmp_path / "well.hdf5", "w") as file:
            file.attrs["dataset_name"] = np.bytes_("theirs")
            file.create_group("dimensions")["x"] = np.zeros(4)
            for name in ("scalars", "t1_fields", "t2_fields"):
                file.create_group(name)
            file["t0_fields/density"] = np.zeros((2, 3, 4), np.float32)
        said = describe_shard(tmp_path / "well.hdf5")
        assert said["dataset_name"] == "theirs"
        assert said["variables"] == {"density": {"shape": [2, 3, 4], "type": "float32"}}

    def test_of_a_surrogate(self, made, run, tmp_path):
        options = ("--network", "PODNet", "--epochs", 1, "--quiet")
        assert run("train", made.path, "-o", tmp_path / "model", *options)[0] == 0
        code, out, _ = run("info", tmp_path / "model", "--json")
        assert code == 0
        said = json.loads(out)
        assert (said["kind"], said["system"], said["network"]) == ("surrogate", "Toy", "PODNet")
        assert said["weights"] > 0
        assert said["dataset"]["n"] == N

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (None, "nowhere: no such file or folder"),
            (b"text", "nowhere: not readable as HDF5"),
            ("empty", r"nowhere: not a shard of a dataset \(lacks \['dimensions'"),
        ],
    )
    def test_of_something_else(self, run, tmp_path, content, complaint):
        path = tmp_path / "nowhere"
        if content == "empty":
            h5py.File(path, "w").close()
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(DatasetError, match=complaint):
            describe_shard(path)
        assert run("info", path)[0] == 2


class TestReproduce:
    def test_every_trajectory_comes_out_as_it_is_stored(self, made):
        for index in every_draw(made):
            found = simulations.reproduce(made, index)
            assert found.is_exact
            assert found.index == index
            assert found.text().endswith("the same to the last bit")

    def test_bits_that_compression_has_dropped_are_no_difference(self, generate_here, tmp_path):
        dataset = generate_here(TOY, 2, tmp_path, seed=3, compression=Compression(keep_bits=8))
        assert all(simulations.reproduce(dataset, i).is_exact for i in every_draw(dataset))

    def test_the_place_of_a_draw_that_was_replaced_stands_for_the_replacement(self, made, run):
        replaced = next(index for index in every_draw(made) if index >= 2**32)
        assert simulations.reproduce(made, replaced % 2**32).index == replaced
        code, out, _ = run("reproduce", made.path, "--sample", replaced % 2**32, "--json")
        assert code == 0
        assert json.loads(out)["index"] == replaced

    @pytest.mark.parametrize("name", ["theta", "power", "source", "kappa"])
    def test_one_bit_is_noticed(self, copy, run, name):
        shard = copy.shards("valid")[0]
        with h5py.File(shard, "r+") as file:
            stored = file[name][:]
            stored.reshape(len(stored), -1)[0, -1] = np.nextafter(
                stored.reshape(len(stored), -1)[0, -1], np.float32(np.inf)
            )
            file[name][:] = stored
            index = int(file["sample"][0])
        found = simulations.reproduce(copy, index)
        assert list(found.differences) == [name]
        assert 0 < found.differences[name] < 1e-5
        code, out, err = run("reproduce", copy.path, "--sample", index)
        assert code == 1
        assert f"{name}: differs by up to" in out
        assert f"sample {index} does not come out as it is stored" in err

    def test_the_sign_of_zero_is_a_bit(self, copy):
        with h5py.File(copy.shards("test")[0], "r+") as file:
            file["theta"][0, 0, 0, 0] = -0.0
            file["theta"][0, 0, 0, 1] = 0.0
            index = int(file["sample"][0])
        assert "theta" in simulations.reproduce(copy, index).differences

    def test_other_versions_are_named_where_the_numbers_differ(self, copy):
        record = next((copy.path / "records").glob("test-*.json"))
        content = json.loads(record.read_text())
        content["made"]["versions"]["numpy"] = "1.0"
        record.write_text(json.dumps(content))
        index = content["indices"][0]
        assert "numpy" not in simulations.reproduce(copy, index).text()
        with h5py.File(copy.shards("test")[0], "r+") as file:
            file["power"][0, -1] += 1.0
        assert f"numpy: 1.0 then, {np.__version__} now" in simulations.reproduce(copy, index).text()

    def test_what_is_not_there(self, made):
        with pytest.raises(DatasetError, match=f"sample={N}: .* holds no such trajectory"):
            simulations.reproduce(made.path, N)


class TestReplay:
    def test_fails_as_it_did(self, made, run):
        for number, failure in enumerate(made.failures()):
            with pytest.raises(SimulationDiverged) as error:
                simulations.replay(made, number)
            assert (error.value.time, error.value.reason) == (failure["time"], failure["reason"])
        code, _, err = run("replay", made.path, "--failure", 0)
        assert code == 1
        assert "diverged at t=0.25: the heat runs away" in err

    def test_failures_are_numbered_as_in_their_file(self, made):
        lines = (made.path / "failures.jsonl").read_text().splitlines()
        assert made.failures() == [json.loads(line) for line in lines]

    def test_a_draw_that_does_not_fail_any_more(self, copy, run, tmp_path):
        settings = {**copy.manifest["settings"], "runaway": 1e9}
        manifest = copy.manifest | {"settings": settings}
        (copy.path / "dataset.json").write_text(json.dumps(manifest))
        code, out, _ = run("replay", copy.path, "--failure", 1, "--json")
        assert code == 0
        said = json.loads(out)
        assert said["draw"] == copy.failures()[1]["index"]
        assert said["parameters"]["kappa"] == copy.failures()[1]["inputs"]["kappa"]

    def test_fields_that_were_not_written_out_are_drawn_again(self, copy):
        for record in (copy.path / "records").glob("*.json"):
            content = json.loads(record.read_text())
            for failure in content["failures"]:
                for name in ("theta0", "source"):
                    failure["inputs"].pop(name, None)
            record.write_text(json.dumps(content))
        with pytest.raises(SimulationDiverged, match="the heat runs away"):
            simulations.replay(copy, 0)

    def test_a_draw_that_has_become_another_one(self, copy):
        manifest = copy.manifest | {"seed": 4}
        (copy.path / "dataset.json").write_text(json.dumps(manifest))
        with pytest.raises(DatasetError, match=r"failure=0: kappa=.* was recorded, draw \d+ has"):
            simulations.replay(copy.path, 0)

    @pytest.mark.parametrize("number", [-1, 1000])
    def test_a_failure_that_is_not_there(self, made, number):
        with pytest.raises(DatasetError, match=rf"failure={number}: .* has \d+ failures, from 0"):
            simulations.replay(made, number)


@dataclass(frozen=True)
class Clash(Toy):
    parameters = Toy.parameters | {"shard": Parameter("no good name", "1", (0, 1), (0, 1))}


class TestQuery:
    @pytest.fixture(autouse=True)
    def _needs_duckdb(self):
        pytest.importorskip("duckdb")

    def test_samples(self, made):
        names, rows = query(made, "select * from samples")
        found = {row[names.index("index")]: dict(zip(names, row, strict=True)) for row in rows}
        assert found.keys() == set(every_draw(made))
        for split in layout.SPLITS:
            data = made.load(split)
            for position, index in enumerate(data.indices.tolist()):
                row, power = found[index], data.fields["power"][position].astype(np.float64)
                assert row["split"] == split
                assert row["shard"].startswith(split)
                assert row["host"] == socket.gethostname()
                assert row["wall_time"] > 0
                assert row["kappa"] == made.inputs(index)["kappa"]
                assert row["power_final"] == power[-1]
                assert row["power_mean"] == power.mean()
        assert set(names) == {*row, "offset"}

    def test_failures(self, made):
        rows = query(made, "select number, index, kind, time, reason, kappa from failures")[1]
        expected = [
            (number, f["index"], "diverged", f["time"], f["reason"], f["inputs"]["kappa"])
            for number, f in enumerate(made.failures())
        ]
        assert rows == expected

    def test_a_failure_of_another_kind(self, copy):
        record = next((copy.path / "records").glob("train-*.json"))
        content = json.loads(record.read_text())
        hung = {"index": 99, "kind": "hung", "time": None, "reason": "no answer", "inputs": {}}
        content["failures"] = [hung]
        record.write_text(json.dumps(content))
        assert query(copy, "select kind, time, kappa from failures where index = 99")[1] == [
            ("hung", None, None)
        ]

    def test_without_failures(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=6, n_times=2), 2, tmp_path)
        assert query(dataset, "select count(*), min(reason), min(time) from failures")[1] == [
            (0, None, None)
        ]

    def test_json_csv_and_a_table(self, made, run):
        question = "select split, count(*) as n from samples group by split order by split desc"
        counts = {split: made.count(split) for split in ("valid", "train", "test")}
        _, out, _ = run("query", made.path, question, "--json")
        assert json.loads(out) == [{"split": split, "n": n} for split, n in counts.items()]
        _, out, _ = run("query", made.path, question, "--csv")
        assert out.splitlines() == ["split,n", *(f"{split},{n}" for split, n in counts.items())]
        _, out, _ = run("query", made.path, question)
        assert [line.split() for line in out.splitlines()] == [
            ["split", "n"],
            *([split, str(n)] for split, n in counts.items()),
        ]

    @pytest.mark.parametrize(
        "question",
        [
            "copy samples to '{tmp}/stolen.csv'",
            "select * from read_csv('{made}/failures.jsonl')",
            "attach '{tmp}/new.db'",
            "set enable_external_access = true",
            "install httpfs",
        ],
    )
    def test_nothing_but_the_tables_can_be_reached(self, made, run, tmp_path, question):
        before = {path: path.stat().st_mtime_ns for path in made.path.rglob("*")}
        code, out, err = run("query", made.path, question.format(tmp=tmp_path, made=made.path))
        assert code == 2
        assert out == ""
        assert err.startswith("surrogate: query: ")
        assert list(tmp_path.iterdir()) == []
        assert {path: path.stat().st_mtime_ns for path in made.path.rglob("*")} == before

    def test_a_question_that_is_none(self, made):
        with pytest.raises(DatasetError, match=r"query: Parser Error"):
            query(made, "selec split")

    def test_a_parameter_with_the_name_of_a_column(self, generate_here, tmp_path):
        dataset = generate_here(Clash(n=6, n_times=2), 2, tmp_path)
        with pytest.raises(DatasetError, match=r"query: \['shard'\] are columns already"):
            query(dataset, "select 1")

    def test_without_duckdb(self, made, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "duckdb", None)
        code, _, err = run("query", made.path, "select 1")
        assert code == 1
        assert err == "surrogate: query needs DuckDB: pip install 'physurrogate[query]'\n"
