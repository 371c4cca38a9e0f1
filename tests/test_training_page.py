"""The page about a training: what it shows, of which split, and that it needs nothing else."""

import re

import pytest

import surrogate
from simulations import InvalidInput
from simulations.datasets import Dataset
from surrogate import cli
from surrogate.training import evaluate
from tests.toy import Toy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here):
    return generate_here(Toy(n=6, n_times=3), 40, tmp_path_factory.mktemp("page") / "toy")


@pytest.fixture(scope="module")
def emulator(dataset):
    return surrogate.train(
        dataset, surrogate.MLP(width=8, layers=1), epochs=4, loss="h1", progress=False
    )


@pytest.fixture(scope="module")
def page(dataset, emulator, tmp_path_factory):
    """The page, and the splits that were read for it."""
    read = []
    shards = Dataset.shards
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "shards", lambda d, split: read.append(split) or shards(d, split))
        path = tmp_path_factory.mktemp("page") / "page.html"
        surrogate.training_report(emulator, path)
    return path.read_text(), read


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page[0])
    assert "<script" not in page[0]


def test_cases_are_of_the_validation_split(page):
    assert set(page[1]) == {"valid"}


def test_errors_are_those_of_the_validation_split(page, dataset, emulator):
    for name, error in evaluate(emulator, dataset, "valid").items():
        row = re.search(rf"<th>{name}</th><td>([^<]*)</td>", page[0])
        assert row[1] == surrogate.comparison.wording.percent(error)


def test_it_has_curves_cases_parity_and_recipe(page):
    text = page[0]
    for heading in (
        "Curves",
        "Errors",
        "Error by parameter",
        "Numbers",
        "Cases",
        "How it was made",
    ):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("<svg") == 2 + 2 + 1 + 2 * (3 * 3 + 2)
    assert "The worst case" in text
    assert "&#x27;loss&#x27;: &#x27;h1&#x27;" in text
    assert "Trained on another loss (h1)" in text


def test_closed_form_fits_have_no_curves(dataset, tmp_path):
    fitted = surrogate.train(dataset, surrogate.PODLinear(), progress=False)
    surrogate.training_report(fitted, tmp_path / "page.html", dataset)
    assert "Fitted in closed form" in (tmp_path / "page.html").read_text()


def test_what_cannot_be_reported_is_refused(dataset, emulator, tmp_path):
    untold = surrogate.Surrogate(emulator.simulation, emulator.network, emulator.encoding)
    with pytest.raises(InvalidInput, match="emulator: has no record of its training"):
        surrogate.training_report(untold, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_the_command_line_writes_it(dataset, tmp_path):
    page = tmp_path / "page.html"
    command = ["train", str(dataset.path), "-o", str(tmp_path / "model"), "--network=PODLinear"]
    assert cli.run([*command, "--report", str(page), "--quiet"]) == 0
    assert "<h1>Toy by PODLinear</h1>" in page.read_text()
