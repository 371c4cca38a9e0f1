"""The protocol of the comparison, on a solver whose errors and times are known exactly."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch

import simulations
from simulations.datasets import Dataset, DatasetError
from simulations.grid import Array, Axis, Grid
from simulations.inputs import GaussianRandomField
from simulations.simulation import (
    Field,
    FieldInput,
    Inputs,
    InvalidInput,
    Parameter,
    Simulation,
    SimulationDiverged,
    Solution,
    check_setting,
)
from surrogate.comparison import Comparison, DataLeak, compare, held_out, wording
from surrogate.comparison.equal_error import (
    Estimate,
    break_even,
    error_at_seconds,
    lower_left_front,
    seconds_at_error,
)
from surrogate.comparison.measures import (
    solution_errors,
)
from surrogate.comparison.reference import interpolation_error, own_error, refined
from surrogate.comparison.rivals import trivial_rivals
from surrogate.comparison.timing import Stopwatch, one_thread

COST = 1e-6


class Clock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@dataclass(frozen=True)
class Ripple(Simulation):
    """A wave with a discretisation error of second order and a cost quadratic in the points.

        u(x) = a sin 2πx + a (4/n)² cos 2πx

    Args:
        n: grid points.
        slow: the resolution that takes ten times as long as it should.
        fails: the resolution that diverges where a > 1.5.
    """

    n: int = 64
    slow: int = 0
    fails: int = 0

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "a": Parameter("amplitude", "m", (0.0, 10.0), (1.0, 2.0))
    }
    fields: ClassVar[Mapping[str, Field]] = {"u": Field("height", "m")}

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 2**20, integer=True)

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.periodic("x", self.n, 1.0, "m"),))

    @cached_property
    def times(self) -> Array:
        return np.zeros(1)

    def solve(self, inputs: Inputs) -> Solution:
        CLOCK.now += self.seconds
        if self.n == self.fails and inputs["a"] > 1.5:
            raise SimulationDiverged(0.0, "the wave breaks")
        return self.shape(inputs["a"])

    def shape(self, amplitude: float) -> Solution:
        phase = 2 * np.pi * self.grid.axes[0].points
        return {"u": amplitude * (np.sin(phase) + self.error * np.cos(phase))[None]}

    @property
    def error(self) -> float:
        return (4 / self.n) ** 2

    @property
    def seconds(self) -> float:
        return COST * self.n**2 * (10 if self.n == self.slow else 1)

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))


@dataclass(frozen=True)
class Fading(Ripple):
    """A random profile that is multiplied by the amplitude once."""

    n: int = 16

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        profile = GaussianRandomField(alpha=3.0)
        return {"u0": FieldInput("initial height", "m", profile, initial_of="u")}

    @cached_property
    def times(self) -> Array:
        return np.array([0.0, 1.0])

    def solve(self, inputs: Inputs) -> Solution:
        return {"u": np.stack([inputs["u0"], inputs["a"] * inputs["u0"]])}


class Stand:
    """Something in the place of a surrogate: answers one sample at a time, at a known cost."""

    def __init__(
        self,
        simulation: Simulation,
        answer: Callable[[Inputs], Mapping[str, Array]],
        seconds: float = 0.0,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        self.simulation, self.answer, self.seconds = simulation, answer, seconds
        self.training = dict(training or {})

    def predict(self, **inputs: Array) -> dict[str, Array]:
        size = len(next(iter(inputs.values())))
        CLOCK.now += self.seconds * size
        samples = [
            self.answer({name: values[i] for name, values in inputs.items()}) for i in range(size)
        ]
        return {name: np.stack([s[name] for s in samples]) for name in self.simulation.fields}


def rung(simulation: Ripple, n: int, times_faster: float = 1.0, **training: Any) -> Stand:
    """The solver with ``n`` points, posing as a surrogate."""
    coarse = replace(simulation, n=n)

    def answer(inputs: Inputs) -> Solution:
        return coarse.transfer_solution(coarse.shape(inputs["a"]), simulation)

    return Stand(simulation, answer, coarse.seconds / times_faster, training)


def run(simulation: Ripple, emulator: Stand, **options: Any) -> Comparison:
    options = {"n": 6, "clock": CLOCK, "progress": False, "batch_size": 8, **options}
    return compare(simulation, emulator, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, generate_here: Any) -> Dataset:
    return generate_here(Ripple(), 40, tmp_path_factory.mktemp("ripple"), seed=3)


class TestEqualError:
    errors = [(4.0 / n) ** 2 for n in (64, 32, 16, 8)]
    seconds = [1e-6 * n**2 for n in (64, 32, 16, 8)]

    @pytest.mark.parametrize("n", [64, 50, 16, 11.3, 8])
    def test_interpolation_is_exact_on_a_power_law(self, n: float) -> None:
        found = seconds_at_error((4.0 / n) ** 2, self.errors, self.seconds)
        assert found is not None
        assert found.relation == "="
        assert found.value == pytest.approx(1e-6 * n**2, rel=1e-12)
        back = error_at_seconds(found.value, self.errors, self.seconds)
        assert back is not None
        assert back.value == pytest.approx((4.0 / n) ** 2, rel=1e-12)

    def test_names_the_rungs_it_lies_between(self) -> None:
        between = seconds_at_error((4.0 / 20) ** 2, self.errors, self.seconds)
        exact = seconds_at_error(self.errors[2], self.errors, self.seconds)
        assert between is not None
        assert exact is not None
        assert set(between.between) == {1, 2}
        assert exact.between == (2,)

    def test_outside_there_are_bounds_only(self) -> None:
        cheap = seconds_at_error(1.0, self.errors, self.seconds)
        assert cheap == Estimate(self.seconds[3], "<", (3,))
        fine = seconds_at_error(1e-9, self.errors, self.seconds)
        assert fine == Estimate(self.seconds[0], ">", (0,))
        assert error_at_seconds(1.0, self.errors, self.seconds) == Estimate(
            self.errors[0], "<", (0,)
        )
        assert error_at_seconds(1e-9, self.errors, self.seconds) == Estimate(
            self.errors[3], ">", (3,)
        )
        assert seconds_at_error(0.1, [], []) is None

    def test_front_leaves_out_the_slow_the_dominated_and_the_equal(self) -> None:
        assert lower_left_front(self.errors, self.seconds) == [0, 1, 2, 3]
        slowed = [self.seconds[0], 10 * self.seconds[1], *self.seconds[2:]]
        assert lower_left_front(self.errors, slowed) == [0, 2, 3]
        # Slow, but nobody is as accurate for less
        slightly = [self.seconds[0], 2 * self.seconds[1], *self.seconds[2:]]
        assert lower_left_front(self.errors, slightly) == [0, 1, 2, 3]
        assert lower_left_front([1.0, 2.0, 1.0], [1.0, 3.0, 1.0]) == [0]

    def test_an_error_of_zero_is_no_trouble(self) -> None:
        assert seconds_at_error(0.0, [0.0, 0.1], [2.0, 1.0]) == Estimate(2.0, "=", (0,))

    def test_break_even(self) -> None:
        assert break_even(100.0, Estimate(0.3), 0.1) == Estimate(pytest.approx(500.0))
        assert break_even(100.0, Estimate(0.1), 0.1) == Estimate(math.inf)
        assert break_even(100.0, Estimate(0.05), 0.1) == Estimate(math.inf)
        at_least, at_most = (break_even(100.0, Estimate(0.3, r), 0.1) for r in ("<", ">"))
        assert at_least is not None
        assert at_most is not None
        assert (at_least.relation, at_most.relation) == (">", "<")
        assert break_even(100.0, Estimate(0.05, "<"), 0.1) == Estimate(math.inf)
        assert break_even(100.0, Estimate(0.05, ">"), 0.1) is None


class TestVerdict:
    def test_a_coarse_solver_in_disguise_gains_nothing(self) -> None:
        result = run(Ripple(), rung(Ripple(), 16, seconds=50.0, data_seconds=10.0))
        speed_up, even = result.speed_up(), result.break_even()
        assert speed_up is not None
        assert speed_up.value == pytest.approx(1.0, rel=1e-3)
        assert even is not None
        assert even.value == math.inf
        assert result.outcome == "the solver wins"
        assert "the solver wins; this surrogate is not worth its training" in result.verdict

    def test_between_two_rungs_time_is_interpolated(self) -> None:
        # All errors are against a reference of twice the resolution, which shifts them alike
        result = run(Ripple(), rung(Ripple(), 24, times_faster=8))
        assert result.solver_seconds is not None
        assert result.solver_seconds.relation == "="
        assert result.solver_seconds.value == pytest.approx(COST * 24**2, rel=0.02)
        assert "between n=32 and n=16, interpolated" in result.verdict

    def test_a_faster_one_wins_and_breaks_even(self) -> None:
        emulator = rung(Ripple(), 16, times_faster=10, seconds=50.0, data_seconds=10.0)
        result = run(Ripple(), emulator)
        speed_up, even = result.speed_up(batched=True), result.break_even()
        assert speed_up is not None
        assert speed_up.value == pytest.approx(10.0, rel=1e-3)
        assert even is not None
        assert even.value == pytest.approx(60.0 / (0.9 * COST * 16**2), rel=1e-3)
        assert result.outcome == "the surrogate wins"
        assert "10 times faster (10 times in batches) and has paid for its data" in result.verdict
        assert "Trivial rivals have not been tried" in result.verdict

    def test_an_exact_copy_has_the_error_of_the_data(self) -> None:
        result = run(Ripple(), rung(Ripple(), 64, times_faster=0.9))
        assert result.surrogate.error == pytest.approx(result.data_error, rel=1e-12)
        # Twice the resolution, with a quarter of the error, could not have told
        assert result.reference.settings["n"] == 256
        assert result.data_error == pytest.approx((4 / 64) ** 2, rel=0.1)
        assert result.outcome == "the solver wins"

    def test_what_the_reference_cannot_resolve_is_not_judged(self) -> None:
        def exact(inputs: Inputs) -> Solution:
            phase = 2 * np.pi * Ripple().grid.axes[0].points
            return {"u": inputs["a"] * np.sin(phase)[None]}

        result = run(Ripple(), Stand(Ripple(), exact, 1e-9))
        assert result.outcome == "inconclusive"
        assert result.verdict.startswith("No conclusion")

    def test_beyond_the_ladder_there_is_a_bound(self) -> None:
        def bad(inputs: Inputs) -> Solution:
            return {name: 0.1 * values for name, values in Ripple().shape(inputs["a"]).items()}

        result = run(Ripple(), Stand(Ripple(), bad, 1e-5))
        assert result.solver_seconds == Estimate(pytest.approx(COST * 8**2), "<", (3,))
        assert "less than 64 µs" in result.verdict
        assert result.outcome == "undecided"
        slower = run(Ripple(), Stand(Ripple(), bad, 1e-4))
        assert slower.outcome == "the solver wins"

    def test_infinite_answers_are_unusable(self) -> None:
        def broken(inputs: Inputs) -> Solution:
            return {"u": Ripple().shape(inputs["a"])["u"] / (inputs["a"] > 1.5)}

        with np.errstate(divide="ignore", invalid="ignore"):
            result = run(Ripple(), Stand(Ripple(), broken, 1e-9), n=12)
        assert 0 < result.surrogate.failure_rate < 1
        assert result.outcome == "unusable"
        json.dumps(result.to_json(), allow_nan=False)

    def test_a_rung_slowed_tenfold_is_no_rival(self) -> None:
        result = run(Ripple(slow=32), rung(Ripple(slow=32), 24))
        assert "n=32" not in [solver.name for solver in result.front]
        assert result.solver_seconds is not None
        assert result.solver_seconds.value == pytest.approx(COST * 24**2, rel=0.1)

    def test_a_rung_that_diverges_is_shown_but_no_rival(self) -> None:
        result = run(Ripple(fails=16), rung(Ripple(fails=16), 24), n=12)
        [failing] = [solver for solver in result.ladder if solver.failure_rate > 0]
        amplitudes = [parameters["a"] for parameters in result.inputs["parameters"]]
        assert failing.name == "n=16"
        assert failing.failure_rate == pytest.approx(np.mean([a > 1.5 for a in amplitudes]))
        assert f"{wording.percent(failing.failure_rate)}" in result.table()
        assert failing not in result.front
        assert result.solver_seconds is not None
        assert [result.ladder[i].name for i in result.solver_seconds.between] == ["n=32", "n=8"]

    def test_the_wrong_problem_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="emulator: has learnt"):
            run(Ripple(n=32), rung(Ripple(n=64), 16))
        with pytest.raises(InvalidInput, match="n=0"):
            run(Ripple(), rung(Ripple(), 16), n=0)
        with pytest.raises(InvalidInput, match="inputs='nonsense'"):
            run(Ripple(), rung(Ripple(), 16), inputs="nonsense")


class TestTrivialRivals:
    def test_the_training_mean_has_no_skill(self, dataset: Dataset) -> None:
        mean = dataset.load("train").fields["u"].mean(axis=0, dtype=np.float64)
        result = run(Ripple(), Stand(Ripple(), lambda _: {"u": mean}, 1e-9), dataset=dataset)
        assert result.outcome == "no skill"
        assert result.verdict.startswith("No skill: POD ridge regression has an error of")
        assert {rival.name for rival in result.trivial} == {
            "training mean",
            "nearest neighbour",
            "POD ridge regression",
        }
        errors = {rival.name: rival.error for rival in result.trivial}
        assert errors["training mean"] == pytest.approx(result.surrogate.error, rel=1e-4)

    def test_each_does_what_its_name_says(self, dataset: Dataset) -> None:
        rivals = trivial_rivals(dataset)
        train = dataset.load("train")
        amplitudes = np.array([1.1, 1.7])
        predicted = {name: r.predict(a=amplitudes)["u"][:, 0] for name, r in rivals.items()}
        wave = train.fields["u"][0, 0] / train.parameters["a"][0]
        np.testing.assert_allclose(
            predicted["training mean"], [train.fields["u"].mean(axis=(0, 1))] * 2, atol=1e-5
        )
        nearest = [np.abs(train.parameters["a"] - a).argmin() for a in amplitudes]
        np.testing.assert_allclose(
            predicted["nearest neighbour"], train.fields["u"][nearest, 0], atol=1e-5
        )
        # The solution is linear in the amplitude, which ridge regression finds
        np.testing.assert_allclose(
            predicted["POD ridge regression"], amplitudes[:, None] * wave, atol=1e-4
        )

    def test_field_inputs_count(self, tmp_path: Path, generate_here: Any) -> None:
        data = generate_here(Fading(), 60, tmp_path)
        rivals = trivial_rivals(data)
        train = data.load("train")
        known = rivals["nearest neighbour"].predict(
            a=train.parameters["a"][:3], u0=train.fields["u"][:3, 0]
        )
        np.testing.assert_allclose(known["u"], train.fields["u"][:3], atol=1e-5)
        # The answer is a product of parameter and field input, which are both among the features
        test = data.load("test")
        within = np.clip(test.parameters["a"], *rivals["training mean"].encoding.ranges["a"])
        ridge = rivals["POD ridge regression"].predict(a=within, u0=test.fields["u"][:, 0])
        target = test.fields["u"][:, 0] * within[:, None]
        assert np.linalg.norm(ridge["u"][:, 1] - target) < 1e-3 * np.linalg.norm(target)


class TestHeldOut:
    def test_training_inputs_are_refused(self, dataset: Dataset) -> None:
        simulation, emulator = Ripple(), rung(Ripple(), 16)
        for split in ("train", "valid"):
            index = next(dataset.records(split))["indices"][0]
            inputs = [simulation.sample(np.random.default_rng(0)), dataset.inputs(index)]
            with pytest.raises(DataLeak, match=f"1 of 2 inputs are in the {split} split"):
                run(simulation, emulator, inputs=inputs, dataset=dataset)

    def test_and_without_the_files_by_drawing_again(self, dataset: Dataset) -> None:
        emulator = rung(Ripple(), 16, dataset=dataset.manifest)
        with pytest.raises(DataLeak, match="input 0 is draw 7"):
            run(Ripple(), emulator, inputs=[dataset.inputs(7)])
        result = run(Ripple(), emulator)
        assert "Pass dataset=" in result.cautions[0]

    def test_initial_conditions_are_recognised(self, tmp_path: Path, generate_here: Any) -> None:
        data = generate_here(Fading(), 10, tmp_path)
        seen = dict(data.inputs(next(data.records("train"))["indices"][0]))
        with pytest.raises(DataLeak):
            held_out.refuse_leaks([seen], data)
        other = {**seen, "u0": 1.001 * np.asarray(seen["u0"])}
        held_out.refuse_leaks([other, {**seen, "a": 1.5}], data)

    def test_fresh_and_test_inputs_are_new(self, dataset: Dataset) -> None:
        simulation = Ripple()
        # Whatever the seed: a dataset of the same seed has other draws
        fresh = held_out.fresh_inputs(simulation, 5, dataset.seed)
        held_out.refuse_leaks(fresh, dataset)
        held_out.refuse_redrawn(fresh, dataset.manifest)
        result = run(simulation, rung(simulation, 16), inputs="test", dataset=dataset, n=3)
        expected = [dataset.inputs(i)["a"] for i in next(dataset.records("test"))["indices"]]
        assert [p["a"] for p in result.inputs["parameters"]] == expected[:3]

    def test_another_dataset_is_refused(self, dataset: Dataset) -> None:
        emulator = rung(Ripple(), 16, dataset={**dataset.manifest, "seed": 99})
        with pytest.raises(DatasetError, match="seed=99"):
            run(Ripple(), emulator, dataset=dataset)

    def test_the_record_leads_to_the_dataset(self, dataset: Dataset) -> None:
        record = {**dataset.manifest, "path": str(dataset.path)}
        assert len(run(Ripple(), rung(Ripple(), 16, dataset=record)).trivial) == 3


class TestReference:
    simulation = Ripple()
    inputs: Inputs = {"a": 1.3}

    def on_grid(self, n: int) -> Solution:
        version = Ripple(n=n)
        return version.transfer_solution(version.run(self.inputs), self.simulation)

    def test_its_own_error_is_bounded_closely(self) -> None:
        bound, order = own_error(
            self.simulation, [self.on_grid(32)], [self.on_grid(64)], [self.on_grid(128)]
        )
        assert order == pytest.approx(2.0, abs=0.01)
        assert 1.0 < bound / Ripple(n=128).error < 1.5

    def test_without_an_order_the_bound_is_wide(self) -> None:
        fine, middle = self.on_grid(128), self.on_grid(64)
        change = solution_errors(self.simulation, middle, fine)["u"]
        for coarse in (None, middle):
            assert own_error(self.simulation, [coarse], [middle], [fine]) == (3 * change, None)
        assert math.isnan(own_error(self.simulation, [None], [None], [fine])[0])

    def test_refined_tightens_a_tolerance(self) -> None:
        finer = refined(simulations.Burgers(n=64, tolerance=1e-6))
        assert finer.settings["n"] == 128
        assert finer.settings["tolerance"] == pytest.approx(1e-8)

    def test_interpolation_between_cell_centres_is_estimated(self) -> None:
        nodes, cells = Cells(n=32), Cells(n=64)
        phase = 2 * np.pi * cells.grid.axes[0].points
        moved = cells.transfer_solution({"u": np.sin(phase)[None]}, nodes)
        exact = {"u": np.sin(2 * np.pi * nodes.grid.axes[0].points)[None]}
        true_error = solution_errors(nodes, moved, exact)["u"]
        estimate = interpolation_error(nodes, cells, [{"u": np.sin(phase)[None]}])
        assert 0.3 * true_error < estimate < 30 * true_error

    def test_shared_points_need_no_interpolation(self) -> None:
        version = Ripple(n=128)
        assert interpolation_error(self.simulation, version, [version.run(self.inputs)]) == 0.0

    def test_errors_are_weighted_and_without_the_initial_frame(self) -> None:
        simulation = simulations.Burgers(n=16, n_times=3)
        truth = np.ones((3, 16))
        wrong = truth.copy()
        wrong[0] = 7.0
        wrong[1, 0] += 1.0
        found = solution_errors(simulation, {"u": wrong}, {"u": truth})["u"]
        assert found == pytest.approx(math.sqrt(1 / 32))
        stretched = Stretched(n=8)
        flat = np.ones((1, 8))
        ends = {"u": flat + np.eye(8)[None, 0]}
        assert solution_errors(stretched, ends, {"u": flat})["u"] == pytest.approx(math.sqrt(0.005))


@dataclass(frozen=True)
class Cells(Ripple):
    """The same on cell centres, where the points of one grid miss those of another."""

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.cells("x", self.n),))


@dataclass(frozen=True)
class Stretched(Ripple):
    """The same with its first two points 1 % of the length apart."""

    @cached_property
    def grid(self) -> Grid:
        points = np.concatenate([[0.0], np.linspace(0.01, 1.0, self.n - 1)])
        return Grid((Axis("x", points, (0.0, 1.0)),))


class TestRecord:
    def test_json_round_trip(self) -> None:
        emulator = rung(Ripple(), 24, times_faster=3, seconds=5.0, data_seconds=1.0)
        result = run(Ripple(fails=16), Stand(Ripple(fails=16), emulator.answer, 1e-5), n=12)
        text = json.dumps(result.to_json(), allow_nan=False)
        again = Comparison.from_json(json.loads(text))
        assert json.dumps(again.to_json(), allow_nan=False) == text
        assert again.verdict == result.verdict
        assert again.table() == result.table()

    def test_infinity_survives_json(self) -> None:
        result = run(Ripple(), rung(Ripple(), 16, seconds=5.0, data_seconds=1.0))
        written = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert written["break_even_calls"]["single"] == {"relation": "=", "value": "inf"}

    def test_says_where_and_with_what(self) -> None:
        machine = run(Ripple(), rung(Ripple(), 16)).machine
        assert machine["threads"] == 1
        assert machine["torch"] == torch.__version__
        assert {"processor", "cores", "numba", "numpy", "date", "platform"} <= machine.keys()

    @pytest.mark.slow
    def test_burgers_as_its_own_surrogate(self) -> None:
        simulation = simulations.Burgers(n=64, n_times=3, tolerance=1e-6)
        coarse = replace(simulation, n=32, tolerance=1e-4)

        def answer(inputs: Inputs) -> Solution:
            solution = coarse.run(simulation.transfer_inputs(inputs, coarse))
            return coarse.transfer_solution(solution, simulation)

        result = compare(simulation, Stand(simulation, answer), n=3, progress=False)  # type: ignore[arg-type]
        [same] = [r for r in result.ladder if r.name == "n=32, tolerance=1e-4"]
        np.testing.assert_allclose(result.surrogate.headline, same.headline, rtol=1e-9)
        assert result.reference.settings["tolerance"] == pytest.approx(1e-8)
        assert result.reference.error < 0.1 * result.surrogate.error


class TestTiming:
    def test_short_calls_are_repeated_and_the_median_counts(self) -> None:
        delays = iter([0.01, 0.04, 0.02, 0.03, 0.11])  # 0.21 s in all

        def call() -> str:
            CLOCK.now += next(delays)
            return "answer"

        timed = Stopwatch(CLOCK).time(call)
        assert (timed.result, timed.seconds) == ("answer", pytest.approx(0.03))
        assert (timed.calls, timed.joules) == (5, None)
        delays = iter([1.0])
        assert Stopwatch(CLOCK).time(call).seconds == pytest.approx(1.0)

    def test_torch_gets_its_threads_back(self) -> None:
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            with suppress(ZeroDivisionError), one_thread():
                assert torch.get_num_threads() == 1
                _ = 1 / 0
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)


class TestWording:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (2.4e-3, "2.4 ms"),
            (1.23e-5, "12 µs"),
            (75, "1.2 min"),
            (0.99999, "1 s"),
            (3e5, "3.5 days"),
        ],
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert wording.duration(seconds) == text

    @pytest.mark.parametrize(
        ("fraction", "text"),
        [
            (0.021, "2.1 %"),
            (0.1234, "12 %"),
            (3.14e-4, "0.031 %"),
            (8.4e-9, "8.4e-7 %"),
            (1.2, "120 %"),
        ],
    )
    def test_percentages(self, fraction: float, text: str) -> None:
        assert wording.percent(fraction) == text
