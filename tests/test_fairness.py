"""Each way to cheat in a comparison is tried, and found out (docs/benchmark-protocol.md)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import simulations
from simulations.simulation import InvalidInput
from surrogate.comparison import Method, Unfair, compare
from surrogate.comparison.energy import EnergyMeter, find_meter
from surrogate.comparison.fairness import foreign_normalisation
from surrogate.comparison.measures import (
    frame_errors,
    quantities,
    quantity_errors,
    solution_errors,
    valid_time,
)
from surrogate.emulator import Surrogate
from surrogate.encoding import Encoding
from surrogate.networks import Climatology
from tests.test_comparison import CLOCK, COST, Ripple, Stand, run, rung
from tests.toy import Toy


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, generate_here):
    return generate_here(Ripple(), 20, tmp_path_factory.mktemp("fair"), seed=3)


class TestWhoIsTimed:
    def test_a_network_on_an_accelerator_is_refused(self):
        emulator = rung(Ripple(), 16)
        emulator.network = torch.nn.Linear(2, 2, device="meta")
        with pytest.raises(Unfair, match=r"surrogate: its weight are on meta"):
            run(Ripple(), emulator)

    def test_the_precision_is_that_of_the_weights(self):
        emulator = rung(Ripple(), 24)
        emulator.network = torch.nn.Linear(2, 2).half()
        assert run(Ripple(), emulator).machine["precision"].endswith("surrogate float16")

    def test_a_first_call_that_compiles_does_not_count(self):
        compiled = set()

        class Compiling(Ripple):
            def solve(self, inputs):
                if self.n not in compiled:
                    compiled.add(self.n)
                    CLOCK.now += 1000.0
                return super().solve(inputs)

        result = run(Compiling(), replace_simulation(rung(Ripple(), 24), Compiling()))
        assert compiled >= {64, 32, 16, 8}
        assert max(solver.seconds for solver in result.ladder) < 1.0

    def test_labels_and_transfer_are_not_in_the_solver_s_time(self, monkeypatch):
        moved = Ripple.transfer_solution

        def slow(self, solution, target):
            CLOCK.now += 5.0
            return moved(self, solution, target)

        monkeypatch.setattr(Ripple, "transfer_solution", slow)
        result = run(Ripple(), rung(Ripple(), 16))
        assert result.ladder[1].seconds == pytest.approx(COST * 32**2)


def replace_simulation(emulator, simulation):
    emulator.simulation = simulation
    return emulator


class TestWhatIsAnswered:
    def test_fewer_points_or_fields_are_refused(self):
        def one_point(inputs):
            return {"u": Ripple().shape(inputs["a"])["u"][:, :1]}

        with pytest.raises(InvalidInput, match=r"surrogate: answers u of shape \(1, 1\)"):
            run(Ripple(), Stand(Ripple(), one_point))

    def test_a_single_frame_is_not_broadcast(self):
        emulator = Stand(Toy(n=8), lambda _: {n: np.ones((1,)) for n in Toy.fields})
        with pytest.raises(InvalidInput, match="answers theta of shape"):
            compare(Toy(n=8), emulator, n=2, progress=False)

    def test_normalisation_is_that_of_the_train_split(self, dataset):
        encoding = Encoding.of_dataset(dataset)
        network = Climatology().build(encoding.signature)
        assert foreign_normalisation(Surrogate(Ripple(), network, encoding), dataset) == []
        everything = dataset.load("test").fields["u"]
        seen = replace(encoding, moments={"u": (float(everything.mean()) + 0.1, 1.0)})
        emulator = Surrogate(Ripple(), Climatology().build(seen.signature), seen)
        [caution] = foreign_normalisation(emulator, dataset)
        assert caution.startswith(
            "u is normalised by figures that are not those of the train split"
        )
        result = compare(Ripple(), emulator, dataset=dataset, n=2, clock=CLOCK, progress=False)
        assert caution in result.cautions


class TestRivals:
    def test_another_method_is_a_rival_like_the_ladder(self):
        def exact(simulation, inputs):
            CLOCK.now += COST * 20**2
            return replace(simulation, n=24).transfer_solution(
                replace(simulation, n=24).shape(inputs["a"]), simulation
            )

        spectral = Method(exact, "knows the solution")
        result = run(Ripple(), rung(Ripple(), 24), methods={"spectral": spectral})
        assert result.solver_seconds.value == pytest.approx(COST * 20**2)
        assert "At 2.7 % error the solver needs 400 µs a call (spectral)" in result.verdict
        assert result.rationale == "spectral: knows the solution"

    def test_and_has_to_say_why_it_is_one(self):
        with pytest.raises(ValueError, match="rationale="):
            Method(lambda simulation, inputs: {}, " ")

    def test_other_surrogates_answer_along(self):
        fast = rung(Ripple(), 16, times_faster=10, seconds=50.0, data_seconds=10.0)
        slow = rung(Ripple(), 24, seconds=70.0, data_seconds=10.0)
        result = run(Ripple(), slow, others={"seed 1": fast})
        assert result.outcome == "the solver wins"
        other = result.instead("seed 1")
        assert other.speed_up().value == pytest.approx(10.0, rel=1e-3)
        assert (other.invested, result.invested) == (60.0, 80.0)
        assert other.instead("surrogate").verdict == result.verdict
        with pytest.raises(KeyError, match="there are"):
            result.instead("seed 2")
        wrong = rung(Ripple(n=32), 16)
        with pytest.raises(InvalidInput, match="others=wrong: has learnt"):
            run(Ripple(), slow, others={"wrong": wrong})

    def test_tuning_is_paid_for(self):
        emulator = rung(Ripple(), 16, times_faster=10, seconds=50.0, data_seconds=10.0)
        result = run(Ripple(), emulator, tuning_seconds=540.0)
        assert result.break_even().value == pytest.approx(600.0 / (0.9 * COST * 16**2), rel=1e-3)
        assert "has paid for its data, tuning and training after" in result.verdict

    def test_a_small_lead_could_go_to_single_precision(self):
        narrow = run(Ripple(), rung(Ripple(), 16, times_faster=1.5))
        wide = run(Ripple(), rung(Ripple(), 16, times_faster=3))
        assert "in single precision" in narrow.verdict
        assert "in single precision" not in wide.verdict


class TestReference:
    def test_a_second_refinement_may_be_too_dear(self):
        copy = rung(Ripple(), 64, times_faster=0.9)
        patient = run(Ripple(), copy)
        hasty = run(Ripple(), copy, reference_seconds=0.0)
        assert (patient.reference.settings["n"], hasty.reference.settings["n"]) == (256, 128)
        assert (patient.outcome, hasty.outcome) == ("the solver wins", "inconclusive")

    def test_its_own_error_is_known_by_every_measure(self):
        reference = run(Ripple(), rung(Ripple(), 16)).reference
        assert reference.errors_in.keys() == {"frames", "quantity"}
        assert reference.errors_in["frames"] == pytest.approx(reference.error, rel=1e-6)
        # The size of a wave converges at twice the order of its place
        assert 0 < reference.errors_in["quantity"] < 0.1 * reference.error


class TestMeasures:
    simulation = simulations.Burgers(n=16, n_times=4, t_end=3.0)
    decaying = {"u": np.outer([1.0, 1.0, 1e-3, 1e-3], np.ones(16))}

    def test_late_frames_count_as_much_as_the_first(self):
        wrong = {"u": self.decaying["u"].copy()}
        wrong["u"][3] = 0.0
        assert solution_errors(self.simulation, wrong, self.decaying)["u"] < 2e-3
        assert frame_errors(self.simulation, wrong, self.decaying)["u"] == pytest.approx(1 / 3)

    def test_silent_frames_do_not(self):
        silent = {"u": np.outer([1.0, 1.0, 0.0, 0.0], np.ones(16))}
        other = {"u": silent["u"] + np.outer([0, 0.1, 0.1, 0.1], np.ones(16))}
        assert frame_errors(self.simulation, other, silent)["u"] == pytest.approx(0.1)

    def test_zero_has_an_error_of_one_and_the_truth_of_none(self):
        zero = {"u": np.zeros((4, 16))}
        for measure in (solution_errors, frame_errors, quantity_errors):
            assert set(measure(self.simulation, zero, self.decaying).values()) == {1.0}
            assert set(measure(self.simulation, self.decaying, self.decaying).values()) == {0.0}

    def test_what_is_asked_for_is_the_numbers_of_a_system_or_sizes(self):
        assert list(quantities(self.simulation, self.decaying)) == ["size of u"]
        np.testing.assert_allclose(
            quantities(self.simulation, self.decaying)["size of u"], [1, 1, 1e-3, 1e-3]
        )
        toy = Toy(n=8)
        solution = toy.run(toy.sample(np.random.default_rng(0)))
        assert list(quantities(toy, solution)) == ["power"]
        declared = {"peak": lambda simulation, s: s["theta"].max(axis=(1, 2))}
        assert list(quantities(toy, solution, declared)) == ["peak"]

    def test_a_functional_can_be_right_where_the_field_is_not(self):
        shifted = {"u": np.roll(np.sin(np.arange(64).reshape(4, 16)), 1, axis=1)}
        truth = {"u": np.sin(np.arange(64).reshape(4, 16))}
        mean = {"mean square": lambda simulation, s: np.square(s["u"]).mean(axis=1)}
        assert solution_errors(self.simulation, shifted, truth)["u"] > 0.5
        assert quantity_errors(self.simulation, shifted, truth, mean)["mean square"] < 1e-12

    def test_the_time_until_an_answer_is_lost(self):
        lost = {"u": self.decaying["u"].copy()}
        assert valid_time(self.simulation, lost, self.decaying) == 3.0
        lost["u"][1] += 0.5
        assert valid_time(self.simulation, lost, self.decaying) == 1.0
        lost["u"][1] = np.nan
        assert valid_time(self.simulation, lost, self.decaying) == 1.0
        assert np.isnan(valid_time(Ripple(), {"u": np.ones((1, 64))}, {"u": np.ones((1, 64))}))

    def test_conclusions_follow_from_the_chosen_measure(self):
        # Right in size, wrong in place: as good as the solver's full resolution if size is asked
        result = run(Ripple(), rung(Ripple(), 16), n=4)
        by_size = result.measured_by("quantity")
        assert result.measures == ("l2", "frames", "quantity")
        assert by_size.surrogate.error < 0.1 * result.surrogate.error
        assert by_size.surrogate.errors.keys() == {"size of u"}
        assert f"in what is asked for (size of u) it has {percent(by_size)}" in result.verdict


def percent(comparison):
    from surrogate.comparison import wording

    return wording.percent(comparison.surrogate.error)


class TestEnergy:
    def test_counters_are_read_and_begin_again(self, tmp_path: Path):
        zone = tmp_path / "intel-rapl:0"
        (zone / "intel-rapl:0:0").mkdir(parents=True)
        (zone / "energy_uj").write_text("900\n")
        (zone / "max_energy_range_uj").write_text("1000\n")
        meter, words = find_meter(tmp_path)
        assert meter is not None
        assert words.startswith("1 processor packages")
        before = meter.read()
        (zone / "energy_uj").write_text("100\n")
        assert meter.joules(before, meter.read()) == pytest.approx(200e-6)

    def test_where_there_are_none_it_is_said(self, tmp_path: Path):
        assert find_meter(tmp_path) == (
            None,
            f"not measured: this machine has no counters in {tmp_path}",
        )
        (tmp_path / "intel-rapl:0").mkdir()
        assert "cannot be read" in find_meter(tmp_path)[1]
        assert "energy" in run(Ripple(), rung(Ripple(), 16)).machine

    def test_of_a_call(self, tmp_path: Path):
        from surrogate.comparison.timing import Stopwatch

        class Meter(EnergyMeter):
            def read(self):
                return (int(CLOCK.now * 1e6 * 5),)  # five watts

        def call():
            CLOCK.now += 1.0

        timed = Stopwatch(CLOCK, Meter((tmp_path,))).time(call)
        assert timed.joules / timed.calls == pytest.approx(5.0)
