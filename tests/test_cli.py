"""The command line as a user meets it: what it prints, where, and its exit codes."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray

import simulations
import surrogate
from simulations import verification
from simulations.datasets import Compression, Dataset
from simulations.verification.check import Check, at_most
from surrogate import cli

SMALL = ("--set", "n=32", "--set", "n_times=3")


@pytest.fixture
def run(capsys):
    """Call the command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        return ended.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "burgers"
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["generate", "Burgers", "-n", "20", "-o", str(folder), *SMALL, "--workers=1", "--quiet"]
        )
    assert ended.value.code == 0
    return folder


@pytest.fixture(scope="module")
def model(dataset):
    folder = dataset.parent / "model"
    options = ["--network", "FNO", "--set", "width=8", "--set", "layers=2", "--epochs=2", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", str(dataset), "-o", str(folder), *options])
    assert ended.value.code == 0
    return folder


def test_list_names_every_system_and_its_inputs(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert "Burgers                  Viscous Burgers equation" in out
    code, out, _ = run("list", "Burgers")
    assert "-p nu           viscosity, 1e-05 to 10 m2 s-1" in out
    code, out, _ = run("list", "--json")
    assert json.loads(out)["Burgers"]["parameters"]["nu"]["unit"] == "m2 s-1"


def test_simulate_writes_netcdf_and_picture(run, tmp_path):
    netcdf, picture = tmp_path / "out.nc", tmp_path / "out.png"
    code, *_ = run(
        "simulate", "Burgers", "-p", "nu=0.02", *SMALL, "--seed", 5, "-o", netcdf, "--plot", picture
    )
    assert code == 0
    with xarray.open_dataset(netcdf, engine="h5netcdf") as solution:
        assert solution.sizes == {"time": 3, "x": 32}
        assert float(solution.nu) == 0.02
        assert solution.attrs["seed"] == 5
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_simulate_with_the_settings_of_a_published_dataset(run):
    code, out, _ = run("simulate", "DarcyFlow", "--preset", "fno_paper", "--seed", 0, "--json")
    assert code == 0
    expected = simulations.DarcyFlow.preset("fno_paper").grid.shape
    assert json.loads(out)["fields"]["u"]["shape"] == [1, *expected]


def test_simulate_states_its_discretisation_error(run):
    code, out, _ = run("simulate", "Burgers", *SMALL, "--seed", 0, "--errors", "--json")
    assert code == 0
    assert 0 < json.loads(out)["fields"]["u"]["discretisation_error"] < 0.1


def test_verify_prints_numbers_and_writes_a_page(run, tmp_path):
    page = tmp_path / "page.md"
    code, out, _ = run("verify", "Burgers", "-o", page)
    assert code == 0
    assert "ok   drift of momentum" in out
    assert "## Burgers" in page.read_text(encoding="utf-8")


def test_a_verification_that_fails_has_its_exit_code(run, monkeypatch):
    def measure():
        yield at_most("error", 2.0, 1.0)

    wrong = Check(simulations.Burgers, "Wrong", measure, slow=False)
    monkeypatch.setattr(verification, "checks", lambda name: [wrong])
    code, out, err = run("verify", "Burgers")
    assert code == 1
    assert "FAIL error: 2, at most 1" in out
    assert "1 of 1 checks fail: Burgers-measure" in err


def test_generate_by_a_design(run, tmp_path):
    options = ("--design", "grid", "--levels", "nu=[0.01,0.02]", "--workers", 1, "--quiet")
    code, *_ = run("generate", "Burgers", "-n", 4, "-o", tmp_path / "d", *SMALL, *options)
    assert code == 0
    dataset = simulations.Dataset(tmp_path / "d")
    values = [v for record in dataset.records() for v in record["parameters"]["nu"]]
    assert sorted(values) == [0.01, 0.01, 0.02, 0.02]


def test_simulate_takes_a_field_from_a_file(run, tmp_path):
    np.save(tmp_path / "u0.npy", np.full(32, 0.25))
    code, out, _ = run(
        "simulate", "Burgers", "-p", f"u0={tmp_path / 'u0.npy'}", *SMALL, "--seed", 0, "--json"
    )
    assert code == 0
    assert json.loads(out)["fields"]["u"]["max"] == pytest.approx(0.25)


def test_generate_train_predict(run, dataset, model, tmp_path):
    code, out, _ = run("generate", "Burgers", "-n", 20, "-o", dataset, *SMALL, "--json", "--quiet")
    assert code == 0
    assert json.loads(out)["train"] == 16
    assert {p.name for p in model.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    code, out, _ = run("predict", model, "-p", "nu=0.02", "--seed", 1, "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["answered_by"] == "surrogate (FNO)"
    assert answer["fields"]["u"]["shape"] == [3, 32]


def test_generate_compressed(run, tmp_path):
    options = ["--compression", "gzip", "--keep-bits", 12, "--workers=1", "--quiet"]
    code, *_ = run("generate", "Burgers", "-n", 1, "-o", tmp_path / "d", *SMALL, *options)
    assert code == 0
    assert Dataset(tmp_path / "d").compression == Compression("gzip", keep_bits=12)


def test_a_number_among_the_fields_is_printed_as_such(run):
    code, out, _ = run(
        "simulate", "NaturalConvection", "-p", "rayleigh=1e3", "-p", "prandtl=0.71", "--json"
    )
    assert code == 0
    assert json.loads(out)["fields"]["nusselt"]["value"] == pytest.approx(1.1178, abs=1e-3)


def test_a_warning_is_one_line_on_stderr(run, model):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = run("predict", model, "-p", "nu=5", "--seed", 1, "--json")
    assert code == 0
    assert err.startswith("surrogate: warning: nu=5 is outside the training range")
    assert err.count("\n") == 1


def test_a_failed_training_leaves_nothing_behind(run, tmp_path):
    code, *_ = run("train", tmp_path / "nowhere", "-o", tmp_path / "model")
    assert code == 2
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("simulate", "Burgers", "-p", "nu=-0.1"), 2, "nu=-0.1: viscosity must lie in [1e-05, 10]"),
        (("simulate", "Burgers", "-p", "nu=fast"), 2, "nu='fast': viscosity must lie in"),
        (("simulate", "Burgers", "-p", "nu"), 2, "must be NAME=VALUE"),
        (("simulate", "Burgers", "-p", "mu=1"), 2, "mu: Burgers has no such input"),
        (("simulate", "Burgers", "--set", "n=3"), 2, "n=3: must be an integer in [16"),
        (("simulate", "Burgers", "--set", "m=3"), 2, "m: Burgers has no such setting"),
        (("simulate", "Nothing"), 2, "Nothing: no such system; there are Acoustics, "),
        (("simulate", "Burgers", "-p", "u0=missing.npy"), 1, "missing.npy"),
        (("generate", "Burgers", "-n", "0", "-o", "x"), 2, "n=0"),
        (("generate", "Burgers", "-n", "1", "-o", "x", "--keep-bits", "7"), 2, "--keep-bits needs"),
        (("generate", "Burgers", "-o", "x"), 2, "Missing option '-n'"),
        (
            ("generate", "Burgers", "-n", "3", "-o", "x", "--range", "3/3"),
            2,
            "--range=3/3: must be",
        ),
        (
            ("generate", "Burgers", "-n", "3", "-o", "x", "--range", "1"),
            2,
            "I/M with integers 0 <=",
        ),
        (
            ("generate", "Burgers", "-n", "3", "-o", "x", "--timeout", "0"),
            2,
            "timeout=0.0: must be",
        ),
        (("train", "nowhere", "-o", "{tmp}/m"), 2, "nowhere: there is no such dataset"),
        (("generate", "Burgers", "-n1", "-o", "x", "--design", "best"), 2, "design=best: must be"),
        (("generate", "Burgers", "-n1", "-o", "x", "--design=no.csv"), 1, "no.csv"),
        (("predict", "nowhere"), 2, "nowhere: not a saved surrogate"),
        (("compare", "nowhere"), 2, "nowhere: not a saved surrogate"),
        (("fly",), 2, "No such command 'fly'"),
    ],
)
def test_an_error_is_one_line_on_stderr(run, tmp_path, arguments, code, message):
    ended, out, err = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert ended == code
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_jobs_of_an_array_make_a_dataset_together(run, tmp_path):
    command = (
        "generate",
        "Heat",
        "-n",
        3,
        "-o",
        tmp_path,
        "--set",
        "n=16",
        "--workers=1",
        "--quiet",
    )
    assert run(*command, "--range", "0/2")[0] == 0
    assert not (tmp_path / "stats.yaml").exists()
    code, out, err = run(*command, "--range", "1/2", "--timeout", 60)
    assert (code, err) == (0, "")
    assert out.endswith(": Heat, train 3, valid 0, test 0)\n")
    assert (tmp_path / "stats.yaml").exists()


def test_dask_that_is_not_installed(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = run("generate", "Heat", "-n", 3, "-o", tmp_path, "--dask", "local")
    assert code == 1
    assert err.endswith("pip install 'physurrogate[dask]'\n")


def test_an_unknown_network_is_refused(run, dataset, tmp_path):
    code, _, err = run("train", dataset, "-o", tmp_path / "m", "--network", "Nothing")
    assert code == 2
    assert "Nothing" in err


def test_help_imports_neither_torch_nor_numba():
    script = (
        "import sys\nfrom surrogate import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numba', 'simulations', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_simulations_works_where_torch_is_not_installed():
    script = (
        "import sys\nsys.modules['torch'] = None\n"
        "import simulations\nsimulations.Burgers(n=32, n_times=2)(seed=0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_calibrate_reads_a_table_and_answers_in_json(run, model, tmp_path):
    emulator = surrogate.load(model)
    truth = emulator.simulation(nu=0.02, seed=1)
    np.save(tmp_path / "u0.npy", truth.u[0].values)
    table = tmp_path / "observed.csv"
    places = [(t, x) for t in (1, 2) for x in (3, 17)]
    rows = [
        f"u,{float(truth.u[t, x])},{float(truth.time[t])},{float(truth.x[x])},0.1"
        for t, x in places
    ]
    table.write_text("\n".join(["field,value,time,x,noise", *rows]))
    known = ("-p", f"u0={tmp_path / 'u0.npy'}", "--draws", 10)
    predicted = tmp_path / "predicted.nc"
    code, out, _ = run("calibrate", model, table, *known, "--json", "-o", predicted)
    assert code == 0
    low, high = emulator.encoding.ranges["nu"]
    found = json.loads(out)
    assert low <= found["parameters"]["nu"]["mean"] <= high
    assert found["model_error"] == "error on the test split"
    with xarray.open_dataset(predicted, engine="h5netcdf") as answer:
        assert {"u", "u_lower", "u_upper"} <= set(answer.data_vars)
    code, _, err = run("calibrate", model, tmp_path / "u0.npy", *known)
    assert code == 2
    assert "observations are .csv or .nc" in err


def test_sensitivity_and_optimise_say_what_the_solver_says(run, model, tmp_path):
    emulator = surrogate.load(model)
    np.save(tmp_path / "u0.npy", emulator.simulation(seed=1).u[0].values)
    known = ("-p", f"u0={tmp_path / 'u0.npy'}")
    code, out, _ = run("sensitivity", model, *known, "-n", 16, "--control", 8)
    assert code == 0
    assert "of the solver" in out
    assert "solver runs: 8" in out
    code, _, err = run("optimise", model, "--minimise", "u", *known)
    assert code == 2
    assert "objective='u': must be a function, or one of the fields without space" in err
    code, _, err = run("optimise", model, *known)
    assert code == 2
    assert "needs one of --minimise FIELD and --maximise FIELD" in err
