"""Bounds of a real surrogate: they hold as often as they say, and files keep them."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import surrogate
from simulations import InvalidInput
from simulations.datasets import DatasetError
from surrogate import SurrogateFileError
from surrogate.comparison.held_out import FRESH_STREAM, DataLeak
from surrogate.trust import conformal
from surrogate.trust.bounds import answers, calibrate, relative_errors, with_calibration
from surrogate.trust.unseen import CALIBRATION_STREAM, Solved
from tests.toy import Toy
from tests.trust.conftest import TOY


def shares_covered(emulator, calibration, test):
    """Of each promise, how often it is kept among some test trajectories."""
    answer = answers(emulator, test.inputs)
    errors = relative_errors(emulator.simulation, answer, test.fields)
    found = calibration.bounds(emulator, test.inputs, answer)
    shares = {}
    joint = np.ones(len(test), dtype=bool)
    for name, truth in test.fields.items():
        shares[f"{name} error"] = errors[name] <= found.error[name]
        shares[f"{name} error, same for all"] = errors[name] <= calibration.error_bound[name]
        joint &= errors[name] <= calibration.joint_error_bound[name]
        first = emulator.encoding.first_frame[name]
        apart = np.abs(answer[name].astype("f8") - truth)[:, first:]
        for label, width in (
            ("band", found.half_width[name]),
            ("band, same for all", calibration.half_width[name][None]),
        ):
            inside = (apart <= width[:, first:] * (1 + 1e-6)).reshape(len(test), -1)
            if calibration.promise == "cell":
                shares[f"{name} {label}"] = inside
            elif calibration.promise == "fraction":
                shares[f"{name} {label}"] = inside.mean(1) >= calibration.fraction
            else:
                shares[f"{name} {label}"] = inside.all(1)
    shares["joint"] = joint
    return {name: kept.mean() for name, kept in shares.items()}


@pytest.mark.parametrize("promise", ["simultaneous", "fraction", "cell"])
def test_promises_are_kept(emulator, pool, known, promise):
    """Averaged over random splits, whose averages have a spread of 0.025.

    That the rank is right to the last trajectory is held by exact numbers elsewhere.
    """
    rng, coverage, splits, n = np.random.default_rng(0), 0.8, 4, 120
    found = []
    for _ in range(splits):
        order = rng.permutation(len(pool))
        calibration = calibrate(emulator, pool[order[:n]], known, coverage, promise=promise)
        found.append(shares_covered(emulator, calibration, pool[order[n : n + 200]]))
    low, high = conformal.coverage_range(calibration.n, 200, coverage, 0.99)
    for name in found[0]:
        shares = np.array([each[name] for each in found])
        wanted = conformal.rank(calibration.n, coverage) / (calibration.n + 1)
        assert abs(shares.mean() - wanted) < 0.1, name
        assert ((shares >= low) & (shares <= high)).mean() >= 0.5, name


def test_a_bound_that_follows_the_input_ranks_errors(calibrated, pool):
    test = pool[180:]
    answer = answers(calibrated, test.inputs)
    errors = relative_errors(TOY, answer, test.fields)["theta"]
    bound = calibrated.calibration.bounds(calibrated, test.inputs, answer).error["theta"]
    ranks = [np.argsort(np.argsort(values)) for values in (errors, bound)]
    assert np.corrcoef(*ranks)[0, 1] > 0.3


def test_the_answer_has_bands_bounds_and_says_what_they_mean(calibrated, emulator):
    answer, bare = calibrated(seed=3), emulator(seed=3)
    for name in TOY.fields:
        assert answer[name].dims == answer[f"{name}_lower"].dims == answer[f"{name}_upper"].dims
        assert answer[f"{name}_lower"].attrs["units"] == answer[name].attrs["units"]
        assert (answer[f"{name}_lower"] <= answer[name]).all()
        assert (answer[name] <= answer[f"{name}_upper"]).all()
        np.testing.assert_array_equal(answer[name], bare[name])
    np.testing.assert_array_equal(answer.theta_lower[0], answer.theta[0])  # given, not predicted
    assert set(answer.field.values) == set(TOY.fields)
    assert answer.error_bound.sel(field="theta") > 0
    assert answer.attrs["coverage"] == 0.9
    assert answer.attrs["band"] == "simultaneous"
    assert answer.attrs["domain_p_value"] > 0.02
    assert "error_bound" not in bare


def test_the_domain_notices_what_was_not_trained_on(calibrated):
    with pytest.warns(surrogate.OutOfDomainWarning):
        assert calibrated(seed=3, offset=3.0).attrs["domain_p_value"] <= 0.02


def test_answers_that_are_not_finite_make_bounds_infinite(emulator, pool, known):
    class Broken(type(emulator)):
        def answer(self, inputs):
            found = super().answer(inputs)
            found["theta"][inputs["kappa"] > 0.01] = np.nan
            return found

    broken = Broken(emulator.simulation, emulator.network, emulator.encoding, emulator.training)
    calibration = calibrate(broken, pool[:60], known, 0.9)
    assert calibration.error_bound["theta"] == np.inf
    assert np.isinf(calibration.half_width["theta"][1:]).all()
    assert np.isfinite(calibration.error_bound["power"])
    assert np.isinf(list(calibration.joint_error_bound.values())).all()


def test_calibration_draws_are_nobody_else_s():
    assert CALIBRATION_STREAM[: len(FRESH_STREAM)] != FRESH_STREAM
    ours = Solved.fresh(TOY, 2, seed=0)
    key = np.random.SeedSequence(0, spawn_key=(*CALIBRATION_STREAM, 1))
    np.testing.assert_array_equal(
        ours.inputs["theta0"][1], TOY.sample(np.random.default_rng(key))["theta0"]
    )


def test_draws_on_which_the_solver_fails_are_left_out():
    fragile = Toy(n=6, n_times=4, runaway=0.03)
    solved = Solved.fresh(fragile, 20, seed=0)
    assert len(solved) == 20
    assert solved.failures > 0
    assert solved.inputs["kappa"].max() <= 0.03
    with pytest.raises(RuntimeError, match="11 draws"):
        Solved.fresh(Toy(n=6, n_times=4, runaway=1e-3), 20, seed=0)


class TestDataOfTheUser:
    def test_the_training_data_are_refused(self, emulator, toy_data):
        with pytest.raises(DataLeak, match=r"trajectory \d+ is in the train split"):
            surrogate.calibrated(emulator, data=toy_data, progress=False)

    def test_training_data_that_are_gone_are_drawn_again(self, emulator, toy_data, pool):
        lost = with_calibration(emulator, None)
        lost.training = {**emulator.training, "dataset": {**emulator.training["dataset"]}}
        lost.training["dataset"]["path"] = "/nowhere"
        with pytest.raises(DataLeak, match="of the training dataset"):
            surrogate.calibrated(lost, data=toy_data, progress=False)
        lost.training["dataset"] = {}
        with pytest.raises(DatasetError, match="not known what was trained on"):
            surrogate.calibrated(lost, data=toy_data, progress=False)
        with pytest.raises(DatasetError, match="give the dataset"):
            surrogate.calibrated(lost, 30, 0.8, progress=False)

    def test_other_data_and_the_test_split_serve(self, emulator, toy_data, tmp_path, generate_here):
        other = generate_here(TOY, 40, tmp_path / "other", seed=2)
        found = surrogate.calibrated(emulator, coverage=0.8, data=other, progress=False)
        assert found.calibration.n == 40 - 13
        assert emulator.calibration is None
        of_test = surrogate.calibrated(
            emulator, coverage=0.5, data=toy_data, split="test", progress=False
        )
        assert of_test.calibration.origin["kind"] == "dataset"

    def test_another_problem_is_refused(self, emulator, tmp_path, generate_here):
        other = generate_here(Toy(n=6, n_times=5), 20, tmp_path / "other")
        with pytest.raises(DatasetError, match="is of Toy"):
            surrogate.calibrated(emulator, data=other, progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 12}, r"n=8: a bound with a coverage of 0\.9 needs at least 9"),
        ({"n": 0}, "n=0"),
        ({"coverage": 1.0}, r"coverage=1\.0"),
        ({"n": 20, "promise": "always"}, "promise='always'"),
        ({"n": 20, "fraction": 0.0}, r"fraction=0\.0"),
        ({"n": 20, "scale": "big"}, "scale='big'"),
    ],
)
def test_bad_arguments_are_refused(emulator, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        surrogate.calibrated(emulator, progress=False, **arguments)


class TestFiles:
    @pytest.fixture
    def saved(self, calibrated, tmp_path):
        calibrated.save(tmp_path / "model")
        return tmp_path / "model"

    def test_it_comes_back_identical(self, calibrated, saved):
        again = surrogate.load(saved)
        ours, theirs = calibrated(seed=4), again(seed=4)
        for name in ours.variables:
            np.testing.assert_array_equal(ours[name], theirs[name])
        assert theirs.attrs["domain_p_value"] == ours.attrs["domain_p_value"]
        assert again.calibration.origin == calibrated.calibration.origin
        card = (saved / "README.md").read_text(encoding="utf-8")
        assert "With probability 90 % the relative L2 error" in card

    def test_a_new_one_takes_the_place_of_the_old(self, calibrated, emulator, saved, pool, known):
        other = calibrate(emulator, pool[:60], known, 0.8, scale="none")
        with_calibration(calibrated, other).save(saved)
        assert len(list(saved.glob("calibration-*"))) == 1
        assert surrogate.load(saved).calibration.coverage == 0.8
        emulator.save(saved)
        assert not list(saved.glob("calibration-*"))
        assert surrogate.load(saved).calibration is None

    def test_files_from_before_there_were_calibrations(self, emulator, saved):
        emulator.save(saved)
        _edit(saved, lambda config: config.pop("calibration"))
        assert surrogate.load(saved).calibration is None

    def test_it_belongs_to_its_weights(self, calibrated, saved, tmp_path):
        _edit(saved, lambda config: config["calibration"].update(weights_sha256="0" * 64))
        with pytest.raises(SurrogateFileError, match="calibration: belongs to other weights"):
            surrogate.load(saved)
        changed = surrogate.train(
            calibrated.training["dataset"]["path"], surrogate.PODLinear(modes=5), progress=False
        )
        changed.calibration = calibrated.calibration
        with pytest.raises(ValueError, match="have been changed since"):
            changed.save(tmp_path / "changed")
        assert not (tmp_path / "changed" / "config.json").exists()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"coverage": 1.5}, "coverage=1.5"),
            ({"n": 3}, "not as many as the trajectories"),
            ({"promise": "always"}, "promise 'always'"),
            ({"file": "../calibration"}, "must be a name in the same folder"),
            ({"file": "nothing.safetensors"}, "cannot be read"),
            ({"sha256": "0" * 64}, "not the numbers that config.json describes"),
            ({"domain": {}}, "not the description of one"),
            ({"scale": {"kind": "os"}}, "os"),
            ({"scale": {"kind": "spread", "floors": {}}}, "is not one of PODLinear"),
            ({"origin": 3}, "calibration"),
        ],
    )
    def test_a_changed_description_is_refused(self, saved, change, message):
        _edit(saved, lambda config: config["calibration"].update(change))
        with pytest.raises(SurrogateFileError, match=message):
            surrogate.load(saved)

    @pytest.mark.parametrize("described", ["yes", 3, [], {}, {"file": "a"}])
    def test_what_is_no_description_is_refused(self, saved, described):
        _edit(saved, lambda config: config.update(calibration=described))
        with pytest.raises(SurrogateFileError, match="calibration"):
            surrogate.load(saved)

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("half_width/theta", lambda a: a[:, :2]),
            ("half_width/theta", lambda a: -a),
            ("error_bound/theta", lambda a: a * np.nan),
            ("scaled_half_width/theta", lambda a: np.ones((3, 3))),
            ("errors/theta", lambda a: a[:5]),
            ("scale/weights", lambda a: a[:, :1]),
            ("scale/length", lambda a: a * 0),
            ("domain/points", lambda a: a[:, :1]),
        ],
    )
    def test_numbers_that_do_not_fit_are_refused(self, saved, name, change):
        path = next(saved.glob("calibration-*"))
        arrays = load_file(path)
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
        save_file(arrays, path)
        digest = surrogate.emulator._sha256(path)
        _edit(saved, lambda config: config["calibration"].update(sha256=digest))
        with pytest.raises(SurrogateFileError, match="calibration"):
            surrogate.load(saved)


def _edit(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")
