"""The suite: a budget is planned, a killed run continues, and no system is missing."""

import json
from dataclasses import dataclass, replace

import pytest

import simulations
import surrogate
from simulations.generation import execution
from simulations.simulation import InvalidInput, SimulationDiverged
from surrogate import cli, markdown, networks
from surrogate.comparison import cases, protocol, suite, suite_results, timing
from surrogate.comparison.cases import Case, Way, default_ways
from surrogate.comparison.suite import Entry, make_plan, run_suite
from surrogate.networks import FNO, MLP, PODLinear, PODNet, PODPolynomial, Signature
from tests.test_comparison import Ripple

pytestmark = pytest.mark.filterwarnings("ignore:.*generating in one process")


@dataclass(frozen=True)
class Breaking(Ripple):
    """Never finishes a run."""

    def solve(self, inputs):
        raise SimulationDiverged(0.5, "the dam breaks")


WAYS = {
    "PODPolynomial": Way(PODPolynomial),
    "MLP": Way(lambda: MLP(width=8, layers=2), {"epochs": 2}),
}
SUITE = {
    "Ripple": Case(Ripple(), trajectories=40, ways=WAYS),
    "Breaking": Case(Breaking()),
}


def hasten(patch):
    """Generate in this process, and time with less patience."""
    patch.setattr(execution, "is_out_of_reach", lambda _: True)
    patch.setattr(protocol, "BATCH_REPEATS", 1)
    patch.setattr(timing, "LONG_ENOUGH", 0.01)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hasten(monkeypatch)
    # The first run draws them
    monkeypatch.setattr(suite, "_draw", lambda comparison, path: None)
    monkeypatch.setattr(suite, "write_report", lambda path, comparisons: None)


def run(folder, **options):
    options = {"minutes": 0.02, "seeds": 2, "progress": False, "chosen": SUITE, **options}
    return list(run_suite(folder=folder, **options))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    with pytest.MonkeyPatch.context() as patch:
        hasten(patch)
        return folder, run(folder)


class TestCases:
    def test_every_system_of_the_catalogue_takes_part(self):
        chosen = cases.cases()
        own = {n: s for n, s in simulations.catalogue().items() if "tests" not in s.__module__}
        assert own.keys() <= chosen.keys()
        assert len(own) >= 40
        # Names that no system has would be settings that nobody uses
        for table in (cases.SETTINGS, cases.SAMPLING, cases.WAYS, cases.METHODS):
            assert table.keys() <= own.keys()
        for name in own:
            assert type(chosen[name].simulation) is own[name]

    def test_ways_follow_the_kind_of_problem(self):
        def of(signature):
            return list(default_ways(signature, simulations.Burgers(n=32)))

        scalars = Signature(
            grid=(32,), periodic=(True,), in_channels=0, in_scalars=2, out_channels=1
        )
        assert of(scalars) == ["PODPolynomial", "PODNet"]
        assert of(replace(scalars, in_scalars=9)) == ["PODNet", "PODPolynomial"]
        fields = replace(scalars, in_channels=1, out_channels=4, field_channels=(4,), frames=(4,))
        assert of(fields) == ["FNO", "PODLinear"]
        assert of(replace(fields, grid=(2**17,))) == ["FNO"]
        for name, way in default_ways(fields, simulations.Burgers(n=32)).items():
            assert type(way.network()) is networks.by_name(name)
        assert {FNO, PODLinear, PODNet} <= {
            networks.by_name(n) for n in ("FNO", "PODLinear", "PODNet")
        }


class TestPlan:
    def test_a_budget_is_divided_by_what_a_run_takes(self):
        class Sized(Ripple):
            def solve(self, inputs):
                sum(range(20_000))
                return super().solve(inputs)

        case = Case(Sized(), trajectories=10**6)
        small, large = (make_plan(case, minutes, 3) for minutes in (0.05, 0.5))
        assert small.trajectories == pytest.approx(0.4 * 3 / small.run_seconds, rel=0.01)
        assert large.trajectories * large.run_seconds == pytest.approx(0.4 * 30, rel=0.01)
        assert small.held_out <= large.held_out <= 32
        assert make_plan(replace(case, trajectories=50), 0.5, 3).trajectories == 50
        # A problem too dear for its budget still has the least that can be compared
        tiny = make_plan(case, 0.01 * small.run_seconds, 3)
        assert (tiny.trajectories, tiny.held_out) == (30, 4)


class TestRun:
    def test_the_best_network_is_compared_and_the_other_is_tuning(self, first):
        _, [ripple, _] = first
        assert ripple.way == "PODPolynomial"
        assert ripple.comparison.surrogate.error < 0.01
        assert [other.name for other in ripple.comparison.others] == ["MLP"]
        assert ripple.comparison.training["tuning_seconds"] == ripple.spent["tuning"] > 0
        # A fit in closed form has no seeds
        assert ripple.seeds == (ripple.comparison.surrogate.error,)

    def test_a_system_that_fails_is_an_entry_that_says_so(self, first):
        folder, [_, broken] = first
        assert broken.outcome == "failed"
        assert broken.verdict.startswith("No surrogate: SimulationDiverged: diverged at t=")
        kept = next(folder.glob("Breaking/*/result.json"))
        assert json.loads(kept.read_text())["failure"] == broken.failure

    def test_a_finished_system_is_read(self, first, monkeypatch):
        folder, [ripple, _] = first
        monkeypatch.setattr(surrogate, "train", None)
        monkeypatch.setattr(simulations, "generate", None)
        [again] = run(folder, systems=["Ripple"])
        assert again.to_json() == ripple.to_json()

    def test_a_killed_one_continues_with_its_data_and_models(self, first, monkeypatch):
        folder, [ripple, _] = first
        result = next(folder.glob("Ripple/*/result.json"))
        result.unlink()
        monkeypatch.setattr(surrogate, "train", None)
        [continued] = run(folder, systems=["Ripple"])
        assert result.exists()
        assert continued.plan == ripple.plan
        assert continued.seeds == ripple.seeds
        [measured_again] = run(folder, systems=["Ripple"], again=True)
        assert measured_again.comparison.machine["date"] >= continued.comparison.machine["date"]

    def test_another_budget_is_another_run(self, first, tmp_path):
        folder, _ = first
        places = set(folder.glob("Ripple/*"))
        run(folder, systems=["Ripple"], minutes=0.03)
        assert len(set(folder.glob("Ripple/*")) - places) == 1

    def test_networks_with_random_weights_have_seeds(self, tmp_path):
        ways = {"MLP": WAYS["MLP"]}
        [entry] = run(tmp_path, chosen={"Ripple": Case(Ripple(), 40, ways)}, seeds=3)
        assert len(set(entry.seeds)) == 3
        names = {other.name for other in entry.comparison.others}
        assert names < {f"MLP, seed {seed}" for seed in range(3)}
        # The one in the middle by validation is compared
        assert len(names) == 2
        assert entry.spent["other seeds"] > 0

    def test_unknown_systems_are_refused_before_anything_is_made(self, tmp_path):
        with pytest.raises(InvalidInput, match="systems=\\['Nothing'\\]: the suite has Ripple"):
            run_suite(["Nothing"], minutes=1, folder=tmp_path, chosen=SUITE)
        with pytest.raises(InvalidInput, match="minutes=0"):
            run_suite(minutes=0, folder=tmp_path, chosen=SUITE)


class TestResults:
    def test_the_section_has_a_verdict_for_every_system(self, first):
        _, entries = first
        text = suite_results.section(entries)
        for entry in entries:
            assert f"- **{entry.system}.** {entry.verdict}" in text
            assert any(line.startswith(f"| {entry.system} ") for line in text.splitlines())
        assert "Of 2 systems, " in text
        assert "failed: 1." in text
        assert "Energy: " in text

    def test_a_run_is_read_as_it_was_written(self, first, tmp_path):
        _, entries = first
        suite_results.write_run(tmp_path / "run.json", entries)
        again = suite_results.read_run(tmp_path / "run.json")
        assert suite_results.section(again) == suite_results.section(entries)
        for text in ("{}", "[1]", "no JSON", '{"format": "other", "entries": []}'):
            (tmp_path / "other.json").write_text(text)
            with pytest.raises(InvalidInput, match="not a run of the benchmark"):
                suite_results.read_run(tmp_path / "other.json")

    def test_systems_that_were_not_run_keep_their_entries(self, first, tmp_path):
        _, [ripple, broken] = first
        assert suite_results.merged(tmp_path, [ripple]) == [ripple]
        (tmp_path / "growth.json").write_text("{}")
        suite_results.write_run(tmp_path / "2026-01-01.json", [ripple, broken])
        suite_results.write_run(tmp_path / "2025-01-01.json", [Entry("Old")])
        kept = suite_results.merged(tmp_path, [ripple])
        assert [entry.system for entry in kept] == ["Ripple", "Breaking"]
        assert kept[0] is ripple

    def test_what_moved_is_a_ratio(self, first):
        _, [ripple, broken] = first
        slower = replace(
            ripple.comparison,
            surrogate=replace(
                ripple.comparison.surrogate, seconds=2 * ripple.comparison.surrogate.seconds
            ),
        )
        [row, lost, gone] = suite_results.moved(
            [ripple, broken, Entry("Gone")], [replace(ripple, comparison=slower), broken]
        )
        assert row["surrogate"] == "×2.00"
        assert row["error"] == row["full solver"] == "×1.00"
        assert (lost["outcome"], gone["outcome"]) == ("failed", "not in this run")
        other = replace(ripple.comparison, settings={"n": 128})
        [row] = suite_results.moved([ripple], [replace(ripple, comparison=other)])
        assert row == {"system": "Ripple", "outcome": "other settings"}

    def test_pages_and_pictures(self, first, tmp_path):
        folder, entries = first
        [picture] = folder.glob("Ripple/*/frontier.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.with_suffix(".svg").read_text().startswith("<?xml")
        assert picture.with_name("report.html").exists()
        suite_results.write_overview(tmp_path / "page.html", entries)
        page = (tmp_path / "page.html").read_text()
        assert "Breaking: No surrogate: SimulationDiverged" in page
        assert "what is asked for" in page


def test_the_command_writes_results_and_shows_what_moved(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("surrogate.comparison.suite.cases", lambda: SUITE)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main(["benchmark", *arguments, "-o", str(tmp_path / "results"), "--quiet"])
        return ended.value.code or 0, capsys.readouterr()

    code, shown = call("--minutes", "0.02", "--seeds", "1")
    assert code == 0
    assert "Breaking: No surrogate: " in shown.out
    [run_file] = (tmp_path / "results").glob("*.json")
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("begin suite") == 1
    code, shown = call("Ripple", "--minutes", "0.02", "--seeds", "1", "--against", str(run_file))
    assert code == 0
    assert "×1.00" in shown.out
    assert "- **Breaking.**" in (tmp_path / "RESULTS.md").read_text()
    code, shown = call("Nothing")
    assert code == 2
    assert "the suite has Ripple, Breaking" in shown.err


def test_sections_are_replaced_one_by_one(tmp_path):
    page = tmp_path / "page.md"
    markdown.replace_section("one", "first", page)
    markdown.replace_section("two", "other", page)
    markdown.replace_section("one", "second", page)
    text = page.read_text()
    assert "first" not in text
    assert text.index("second") < text.index("other")
    page.write_text(text + "<!-- begin one -->")
    with pytest.raises(ValueError, match="must each occur once"):
        markdown.replace_section("one", "third", page)
