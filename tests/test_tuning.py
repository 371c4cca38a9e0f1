"""The search over networks and recipes: what it tries, stops, keeps and never looks at."""

import itertools
import json
import math
import time
from functools import partial

import pytest
import torch

import surrogate
from simulations import DatasetError, Heat, NBody
from simulations.datasets import Dataset
from simulations.grid import Axis, Grid
from surrogate import cli, loop, tuning
from surrogate.encoding import Encoding
from surrogate.networks import PODLinear, Signature
from tests.toy import Toy

QUICK = {"candidates": ["MLP", "PODLinear"], "progress": False}


def counted_clock():
    """Time that passes by being looked at, so that a search is the same on every machine."""
    return partial(next, itertools.count(0.0, 0.004))


@pytest.fixture(scope="module", autouse=True)
def _small_networks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tuning.SPACES, "MLP", {"width": (8, 16), "layers": (1, 2)})
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here) -> Dataset:
    return generate_here(Toy(n=6, n_times=2), 40, tmp_path_factory.mktemp("tuning") / "toy")


@pytest.fixture(scope="module")
def found(dataset, tmp_path_factory):
    """A search, and the splits that were read in it, one after the other."""
    seen = []
    shards = Dataset.shards

    def recorded(data, split):
        seen.append(split)
        return shards(data, split)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "shards", recorded)
        patch.setattr(time, "perf_counter", counted_clock())
        folder = tmp_path_factory.mktemp("tuning") / "search"
        return surrogate.tune(dataset, folder, minutes=0.05, **QUICK), seen


def test_the_winner_has_the_smallest_validation_error(found):
    search, _ = found
    errors = [trial.error for trial in search.trials if trial.state != "failed"]
    assert len(errors) > 1
    assert search.winner.error == min(errors) == search.best.training["valid_error"]
    assert search.best.network_name == search.winner.network


def test_the_test_split_is_read_once_and_at_the_end(found):
    search, seen = found
    assert seen.count("test") == 1
    assert seen[-1] == "test"
    assert set(search.best.training["test_relative_l2"]) == set(Toy.fields)


def test_what_the_search_has_cost_is_counted_once(found):
    search, _ = found
    total = sum(trial.seconds for trial in search.trials)
    training = search.best.training
    assert training["tuning_seconds"] + training["seconds"] == pytest.approx(total)
    assert 0 < training["tuning_seconds"] < total


def test_everything_is_kept(found):
    search, _ = found
    kept = surrogate.load(search.folder)
    assert kept.training == json.loads(json.dumps(search.best.training))
    written = json.loads((search.folder / "tuning.json").read_text())
    assert written["winner"] == search.winner.number
    assert len(written["trials"]) == len(search.trials)
    for trial in search.trials:
        assert trial.state != "failed"
        other = surrogate.load(search.folder / "trials" / f"{trial.number:04d}")
        assert other.training["valid_error"] == trial.error
        assert other.learner.config.items() >= trial.settings.items()
        used = other.training["recipe"]
        assert {key: used[key] for key in trial.recipe} == trial.recipe
    assert not list(search.folder.rglob("*.checkpoint"))


def test_nobody_beats_the_frontier(found):
    search, _ = found
    for trial in search.frontier:
        assert not any(
            other.error < trial.error and other.call_seconds < trial.call_seconds
            for other in search.trials
        )
    assert search.frontier[0] == search.winner
    assert search.rows()[1][1] == search.winner.network


def test_a_search_continues_where_it_ended(found, dataset):
    search, _ = found
    again = surrogate.tune(dataset, search.folder, minutes=0.05, **QUICK)
    assert again.trials == search.trials
    with pytest.raises(ValueError, match="holds another search"):
        surrogate.tune(dataset, search.folder, minutes=0.05, seed=1, **QUICK)


def test_a_killed_trial_continues_from_its_checkpoint(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(time, "perf_counter", counted_clock())
    log = tuning._Watch.log

    def interrupted(watch, values, step):
        log(watch, values, step)
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(tuning._Watch, "log", interrupted)
    options = {"candidates": ["MLP"], "minutes": 0.02, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        surrogate.tune(dataset, tmp_path, **options)
    monkeypatch.setattr(tuning._Watch, "log", log)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 20.0)
    resumed = []
    resume = loop.Run.resume

    def recorded(run, path):
        resume(run, path)
        resumed.append((path.name, len(run.history)))

    monkeypatch.setattr(loop.Run, "resume", recorded)
    search = surrogate.tune(dataset, tmp_path, **options)
    assert resumed == [("0000.checkpoint", 5)]
    assert [trial.number for trial in search.trials] == list(range(len(search.trials)))


class Theatre:
    """Trainings whose errors follow from their learning rate, on a clock of their own."""

    def __init__(self, dataset, epoch=1.0):
        self.now, self.epoch, self.ran = 0.0, epoch, []
        self.emulator = surrogate.train(dataset, PODLinear(), progress=False)

    def trained(self, dataset, network, *, loggers, minutes, learning_rate, **_):
        quality = abs(math.log10(learning_rate / 2e-3))
        seconds = 0.0
        try:
            while seconds < 60 * minutes:
                self.now += self.epoch
                seconds += self.epoch
                error = quality + 1 / seconds
                loggers[0].log({"valid": error, "seconds": seconds}, 1)
        except loop.Stop:
            pass
        self.ran.append((error, seconds))
        self.emulator.training = {**self.emulator.training, "valid_error": error}
        return self.emulator


@pytest.fixture
def theatre(dataset, monkeypatch):
    theatre = Theatre(dataset)
    monkeypatch.setattr(tuning, "trained", theatre.trained)
    monkeypatch.setattr(time, "perf_counter", lambda: theatre.now)
    return theatre


def test_only_the_best_third_goes_on(dataset, tmp_path, theatre):
    """Budget of a trial 270 s: it is judged after 10, 30 and 90."""
    search = surrogate.tune(
        dataset, tmp_path, minutes=6 * 270 / 60, candidates=["PODLinear"], progress=False
    )
    seconds = [spent for _, spent in theatre.ran]
    assert seconds[0] == 270  # nobody was there to be better
    assert set(seconds[:-1]) <= {10, 30, 90, 270}
    assert seconds.count(10) > 0.4 * len(seconds)
    assert sum(seconds) == pytest.approx(6 * 270, abs=10)
    for (_, spent), trial in zip(theatre.ran[:-1], search.trials, strict=False):
        assert trial.state == ("complete" if spent == 270 else "stopped")
    reached = [spent for _, spent in theatre.ran if spent > 10]
    assert len(reached) < 0.6 * len(seconds)
    assert search.winner.error < theatre.ran[0][0] + 1e-9


def test_the_last_trial_has_what_is_left(dataset, tmp_path, theatre):
    surrogate.tune(dataset, tmp_path, minutes=1.0, candidates=["PODLinear"], progress=False)
    assert sum(spent for _, spent in theatre.ran) <= 61
    more = len(theatre.ran)
    surrogate.tune(dataset, tmp_path, minutes=2.0, candidates=["PODLinear"], progress=False)
    assert len(theatre.ran) > more
    assert 110 < sum(spent for _, spent in theatre.ran) <= 121


def test_trials_that_fail_say_why(dataset, tmp_path):
    with pytest.raises(RuntimeError, match=r"5 trials failed, the last one: .*heat is none of"):
        surrogate.tune(
            dataset, tmp_path, minutes=1.0, candidates=["MLP"], progress=False,
            field_weights={"heat": 1.0},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"minutes": 0}, "minutes=0: must be a number in"),
        ({"epochs": 3}, "epochs: belongs to the search"),
        ({"momentum": 3}, "momentum: not part of a recipe"),
        ({"candidates": ["ResNet"]}, "network 'ResNet': must be one of"),
        ({"candidates": []}, r"candidates=\[\]: name at least one network"),
    ],
)
def test_a_bad_search_is_refused(dataset, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        surrogate.tune(dataset, tmp_path, progress=False, **arguments)
    assert not list(tmp_path.iterdir())


def test_an_unfinished_dataset_ends_the_search(dataset, tmp_path):
    with pytest.raises(DatasetError, match="not a dataset"):
        surrogate.tune(tmp_path, tmp_path / "search", progress=False)


def test_the_networks_that_serve():
    fields = Signature((32,), (True,), 1, 1, 3)
    assert {"FNO", "UNet", "MLP"} <= set(tuning.serving(fields, Heat(n=32)))
    assert "GraphNet" not in tuning.serving(fields, Heat(n=32))
    bodies = NBody()
    moments = dict.fromkeys(bodies.fields, (0.0, 1.0))
    ranges = dict.fromkeys(bodies.parameters, (0.0, 1.0))
    particles = Encoding(bodies, moments, ranges).signature
    names = set(tuning.serving(particles, bodies))
    assert "GraphNet" in names
    assert not names & {"FNO", "UNet", "DeepONet"}
    assert tuning._losses_on(Grid((Axis.members("body", 3),))) == ["relative_l2"]
    assert tuning._losses_on(Heat(n=32).grid) == ["relative_l2", "h1"]


def test_every_setting_that_is_tried_is_one_of_the_network():
    for name, space in tuning.SPACES.items():
        config = surrogate.networks.by_name(name)().config
        assert space.keys() <= config.keys(), name


def test_a_trial_begins_with_what_is_recommended(found):
    first = found[0].trials[0]
    network = surrogate.networks.default_network(
        Encoding.of_dataset(Dataset(found[0].best.training["dataset"]["path"])).signature,
        Toy(n=6).grid,
    )
    assert first.network == type(network).__name__
    assert first.recipe["learning_rate"] == network.recipe["learning_rate"]
    assert first.recipe["loss"] == "relative_l2"


def test_the_command_line_searches(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", counted_clock())
    command = ["tune", str(dataset.path), "-o", str(tmp_path), "--minutes=0.005", "--quiet"]
    assert cli.run([*command, "--network=PODLinear", "--recipe", "clip=1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("trial  network    settings")
    assert "Surrogate(Toy by PODLinear" in printed
    assert torch.isfinite(torch.tensor(surrogate.load(tmp_path).training["valid_error"]))
    assert cli.run([*command, "--step", "noise=1"]) == cli.MISUSED
