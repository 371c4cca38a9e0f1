"""A customer's package answers as the surrogate does, without anything of ours."""

import csv
import email
import hashlib
import importlib
import json
import subprocess
import sys
import venv
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import xarray

import surrogate
from surrogate.deploy.release import Release
from surrogate.networks import MLP
from surrogate.trust.calibration import Calibration
from surrogate.trust.domain import Domain
from tests.test_export import KINDS, inputs_of, operator
from tests.toy import Toy

NAME = "toy-heat"


def calibrated():
    """A surrogate with everything that can go into a package."""
    emulator = operator(Toy(n_times=3), MLP(width=16, layers=1))
    emulator.encoding.moments["source"] = (0.5, 1.0)  # inside what is admissible
    shapes = {n: (3, *f.shape(Toy().grid)) for n, f in emulator.simulation.fields.items()}
    field_inputs = emulator.simulation.field_inputs
    drawn = inputs_of(emulator, 80)
    domain = Domain.fit(
        {name: values[:40] for name, values in drawn.items()},
        {name: values[40:] for name, values in drawn.items()},
        periodic=dict.fromkeys(field_inputs, emulator.simulation.grid.periodic),
    )
    emulator.calibration = Calibration(
        coverage=0.9,
        n=40,
        error_bound=dict.fromkeys(shapes, 0.05),
        half_width={name: np.full(shape, 0.25) for name, shape in shapes.items()},
        domain=domain,
    )
    return emulator


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """The surrogate, its wheel, and the package imported from the unpacked wheel."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    emulator = calibrated()
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        wheel = surrogate.export(
            emulator, folder, "wheel", name="Toy_Heat", version="1.2", licence="mit", author="Ada"
        )
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
        patch.syspath_prepend(folder / "site")
        package = importlib.import_module("toy_heat")
        yield SimpleNamespace(
            emulator=emulator,
            wheel=wheel,
            site=folder / "site",
            package=package,
            cli=importlib.import_module("toy_heat.cli"),
        )
    for module in [name for name in sys.modules if name.partition(".")[0] == "toy_heat"]:
        del sys.modules[module]


@pytest.fixture
def fields(delivered, tmp_path):
    """Files of the field inputs, as options, and what they hold."""
    values = {n: v[0] for n, v in inputs_of(delivered.emulator, 1).items() if v.ndim > 1}
    options = []
    for name, value in values.items():
        np.save(tmp_path / f"{name}.npy", value)
        options += [f"--{name}", str(tmp_path / f"{name}.npy")]
    return values, options


def close(answer, expected):
    assert answer.shape == expected.shape
    return np.abs(answer - expected).max() < 1e-5 * np.abs(expected).max()


def test_it_answers_as_the_surrogate(delivered):
    inputs = inputs_of(delivered.emulator, 70)  # more than are answered at a time
    expected = delivered.emulator.predict(**inputs)
    answer = delivered.package.predict(**inputs)
    assert answer.is_batch
    for name, values in expected.items():
        assert close(answer[name], values)
    single = delivered.package.predict(**{name: values[3] for name, values in inputs.items()})
    assert not single.is_batch
    for name, values in expected.items():
        assert close(single[name], values[3])


def test_what_has_no_batch_holds_for_all(delivered):
    inputs = inputs_of(delivered.emulator, 3)
    source = inputs["source"][0]
    answer = delivered.package.predict(**{**inputs, "source": source, "offset": 0.5})
    same = {**inputs, "source": np.stack([source] * 3), "offset": np.full(3, 0.5, np.float32)}
    for name, values in delivered.emulator.predict(**same).items():
        assert close(answer[name], values)


def test_bounds_and_domain_are_inside(delivered):
    batch = inputs_of(delivered.emulator, 8)
    expected = delivered.emulator.calibration.domain.p_values(batch)
    np.testing.assert_allclose(delivered.package.predict(**batch).domain_p_value, expected)
    inputs = {name: values[0] for name, values in batch.items()}
    answer = delivered.package.predict(**inputs)
    assert answer.coverage == 0.9
    assert answer.error_bound["theta"] == 0.05
    assert answer.in_domain
    assert answer.domain_p_value == expected[0] > 1 / 41
    upper = answer.variables()["theta_upper"].values
    np.testing.assert_allclose(upper - answer["theta"], 0.25, rtol=1e-4)
    with pytest.warns(delivered.package.OutOfDomainWarning, match=r"kappa=1 is outside .*\[0.001"):
        answer = delivered.package.predict(**{**inputs, "kappa": 1.0})
    assert not answer.in_domain
    assert answer.domain_p_value == 1 / 41


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kappa": None}, "kappa: missing; conductivity must lie in .0.0001, 10. m2 s-1"),
        ({"nu": 1.0}, "nu: no such input; there are kappa, offset, theta0, source"),
        ({"kappa": -1.0}, "kappa=-1: conductivity must lie in"),
        ({"kappa": np.nan}, "kappa=nan: "),
        ({"kappa": "warm"}, "kappa='warm': must be numbers"),
        ({"kappa": [[0.1]]}, r"kappa has shape \(1, 1\): must be a number or \(batch,\)"),
        ({"kappa": [0.1, 0.2], "offset": [0.0] * 3}, "offset has 3 values: others have 2"),
        ({"kappa": []}, r"kappa has shape \(0,\)"),
        ({"source": np.zeros(3)}, r"source has shape \(3,\): must be \(12, 6\) or"),
        ({"source": np.full((12, 6), 99.0)}, "source=99: heat source must lie in"),
    ],
)
def test_bad_inputs_are_refused(delivered, wrong, message):
    inputs = {name: values[0] for name, values in inputs_of(delivered.emulator, 1).items()}
    given = {name: value for name, value in {**inputs, **wrong}.items() if value is not None}
    with pytest.raises(delivered.package.InvalidInput, match=message):
        delivered.package.predict(**given)


def test_netcdf_is_read_by_others(delivered, fields, tmp_path, capsys):
    path = tmp_path / "answer.nc"
    values, options = fields
    arguments = ["predict", "--kappa", "0.02", "--added-temperature", "0.5", *options]
    assert delivered.cli.run([*arguments, "-o", str(path)]) == 0
    expected = delivered.emulator(kappa=0.02, offset=0.5, **values)
    for engine in ("netcdf4", "scipy"):
        with xarray.open_dataset(path, engine=engine) as read:
            assert close(read["theta"].values, expected["theta"].values)
            assert read["flux"].dims == expected["flux"].dims == ("time", "x", "y", "component")
            assert close(read["load"].values, expected["load"].values)
            np.testing.assert_array_equal(read["x"], expected["x"])
            assert read["component"].values.tolist() == ["x", "y"]
            assert read["theta"].attrs["units"] == "K"
            assert read["theta"].attrs["error_bound"] == 0.05
            assert float(read["kappa"]) == 0.02
            assert read.attrs["system"] == "Toy"
            assert read.attrs["answered_by"] == "toy-heat 1.2"


def test_tables_and_csv(delivered, fields, tmp_path, capsys):
    values, options = fields
    table, written = tmp_path / "cases.csv", tmp_path / "answers.csv"
    table.write_text("note, kappa\nfirst, 0.002\nsecond, 0.03\n", encoding="utf-8")
    arguments = ["predict", "--table", str(table), "--offset", "0.5", *options]
    assert delivered.cli.run([*arguments, "-o", str(written)]) == 0
    with open(written, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [delivered.emulator(kappa=k, offset=0.5, **values) for k in (0.002, 0.03)]
    assert len(rows) == 2 * expected[0]["theta"].size
    flux = np.array([float(row["flux_y"]) for row in rows]).reshape(2, 3, 12, 6)
    assert close(flux, np.stack([e["flux"].values[..., 1] for e in expected]))
    power = np.array([float(row["power"]) for row in rows]).reshape(2, 3, 12, 6)[..., 0, 0]
    assert close(power, np.stack([e["power"].values for e in expected]))
    last = rows[-1]
    assert float(last["x"]) == expected[1]["x"].values[-1]
    assert float(last["kappa"]) == 0.03
    assert last["in_domain"] == "1"
    archive = tmp_path / "answers.npz"
    assert delivered.cli.run([*arguments, "-o", str(archive)]) == 0
    with np.load(archive, allow_pickle=False) as read:
        assert close(read["flux"][..., 1], flux)
        assert json.loads(str(read["attributes"]))["system"] == "Toy"


def test_parquet_tables(delivered, fields, tmp_path, capsys):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    table = tmp_path / "cases.parquet"
    parquet.write_table(pyarrow.table({"kappa": [0.002, 0.03], "offset": [0.0, 1.0]}), table)
    assert delivered.cli.run(["predict", "--table", str(table), *fields[1], "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["fields"]["theta"]["shape"] == [2, 3, 12, 6]
    assert said["in_domain"] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--offset", "0", "--table", "{folder}/bad.csv"], "line 3: kappa='x' is not a number"),
        (["--offset", "0", "--table", "{folder}/empty.csv"], "has no rows"),
        (["--kappa", "1e9", "--offset", "0"], "kappa=1e+09: conductivity must lie in"),
        (["--kappa", "-1e-3", "--offset", "0"], "kappa=-0.001: conductivity must lie in"),
        (["--kappa", "0.1", "--table", "{folder}/good.csv"], "kappa: is given and a column"),
        (["--kappa", "0.1", "--offset", "0", "-o", "a.h5"], "must end in one of .csv, .npz, .nc"),
        (["--kappa", "0.1", "--offset", "0", "--plot", "a.gif"], "must end in one of .png"),
    ],
)
def test_bad_requests_are_one_line(delivered, fields, tmp_path, capsys, arguments, message):
    (tmp_path / "bad.csv").write_text("kappa\n0.1\nx\n", encoding="utf-8")
    (tmp_path / "good.csv").write_text("kappa\n0.1\n", encoding="utf-8")
    (tmp_path / "empty.csv").write_text("kappa\n", encoding="utf-8")
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    assert delivered.cli.run(["predict", *arguments, *fields[1]]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("toy-heat: ")
    assert message in error


def test_a_missing_extra_is_named(delivered, fields, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ["predict", "--kappa", "0.02", "--offset", "0", *fields[1]]
    assert delivered.cli.run([*arguments, "--plot", str(tmp_path / "a.png")]) == 1
    assert "pip install 'toy-heat[plot]'" in capsys.readouterr().err


def test_pictures(delivered, fields, tmp_path, capsys):
    arguments = ["predict", "--kappa", "0.02", "--offset", "0", *fields[1]]
    assert delivered.cli.run([*arguments, "--plot", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_info_and_help(delivered, capsys):
    assert delivered.cli.run(["info"]) == 0
    said = capsys.readouterr().out
    assert "toy-heat 1.2" in said
    assert "licence: MIT" in said
    assert "kappa: conductivity (m2 s-1), trained from 0.001 to 0.1" in said
    assert "theta: error below 5 % with probability 0.9" in said
    assert delivered.cli.run(["info", "--card"]) == 0
    assert "| `kappa` | conductivity | m2 s-1 | 0.001 | 0.1 |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        delivered.cli.run(["predict", "--help"])
    assert "--kappa X, --conductivity X" in capsys.readouterr().out


def test_a_damaged_model_is_not_loaded(delivered, capsys):
    model = delivered.site / "toy_heat" / "model.onnx"
    whole = model.read_bytes()
    try:
        model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        module = importlib.import_module("toy_heat.model")
        with pytest.raises(delivered.package.DamagedPackage, match=r"model\.onnx: not the file"):
            module.Model()
    finally:
        model.write_bytes(whole)


def test_the_wheel_is_what_installers_expect(delivered):
    metadata = importlib.import_module("packaging.metadata")
    assert delivered.wheel.name == "toy_heat-1.2-py3-none-any.whl"
    with zipfile.ZipFile(delivered.wheel) as archive:
        read = {name: archive.read(name) for name in archive.namelist()}
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    said = metadata.Metadata.from_email(read["toy_heat-1.2.dist-info/METADATA"], validate=True)
    assert (said.name, str(said.version), said.license_expression) == ("toy-heat", "1.2", "MIT")
    needed = {r.name for r in said.requires_dist if r.marker is None}
    assert needed == {"numpy", "onnxruntime"}
    assert said.description.startswith("# toy-heat 1.2")
    wheel = email.message_from_bytes(read["toy_heat-1.2.dist-info/WHEEL"])
    assert wheel["Tag"] == "py3-none-any"
    rows = list(csv.reader(read["toy_heat-1.2.dist-info/RECORD"].decode().splitlines()))
    assert {row[0] for row in rows} == read.keys()
    assert [row for row in rows if not row[1]] == [["toy_heat-1.2.dist-info/RECORD", "", ""]]
    assert json.loads(read["toy_heat/about.json"])["sha256"]["model.onnx"] == (
        hashlib.sha256(read["toy_heat/model.onnx"]).hexdigest()
    )
    assert b"/surrogate/" not in read["toy_heat/model.onnx"]  # no lines of our code


def test_nothing_of_ours_is_imported(delivered):
    code = (
        "import sys, toy_heat, toy_heat.cli; toy_heat.cli.run(['info'])\n"
        "print(sorted(m for m in ('torch', 'numba', 'surrogate', 'xarray', 'simulations', "
        "'matplotlib', 'onnxruntime') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=delivered.site,
        env={"PYTHONPATH": str(delivered.site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "-heat"}, "name='-heat': must be letters"),
        ({"name": "heat wave"}, "name='heat wave': must be letters"),
        ({"name": "json"}, "name='json': Python or a package has this name"),
        ({"name": "Class"}, "name='Class': Python or a package has this name"),
        ({"name": "numpy"}, "name='numpy': Python or a package has this name"),
        ({"name": "2heat"}, "name='2heat': must begin with a letter"),
        ({"name": "heat\n"}, "must be letters"),
        ({"name": "heat", "version": "new"}, "version='new': must be like"),
        ({"name": "heat", "licence": "mine"}, "licence='mine': must be an SPDX expression"),
        ({"name": "heat", "author": "a\nLicense: b"}, "author=.*: must be one line"),
    ],
)
def test_names_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Release(**given)


def test_a_wheel_is_not_overwritten(delivered):
    with pytest.raises(FileExistsError, match="choose another folder or version"):
        surrogate.export(
            delivered.emulator, delivered.wheel.parent, "wheel", name=NAME, version="1.2"
        )
    with pytest.raises(ValueError, match="a wheel needs one"):
        surrogate.export(delivered.emulator, delivered.wheel.parent, "wheel")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parameters alone", "operator"])
def test_it_installs_into_an_empty_environment(kind, tmp_path):
    pytest.importorskip("onnxscript")
    emulator = KINDS[kind]()
    wheel = surrogate.export(emulator, tmp_path, "wheel", name=NAME)
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"

    def run(*command):
        return subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env={},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    subprocess.run([python, "-m", "pip", "install", "-q", wheel], cwd=tmp_path, check=True)
    assert "No broken requirements" in run(python, "-m", "pip", "check")
    inputs = inputs_of(emulator, 5)
    np.savez(tmp_path / "inputs.npz", **inputs)
    code = (
        "import numpy as np, toy_heat; answer = toy_heat.predict(**np.load('inputs.npz')); "
        "np.savez('answer.npz', **answer.fields)"
    )
    run(python, "-c", code)
    with np.load(tmp_path / "answer.npz") as answer:
        for name, values in emulator.predict(**inputs).items():
            assert close(answer[name], values)
    assert "toy-heat" in run(tmp_path / "environment" / "bin" / "toy-heat", "info")
