"""Ensembles: their mean answers, their spread is a scale, files keep them."""

import json
import shutil

import numpy as np
import pytest

import surrogate
from simulations import InvalidInput
from surrogate import SurrogateFileError
from surrogate.trust import scores
from surrogate.trust.bounds import calibrate, with_calibration


@pytest.fixture(scope="module")
def members(toy_data):
    return [
        surrogate.train(toy_data, surrogate.MLP(width=8), seed=seed, epochs=2, progress=False)
        for seed in range(3)
    ]


@pytest.fixture(scope="module")
def ensemble(members, pool, known):
    ensemble = surrogate.Ensemble(members)
    return with_calibration(ensemble, calibrate(ensemble, pool[:60], known, 0.8))


def test_the_mean_answers(ensemble, members, pool):
    inputs = pool[:5].inputs
    answers = [member.predict(**inputs) for member in members]
    for name, values in ensemble.predict(**inputs).items():
        stacked = np.stack([answer[name] for answer in answers])
        np.testing.assert_allclose(values, stacked.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            ensemble.spread(**inputs)[name], stacked.std(0, ddof=1), rtol=1e-3, atol=1e-5
        )
    assert ensemble.network_name == "ensemble of 3 MLP"
    assert "ensemble" in ensemble(seed=0).attrs["answered_by"]


def test_bounds_follow_the_spread(ensemble, pool):
    assert isinstance(ensemble.calibration.scale, scores.Spread)
    inputs = pool[:8].inputs
    answer = ensemble.predict(**inputs)
    width = ensemble.calibration.bounds(ensemble, inputs, answer).half_width["theta"]
    spread = ensemble.spread(**inputs)["theta"]
    # One number over all inputs and points, but for the floor
    ratio = (width[:, 1:] / (spread[:, 1:] + ensemble.calibration.scale.floors["theta"][1])).ravel()
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_a_saved_ensemble_comes_back(ensemble, tmp_path):
    ensemble.save(tmp_path / "model")
    again = surrogate.load(tmp_path / "model")
    assert isinstance(again, surrogate.Ensemble)
    ours, theirs = ensemble(seed=1), again(seed=1)
    for name in ours.variables:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_what_is_no_ensemble_is_refused(members, emulator):
    with pytest.raises(InvalidInput, match="1 are no ensemble"):
        surrogate.Ensemble(members[:1])
    other = surrogate.Surrogate(
        emulator.simulation.rescaled(2), members[0].network, members[0].encoding
    )
    with pytest.raises(InvalidInput, match="must be of one simulation"):
        surrogate.Ensemble([members[0], other])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": "member-0"}, "must be folders in it"),
        ({"members": ["../model", "member-1"]}, "must be folders in it"),
        ({"members": ["..", "member-1"]}, "must be folders in it"),
        ({"members": ["member-0"]}, "no ensemble"),
        ({"members": ["member-0", "member-7"]}, "not a saved surrogate"),
        ({"members": ["member-0", "member-1"]}, "not those that config.json describes"),
        ({"members": ["member-0", "nested"]}, "a member cannot be an ensemble"),
        ({"calibration": {"scale": None}}, "calibration"),
    ],
)
def test_a_changed_description_is_refused(ensemble, tmp_path, change, message):
    folder = tmp_path / "model"
    ensemble.save(folder)
    shutil.copytree(folder, folder / "nested")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}), encoding="utf-8")
    with pytest.raises(SurrogateFileError, match=message):
        surrogate.load(folder)
