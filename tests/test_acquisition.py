"""What is chosen, why, and that a growth killed anywhere ends with the same data."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import simulations
import surrogate
from simulations import DatasetError, Grown, InvalidInput, Sobol
from simulations.datasets import SPLITS
from simulations.designs import sample_generator
from simulations.generation import execution
from surrogate.cli import run as command_line
from surrogate.trust.acquisition import batches, growth, measures
from surrogate.trust.acquisition.measures import disagreement, features
from tests.toy import Toy

SMALL = Toy(n=6, n_times=2)
TINY = surrogate.MLP(width=8, layers=1)
RECIPE = {"epochs": 3}

# Three heaps of candidates on a line; what is known lies at the first
HEAPS = np.concatenate([np.linspace(c - 0.1, c + 0.1, n) for c, n in ((0, 50), (4, 30), (9, 20))])
HEAPS = HEAPS[:, None]
KNOWN = np.zeros((1, 1))


def rng(seed=0):
    return np.random.default_rng(seed)


class TestStochasticBatch:
    SCORES = np.array([1.0] * 90 + [20.0] * 10)

    def counts(self, **options):
        """How often each of the candidates is the first of a batch."""
        firsts = [
            batches.stochastic_batch(self.SCORES, 3, rng(seed), **options)[0] for seed in range(500)
        ]
        return np.isin(firsts, np.arange(90, 100)).mean()

    def test_power_draws_in_proportion_to_scores(self):
        assert self.counts() == pytest.approx(200 / 290, abs=0.08)
        assert self.counts(sharpness=2.0) == pytest.approx(4000 / 4090, abs=0.04)

    def test_other_rules(self):
        assert self.counts(sharpness=0.0) == pytest.approx(0.1, abs=0.06)
        ranks = 1 / np.arange(1, 101)
        assert self.counts(rule="softrank") == pytest.approx(
            ranks[:10].sum() / ranks.sum(), abs=0.08
        )
        odds = 10 * np.exp(19 / self.SCORES.std())
        assert self.counts(rule="softmax") == pytest.approx(odds / (odds + 90), abs=0.08)
        top = batches.stochastic_batch(self.SCORES, 10, rng(), rule="top")
        assert sorted(top) == list(range(90, 100))

    def test_each_candidate_once_and_the_same_under_a_seed(self):
        one = batches.stochastic_batch(self.SCORES, 100, rng(3))
        assert sorted(one) == list(range(100))
        assert np.array_equal(one, batches.stochastic_batch(self.SCORES, 100, rng(3)))
        assert not np.array_equal(one, batches.stochastic_batch(self.SCORES, 100, rng(4)))

    def test_what_is_not_finite_comes_first_and_zero_last(self):
        scores = np.array([1.0, np.nan, 0.0, 2.0, np.inf])
        top = batches.stochastic_batch(scores, 5, rng(), rule="top")
        assert set(top[:3]) == {1, 3, 4}
        assert batches.stochastic_batch(scores, 5, rng())[-1] == 2

    def test_a_choice_needs_something_to_go_by(self):
        with pytest.raises(InvalidInput, match="zero for every candidate"):
            batches.stochastic_batch(np.zeros(4), 2, rng())
        with pytest.raises(InvalidInput, match="rule='best': must be one of"):
            batches.stochastic_batch(np.ones(4), 2, rng(), rule="best")


class TestDistances:
    @pytest.mark.parametrize("pick", [batches.core_set, batches.largest_cluster])
    def test_first_the_heaps_of_which_nothing_is_known(self, pick):
        chosen = HEAPS[pick(HEAPS, KNOWN, 2), 0]
        assert abs(chosen[0] - 9) < 0.2
        assert abs(chosen[1] - 4) < 0.2

    def test_clusters_follow_the_density_where_the_core_set_goes_to_outliers(self):
        crowd = np.concatenate([np.zeros((200, 1)), np.linspace(3, 5, 100)[:, None], [[-6.0]]])
        assert batches.core_set(crowd, KNOWN, 1) == [300]
        assert batches.largest_cluster(crowd, np.array([[0.0], [-5.0]]), 1)[0] == 299
        # The outlier has the farthest distance, its cluster the smaller sum
        known = np.array([[0.0], [-2.0]])
        assert batches.core_set(crowd, known, 2).tolist() == [299, 300]
        assert 300 not in batches.largest_cluster(crowd, known, 2)

    def test_the_farthest_of_the_largest_cluster_step_by_step(self):
        points = np.array([1.0, 2.0, 3.0, 10.0, 14.0])[:, None]
        known = np.array([[0.0], [11.0]])
        # Sums of squares 14 and 10: the cluster of 0, and in it 3; then 1 and 2 leave 1 + 1
        assert batches.largest_cluster(points, known, 3).tolist() == [2, 4, 0]
        assert batches.core_set(points, known, 3).tolist() == [2, 4, 0]

    @pytest.mark.parametrize("pick", [batches.core_set, batches.largest_cluster])
    def test_nobody_twice_even_among_copies(self, pick):
        assert sorted(pick(np.ones((5, 2)), np.empty((0, 2)), 5)) == list(range(5))
        assert sorted(pick(np.ones((5, 2)), np.ones((1, 2)), 5)) == list(range(5))

    def test_blocks_change_nothing(self, monkeypatch):
        points, known = rng(1).normal(size=(40, 3)), rng(2).normal(size=(7, 3))
        whole = batches.largest_cluster(points, known, 9)
        monkeypatch.setattr(batches, "BLOCK", 21)
        assert np.array_equal(batches.largest_cluster(points, known, 9), whole)


@pytest.fixture(scope="module")
def data(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("acquisition") / "toy"
    return generate_here(SMALL, 40, path, seed=2)


@pytest.fixture(scope="module")
def members(data):
    return [
        surrogate.train(data, surrogate.MLP(width=8, layers=1), seed=s, progress=False, **RECIPE)
        for s in (0, 1)
    ]


def batch_of(simulation, n):
    drawn = [simulation.sample(rng(i)) for i in range(n)]
    return {name: np.stack([np.asarray(each[name]) for each in drawn]) for name in drawn[0]}


class TestMeasures:
    def test_disagreement_is_the_spread_in_the_norm_of_the_error(self, members):
        batch = batch_of(SMALL, 3)
        one, other = (m.predict(**batch) for m in members)
        expected = []
        for name in SMALL.fields:
            first = 1 if name == "theta" else 0
            a, b = one[name][:, first:].astype(float), other[name][:, first:].astype(float)
            axes = tuple(range(1, a.ndim))
            mean = (a + b) / 2
            spread = ((a - mean) ** 2).sum(axes) / (mean**2).sum(axes)
            expected.append(np.sqrt(spread))
        assert disagreement(members, batch) == pytest.approx(np.mean(expected, axis=0), rel=1e-5)
        assert disagreement([members[0]] * 3, batch).max() < 1e-12

    def test_features_of_the_last_layer(self, members):
        batch = batch_of(SMALL, 3)
        network = members[0].learner
        found = features(members[0], batch)
        assert found.shape == (3, 8)
        weights = network.perceptron.output
        y = torch.as_tensor(found).float() @ weights.weight.T + weights.bias
        fields, scalars = network(*members[0].encoding.encode_inputs(batch, batch, 3))
        assert torch.allclose(y, torch.cat([fields.flatten(1), scalars], 1), atol=1e-5)

    def test_features_of_answers_measure_relative_differences(self, members, monkeypatch):
        answer = members[0].predict(**batch_of(SMALL, 4))
        larger = {
            name: np.stack([y[0], 1.1 * y[0], 100 * y[1], 110 * y[1]]) for name, y in answer.items()
        }
        monkeypatch.setattr(members[0], "predict", lambda **_: larger)
        found = features(members[0], {}, "output")
        expected = np.sqrt(len(answer)) * np.log(1.1)
        assert np.linalg.norm(found[0] - found[1]) == pytest.approx(expected, rel=1e-4)
        assert np.linalg.norm(found[2] - found[3]) == pytest.approx(expected, rel=1e-4)
        assert np.linalg.norm(found[0] - found[2]) > 4

    def test_long_features_keep_their_distances(self):
        values = rng().normal(size=(6, 5000))
        sketched = measures._sketch(torch.as_tensor(values))
        assert sketched.shape == (6, measures.LONGEST_FEATURE)
        for i in range(5):
            exact = np.linalg.norm(values[i] - values[i + 1])
            assert np.linalg.norm(sketched[i] - sketched[i + 1]) == pytest.approx(exact, rel=0.2)


class TestAcquire:
    @pytest.mark.parametrize("method", ["sbal", "lcmd", "coreset", "sobol", "random"])
    def test_the_budget_is_exact_and_its_share_independent(self, members, method):
        options = {"budget": 10, "method": method, "pool": 50}
        chosen = surrogate.acquire(SMALL, members, **options)
        by_chance = 10 if method == "random" else 3
        assert chosen.round.reasons == ("random",) * by_chance + (method,) * (10 - by_chance)
        assert chosen.round.draws[:by_chance] == tuple(range(40, 40 + by_chance))
        assert len(set(chosen.round.draws)) == 10
        assert len(chosen.design) == 50
        again = surrogate.acquire(SMALL, members, **options)
        assert again.design == chosen.design
        half = surrogate.acquire(SMALL, members, independent=0.5, **options)
        assert half.round.reasons.count("random") == max(5, 10 * (method == "random"))

    @pytest.mark.parametrize("method", ["sbal", "lcmd", "coreset"])
    def test_nothing_that_was_looked_at_is_looked_at_again(self, members, method):
        chosen = surrogate.acquire(SMALL, members, budget=10, method=method, pool=50)
        first = chosen.round
        assert min(first.draws) >= 40
        assert max(first.draws) < first.seen == 40 + 3 + 50
        later = [surrogate.Surrogate(m.simulation, m.network, m.encoding) for m in members]
        manifest = {**members[0].training["dataset"], "n": 50, "rounds": [{"n": 10}]}
        manifest["rounds"][0]["samples_per_shard"] = 1
        for member in later:
            member.training = {"dataset": {**manifest, "design": chosen.design.to_json()}}
        second = surrogate.acquire(SMALL, later, budget=10, method=method, pool=50).round
        assert min(second.draws) >= first.seen

    def test_disagreement_is_preferred(self, members):
        def warm(_, batch):
            return np.where(batch["kappa"] > 0.05, 100.0, 1e-3)

        options = {"budget": 8, "pool": 100, "independent": 0.25}
        chosen = surrogate.acquire(SMALL, members[0], score=warm, **options)
        kappa = [inputs["kappa"] for inputs in chosen.inputs]
        assert min(kappa[2:]) > 0.05
        assert chosen.round.scores == (None, None, *[100.0] * 6)
        # And without a score of ours, by the seed of the choice
        one, other = (surrogate.acquire(SMALL, members, seed=s, **options) for s in (0, 1))
        assert one.round.draws != other.round.draws
        drawn = SMALL.sample(sample_generator(2, one.round.draws[-1]))
        batch = {name: np.asarray(value)[None] for name, value in drawn.items()}
        assert one.round.scores[-1] == pytest.approx(disagreement(members, batch)[0], rel=1e-4)

    def test_sobol_goes_on_where_it_stopped(self, data, members):
        points = Sobol().points(SMALL, 14, 2)
        chosen = surrogate.acquire(SMALL, members, budget=10, method="sobol")
        placed = [inputs["kappa"] for inputs in chosen.inputs[3:]]
        assert placed == points["kappa"][:7].tolist()
        manifest = {**data.manifest, "n": 50, "design": chosen.design.to_json()}
        members[0].training["dataset"], kept = manifest, members[0].training["dataset"]
        more = surrogate.acquire(SMALL, members[0], budget=10, method="sobol")
        members[0].training["dataset"] = kept
        assert [inputs["kappa"] for inputs in more.inputs[3:]] == points["kappa"][7:].tolist()

    def test_what_was_chosen_is_solved(self, data, members, generate_here, tmp_path, monkeypatch):
        generate_here(SMALL, 40, tmp_path, seed=2)
        monkeypatch.setattr(execution, "is_out_of_reach", lambda _: True)
        chosen = surrogate.acquire(SMALL, members, budget=5, method="lcmd", pool=20)
        with pytest.warns(UserWarning, match="in one process"):
            grown = chosen.solve(tmp_path, progress=False)
        assert [grown.count(split) for split in SPLITS] == [37, 4, 4]
        for split in ("valid", "test"):
            before, after = data.load(split), grown.load(split)
            assert np.array_equal(before.fields["theta"], after.fields["theta"])
        for place, inputs in enumerate(chosen.inputs, start=40):
            assert grown.inputs(place)["kappa"] == inputs["kappa"]

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"method": "best"}, "method='best': must be one of"),
            ({"budget": 0}, r"budget=0: must be an integer in \[1,"),
            ({"pool": 2, "method": "lcmd"}, "pool=2: must be at least the 7"),
            ({"independent": 1.5}, r"independent=1.5: must be a number in \[0, 1\]"),
            ({"pools": 3}, "pools: not part of a selection; there are"),
            ({"layer": "first"}, "layer='first': must be one of"),
            ({"score": lambda *_: np.ones(3)}, "score: must answer one number a candidate"),
            ({"score": disagreement, "method": "lcmd"}, "score: is what sbal goes by, not lcmd"),
            ({"score": lambda _, b: -np.ones(len(b["kappa"]))}, "none below 0"),
        ],
    )
    def test_impossible_choices(self, members, options, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            surrogate.acquire(SMALL, members, **{"budget": 10, **options})

    def test_surrogates_that_cannot_be_asked(self, members, data):
        with pytest.raises(InvalidInput, match="one surrogate cannot disagree"):
            surrogate.acquire(SMALL, members[0], budget=4)
        with pytest.raises(InvalidInput, match="MLP agree on every candidate"):
            surrogate.acquire(SMALL, [members[0], members[0]], budget=4)
        with pytest.raises(InvalidInput, match="is not that of the surrogate"):
            surrogate.acquire(replace(SMALL, t_end=1.0), members, budget=4)
        with pytest.raises(InvalidInput, match="at least one surrogate"):
            surrogate.acquire(SMALL, [], budget=4)
        bare = surrogate.Surrogate(SMALL, members[0].network, members[0].encoding)
        with pytest.raises(InvalidInput, match="trained on a dataset of this library"):
            surrogate.acquire(SMALL, bare, budget=4, method="lcmd")
        bare.training = {"dataset": {**data.manifest, "design": Sobol().to_json()}}
        with pytest.raises(InvalidInput, match="design=Sobol: only datasets that were drawn"):
            surrogate.acquire(SMALL, bare, budget=4, method="lcmd")
        with pytest.raises(InvalidInput, match="trained on the same data"):
            surrogate.acquire(SMALL, [members[0], bare], budget=4)


class Killed(BaseException):
    """Nothing may catch it."""


@pytest.fixture
def here(monkeypatch):
    """Datasets are generated in this process."""
    monkeypatch.setattr(execution, "is_out_of_reach", lambda _: True)
    monkeypatch.setattr(simulations.simulation.Simulation, "warm_up", lambda _: None)


def grown(folder, **options):
    given = {"budget": 22, "rounds": 2, "initial": 12, "network": TINY, "recipe": RECIPE}
    given |= {"selection": {"pool": 30}, "seed": 5, "progress": False}
    return surrogate.grow(SMALL, folder, **given | options)


def contents(folder):
    files = [*folder.glob("dataset/data/*/*"), *folder.glob("rounds/*/*/model.safetensors")]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*files, folder / "dataset/dataset.json"]
    }


@pytest.mark.usefixtures("here")
@pytest.mark.filterwarnings("ignore:.*in one process")
class TestGrow:
    def test_rounds_reasons_and_costs(self, tmp_path):
        found = grown(tmp_path)
        assert len(found.dataset) == 22
        assert [r["train"] for r in found.rounds] == [7, 12, 17]
        assert [found.dataset.count(split) for split in SPLITS] == [17, 3, 2]
        design = found.dataset.draws.design
        assert isinstance(design, Grown)
        for number in (1, 2):
            assert design.rounds[number].reasons == ("random",) * 2 + ("sbal",) * 3
        assert len(found.members) == 2
        assert found.members[0].training["trajectories"]["train"] == 17
        solver = sum(r["solver_seconds"] for r in found.rounds)
        assert solver == pytest.approx(found.dataset.solver_seconds)
        assert all(r["training_seconds"] > 0 for r in found.rounds)
        assert [r.get("selection_seconds", 0) > 0 for r in found.rounds] == [True, True, False]
        errors = [m.training["test_relative_l2"]["theta"] for m in found.members]
        assert found.rounds[-1]["error"]["theta"] == pytest.approx(np.mean(errors))

    def test_killed_between_any_two_steps_it_ends_with_the_same_data(self, tmp_path, monkeypatch):
        reference = grown(tmp_path / "whole")
        passed = set()

        def mortal(holder, name, key):
            original = getattr(holder, name)

            def step(*arguments, **options):
                for moment in ("before", "after"):
                    if moment == "after":
                        answer = original(*arguments, **options)
                    event = (moment, name, key(*arguments, **options))
                    if event not in passed:
                        passed.add(event)
                        raise Killed
                return answer

            monkeypatch.setattr(holder, name, step)

        mortal(growth.simulations, "generate", lambda s, n, *_, **__: n)
        mortal(growth, "train", lambda *_, checkpoint, **__: checkpoint)
        mortal(growth, "acquire", lambda _, members, **__: members[0].training["dataset"]["n"])
        mortal(growth._Log, "note", lambda _, number, **noted: (number, *noted))
        mortal(surrogate.Surrogate, "save", lambda _, path: path)
        folder = tmp_path / "killed"
        deaths = 0
        while True:
            try:
                found = grown(folder)
                break
            except Killed:
                deaths += 1
        # 3 times solving, 6 times training and saving, 2 times choosing, 5 times noting
        assert deaths == 2 * (3 + 6 + 6 + 2 + 5)
        assert contents(folder) == contents(tmp_path / "whole")
        assert [r["error"] for r in found.rounds] == [r["error"] for r in reference.rounds]

    def test_more_budget_adds_rounds(self, tmp_path):
        before = grown(tmp_path, method="random")
        held = contents(tmp_path)
        again = grown(tmp_path, method="random")
        assert again.rounds == before.rounds
        more = grown(tmp_path, method="random", budget=29, rounds=4, initial=None)
        assert [len(r) for r in more.dataset.draws.design.rounds] == [12, 5, 5, 4, 3]
        del held["dataset/dataset.json"]
        assert held.items() < contents(tmp_path).items()

    def test_networks_that_differ_are_a_committee(self, tmp_path):
        networks = [surrogate.MLP(width=8, layers=1), surrogate.MLP(width=4, layers=1)]
        found = grown(tmp_path, network=networks, budget=14, rounds=1, initial=12)
        assert [m.learner.config["width"] for m in found.members] == [8, 4]
        assert networks[0].signature is None

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ({"method": "best"}, "method='best'"),
            ({"budget": 2}, r"budget=2: must be an integer in \[3"),
            ({"initial": 21}, r"initial=21: must be an integer in \[1, 20\]"),
            ({"initial": 2}, "initial=2.* leave nothing for test"),
            ({"splits": (1, 0, 0)}, "leave nothing for valid, test"),
            ({"recipe": {"seed": 3}}, "seed=3: members have seeds of their own"),
            ({"recipe": {"epoch": 3}}, "epoch: not part of a recipe"),
            ({"selection": {"pools": 3}}, "pools: not part of a selection"),
            ({"members": 0}, "members=0"),
            ({"network": [TINY], "members": 2}, "members=2: 1 networks are given"),
            ({"rounds": 0}, "initial=12: must be an integer in"),
        ],
    )
    def test_impossible_growths_leave_no_folder(self, tmp_path, options, complaint):
        with pytest.raises(ValueError, match=complaint):
            grown(tmp_path / "nothing", **options)
        assert not (tmp_path / "nothing").exists()

    def test_a_folder_is_of_one_growth(self, tmp_path):
        grown(tmp_path / "a", method="random", budget=13, rounds=1)
        kept = contents(tmp_path / "a")
        for options, complaint in (
            ({"method": "sobol", "members": 1}, "has grown with selection="),
            ({"seed": 6}, "has grown with seed=5, not 6"),
            ({"budget": 12, "rounds": 0}, "has a budget of 13 in 1 rounds, not 12 in 0"),
            ({"budget": 14}, "has a budget of 13 in 1 rounds, not 14 in 1"),
            ({"initial": 11}, "has grown from initial=12, not 11"),
        ):
            with pytest.raises(DatasetError, match=complaint):
                grown(tmp_path / "a", **{"method": "random", "budget": 13, "rounds": 1} | options)
        assert contents(tmp_path / "a") == kept
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "mine").write_text("mine")
        with pytest.raises(DatasetError, match="is not empty and no growth"):
            grown(tmp_path / "b")
        (tmp_path / "a" / "growth.json").write_text('{"asked": 3}')
        with pytest.raises(DatasetError, match="not the record of a growth"):
            grown(tmp_path / "a")

    def test_from_the_command_line(self, tmp_path, capsys):
        options = ["grow", "Toy", "-o", str(tmp_path), "--set", "n=6", "--set", "n_times=2"]
        options += ["--budget", "14", "--initial", "10", "--rounds", "1", "--method", "lcmd"]
        options += ["--network", "MLP", "--network-set", "width=8", "--recipe", "epochs=2"]
        options += ["--select", "pool=20", "--quiet"]
        assert command_line(options) == 0
        assert "selection s" in capsys.readouterr().out
        assert command_line([*options, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert [r["n"] for r in told["rounds"]] == [10, 4]
        assert simulations.open_dataset(told["path"]).count("train") == 10
        assert command_line([*options, "--seed", "1"]) == 2
        assert "has grown with seed=0, not 1" in capsys.readouterr().err
