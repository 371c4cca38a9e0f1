"""The contract: what every simulation declares, answers and refuses."""

import inspect
import itertools
import json
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

import simulations
from simulations.datasets import Trajectories, content, layout
from simulations.grid import Grid
from simulations.inputs import GaussianRandomField, Thresholded
from simulations.simulation import (
    Field,
    FieldInput,
    InvalidInput,
    Parameter,
    Sampling,
    Simulation,
    SimulationDiverged,
    check_setting,
    package_version,
)
from tests.toy import BELT, WIND, Toy

LIBRARY = [
    system
    for system in simulations.catalogue().values()
    if system.__module__.startswith("simulations.") and not inspect.isabstract(system)
]
VISCOSITY = Parameter("viscosity", "m2 s-1", (1e-5, 10.0), (0.01, 0.1), "log")


class TestLabels:
    def test_dimensions_coordinates_and_units(self):
        toy = Toy()
        solution = toy(kappa=0.02, offset=1.0, seed=3)
        assert solution["theta"].dims == ("time", "x", "y")
        assert solution["flux"].dims == ("time", "x", "y", "component")
        assert solution["load"].dims == ("time", "x", "y", "component", "component2")
        assert solution["power"].dims == ("time",)
        assert solution["source"].dims == ("x", "y")
        assert "theta0" not in solution
        assert np.array_equal(solution["time"], toy.times)
        for axis in toy.grid.axes:
            assert np.array_equal(solution[axis.name], axis.points)
            assert solution[axis.name].attrs["units"] == "m"
        assert solution["time"].attrs["units"] == "s"
        assert solution["component"].values.tolist() == ["x", "y"]
        assert solution["kappa"].item() == 0.02
        assert solution["kappa"].attrs == {"units": "m2 s-1", "long_name": "conductivity"}
        for name, field in toy.fields.items():
            assert solution[name].attrs == {"units": field.unit, "long_name": field.description}
        assert solution["source"].attrs["units"] == "K s-1"

    def test_values_are_those_of_solve_in_their_places(self):
        toy = Toy()
        inputs = toy.sample(np.random.default_rng(0)) | {"kappa": 0.05}
        plain, solution = toy.solve(inputs), toy(**inputs)
        for name in toy.fields:
            assert np.array_equal(solution[name], plain[name])
        along_x = solution["flux"].sel(component="x")
        np.testing.assert_array_equal(along_x, WIND[0] * solution["theta"])
        corner = solution["load"].sel(component="y").isel(component2=0)
        np.testing.assert_allclose(corner, WIND[1] * BELT[0] * solution["theta"])
        assert np.array_equal(solution["source"], inputs["source"])

    def test_provenance(self):
        solution = Toy(n_times=2)(kappa=0.5, seed=11)
        attributes = solution.attrs
        assert attributes["system"] == "Toy"
        assert json.loads(attributes["settings"])["n_times"] == 2
        parameters = json.loads(attributes["parameters"])
        assert parameters == {"kappa": 0.5, "offset": solution["offset"].item()}
        assert attributes["seed"] == 11
        assert attributes["package"] == f"physurrogate {package_version()}"
        assert attributes["wall_time_seconds"] > 0

    def test_the_attributes_are_enough_to_run_it_again(self):
        first = Toy(n=10, t_end=0.2)(seed=5)
        again = simulations.make(first.attrs["system"], json.loads(first.attrs["settings"]))
        parameters = json.loads(first.attrs["parameters"])
        xarray.testing.assert_equal(again(seed=first.attrs["seed"], **parameters), first)

    def test_can_be_written_as_netcdf(self, tmp_path):
        solution = Toy()(seed=1)
        solution.to_netcdf(tmp_path / "toy.nc", engine="h5netcdf")
        with xarray.open_dataset(tmp_path / "toy.nc", engine="h5netcdf") as read:
            xarray.testing.assert_equal(read, solution)


class TestSeeds:
    @given(seed=st.integers(0, 2**130))
    def test_same_seed_same_result(self, seed):
        toy = Toy(n=6, n_times=2)
        first = toy(seed=seed)
        xarray.testing.assert_equal(toy(seed=seed), first)
        assert first.attrs["seed"] == seed

    def test_numpy_integers_are_integers(self):
        xarray.testing.assert_equal(Toy()(seed=np.int64(9)), Toy()(seed=9))
        assert type(Toy()(seed=np.uint8(9)).attrs["seed"]) is int

    @given(seed=st.integers(0, 2**32), kappa=st.floats(1e-4, 10.0))
    def test_the_draw_does_not_depend_on_what_is_given(self, seed, kappa):
        toy = Toy(n=6)
        drawn, _ = toy.complete_inputs({}, seed)
        given_one, _ = toy.complete_inputs({"kappa": kappa}, seed)
        given_field, _ = toy.complete_inputs({"theta0": np.zeros(toy.grid.shape)}, seed)
        assert given_one["kappa"] == kappa
        assert given_one["offset"] == drawn["offset"] == given_field["offset"]
        assert given_field["kappa"] == drawn["kappa"]
        for name in ("theta0", "source"):
            assert np.array_equal(given_one[name], drawn[name])
        assert np.array_equal(given_field["source"], drawn["source"])
        assert not given_field["theta0"].any()

    def test_a_fresh_seed_is_recorded(self):
        toy = Toy()
        one, other = toy(), toy()
        assert one.attrs["seed"] != other.attrs["seed"]
        assert not np.array_equal(one["theta"], other["theta"])
        xarray.testing.assert_equal(toy(seed=one.attrs["seed"]), one)

    def test_a_finer_grid_draws_the_same_inputs(self):
        """All of them: the second field too, although the first one takes more numbers."""
        coarse, fine = Toy(n=16), Toy(n=32)
        few, many = (toy.sample(np.random.default_rng(4)) for toy in (coarse, fine))
        assert few["kappa"] == many["kappa"]
        there = fine.transfer_inputs(many, coarse)
        for name, tolerance in (("theta0", 0.05), ("source", 0.25)):
            correlation = np.corrcoef(few[name].ravel(), there[name].ravel())[0, 1]
            assert correlation > 1 - tolerance, name

    @pytest.mark.parametrize("seed", [-1, 1.0, "1", True, np.bool_(True), [1], float("nan")])
    def test_a_wrong_seed_is_refused(self, seed):
        with pytest.raises(InvalidInput, match=r"seed=.*: must be a non-negative integer"):
            Toy()(seed=seed)


class TestParameters:
    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0.0, "nu=0.0"),
            (-0.1, "nu=-0.1"),
            (10.000001, "nu=10.000001"),
            (math.nan, "nu=nan"),
            (math.inf, "nu=inf"),
            (-math.inf, "nu=-inf"),
            (np.float32("nan"), "nu=nan"),
            (10**400, "nu=1000"),
            ("0.1", "nu='0.1'"),
            (b"1", "nu=b'1'"),
            (True, "nu=True"),
            (np.bool_(True), "nu=.*True"),
            (None, "nu=None"),
            (1j, "nu=1j"),
            ([0.1], r"nu=\[0.1\]"),
            (np.array([0.1, 0.2]), "nu=array"),
        ],
    )
    def test_what_is_not_an_admissible_number_is_refused(self, value, shown):
        allowed = r": viscosity must lie in \[1e-05, 10\] m2 s-1"
        with pytest.raises(InvalidInput, match=shown + ".*" + allowed):
            VISCOSITY.check("nu", value)

    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
    def test_an_open_range_does_not_admit_infinity(self, value):
        with pytest.raises(InvalidInput, match=r"offset=.*added temperature must lie in \[-inf"):
            Toy()(offset=value)

    @given(
        value=st.one_of(
            st.floats(allow_nan=True),
            st.integers(),
            st.fractions(),
            st.text(),
            st.binary(),
            st.booleans(),
            st.none(),
            st.complex_numbers(),
            st.lists(st.floats()),
            st.decimals(),
        )
    )
    def test_anything_else_is_a_number_in_the_range_or_refused(self, value):
        try:
            number = VISCOSITY.check("nu", value)
        except InvalidInput as error:
            assert str(error).startswith("nu=")  # noqa: PT017
        else:
            assert type(number) is float
            assert 1e-5 <= number <= 10.0
            assert number == pytest.approx(float(value))

    @pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int8(2), np.array(0.5)])
    def test_numbers_of_any_kind_are_admitted(self, value):
        assert VISCOSITY.check("nu", value) == float(value)
        assert type(VISCOSITY.check("nu", value)) is float

    @given(low=st.floats(1e-12, 1e6), ratio=st.floats(1.0, 1e6), probability=st.floats(0.0, 1.0))
    @pytest.mark.parametrize("scale", ["linear", "log"])
    def test_draws_stay_in_the_sampling_range(self, scale, low, ratio, probability):
        bounds = (low, low * ratio)
        parameter = Parameter("x", "1", bounds, bounds, scale)
        value = parameter.quantile(probability)
        assert parameter.check("x", value) == value

    @pytest.mark.parametrize(("scale", "median"), [("linear", 5.05), ("log", 1.0)])
    def test_draws_are_uniform_in_the_value_or_its_logarithm(self, scale, median):
        parameter = Parameter("x", "1", (0.1, 10.0), (0.1, 10.0), scale)
        assert parameter.quantile(0.5) == pytest.approx(median)
        assert parameter.quantile(0.0) == pytest.approx(0.1)
        assert parameter.quantile(1.0) == pytest.approx(10.0)


class TestFieldInputs:
    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            (np.zeros((12, 5)), r"source has shape \(12, 5\): heat source .* shape \(12, 6\)"),
            (np.zeros((6, 12)), r"has shape \(6, 12\)"),
            (np.zeros((1, 12, 6)), r"has shape \(1, 12, 6\)"),
            (3.0, "source has shape"),
            (np.full((12, 6), 10.5), r"from 10.5 to 10.5: .* lie in \[-10, 10\] K s-1"),
            (np.full((12, 6), np.nan), "from nan to nan: heat source must be finite"),
            (np.full((12, 6), -np.inf), "from -inf to -inf: heat source must be finite"),
            (np.ones((12, 6)) * (1 + 1j), "heat source must be 12 x 6 real numbers"),
            (np.full((12, 6), "1"), "heat source must be 12 x 6 real numbers"),
            ("warm", "must be 12 x 6 real numbers"),
            (None, "must be 12 x 6 real numbers"),
            ([[1.0, 2.0], [3.0]], "must be 12 x 6 real numbers"),
        ],
    )
    def test_what_is_not_a_field_on_the_grid_is_refused(self, value, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            Toy()(source=value)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_one_bad_value_is_enough(self, bad):
        values = np.zeros((12, 6))
        values[7, 3] = bad
        with pytest.raises(InvalidInput, match=r"theta0 has values .* must be finite"):
            Toy()(theta0=values)

    def test_lists_integers_and_other_layouts_are_taken_as_numbers(self):
        toy = Toy()
        values = np.arange(72).reshape(6, 12).T
        checked = toy.check_inputs({"theta0": values})["theta0"]
        assert checked.flags.c_contiguous
        assert checked.dtype == np.float64
        for same in (values.tolist(), values.astype(np.float32), xarray.DataArray(values)):
            assert np.array_equal(toy.check_inputs({"theta0": same})["theta0"], values)

    def test_an_unknown_name_is_refused_with_the_known_ones(self):
        known = r"Toy has no such input; has \['kappa', 'offset', 'theta0', 'source'\]"
        with pytest.raises(InvalidInput, match="nu: " + known):
            Toy()(nu=0.1)

    def test_moving_inputs_to_another_resolution(self):
        fine, coarse = Toy(n=24), Toy(n=12)
        inputs = fine.sample(np.random.default_rng(8))
        moved = fine.transfer_inputs(inputs, coarse)
        assert moved["kappa"] == inputs["kappa"]
        # A coefficient is averaged over the cells, which keeps its integral and its bounds
        np.testing.assert_allclose(
            moved["source"], inputs["source"].reshape(12, 2, 6, 2).mean(axis=(1, 3)), atol=1e-13
        )
        # A smooth field is evaluated at the points, some of which both grids have
        np.testing.assert_allclose(
            moved["theta0"], fine.grid.interpolate(inputs["theta0"], coarse.grid)
        )
        coarse.check_inputs(moved)


class TestDivergence:
    def test_an_exception_has_the_time_and_the_reason(self):
        with pytest.raises(
            SimulationDiverged, match=r"diverged at t=0.25: the heat runs away"
        ) as e:
            Toy(runaway=0.1)(kappa=0.2, seed=0)
        assert e.value.time == 0.25
        assert e.value.reason == "the heat runs away"

    def test_a_result_that_is_not_finite_is_refused_with_its_first_time(self):
        toy = Toy(runaway=0.1, silent=True)
        with pytest.raises(SimulationDiverged, match="theta is not finite") as caught:
            toy(kappa=0.2, seed=0)
        assert caught.value.time == toy.times[3]

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
    @pytest.mark.parametrize("name", ["theta", "load", "power"])
    def test_one_bad_value_of_any_output_is_enough(self, monkeypatch, bad, name):
        solution = Toy().solve(Toy().sample(np.random.default_rng(0)))
        solution[name][-1, ...].flat[-1] = bad
        if solution[name].ndim == 1:
            solution[name][-1] = bad
        monkeypatch.setattr(Toy, "solve", lambda self, inputs: solution)
        with pytest.raises(SimulationDiverged, match=f"t=0.5: {name} is not finite"):
            Toy()(seed=0)

    @given(time=st.floats(allow_nan=False), reason=st.text())
    def test_the_exception_survives_the_way_between_processes(self, time, reason):
        error = pickle.loads(pickle.dumps(SimulationDiverged(time, reason)))
        assert type(error) is SimulationDiverged
        assert (error.time, error.reason) == (time, reason)
        assert str(error) == str(SimulationDiverged(time, reason))

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda solution: solution.pop("power"),
            lambda solution: solution.update(surprise=np.zeros(5)),
            lambda solution: solution.update(theta=solution["theta"].swapaxes(1, 2)),
            lambda solution: solution.update(power=solution["power"][:, None]),
        ],
        ids=["missing", "undeclared", "transposed", "extra axis"],
    )
    def test_a_result_other_than_declared_is_refused(self, monkeypatch, spoil):
        solution = Toy().solve(Toy().sample(np.random.default_rng(0)))
        spoil(solution)
        monkeypatch.setattr(Toy, "solve", lambda self, inputs: solution)
        with pytest.raises(TypeError, match=r"Toy.solve returned .*, declared .*'theta': "):
            Toy()(seed=0)


class TestSettings:
    @given(
        n=st.integers(6, 4096),
        t_end=st.floats(1e-9, 1e9),
        n_times=st.integers(1, 1000),
        silent=st.booleans(),
        alpha=st.floats(0.0, 10.0),
    )
    def test_round_trip_through_json(self, n, t_end, n_times, silent, alpha):
        initial = Thresholded(GaussianRandomField(alpha=alpha), -1.0, 2.0)
        toy = Toy(n=n, t_end=t_end, n_times=n_times, silent=silent, initial=initial)
        assert simulations.make("Toy", json.loads(json.dumps(toy.settings))) == toy

    def test_numpy_numbers_become_plain_ones(self):
        toy = Toy(n=np.int64(8), t_end=np.float32(0.5), n_times=np.uint8(3))
        assert json.loads(json.dumps(toy.settings)) == Toy(n=8, n_times=3).settings
        toy(seed=0)

    def test_tuples_come_back_as_tuples(self):
        @dataclass(frozen=True)
        class Boxed(Toy):
            size: tuple[float, float] = (1.0, 2.0)

        boxed = Boxed(size=(3.0, 4.0))
        assert Boxed.from_settings(json.loads(json.dumps(boxed.settings))) == boxed

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"n": 5}, r"n=5: must be an integer in \[6, 4096\]"),
            ({"n": 4097}, r"n=4097: must be an integer in \[6, 4096\]"),
            ({"n": 12.0}, "n=12.0: must be an integer"),
            ({"n": "12"}, "n='12': must be an integer"),
            ({"n": True}, "n=True: must be an integer"),
            ({"t_end": math.nan}, r"t_end=nan: must be a number in \[1e-09, 1000000000\]"),
            ({"t_end": math.inf}, "t_end=inf: must be a number"),
            ({"t_end": None}, "t_end=None: must be a number"),
            ({"t_end": [1.0]}, r"t_end=\(1.0,\): must be a number"),
            ({"size": 3}, r"size: Toy has no such setting; it has \['sampling', 'n', 't_end'"),
            ({"initial": {"distribution": "Even"}}, "initial: distribution='Even': must be one of"),
            ({"initial": {"flat": 1}}, "initial: distribution=None: must be one of"),
            (
                {"initial": {"distribution": "GaussianRandomField", "alpha": -1}},
                "initial: alpha=-1: must be a number",
            ),
        ],
    )
    def test_an_impossible_setting_is_refused(self, settings, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            simulations.make("Toy", settings)

    def test_an_initial_condition_needs_a_distribution(self):
        with pytest.raises(InvalidInput, match="3: initial temperature needs a distribution"):
            Toy(initial=3)(seed=0)

    @pytest.mark.parametrize("value", [np.complex128(1), 1j, "1", np.bool_(True), None, [1]])
    def test_a_setting_that_is_not_a_real_number(self, value):
        with pytest.raises(InvalidInput, match=r"size=.*: must be a number in \[0, inf\]"):
            check_setting("size", value, 0)

    def test_settings_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            Toy().n = 7

    def test_a_name_that_does_not_exist(self):
        with pytest.raises(InvalidInput, match=r"Nothing: no such system; there are .*Burgers"):
            simulations.make("Nothing")


class TestSampling:
    def test_a_range_of_its_own(self):
        toy = Toy(sampling=Sampling({"kappa": (0.5, 0.6)}))
        draws = [toy.sample(np.random.default_rng(seed)) for seed in range(50)]
        assert 0.5 < min(d["kappa"] for d in draws) < 0.52
        assert 0.58 < max(d["kappa"] for d in draws) < 0.6
        for seed, drawn in enumerate(draws):
            assert drawn["offset"] == Toy().sample(np.random.default_rng(seed))["offset"]

    def test_cases_are_drawn_whole(self):
        cases = [{"kappa": 0.1, "offset": 1.0}, {"kappa": 0.2, "offset": 2.0}]
        toy = Toy(sampling=Sampling(cases=cases))
        draws = [toy.sample(np.random.default_rng(seed)) for seed in range(40)]
        pairs = {(d["kappa"], d["offset"]) for d in draws}
        assert pairs == {(0.1, 1.0), (0.2, 2.0)}
        assert toy.drawn_parameters["kappa"].sampling == (0.1, 0.2)

    def test_round_trip_through_json(self):
        sampling = Sampling({"kappa": (0.5, 0.6)}, [{"offset": 0.1}, {"offset": 0.7}])
        toy = Toy(sampling=sampling)
        again = simulations.make("Toy", json.loads(json.dumps(toy.settings)))
        assert again == toy
        assert hash(again) == hash(toy)
        assert "sampling" not in Toy().settings

    @pytest.mark.parametrize(
        ("sampling", "complaint"),
        [
            ({"ranges": {"kappa": [0.2, 0.1]}}, r"sampling=kappa: \(0.2, 0.1\) must ascend"),
            ({"ranges": {"kappa": [0.1, 99.0]}}, r"kappa=99.0: conductivity must lie in"),
            ({"ranges": {"nu": [0.1, 0.2]}}, r"sampling=nu: no such parameter; has \['kappa'"),
            ({"ranges": {"kappa": 1}}, "must be ranges"),
            ({"cases": [{"kappa": 1.0}, {"offset": 1.0}]}, "all cases must give the same"),
            ({"limits": {}}, "has ranges and cases"),
        ],
    )
    def test_an_impossible_one_is_refused(self, sampling, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            simulations.make("Toy", {"sampling": sampling})(seed=0)

    def test_an_unknown_preset_is_refused(self):
        with pytest.raises(InvalidInput, match=r"preset='the_bad': Toy has \[\]"):
            Toy.preset("the_bad")


class TestCatalogue:
    def test_has_the_library_and_what_the_program_defines(self):
        assert set(simulations.systems.__all__) <= set(simulations.catalogue())
        assert simulations.catalogue()["Toy"] is Toy

        @dataclass(frozen=True)
        class DefinedOnTheFly(Toy):
            pass

        assert simulations.catalogue()["DefinedOnTheFly"] is DefinedOnTheFly
        assert simulations.make("DefinedOnTheFly", {"n": 8}) == DefinedOnTheFly(n=8)

    def test_leaves_out_what_cannot_be_made(self):
        class Family(simulations.Simulation):
            """A base of several systems, itself abstract."""

        assert "Family" not in simulations.catalogue()

    def test_the_smallest_possible_system(self):
        """A parameter to a number: no fields, no space, one instant, default rescaling."""

        @dataclass(frozen=True)
        class Square(Simulation):
            parameters: ClassVar[Mapping[str, Parameter]] = {
                "side": Parameter("side", "m", (0.0, 10.0), (1.0, 2.0))
            }
            fields: ClassVar[Mapping[str, Field]] = {"area": Field("area", "m2", spatial=False)}
            grid = Grid()
            times = np.zeros(1)

            def solve(self, inputs):
                return {"area": np.array([inputs["side"] ** 2])}

            def rescaled(self, factor):
                raise InvalidInput("there is nothing to rescale")

        square = Square()
        assert square(side=3.0)["area"].values.tolist() == [9.0]
        assert list(square.coarsened()) == []
        square.warm_up()
        assert square.settings == {}


class TestResolutions:
    def test_coarsened_halves_until_the_solver_refuses(self):
        assert [toy.n for toy in itertools.islice(Toy(n=48).coarsened(), 9)] == [24, 12, 6]

    def test_warm_up_runs_the_cheapest_and_forgives_divergence(self, monkeypatch):
        ran = []
        solve = Toy.solve

        def spy(self, inputs):
            ran.append(self.n)
            return solve(self, inputs)

        monkeypatch.setattr(Toy, "solve", spy)
        Toy(n=48, runaway=0.0).warm_up()
        assert ran == [6]

    def test_solutions_move_to_another_grid(self):
        fine, coarse = Toy(n=24), Toy(n=12)
        solution = coarse.solve(coarse.sample(np.random.default_rng(1)))
        moved = coarse.transfer_solution(solution, fine)
        shapes = {name: (5, *field.shape(fine.grid)) for name, field in fine.fields.items()}
        assert {name: values.shape for name, values in moved.items()} == shapes
        assert np.array_equal(moved["power"], solution["power"])
        np.testing.assert_allclose(moved["theta"][:, ::2], along_y(solution["theta"], coarse, fine))
        np.testing.assert_allclose(
            moved["load"], moved["theta"][..., None, None] * WIND[:, None] * BELT
        )


def along_y(theta, coarse, fine):
    matrix = coarse.grid.axes[1].interpolation_matrix(fine.grid.axes[1].points)
    return np.einsum("txy,zy->txz", theta, matrix)


def ladder(simulation):
    """The simulation and its cheaper versions; a hundred are more than anybody wants."""
    rungs = [simulation, *itertools.islice(simulation.coarsened(), 101)]
    assert len(rungs) <= 100
    return rungs


def cheapest(system):
    """The first among the versions with the smallest grid."""
    return min(ladder(system()), key=lambda s: math.prod(s.grid.shape) * s.times.size)


@pytest.fixture(scope="module", params=LIBRARY, ids=lambda system: system.__name__)
def system(request):
    return request.param


@pytest.fixture(scope="module")
def small(system):
    return cheapest(system)


@pytest.fixture(scope="module")
def solved(small):
    inputs = small.sample(np.random.default_rng(1))
    return inputs, small.run(inputs)


class TestEverySystem:
    """What holds for each system of the library; a new one is tested by being there."""

    def test_declarations_are_consistent(self, system):
        simulation = system()
        grid, times = simulation.grid, simulation.times
        assert system.__doc__
        assert "\n\n" in system.__doc__
        assert simulation.fields
        names = [*simulation.parameters, *simulation.fields, *simulation.field_inputs]
        names += [*grid.names, "time", "sample", "component", "component2", "seed"]
        assert len(names) == len(set(names))
        for name, parameter in simulation.parameters.items():
            low, high = parameter.admissible
            assert low <= parameter.sampling[0] < parameter.sampling[1] <= high, name
            assert parameter.unit
            assert parameter.description
            assert parameter.scale == "linear" or parameter.sampling[0] > 0, name
        for name, field_input in simulation.field_inputs.items():
            if field_input.initial_of is not None:
                first = simulation.fields[field_input.initial_of]
                declared = (field_input.unit, field_input.order, True)
                assert (first.unit, first.order, first.spatial) == declared, name
        for field in simulation.fields.values():
            assert field.unit
            assert field.description
        assert times.ndim == 1
        assert np.all(np.diff(times) > 0)
        for axis in grid.axes:
            low, high = axis.bounds
            assert np.all(np.diff(axis.points) > 0)
            assert low <= axis.points[0]
            assert axis.points[-1] <= high
            assert (axis.boundary[0] == "periodic") == (axis.boundary[1] == "periodic")

    def test_outputs_match_the_declaration(self, small, solved):
        _, solution = solved
        for name, field in small.fields.items():
            assert solution[name].shape == (small.times.size, *field.shape(small.grid))
            assert solution[name].dtype == np.float64
        for name, values in small.diagnostics(solution).items():
            assert values.shape == (small.times.size,), name
            assert np.isfinite(values).all()
        for name, drift in content.drift(small, solution).items():
            assert drift <= small.conserved[name] + 1e-9, name
        labelled = small(seed=1)
        assert set(small.fields) <= set(labelled)
        assert all("units" in variable.attrs for variable in labelled.values())

    def test_an_initial_condition_is_the_first_frame(self, small, solved):
        inputs, solution = solved
        for name, field_input in small.field_inputs.items():
            if field_input.initial_of is not None:
                assert np.array_equal(solution[field_input.initial_of][0], inputs[name])

    def test_same_seed_same_result(self, small):
        xarray.testing.assert_equal(small(seed=7), small(seed=7))
        different = small(seed=8)
        assert any(
            not np.array_equal(small(seed=7)[name], different[name]) for name in small.fields
        )

    def test_solving_leaves_no_trace(self, system, small, solved):
        """Neither in the inputs nor in what is solved next."""
        inputs, solution = solved
        before = {name: np.copy(value) for name, value in inputs.items()}
        small.solve(small.sample(np.random.default_rng(99)))
        again = small.solve(inputs)
        fresh = system(**{f.name: getattr(small, f.name) for f in fields(small)}).solve(inputs)
        for name in small.fields:
            assert np.array_equal(again[name], solution[name])
            assert np.array_equal(fresh[name], solution[name])
        for name, value in before.items():
            assert np.array_equal(inputs[name], value)

    def test_the_inputs_matter(self, small, solved):
        """Each on its own, so that none is ignored."""
        inputs, solution = solved
        other = small.sample(np.random.default_rng(2))
        for name in inputs:
            changed = small.run({**inputs, name: other[name]})
            assert any(not np.array_equal(changed[f], solution[f]) for f in small.fields), name

    def test_bad_inputs_are_refused(self, small):
        for name, parameter in small.parameters.items():
            low, high = parameter.admissible
            below, above = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
            for value in (below, above, math.nan, math.inf, "1", None, [1.0]):
                with pytest.raises(
                    InvalidInput, match=f"{name}=.*{re.escape(parameter.description)}"
                ):
                    small.check_inputs({name: value})
        for name, field_input in small.field_inputs.items():
            good = small.sample(np.random.default_rng(0))[name]
            poisoned = good.copy()
            poisoned.flat[-1] = math.nan
            for value in (good[:-1], good[None], poisoned, "x", None):
                with pytest.raises(
                    InvalidInput, match=f"{name}.*{re.escape(field_input.description)}"
                ):
                    small.check_inputs({name: value})
        with pytest.raises(InvalidInput, match=r"no_such_input: .* has no such input"):
            small(no_such_input=1.0)

    def test_draws_are_admissible(self, small):
        for seed in range(20):
            drawn = small.sample(np.random.default_rng(seed))
            assert set(drawn) == {*small.parameters, *small.field_inputs}
            small.check_inputs(drawn)

    def test_draws_keep_what_is_given_and_the_random_numbers(self, small):
        """The same initial condition for every parameter, and as many random numbers as ever."""

        def draw(known):
            rng = np.random.default_rng(5)
            return small.sample(rng, known), rng.bit_generator.state

        (plain, after), other = draw({}), small.sample(np.random.default_rng(6))
        parameters = {name: other[name] for name in small.parameters}
        for known in (parameters, *({name: other[name]} for name in small.field_inputs)):
            drawn, state = draw(known)
            assert state == after
            assert set(drawn) == set(plain)
            for name, value in drawn.items():
                if name in known:
                    assert np.array_equal(value, known[name])
                elif name in small.parameters or known is parameters:
                    assert np.array_equal(value, plain[name]), name

    def test_settings_round_trip(self, system, small):
        for simulation in (system(), small):
            text = json.dumps(simulation.settings, allow_nan=False)
            assert simulations.make(system.__name__, json.loads(text)) == simulation
        assert pickle.loads(pickle.dumps(small)) == small

    def test_presets_can_be_made_and_drawn_from(self, system):
        for name in system.presets:
            simulation = system.preset(name)
            assert simulations.make(system.__name__, simulation.settings) == simulation
            simulation.check_inputs(simulation.sample(np.random.default_rng(0)))

    def test_bad_settings_are_refused(self, system):
        for setting in fields(system):
            if type(setting.default) not in (int, float):
                continue
            wrong = [math.nan, -math.inf, "1", None, True, 1j]
            for value in [*wrong, 64.5] if type(setting.default) is int else wrong:
                with pytest.raises(InvalidInput, match=f"{setting.name}=.*: must be"):
                    system(**{setting.name: value})

    def test_rescaling_multiplies_the_points(self, system):
        simulation = system()
        finer, coarser = simulation.rescaled(2.0), simulation.rescaled(0.5)
        axes = zip(simulation.grid.axes, finer.grid.shape, coarser.grid.shape, strict=True)
        for axis, more, fewer in axes:
            n = axis.points.size
            if axis.interpolation == "none":  # individuals belong to the problem
                assert more == fewer == n
            else:
                assert abs(more - 2 * n) <= 1
                assert abs(fewer - n / 2) <= 1
        assert simulation.rescaled(1.0) == simulation

    def test_the_ladder_descends(self, system):
        simulation, *rungs = ladder(system())
        assert rungs
        assert simulation not in rungs
        assert len(set(map(repr, rungs))) == len(rungs)
        for rung in rungs:
            assert type(rung) is system
            assert rung.fields == simulation.fields
            assert rung.parameters == simulation.parameters
            assert np.array_equal(rung.times, simulation.times)
            assert rung.grid.ndim == simulation.grid.ndim
            assert math.prod(rung.grid.shape) <= math.prod(simulation.grid.shape)

    def test_coarse_solutions_approach_the_fine_one(self, system):
        """At the first instant after the start: later, chaos may have taken over."""
        simulation = system()
        inputs = simulation.sample(np.random.default_rng(6))
        reference = simulation.run(inputs)
        frame = min(1, simulation.times.size - 1)
        errors = []
        for factor in (0.25, 0.5):
            try:
                coarse = simulation.rescaled(factor)
                solution = coarse.run(simulation.transfer_inputs(inputs, coarse))
            except (InvalidInput, SimulationDiverged):
                continue
            moved = coarse.transfer_solution(solution, simulation)
            errors.append({n: distance(simulation, n, moved, reference, frame) for n in reference})
        assert errors
        for name in simulation.fields:
            assert errors[-1][name] < 0.1, (name, errors)
            assert errors[-1][name] < max(0.7 * errors[0][name], 1e-6) or len(errors) == 1, errors

    def test_a_shard_gives_back_what_was_written(self, small, tmp_path):
        drawn = [small.sample(np.random.default_rng(seed)) for seed in (0, 1)]
        solutions = [small.run(inputs) for inputs in drawn]
        samples = Trajectories(
            np.array([0, 1]),
            {n: np.array([inputs[n] for inputs in drawn]) for n in small.parameters},
            {n: np.stack([i[n] for i in drawn]) for n in layout.coefficient_names(small)},
            {n: np.stack([solution[n] for solution in solutions]) for n in small.fields},
        )
        layout.write_shard(tmp_path / "shard.hdf5", small, samples, seed=0)
        read = layout.read_shard(tmp_path / "shard.hdf5", small)
        for kind in ("parameters", "field_inputs", "fields"):
            for name, values in getattr(samples, kind).items():
                assert np.array_equal(getattr(read, kind)[name], values.astype(np.float32))
        with xarray.open_dataset(tmp_path / "shard.hdf5", engine="h5netcdf") as opened:
            assert set(small.fields) <= set(opened)


def distance(simulation, name, solution, reference, frame):
    """Relative L2 distance of two solutions at one instant."""
    difference, size = solution[name][frame] - reference[name][frame], reference[name][frame]
    if simulation.fields[name].spatial:
        weights = simulation.grid.weights.reshape(
            simulation.grid.shape + (1,) * simulation.fields[name].order
        )
        difference, size = np.sqrt(weights) * difference, np.sqrt(weights) * size
    return np.linalg.norm(difference) / np.linalg.norm(size)


def test_a_field_input_declares_a_distribution():
    with pytest.raises(InvalidInput, match="'normal': coefficient needs a distribution"):
        FieldInput("coefficient", "1", "normal")
