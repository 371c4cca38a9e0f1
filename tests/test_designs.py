"""Sampling designs: points that are where they should be, and the same in every process."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

import simulations
from simulations import FullGrid, Independent, LatinHypercube, Sobol, Table, designs
from simulations.datasets import SPLITS, DatasetError
from simulations.designs import ATTEMPT_STRIDE, Draws, design_from_json, sample_generator
from simulations.simulation import (
    FieldInput,
    InvalidInput,
    Parameter,
    Sampling,
)
from tests.toy import Toy

CASES = Sampling(cases=[{"offset": 0.5}, {"offset": -0.5}, {"offset": 0.1}])
TABLE = Table({"kappa": [0.02, 5.0, 0.001], "offset": [0.1, -0.7, 1 / 3]})
ALL = [Independent(), LatinHypercube(), Sobol(), FullGrid(2), TABLE]


@dataclass(frozen=True)
class Scalar(Toy):
    """Nothing is drawn but parameters."""

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {}

    def solve(self, inputs):
        nothing = np.zeros(self.grid.shape)
        return super().solve({**inputs, "theta0": nothing, "source": nothing})


@dataclass(frozen=True)
class Layered(Toy):
    """The initial temperature belongs to the added one."""

    def sample(self, rng, given=simulations.simulation.NO_INPUTS):
        drawn = super().sample(rng, given)
        return {**drawn, "theta0": drawn["theta0"] + drawn["offset"], **given}


def shares(parameter: Parameter, values) -> np.ndarray:
    """Where values lie in the sampling range, from 0 to 1, on the parameter's own scale."""
    low, high = parameter.sampling
    scale = np.log if parameter.scale == "log" else np.asarray
    return (scale(values) - scale(low)) / (scale(high) - scale(low))


def cube(simulation, placed):
    return np.stack([shares(simulation.drawn_parameters[n], v) for n, v in placed.items()], axis=1)


class TestLatinHypercube:
    @given(n=st.integers(1, 200), seed=st.integers(0, 2**64))
    def test_one_point_in_each_slice_of_each_parameter(self, n, seed):
        points = cube(Toy(), LatinHypercube().points(Toy(), n, seed))
        within = np.sort(points * n, axis=0) - np.arange(n)[:, None]
        assert within.min() > -1e-9
        assert within.max() < 1 + 1e-9

    def test_slices_are_paired_at_random_and_points_are_not_in_their_middle(self):
        first, second = cube(Toy(), LatinHypercube().points(Toy(), 500, 1)).T
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
        within = first * 500 % 1
        assert within.min() < 0.02
        assert within.max() > 0.98

    def test_the_cases_of_the_sampling_are_sliced_too(self):
        placed = LatinHypercube().points(Toy(sampling=CASES), 30, 0)
        assert [np.sum(placed["offset"] == v) for v in (0.5, -0.5, 0.1)] == [10, 10, 10]
        assert set(placed) == {"kappa", "offset"}

    def test_what_the_sampling_fixes_is_not_placed(self):
        fixed = Toy(sampling=Sampling({"kappa": (0.3, 0.3)}))
        assert set(LatinHypercube().points(fixed, 4, 0)) == {"offset"}
        assert Draws(fixed, 0, LatinHypercube(), 4).inputs(2)["kappa"] == 0.3


class TestSobol:
    @given(n=st.integers(1, 100), more=st.integers(0, 100), seed=st.integers(0, 2**64))
    def test_more_points_leave_the_first_ones_where_they_are(self, n, more, seed):
        few, many = (Sobol().points(Toy(), count, seed) for count in (n, n + more))
        for name, values in few.items():
            assert np.array_equal(values, many[name][:n])

    @given(power=st.integers(0, 8), seed=st.integers(0, 2**32))
    def test_a_power_of_two_fills_equal_boxes_equally(self, power, seed):
        """A net in base two: each box of a quarter by 2^-(p-2) and the like holds one point."""
        n = 2**power
        points = cube(Toy(), Sobol().points(Toy(), n, seed))
        for wide in range(power + 1):
            boxes = np.floor(points * [2**wide, 2 ** (power - wide)] + 1e-9).astype(int)
            assert len({tuple(box) for box in boxes}) == n

    def test_is_more_even_than_independent_draws(self):
        sobol = [qmc.discrepancy(cube(Toy(), Sobol().points(Toy(), 256, s))) for s in range(5)]
        drawn = []
        for seed in range(5):
            draws = Draws(Toy(), seed, Independent(), 256)
            inputs = [draws.inputs(index) for index in range(256)]
            placed = {name: np.array([i[name] for i in inputs]) for name in Toy.parameters}
            drawn.append(qmc.discrepancy(cube(Toy(), placed)))
        assert max(sobol) < 0.1 * min(drawn)

    def test_seeds_scramble(self):
        first, second = (Sobol().points(Toy(), 4, seed)["offset"] for seed in (0, 1))
        assert not np.intersect1d(first, second).size

    def test_has_an_end(self):
        with pytest.raises(InvalidInput, match=r"n=1073741825: Sobol has 1073741824 points"):
            Sobol().points(Toy(), 2**30 + 1, 0)


@pytest.mark.parametrize("design", [LatinHypercube(), Sobol()])
class TestScales:
    def test_uniform_in_the_logarithm_where_the_parameter_says_so(self, design):
        placed = design.points(Toy(), 1024, 0)
        low, high = Toy.parameters["kappa"].sampling
        assert np.median(placed["kappa"]) == pytest.approx(math.sqrt(low * high), rel=0.01)
        assert np.median(placed["offset"]) == pytest.approx(0.0, abs=0.01)
        for name, values in placed.items():
            low, high = Toy.parameters[name].sampling
            assert low <= values.min()
            assert values.max() <= high

    def test_a_range_of_the_simulation(self, design):
        narrow = Toy(sampling=Sampling({"kappa": (0.5, 0.6)}))
        values = design.points(narrow, 64, 0)["kappa"]
        assert 0.5 <= values.min() < 0.51
        assert 0.59 < values.max() <= 0.6

    def test_there_must_be_something_to_place(self, design):
        fixed = Toy(sampling=Sampling(cases=[{"kappa": 0.1, "offset": 0.0}]))
        with pytest.raises(InvalidInput, match="Toy draws no parameter that could be placed"):
            design.points(fixed, 4, 0)


class TestFullGrid:
    def test_every_combination_once_in_each_round(self):
        placed = FullGrid({"kappa": [0.2, 0.1], "offset": 3}).points(Toy(), 18, 0)
        pairs = list(zip(placed["kappa"], placed["offset"], strict=True))
        expected = {(k, o) for k in (0.1, 0.2) for o in (-1.0, 0.0, 1.0)}
        for start in (0, 6, 12):
            assert set(pairs[start : start + 6]) == expected
        assert pairs[:6] != pairs[6:12]

    def test_numbered_levels_go_from_end_to_end_on_the_scale_of_the_parameter(self):
        placed = FullGrid(3).points(Toy(), 9, 0)
        assert np.unique(placed["kappa"]) == pytest.approx([1e-3, 1e-2, 1e-1], rel=1e-12)
        assert {placed["kappa"].min(), placed["kappa"].max()} == {1e-3, 1e-1}
        assert np.unique(placed["offset"]).tolist() == [-1.0, 0.0, 1.0]
        assert FullGrid(1).points(Toy(), 1, 0)["kappa"] == pytest.approx(1e-2)

    def test_cases_are_an_axis_and_the_rest_is_drawn(self):
        simulation = Toy(sampling=CASES)
        placed = FullGrid({}).points(simulation, 6, 0)
        assert set(placed) == {"offset"}
        assert sorted(placed["offset"]) == sorted([0.5, -0.5, 0.1] * 2)
        draws = Draws(simulation, 0, FullGrid({}), 6)
        assert len({draws.inputs(index)["kappa"] for index in range(6)}) == 6
        both = FullGrid({"kappa": 2}).points(simulation, 6, 0)
        assert len(set(zip(both["kappa"], both["offset"], strict=True))) == 6

    def test_every_split_sees_the_whole_grid(self, generate_here, tmp_path):
        dataset = generate_here(Toy(n=6, n_times=2), 100, tmp_path, design=FullGrid({"offset": 10}))
        for split, fewest in (("train", 10), ("valid", 5), ("test", 5)):
            values = [v for r in dataset.records(split) for v in r["parameters"]["offset"]]
            assert len(set(values)) >= fewest

    @pytest.mark.parametrize(
        ("levels", "simulation", "n", "complaint"),
        [
            (3, Toy(), 10, "n=10: the grid has 9 points; n must be a multiple of that"),
            (3, Scalar(), 18, "has 9 points and Scalar draws nothing else.*; choose n=9"),
            ({"nu": 2}, Toy(), 2, r"levels=nu: no such parameter; has \['kappa', 'offset'\]"),
            ({"offset": 2}, Toy(sampling=CASES), 6, "levels=offset: is fixed by the sampling"),
            ({"kappa": [99.0]}, Toy(), 1, "kappa=99.0: conductivity must lie in"),
        ],
    )
    def test_what_does_not_fit(self, levels, simulation, n, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            FullGrid(levels).points(simulation, n, 0)

    @pytest.mark.parametrize(
        ("levels", "complaint"),
        [
            (0, r"levels=0: must be an integer in \[1"),
            (2.5, "levels=2.5: must be a number of values, or by parameter"),
            ({"kappa": 0}, "levels of kappa=0: must be an integer"),
            ({"kappa": []}, r"levels of kappa=\[\]: must be a list of numbers"),
            ({"kappa": [0.1, math.nan]}, "levels of kappa=nan: row 1 must be a finite number"),
            ({"kappa": ["a"]}, r"levels of kappa=\['a'\]: must be a list of numbers"),
        ],
    )
    def test_what_are_no_levels(self, levels, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            FullGrid(levels)


class TestTable:
    def test_row_i_is_trajectory_i(self):
        draws = Draws(Toy(), 5, TABLE, 3)
        inputs = [draws.inputs(index) for index in range(3)]
        assert [i["kappa"] for i in inputs] == [0.02, 5.0, 0.001]
        assert [i["offset"] for i in inputs] == [0.1, -0.7, 1 / 3]

    def test_parameters_without_a_column_are_drawn_as_ever(self):
        draws = Draws(Toy(), 5, Table({"kappa": [1.0, 2.0]}), 2)
        for index in range(2):
            alone = Toy().sample(sample_generator(5, index))
            found = draws.inputs(index)
            assert found["kappa"] == index + 1
            assert found["offset"] == alone["offset"]
            assert np.array_equal(found["theta0"], alone["theta0"])

    @given(
        values=st.lists(
            st.tuples(st.floats(1e-4, 10.0), st.floats(-1e300, 1e300)), min_size=1, max_size=20
        )
    )
    def test_csv_gives_back_every_digit(self, values, tmp_path_factory):
        path = tmp_path_factory.mktemp("table") / "points.csv"
        lines = ["kappa, offset", *(f"{a!r}, {b!r}" for a, b in values)]
        path.write_text("\n".join(lines) + "\n\n")
        table = Table.read(path)
        kappa, offset = zip(*values, strict=True)
        assert table == Table({"kappa": kappa, "offset": offset})
        assert design_from_json(json.loads(json.dumps(table.to_json()))) == table

    def test_a_data_frame(self, tmp_path):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame({"kappa": [0.02, 5, 0.001], "offset": [0.1, -0.7, 1 / 3]})
        assert Table(frame) == TABLE
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / "points.parquet")
        assert Table.read(tmp_path / "points.parquet") == TABLE

    def test_a_file_that_is_no_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "points.parquet").write_text("kappa\n1\n")
        with pytest.raises(InvalidInput, match=r"points.parquet: not a Parquet file"):
            Table.read(tmp_path / "points.parquet")

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ("", "the first line must name the columns, each once"),
            ("kappa,kappa\n1,2\n", "the first line must name the columns, each once"),
            ("kappa,offset\n", "kappa=.*must be a list of numbers"),
            ("kappa,offset\n1,2\n3\n", r"line 3: \['3'\] must be 2 numbers"),
            ("kappa,offset\n1,2\n3,fast\n", r"line 3: \['3', 'fast'\] must be 2 numbers"),
            ("kappa\n1\nnan\n", "kappa=nan: row 1 must be a finite number"),
        ],
    )
    def test_a_file_that_is_no_table(self, tmp_path, content, complaint):
        (tmp_path / "points.csv").write_text(content)
        with pytest.raises(InvalidInput, match=complaint):
            Table.read(tmp_path / "points.csv")

    @pytest.mark.parametrize(
        ("columns", "complaint"),
        [
            (3, "table=int: must give values by parameter"),
            ({}, "table: has no columns"),
            ({"a": [1.0], "b": [1.0, 2.0]}, "must be of the same length, not {'a': 1, 'b': 2}"),
            ({"a": ["x"]}, r"a=\['x'\]: must be a list of numbers"),
            ({"a": [True]}, r"a=\[True\]: must be a list of numbers"),
        ],
    )
    def test_what_is_no_table(self, columns, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            Table(columns)

    @pytest.mark.parametrize(
        ("columns", "complaint"),
        [
            ({"nu": [1.0, 2.0]}, r"table=nu: Toy has no such parameter; has \['kappa', 'offset'\]"),
            ({"kappa": [1.0, 11.0]}, "kappa=11.0: conductivity must lie in"),
            ({"kappa": [1.0]}, "n=2: the table has 1 rows"),
        ],
    )
    def test_what_does_not_fit(self, columns, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            Table(columns).points(Toy(), 2, 0)


class TestDraws:
    @pytest.mark.parametrize("design", ALL, ids=lambda design: type(design).__name__)
    def test_round_trip_through_json(self, design):
        again = design_from_json(json.loads(json.dumps(design.to_json())))
        assert again == design
        assert hash(again) == hash(design)
        assert len(json.dumps(design.summary())) < 200
        assert design.summary()["design"] == type(design).__name__

    def test_the_summary_of_a_table_changes_with_each_value(self):
        other = Table({"kappa": [0.02, 5.0, 0.001], "offset": [0.1, -0.7, 1 / 3 + 1e-16]})
        assert other.summary()["sha256"] != TABLE.summary()["sha256"]

    @pytest.mark.parametrize(
        ("description", "complaint"),
        [
            ({}, "design=None: must be one of"),
            ({"design": "Halton"}, r"design='Halton': must be one of \['Independent'"),
            ({"design": "Sobol", "bits": 3}, "design=Sobol: .*unexpected keyword argument 'bits'"),
            ({"design": "FullGrid"}, "design=FullGrid: .*missing .*'levels'"),
        ],
    )
    def test_a_description_of_no_design(self, description, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            design_from_json(description)

    @given(index=st.integers(0, 2**40), seed=st.integers(0, 2**70))
    def test_independent_draws_are_those_of_the_simulation(self, index, seed):
        drawn = Draws(Toy(), seed, Independent(), 10).inputs(index)
        for name, value in Toy().sample(sample_generator(seed, index)).items():
            assert np.array_equal(drawn[name], value)

    @pytest.mark.parametrize("design", ALL[1:], ids=lambda design: type(design).__name__)
    def test_fields_are_the_same_under_every_design(self, design):
        n = 4 if isinstance(design, FullGrid) else 3
        draws = Draws(Toy(), 7, design, n)
        for index in range(n):
            drawn, alone = draws.inputs(index), Toy().sample(sample_generator(7, index))
            assert drawn["kappa"] != alone["kappa"]
            for name in ("theta0", "source"):
                assert np.array_equal(drawn[name], alone[name])

    def test_fields_that_belong_to_a_placed_parameter_follow_it(self):
        draws = Draws(Layered(), 7, Table({"offset": [5.0]}), 1)
        plain = Toy().sample(sample_generator(7, 0))["theta0"]
        assert np.array_equal(draws.inputs(0)["theta0"], plain + 5.0)

    def test_a_replacement_has_the_same_point_and_other_fields(self):
        draws = Draws(Toy(), 7, LatinHypercube(), 5)
        first = draws.inputs(3)
        for attempt in range(1, 5):
            again = draws.inputs(3 + attempt * ATTEMPT_STRIDE)
            assert again["kappa"] == first["kappa"]
            assert not np.array_equal(again["theta0"], first["theta0"])
        index = 3 + 5 * ATTEMPT_STRIDE
        alone = Toy().sample(sample_generator(7, index))
        assert draws.inputs(index)["kappa"] == alone["kappa"]

    def test_a_point_without_anything_else_to_draw_has_failed_at_once(self):
        draws = Draws(Scalar(), 7, LatinHypercube(), 5)
        index = 3 + ATTEMPT_STRIDE
        assert draws.inputs(index) == Scalar().sample(sample_generator(7, index))
        named = Draws(Scalar(), 7, Table({"kappa": [0.1] * 5}), 5)
        assert named.inputs(index)["kappa"] == 0.1
        assert named.inputs(index)["offset"] != named.inputs(3)["offset"]


class TestGivenInputs:
    """`Simulation.sample` with inputs that are known already."""

    def test_what_is_given_comes_back_and_the_rest_is_the_same(
        self,
    ):
        plain = Toy().sample(np.random.default_rng(1))
        given = {"kappa": 3.0, "source": np.ones((12, 6))}
        drawn = Toy().sample(np.random.default_rng(1), given)
        assert drawn["kappa"] == 3.0
        assert drawn["source"] is given["source"]
        assert drawn["offset"] == plain["offset"]
        assert np.array_equal(drawn["theta0"], plain["theta0"])

    def test_a_call_passes_on_what_is_given(self):
        zero, five = (Layered()(seed=3, offset=value) for value in (0.0, 5.0))
        difference = five["theta"][0] - zero["theta"][0]
        assert np.allclose(difference, 10.0)  # once at the start, once by the solver

    def test_no_pressure_in_a_dense_medium_that_is_given(self):
        system = simulations.Acoustics(n=32, ndim=2, silent_above=5.0)
        dense = np.full(system.grid.shape, system.silent_above * 2)
        inputs, _ = system.complete_inputs({"density": dense}, 0)
        assert not np.any(inputs["pressure0"])

    def test_the_pressure_of_a_gas_follows_a_density_that_is_given(self):
        system = simulations.CompressibleNavierStokes(n=16)
        drawn, _ = system.complete_inputs({}, 0)
        density = 3.0 * np.asarray(drawn["density0"])
        heavier, _ = system.complete_inputs({"density0": density}, 0)
        assert heavier["pressure0"] == pytest.approx(3.0 * np.asarray(drawn["pressure0"]))
        assert heavier["velocity0"] == pytest.approx(np.asarray(drawn["velocity0"]))
        cold = np.asarray(drawn["pressure0"]) / 4.0
        slower, _ = system.complete_inputs({"pressure0": cold}, 0)
        assert slower["pressure0"] is not drawn["pressure0"]
        assert np.array_equal(slower["pressure0"], cold)
        assert slower["velocity0"] == pytest.approx(np.asarray(drawn["velocity0"]) / 2.0)

    def test_bodies_rest_about_the_centre_of_masses_that_are_given(self):
        system = simulations.NBody(n=3)
        mass = np.array([1.0, 5.0, 2.0])
        inputs, _ = system.complete_inputs({"mass": mass}, 0)
        assert np.average(inputs["x0"], weights=mass) == pytest.approx(0.0, abs=1e-12)


SMALL = Toy(n=6, n_times=2)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("data/*/*")}


class TestDatasets:
    @pytest.mark.parametrize("design", ALL, ids=lambda design: type(design).__name__)
    def test_are_continued_and_reproduced_from_themselves(self, design, generate_here, tmp_path):
        n = {"FullGrid": 20, "Table": 3}.get(type(design).__name__, 20)
        made = generate_here(SMALL, n, tmp_path / "made", seed=2, design=design)
        assert made.draws.design == design
        for split in filter(made.count, SPLITS):
            data = made.load(split)
            for position, index in enumerate(data.indices.tolist()):
                inputs = made.inputs(index)
                for name in Toy.parameters:
                    assert data.parameters[name][position] == np.float32(inputs[name])
                theta = SMALL.run(inputs)["theta"].astype(np.float32)
                assert np.array_equal(theta, data.fields["theta"][position])
        before = contents(made.path)
        made.shards("train")[0].unlink()
        again = generate_here(made.simulation, n, made.path, seed=2, design=made.draws.design)
        assert contents(again.path) == before

    def test_one_worker_or_two(self, generate_here, tmp_path):
        here = generate_here(SMALL, 8, tmp_path / "a", design=Sobol())
        there = simulations.generate(
            SMALL, 8, tmp_path / "b", design=Sobol(), workers=2, progress=False
        )
        assert contents(here.path) == contents(there.path)

    def test_an_older_dataset_without_a_design_was_drawn_independently(
        self, generate_here, tmp_path
    ):
        generate_here(SMALL, 4, tmp_path)
        path = tmp_path / "dataset.json"
        manifest = json.loads(path.read_text())
        assert manifest.pop("design") == {"design": "Independent"}
        path.write_text(json.dumps(manifest))
        assert generate_here(SMALL, 6, tmp_path).draws.design == Independent()

    @pytest.mark.parametrize(
        ("design", "n", "more"), [(Sobol(), 6, 9), (FullGrid(2), 4, 8), (TABLE, 2, 3)]
    )
    def test_what_can_be_extended(self, generate_here, tmp_path, design, n, more):
        generate_here(SMALL, n, tmp_path / "a", design=design)
        extended = generate_here(SMALL, more, tmp_path / "a", design=design)
        atonce = generate_here(SMALL, more, tmp_path / "b", design=design)
        for split in filter(atonce.count, SPLITS):
            one, other = extended.load(split), atonce.load(split)
            assert np.array_equal(one.indices, other.indices)
            assert np.array_equal(one.parameters["kappa"], other.parameters["kappa"])
            assert np.array_equal(one.fields["theta"], other.fields["theta"])

    def test_what_cannot(self, generate_here, tmp_path):
        generate_here(SMALL, 6, tmp_path, design=LatinHypercube())
        before = (tmp_path / "dataset.json").read_bytes()
        with pytest.raises(
            DatasetError, match=r"n=8: .* holds a LatinHypercube of 6 traj.* cannot be extended"
        ):
            generate_here(SMALL, 8, tmp_path, design=LatinHypercube())
        with pytest.raises(DatasetError, match=r"holds .*'LatinHypercube'.*, not .*'Independent'"):
            generate_here(SMALL, 6, tmp_path)
        assert (tmp_path / "dataset.json").read_bytes() == before

    def test_another_table_in_the_folder_is_not_printed_in_full(self, generate_here, tmp_path):
        rows = np.linspace(0.001, 0.1, 500)
        generate_here(SMALL, 3, tmp_path, design=Table({"kappa": rows}))
        with pytest.raises(DatasetError, match="'rows': 500") as error:
            generate_here(SMALL, 3, tmp_path, design=Table({"kappa": 2 * rows}))
        assert len(str(error.value)) < 500

    def test_a_design_that_does_not_fit_leaves_no_folder(self, tmp_path):
        with pytest.raises(InvalidInput, match="n=5: the table has 3 rows"):
            simulations.generate(SMALL, 5, tmp_path / "d", design=TABLE)
        assert not (tmp_path / "d").exists()

    def test_a_point_that_always_diverges_makes_way_for_an_independent_draw(
        self, generate_here, tmp_path
    ):
        design = Table({"kappa": [0.002, 5.0, 0.003], "offset": [0.0, 0.5, 1.0]})
        for simulation, attempts in ((replace(SMALL, runaway=1.0), 5), (Scalar(runaway=1.0), 1)):
            folder = tmp_path / type(simulation).__name__
            dataset = generate_here(simulation, 3, folder, design=design)
            lines = (folder / "failures.jsonl").read_text().splitlines()
            failures = [json.loads(line) for line in lines]
            assert [f["index"] for f in failures] == [1 + a * 2**32 for a in range(attempts)]
            assert {f["inputs"]["kappa"] for f in failures} == {5.0}
            records = [r for split in SPLITS for r in dataset.records(split)]
            kappa = {
                index: value
                for r in records
                for index, value in zip(r["indices"], r["parameters"]["kappa"], strict=True)
            }
            assert kappa[0] == 0.002
            assert kappa[2] == 0.003
            replaced = kappa[1 + attempts * 2**32]
            assert replaced == simulation.sample(sample_generator(0, 1 + attempts * 2**32))["kappa"]

    def test_held_out_inputs_are_compared_with_the_points_of_the_design(self):
        held_out = pytest.importorskip("surrogate.comparison.held_out")
        manifest = {"system": "Toy", "settings": SMALL.settings, "seed": 0, "n": 8}
        manifest["design"] = Sobol().to_json()
        seventh = Draws(SMALL, 0, Sobol(), 8).inputs(7)
        with pytest.raises(held_out.DataLeak, match="is draw 7 of the training dataset"):
            held_out.refuse_redrawn([seventh], manifest)
        held_out.refuse_redrawn([SMALL.sample(sample_generator(0, 7))], manifest)


class TestByName:
    def test_names_of_the_command_line(self, tmp_path):
        (tmp_path / "t.csv").write_text("kappa\n0.5\n")
        assert designs.by_name("independent") == Independent()
        assert designs.by_name("latin-hypercube") == LatinHypercube()
        assert designs.by_name("sobol") == Sobol()
        assert designs.by_name("grid", 3) == FullGrid(3)
        assert designs.by_name(str(tmp_path / "t.csv")) == Table({"kappa": [0.5]})

    @pytest.mark.parametrize(
        ("name", "levels", "complaint"),
        [
            ("halton", None, r"design=halton: must be one of \['independent', .*'.parquet'\]"),
            ("grid", None, "design=grid, levels=None: a grid needs levels"),
            ("sobol", 3, "design=sobol, levels=3: .* others take none"),
        ],
    )
    def test_what_is_no_design(self, name, levels, complaint):
        with pytest.raises(InvalidInput, match=complaint):
            designs.by_name(name, levels)
