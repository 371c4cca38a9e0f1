"""Datasets that grow: what is there stays, what comes is for training, and files say why."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from simulations import Grown, InvalidInput, Sobol, reproduce
from simulations.datasets import SPLITS, DatasetError, open_dataset, quality
from simulations.datasets.description import describe_dataset
from simulations.datasets.query import samples
from simulations.designs import INDEPENDENT, Draws, design_from_json, sample_generator
from simulations.grown import Round
from tests.toy import Toy

SMALL = Toy(n=6, n_times=2)
FIRST = Round(tuple(range(10)), ("initial",) * 10, 10)
SECOND = Round((12, 40, 31), ("random", "sbal", "sbal"), 50, (None, 0.5, 0.25))
THIRD = Round((50, 51), ("random", "sobol"), 52, columns={"kappa": [None, 0.05]})
ROUNDS = (FIRST, SECOND, THIRD)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("data/*/*")}


@pytest.fixture(scope="module")
def grown(generate_here, tmp_path_factory):
    """A dataset after three rounds, and what it held after each of them."""
    folder, held = tmp_path_factory.mktemp("grown") / "toy", []
    for count in (1, 2, 3):
        design = Grown(ROUNDS[:count])
        dataset = generate_here(SMALL, len(design), folder, seed=4, design=design)
        held.append(contents(folder))
    return dataset, held


def test_what_is_there_stays_to_the_last_byte(grown):
    _, held = grown
    for before, after in itertools.pairwise(held):
        assert before.items() < after.items()


def test_later_rounds_are_for_training_alone(grown):
    dataset, _ = grown
    assert [dataset.count(split) for split in SPLITS] == [13, 1, 1]
    assert set(dataset.load("train").indices.tolist()) >= set(range(10, 15))


def test_each_trajectory_is_the_draw_that_its_round_says(grown):
    dataset, _ = grown
    draws = [index for r in ROUNDS for index in r.draws]
    for place, draw in enumerate(draws):
        expected = SMALL.sample(sample_generator(4, draw))
        if place == 14:
            assert expected["kappa"] != 0.05
            expected["kappa"] = 0.05
        found = dataset.inputs(place)
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    data = dataset.load("train")
    theta = dict(zip(data.indices.tolist(), data.fields["theta"], strict=True))
    exact = SMALL.run(SMALL.sample(sample_generator(4, 40)))["theta"]
    assert np.array_equal(theta[11], exact.astype(np.float32))


def test_one_run_with_all_rounds_makes_the_same_files(grown, generate_here, tmp_path):
    dataset, held = grown
    again = generate_here(SMALL, 15, tmp_path, seed=4, design=dataset.draws.design)
    assert contents(again.path) == held[-1]
    assert again.manifest["rounds"] == dataset.manifest["rounds"]


def test_it_is_a_dataset_like_any_other(grown):
    dataset, _ = grown
    opened = open_dataset(dataset.path)
    assert opened.draws.design == Grown(ROUNDS)
    assert len(opened.to_xarray("train").sample) == 13
    assert not quality.check(dataset.path).errors
    assert reproduce(dataset, 11).is_exact


def test_it_says_why_each_trajectory_is_there(grown):
    dataset, _ = grown
    table = samples(dataset)
    origins = dict(
        zip(table["index"], zip(table["round"], table["reason"], strict=True), strict=True)
    )
    assert origins[3] == (0, "initial")
    assert origins[10] == (1, "random")
    assert origins[12] == (1, "sbal")
    assert origins[14] == (2, "sobol")
    expected = [{"initial": 10}, {"random": 1, "sbal": 2}, {"random": 1, "sobol": 1}]
    assert describe_dataset(dataset)["rounds"] == expected


def test_an_independent_dataset_can_grow(generate_here, tmp_path):
    first = generate_here(SMALL, 10, tmp_path, seed=4)
    before = contents(tmp_path)
    design = Grown((*Grown.after(first.draws.design, 10).rounds, SECOND))
    dataset = generate_here(SMALL, 13, tmp_path, seed=4, design=design)
    assert before.items() < contents(tmp_path).items()
    assert [dataset.count(split) for split in SPLITS] == [11, 1, 1]


def test_a_draw_that_diverges_makes_way_for_an_independent_one(generate_here, tmp_path):
    fragile = replace(SMALL, runaway=0.01)
    hot = next(
        i for i in range(10, 99) if Draws(SMALL, 0, INDEPENDENT, 99).inputs(i)["kappa"] > 0.01
    )
    rounds = (FIRST, Round((hot,), ("sbal",), 100))
    dataset = generate_here(fragile, 11, tmp_path, design=Grown(rounds))
    assert [f for f in dataset.failures() if f["index"] == 10]
    placed = next(i for i in dataset.load("train").indices if i % 2**32 == 10)
    assert placed > 2**32
    attempt = int(placed) // 2**32
    expected = SMALL.sample(sample_generator(0, hot + attempt * 2**32))
    assert dataset.inputs(int(placed))["kappa"] == expected["kappa"]


def test_only_what_was_drawn_independently_grows(generate_here, tmp_path):
    with pytest.raises(InvalidInput, match="design=Sobol: only datasets that were drawn indep"):
        Grown.after(Sobol(), 8)
    generate_here(SMALL, 10, tmp_path, design=Sobol())
    with pytest.raises(DatasetError, match=r"holds a dataset with .*Sobol"):
        generate_here(SMALL, 13, tmp_path, design=Grown((FIRST, SECOND)))


def test_other_rounds_than_those_that_are_there_are_refused(grown, generate_here):
    dataset, _ = grown
    other = Grown((FIRST, THIRD, SECOND))
    with pytest.raises(DatasetError, match="choose another folder"):
        generate_here(SMALL, 15, dataset.path, seed=4, design=other)
    with pytest.raises(DatasetError, match="choose another folder"):
        generate_here(SMALL, 13, dataset.path, seed=4, design=Grown((FIRST, SECOND)))


def test_round_trip_through_json():
    design = Grown(ROUNDS)
    again = design_from_json(json.loads(json.dumps(design.to_json())))
    assert again == design
    assert hash(again) == hash(design)
    assert len(again) == 15
    assert again.seen == 52


@pytest.mark.parametrize(
    ("rounds", "complaint"),
    [
        ([], r"rounds=\(\): there must be at least one"),
        (3, "rounds=3"),
        ([{"draws": [1]}], "missing"),
        ([{"draws": [], "reasons": [], "seen": 1}], "at least one trajectory"),
        ([{"draws": [5], "reasons": ["a"], "seen": 5}], r"draws=5: must be an integer in \[0, 4\]"),
        ([{"draws": [0.5], "reasons": ["a"], "seen": 5}], "draws=0.5: must be an integer"),
        ([{"draws": [1, 1], "reasons": ["a", "b"], "seen": 5}], "draws=1: no draw can come twice"),
        ([{"draws": [1, 2], "reasons": ["a"], "seen": 5}], "as many of each"),
        ([{"draws": [1], "reasons": [7], "seen": 5}], "reasons=7: must be text"),
        ([{"draws": [1], "reasons": ["a"], "seen": 2**40}], "seen="),
        ([{"draws": [1], "reasons": ["a"], "seen": 5, "scores": ["x"]}], "scores="),
        ([{"draws": [1], "reasons": ["a"], "seen": 5, "columns": [3]}], "columns by name"),
        ([{"draws": [1], "reasons": ["a"], "seen": 5, "columns": {"k": [1, 2]}}], "as many of"),
    ],
)
def test_a_description_of_no_rounds(rounds, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        design_from_json({"design": "Grown", "rounds": rounds})


def test_columns_belong_to_parameters():
    misnamed = Grown((FIRST, Round((11,), ("a",), 12, columns={"nu": [0.1]})))
    with pytest.raises(InvalidInput, match="columns=nu: Toy has no such parameter"):
        misnamed.points(SMALL, 11, 0)
    outside = Grown((FIRST, Round((11,), ("a",), 12, columns={"kappa": [50.0]})))
    with pytest.raises(InvalidInput, match=r"kappa=50\.0"):
        outside.points(SMALL, 11, 0)
    with pytest.raises(InvalidInput, match="n=7: the design has 10 trajectories"):
        Grown((FIRST,)).points(SMALL, 7, 0)
