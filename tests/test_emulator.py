"""`Surrogate`: the call of the simulation, and files that are what they say."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import simulations
import surrogate
from simulations import InvalidInput
from surrogate import OutOfDomainWarning, SurrogateFileError


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    path = tmp_path_factory.mktemp("emulator") / "burgers"
    data = simulations.generate(
        simulations.Burgers(n=32, n_times=4), 40, path, workers=1, progress=False
    )
    return surrogate.train(
        data, surrogate.FNO(modes=6, width=8, layers=2), epochs=2, progress=False
    )


@pytest.fixture
def saved(emulator, tmp_path):
    emulator.save(tmp_path / "model")
    return tmp_path / "model"


def test_the_answer_looks_like_the_simulation_s(emulator):
    answer, truth = emulator(nu=0.02, seed=3), emulator.simulation(nu=0.02, seed=3)
    assert answer.sizes == truth.sizes
    assert set(answer.variables) == set(truth.variables)
    for name in truth.variables:
        assert answer[name].attrs == truth[name].attrs
    assert set(truth.attrs) <= set(answer.attrs)
    assert answer.attrs["seed"] == 3
    assert "surrogate" in answer.attrs["answered_by"]
    np.testing.assert_array_equal(answer.u[0], truth.u[0].astype("f4"))


def test_predict_is_the_call_for_a_batch(emulator):
    u0 = np.stack([emulator.simulation(nu=0.02, seed=s).u[0] for s in range(3)])
    nu = np.array([0.02, 0.03, 0.04])
    batch = emulator.predict(nu=nu, u0=u0)["u"]
    assert batch.shape == (3, 4, 32)
    for i in range(3):
        single = emulator(nu=nu[i], u0=u0[i]).u
        np.testing.assert_allclose(batch[i], single, rtol=1e-4, atol=1e-5)


def test_a_parameter_outside_the_training_range_warns_by_name(emulator):
    with pytest.warns(OutOfDomainWarning, match=r"nu=0\.5 is outside the training range"):
        emulator(nu=0.5, seed=0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"nu": -1.0}, r"nu=-1\.0: viscosity must lie in"),
        ({"nu": float("nan")}, "nu=nan"),
        ({"mu": 1.0}, "mu: Burgers has no such input"),
        ({"u0": np.zeros(5)}, r"u0 has shape \(5,\)"),
    ],
)
def test_bad_input_is_refused_as_by_the_simulation(emulator, inputs, message):
    with pytest.raises(InvalidInput, match=message):
        emulator(seed=0, **inputs)


def test_bad_batches_are_refused(emulator):
    with pytest.raises(InvalidInput, match="needs each of"):
        emulator.predict(nu=np.ones(2))
    with pytest.raises(InvalidInput, match=r"u0 has shape \(3, 32\): must have \(2, 32\)"):
        emulator.predict(nu=np.full(2, 0.02), u0=np.zeros((3, 32)))


def test_a_saved_surrogate_comes_back_identical(emulator, saved):
    assert sorted(p.name for p in saved.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    again = surrogate.load(saved)
    assert again.simulation == emulator.simulation
    assert again.training == json.loads(json.dumps(emulator.training))
    np.testing.assert_array_equal(again(nu=0.02, seed=1).u, emulator(nu=0.02, seed=1).u)
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert "Burgers surrogate" in card
    assert "viscosity" in card


def _edit(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.update(changes)
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "something"}, "format 'something'"),
        ({"format_version": 99}, "format version 99; this package reads 1"),
        ({"system": "Nothing"}, "Nothing: no such system"),
        ({"network": "os"}, "os"),
        ({"network": "Network"}, "Network"),
        ({"settings": {"n": -5}}, "n=-5"),
        ({"settings": {"n": 64}}, "sizes of the network"),
        ({"network_config": {"wings": 2}}, "wings"),
        ({"encoding": {}}, "moments"),
    ],
)
def test_a_changed_description_is_refused(saved, changes, message):
    _edit(saved, **changes)
    with pytest.raises(SurrogateFileError, match=message):
        surrogate.load(saved)


def test_changed_weights_are_refused(saved):
    weights = load_file(saved / "model.safetensors")
    first = next(name for name, value in weights.items() if value.dtype == np.float32)
    weights[first] = weights[first] + 1e-3
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(SurrogateFileError, match=r"not the weights that config\.json describes"):
        surrogate.load(saved)


def test_weights_of_the_wrong_shape_are_refused(saved):
    weights = load_file(saved / "model.safetensors")
    first = next(name for name, value in weights.items() if value.ndim)
    weights[first] = np.zeros((1, 2, 3), np.float32)
    save_file(weights, saved / "model.safetensors")
    digest = surrogate.emulator._sha256(saved / "model.safetensors")
    _edit(saved, weights_sha256=digest)
    with pytest.raises(SurrogateFileError, match="does not fit the network"):
        surrogate.load(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(tmp_path_factory, emulator, name, content):
    folder = tmp_path_factory.mktemp("bytes") / "model"
    emulator.save(folder)
    (folder / name).write_bytes(content)
    with pytest.raises(SurrogateFileError):
        surrogate.load(folder)


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(SurrogateFileError, match=r"there is no config\.json"):
        surrogate.load(tmp_path)
    shutil.copytree(saved, tmp_path / "half")
    (tmp_path / "half" / "model.safetensors").unlink()
    with pytest.raises(SurrogateFileError, match="weights are missing"):
        surrogate.load(tmp_path / "half")
