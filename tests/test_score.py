"""Predictions made elsewhere: every error is the one they deserve."""

import json

import numpy as np
import pytest
import xarray

import simulations
from simulations.simulation import InvalidInput
from surrogate import cli
from surrogate.comparison.score import read_rollout, score


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here):
    simulation = simulations.Burgers(n=32, n_times=4, tolerance=1e-6)
    return generate_here(simulation, 40, tmp_path_factory.mktemp("score") / "burgers", seed=1)


@pytest.fixture(scope="module")
def truth(dataset):
    return dataset.load("test").fields["u"].astype(np.float64)


def test_the_truth_has_no_error_and_the_solver_s_time(dataset, truth):
    scored = score(dataset, {"u": truth}, seconds=1e-3, rungs_on=2)
    assert scored.error == 0.0
    assert {scored.metrics["u"][name] for name in ("nRMSE", "VRMSE", "maximum", "fRMSE high")} == {
        0
    }
    assert scored.metrics["u"]["correlation"] == pytest.approx(1.0)
    assert scored.valid_time == 1.0
    # In float32 the solver is not as accurate as its own stored answers
    assert scored.solver_seconds.relation == ">"
    assert scored.ladder[0].name == "n=32, tolerance=1e-6"
    assert scored.ladder[0].error < 1e-6 < scored.ladder[-1].error
    assert "a speed-up of more than" in scored.verdict


def test_persistence_and_the_mean_get_what_they_deserve(dataset, truth):
    first = np.repeat(truth[:, :1], 4, axis=1)
    scored = score(dataset, {"u": first}, rungs_on=1)
    expected = np.linalg.norm((first - truth)[:, 1:].reshape(len(truth), -1), axis=1)
    size = np.linalg.norm(truth[:, 1:].reshape(len(truth), -1), axis=1)
    assert scored.error == pytest.approx(np.mean(expected / size))
    mean = dataset.load("train").fields["u"].mean(axis=0, dtype=np.float64)
    answers = np.broadcast_to(mean, truth.shape)
    scored = score(dataset, {"u": answers}, rungs_on=0)
    assert scored.error == pytest.approx(scored.trivial["training mean"], rel=1e-3)
    assert "no skill" in scored.verdict
    assert scored.verdict.endswith("the solver was not run beside it.")


def test_a_coarse_run_is_worth_what_a_coarse_run_costs(dataset, truth):
    coarse = dataset.simulation.rescaled(0.5)
    answers = []
    for index in (i for record in dataset.records("test") for i in record["indices"]):
        inputs = dataset.simulation.transfer_inputs(dataset.inputs(index), coarse)
        answers.append(coarse.transfer_solution(coarse.run(inputs), dataset.simulation)["u"])
    scored = score(dataset, {"u": np.stack(answers)}, rungs_on=len(truth))
    [rung] = [rung for rung in scored.ladder if rung.name == "n=16, tolerance=1e-6"]
    assert scored.error == pytest.approx(rung.error, rel=1e-6)
    assert scored.solver_seconds.value <= rung.seconds


def test_what_is_not_finite_is_not_usable(dataset, truth):
    broken = truth.copy()
    broken[0, 2] = np.nan
    scored = score(dataset, {"u": broken}, rungs_on=0)
    assert scored.verdict == "The roll-out is not finite: it is not usable."
    json.dumps(scored.to_json(), allow_nan=False)


def test_files_of_every_kind(dataset, truth, tmp_path):
    simulation = dataset.simulation
    np.save(tmp_path / "r.npy", truth)
    np.savez(tmp_path / "r.npz", u=truth, more=np.ones(3))
    dims = ("sample", "time", "x")
    xarray.Dataset({"u": (dims, truth)}).to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
    for name in ("r.npy", "r.npz", "r.nc"):
        np.testing.assert_array_equal(read_rollout(tmp_path / name, simulation)["u"], truth)
    np.savez(tmp_path / "other.npz", v=truth)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.nc").write_text("nothing")
    for name, words in (
        ("other.npz", "lacks"),
        ("objects.npy", "cannot be read"),
        ("text.nc", "cannot be read"),
        ("r.csv", "must end in"),
        ("none.npy", "cannot be read"),
    ):
        with pytest.raises(InvalidInput, match=words):
            read_rollout(tmp_path / name, simulation)
    with pytest.raises(InvalidInput, match="one array for the fields"):
        read_rollout(tmp_path / "r.npy", simulations.Lorenz63())


def test_other_shapes_are_refused(dataset, truth):
    for wrong in (truth[:, :1], truth[..., :1], np.concatenate([truth, truth]), truth[:0]):
        with pytest.raises(InvalidInput, match="the test split has"):
            score(dataset, {"u": wrong})
    assert score(dataset, {"u": truth[:2]}, rungs_on=0).trajectories == 2
    with pytest.raises(InvalidInput, match="seconds=0"):
        score(dataset, {"u": truth}, seconds=0)


def test_the_command(dataset, truth, tmp_path, capsys):
    np.save(tmp_path / "r.npy", truth)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["score", str(tmp_path / "r.npy"), "--dataset", str(dataset.path), *arguments])
        return ended.value.code or 0, capsys.readouterr().out

    code, shown = call("--rungs-on", "1")
    assert code == 0
    assert "| VRMSE" in shown
    assert "n=32, tolerance=1e-6" in shown
    code, shown = call("--rungs-on", "0", "--json")
    assert json.loads(shown)["metrics"]["u"]["relative L2"] == 0.0
