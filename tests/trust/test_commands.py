"""The command `bound`, and what `predict` shows of it."""

import json

import pytest

import surrogate
from surrogate.cli import main


@pytest.fixture
def model(emulator, tmp_path):
    emulator.save(tmp_path / "model")
    return str(tmp_path / "model")


def run(capsys, *arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    assert ended.value.code == code, captured.err
    return captured.out if code == 0 else captured.err


def test_bounds_are_saved_with_the_model_and_shown(model, tmp_path, capsys):
    said = run(capsys, "bound", model, "-n", "30", "--coverage", "0.8", "--quiet")
    assert "With probability 80 % the relative L2 error" in said
    answer = json.loads(run(capsys, "predict", model, "--seed", "0", "--json"))
    assert answer["coverage"] == 0.8
    assert 0 < answer["domain_p_value"] <= 1
    assert answer["error_bound"]["theta"] > 0
    assert answer["fields"]["theta_lower"]["min"] <= answer["fields"]["theta"]["min"]
    assert "error_bound" in run(capsys, "predict", model, "--seed", "0")
    described = json.loads(run(capsys, "info", model, "--json"))
    assert described["calibration"]["error_bound"]["theta"] > 0


def test_elsewhere_as_json(model, tmp_path, capsys):
    other = str(tmp_path / "other")
    said = json.loads(
        run(capsys, "bound", model, "-n", "30", "-o", other, "--same", "--quiet", "--json")
    )
    assert surrogate.load(model).calibration is None
    calibration = surrogate.load(other).calibration
    assert calibration.scale is None
    assert said["error_bound"] == calibration.error_bound


def test_what_cannot_be_promised_is_one_line(model, capsys):
    error = run(capsys, "bound", model, "-n", "5", "--quiet", code=2)
    assert error == "surrogate: n=1: a bound with a coverage of 0.9 needs at least 9 scores\n"
