"""Datasets that others have written, read and trained on as our own."""

import json
import os
import shutil

import h5py
import numpy as np
import pytest
import xarray

import simulations
import surrogate
from simulations.datasets import (
    SPLITS,
    DatasetError,
    Recorded,
    UnsafeFile,
    foreign,
    layout,
    open_dataset,
    statistics,
)
from simulations.simulation import InvalidInput
from tests import foreign_files
from tests.foreign_files import TIMES, T, X, Y


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A folder for moments that no other test has filled."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(foreign, "user_cache_directory", lambda: folder)
    return folder


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    root = tmp_path_factory.mktemp("foreign") / "made_up"
    return root, foreign_files.write_well(root)


def moments_of(dataset, name, kind):
    merged = statistics.merge(record["moments"][name][kind] for record in dataset.records("train"))
    return merged["mean"], np.sqrt(np.asarray(merged["centred"]) / merged["count"])


class TestTheWell:
    def test_declarations(self, well):
        dataset = open_dataset(well[0])
        recorded = dataset.simulation
        fields = {name: (f.order, f.spatial) for name, f in recorded.fields.items()}
        assert fields == {
            "density": (0, True),
            "velocity": (1, True),
            "wind": (1, True),
            "stress": (2, True),
            "gravity": (0, False),
            "energy": (0, False),
            "forcing": (0, False),
        }
        inputs = {name: (f.initial_of, f.order) for name, f in recorded.field_inputs.items()}
        assert inputs == {
            "mask": (None, 0),
            "depth": (None, 0),
            "profile": (None, 0),
            "density0": ("density", 0),
            "velocity0": ("velocity", 1),
            "wind0": ("wind", 1),
            "stress0": ("stress", 2),
        }
        assert recorded.parameters["nu"].sampling == pytest.approx((0.1, 10.0))
        assert recorded.parameters["nu"].scale == "log"
        assert recorded.parameters["alpha"].scale == "linear"
        np.testing.assert_allclose(recorded.times, TIMES)
        x, y = recorded.grid.axes
        assert (x.boundary, y.boundary) == (("periodic", "periodic"), ("open", "wall"))
        assert (x.interpolation, y.interpolation) == ("fourier", "spline")
        assert x.bounds == (0.0, 6.0)
        assert np.diff(y.points)[0] < 0.7 * np.diff(y.points)[3]
        assert [dataset.count(split) for split in SPLITS] == [7, 2, 2]
        assert len(dataset) == 11
        assert repr(dataset).endswith("made_up, train 7, valid 2, test 2)")

    @pytest.mark.parametrize("split", SPLITS)
    def test_the_numbers_are_those_of_the_files(self, well, split):
        root, full = well
        data = open_dataset(root).load(split)
        found = {**data.parameters, **data.field_inputs, **data.fields}
        assert set(found) == set(full[split])
        for name, values in found.items():
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, full[split][name], err_msg=name)

    def test_axes_with_a_single_entry(self, tmp_path):
        """As the loader of The Well needs what is constant along an axis of the grid."""
        full = foreign_files.write_well(tmp_path, single=True)
        data = open_dataset(tmp_path).load("train")
        for name, values in {**data.field_inputs, **data.fields}.items():
            np.testing.assert_array_equal(values, full["train"][name], err_msg=name)

    def test_a_part_of_a_part(self, well):
        root, full = well
        dataset = open_dataset(root)
        second = dataset.parts("train")[1]
        piece = dataset.read(second, slice(1, 4, 2), slice(1, None, 2))
        assert piece.indices.tolist() == [4, 6]
        np.testing.assert_array_equal(piece.fields["stress"], full["train"]["stress"][4:7:2, 1::2])
        np.testing.assert_array_equal(piece.fields["wind"], full["train"]["wind"][4:7:2, 1::2])
        np.testing.assert_array_equal(piece.field_inputs["depth"], full["train"]["depth"][4:7:2])
        np.testing.assert_array_equal(piece.parameters["nu"], [10, 10])
        nothing = dataset.read(second, slice(0), slice(2))
        assert len(nothing) == 0
        assert nothing.fields["stress"].shape == (0, 2, X, Y, 2, 2)
        assert nothing.field_inputs["depth"].shape == (0, X, Y)

    def test_large_files_are_read_in_pieces(self, well, monkeypatch):
        root, full = well
        whole = open_dataset(root)
        monkeypatch.setattr(foreign, "PART_BYTES", 2 * layout.trajectory_bytes(whole.simulation))
        dataset = open_dataset(root)
        assert [len(part) for part in dataset.parts("train")] == [2, 1, 2, 2]
        assert dataset.shards("train") == whole.shards("train")
        data = dataset.load("train")
        assert data.indices.tolist() == list(range(7))
        for name in ("velocity", "energy"):
            np.testing.assert_array_equal(data.fields[name], full["train"][name])
        np.testing.assert_array_equal(data.parameters["alpha"], full["train"]["alpha"])
        np.testing.assert_array_equal(data.field_inputs["depth"], full["train"]["depth"])
        np.testing.assert_array_equal(dataset.inputs(6)["depth"], full["train"]["depth"][6])
        for kind in ("value", "delta"):
            for mine, other in zip(
                moments_of(dataset, "stress", kind), moments_of(whole, "stress", kind), strict=True
            ):
                np.testing.assert_allclose(mine, other, rtol=1e-6)

    def test_an_open_part(self, well):
        root, full = well
        dataset = open_dataset(root)
        with dataset.open_part(dataset.parts("train")[1]) as part:
            out = np.empty((2, X, Y, 2), np.float32)
            part.read("velocity", out, 2, slice(0, 4, 3))
            np.testing.assert_array_equal(out, full["train"]["velocity"][5, ::3])
            constant = np.empty((X, Y), np.float32)
            part.read("profile", constant, 0)
            np.testing.assert_array_equal(constant, full["train"]["profile"][3])
            for name in ("sample", "alpha", "energy", "mask", "stress"):
                assert part.shape(name) == part.whole(name).shape

    def test_strides(self, well):
        root, full = well
        dataset = open_dataset(root, time_stride=2, space_stride=3)
        assert dataset.simulation.grid.shape == (4, 3)
        assert dataset.simulation.grid.axes[0].bounds == (0.0, 6.0)
        np.testing.assert_allclose(dataset.simulation.times, TIMES[::2])
        data = dataset.load("train")
        for name in ("velocity", "stress"):
            np.testing.assert_array_equal(
                data.fields[name], full["train"][name][:, ::2, ::3, ::3], err_msg=name
            )
        np.testing.assert_array_equal(
            data.field_inputs["profile"], full["train"]["profile"][:, ::3, ::3]
        )
        np.testing.assert_array_equal(data.fields["energy"], full["train"]["energy"][:, ::2])
        piece = dataset.read(dataset.parts("train")[0], slice(2, 3), slice(1, 2))
        np.testing.assert_array_equal(
            piece.fields["velocity"], full["train"]["velocity"][2:3, 2:3, ::3, ::3]
        )

    def test_moments_in_one_pass(self, well, monkeypatch):
        root, full = well
        monkeypatch.setattr(foreign, "BLOCK_BYTES", 4 * X * Y * 3)  # three frames at a time
        dataset = open_dataset(root)
        for name in (*dataset.simulation.fields, *foreign_files.CONSTANT):
            values = full["train"][name].astype(np.float64)
            order = {"velocity": 1, "wind": 1, "stress": 2}.get(name, 0)
            axes = tuple(range(values.ndim - order))
            mean, deviation = moments_of(dataset, name, "value")
            np.testing.assert_allclose(mean, values.mean(axes), rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(deviation, values.std(axes), rtol=1e-6)
            if name not in foreign_files.CONSTANT:
                change = np.diff(full["train"][name], axis=1).astype(np.float64)
                mean, deviation = moments_of(dataset, name, "delta")
                np.testing.assert_allclose(mean, change.mean(axes), rtol=1e-6, atol=1e-9)
                np.testing.assert_allclose(deviation, change.std(axes), rtol=1e-6)
        assert all("moments" not in record for record in dataset.records("valid"))

    def test_moments_are_kept_until_a_file_changes(self, tmp_path, cache, monkeypatch):
        foreign_files.write_well(tmp_path)
        first = list(open_dataset(tmp_path).records("train"))
        assert len(list((cache / "moments").iterdir())) == 1
        with monkeypatch.context() as patch:
            patch.delattr(foreign, "_variable_moments")
            assert list(open_dataset(tmp_path).records("train")) == first
        path = tmp_path / "data" / "train" / "made_up_nu_0.1.hdf5"
        with h5py.File(path, "a") as file:
            file["t0_fields/density"][0] += 1
        status = path.stat()
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        assert list(open_dataset(tmp_path).records("train")) != first

    def test_a_damaged_cache_is_made_again(self, well, cache):
        first = list(open_dataset(well[0]).records("train"))
        (kept,) = (cache / "moments").iterdir()
        for content in ("", "{}", "[1, 2]", '[{"density": {}}, {}]'):
            kept.write_text(content)
            assert list(open_dataset(well[0]).records("train")) == first

    def test_its_own_statistics_are_used(self, tmp_path, monkeypatch):
        full = foreign_files.write_well(tmp_path, statistics=True)
        computed = []
        original = foreign._variable_moments

        def counted(opened, name, simulation):
            computed.append(name)
            return original(opened, name, simulation)

        monkeypatch.setattr(foreign, "_variable_moments", counted)
        dataset = open_dataset(tmp_path)
        for name in ("density", "stress", "depth", "gravity"):
            values = full["train"][name].astype(np.float64)
            axes = tuple(range(values.ndim - 2 * (name == "stress")))
            mean, deviation = moments_of(dataset, name, "value")
            np.testing.assert_allclose(mean, values.mean(axes), atol=1e-12)
            np.testing.assert_allclose(deviation, values.std(axes))
        assert set(computed) == {"energy", "forcing"}
        (tmp_path / "stats.yaml").unlink()
        for mine, other in zip(
            dataset.records("train"), open_dataset(tmp_path).records("train"), strict=True
        ):
            for name, kinds in other["moments"].items():
                assert {k: m["count"] for k, m in kinds.items()} == {
                    k: m["count"] for k, m in mine["moments"][name].items()
                }

    def test_a_parameter_that_is_negative_elsewhere(self, tmp_path):
        for split, nu in (("train", (0.1, 10.0)), ("valid", (-1.0,))):
            for value in nu:
                path = tmp_path / "data" / split / f"{value}.hdf5"
                foreign_files.write_well_file(path, 2, value, 0)
        declared = open_dataset(tmp_path).simulation.parameters["nu"]
        assert (declared.scale, declared.sampling) == ("linear", pytest.approx((0.1, 10.0)))

    def test_times_that_differ(self, tmp_path):
        times = np.linspace(0, 1, T) * np.array([1.0, 2.0, 3.0])[:, None]
        foreign_files.write_well_file(tmp_path / "data/train/a.hdf5", 3, 0.1, 0, times=times)
        foreign_files.write_well_file(tmp_path / "data/valid/b.hdf5", 2, 0.1, 1)
        dataset = open_dataset(tmp_path)
        assert dataset.simulation.times.shape == (T,)
        np.testing.assert_allclose(
            dataset.load("train").parameters["time_step"], np.array([1, 2, 3]) / (T - 1)
        )
        np.testing.assert_allclose(dataset.load("valid").parameters["time_step"], 1.5 / (T - 1))

    def test_trajectories_of_different_lengths(self, tmp_path):
        longer = np.arange(T + 2) * TIMES[1]
        full = foreign_files.write_well_file(
            tmp_path / "data/train/a.hdf5", 2, 0.1, 0, times=longer
        )
        foreign_files.write_well_file(tmp_path / "data/valid/b.hdf5", 2, 0.1, 1)
        with pytest.warns(UserWarning, match="of each, 4 times are read"):
            dataset = open_dataset(tmp_path)
        np.testing.assert_array_equal(
            dataset.load("train").fields["velocity"], full["velocity"][:, :T]
        )

    def test_boundaries_on_which_files_disagree_are_open(self, tmp_path):
        foreign_files.write_well_file(tmp_path / "data/train/a.hdf5", 2, 0.1, 0)
        foreign_files.write_well_file(
            tmp_path / "data/train/b.hdf5", 2, 0.1, 0, bc=("WALL", "WALL")
        )
        x, y = open_dataset(tmp_path).simulation.grid.axes
        assert x.boundary == ("open", "open")
        assert y.boundary == ("open", "wall")

    def test_what_this_library_writes_is_read_the_same_way(self, generate_here, tmp_path):
        from tests.toy import Toy

        ours = generate_here(Toy(n_times=3), 12, tmp_path / "toy")
        (tmp_path / "toy" / "dataset.json").rename(tmp_path / "dataset.json")
        theirs = open_dataset(tmp_path / "toy")
        for split in SPLITS:
            a, b = ours.load(split), theirs.load(split)
            for name in ("kappa", "offset"):
                np.testing.assert_array_equal(a.parameters[name], b.parameters[name])
            np.testing.assert_array_equal(a.field_inputs["source"], b.field_inputs["source"])
            for name in ("theta", "flux", "load", "power"):
                np.testing.assert_array_equal(a.fields[name], b.fields[name])
        for name in ("theta", "load", "power", "source"):
            for kind in ("value", "delta"):
                if name == "source" and kind == "delta":
                    continue
                for mine, other in zip(
                    moments_of(ours, name, kind), moments_of(theirs, name, kind), strict=True
                ):
                    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7)


class TestBadWells:
    @pytest.fixture
    def path(self, tmp_path):
        foreign_files.write_well_file(tmp_path / "data/train/a.hdf5", 2, 0.1, 0)
        return tmp_path / "data/train/a.hdf5"

    @pytest.mark.parametrize(
        ("damage", "complaint"),
        [
            (lambda f: f.__delitem__("t2_fields"), "not a file of The Well .*t2_fields"),
            (lambda f: f.__delitem__("dimensions/time"), "not a file of The Well"),
            (lambda f: f.attrs.__delitem__("n_trajectories"), "not a file of The Well"),
            (
                lambda f: f["t0_fields"].attrs.__setitem__("field_names", ["no"]),
                "not a file of The",
            ),
            (
                lambda f: f["t0_fields/density"].attrs.__setitem__("sample_varying", False),
                r"density has shape \(2, 4, 12, 8\); its flags say that its axes are",
            ),
            (
                lambda f: f["boundary_conditions/x_periodic"].attrs.__setitem__("bc_type", "MAGIC"),
                "bc_type='magic' must be one of",
            ),
            (
                lambda f: f["scalars/nu"].__setitem__((), np.nan),
                "nu must be one finite number or 2",
            ),
            (lambda f: f.attrs.__setitem__("n_trajectories", 5), "alpha must be one finite number"),
        ],
    )
    def test_not_of_the_format(self, path, damage, complaint):
        with h5py.File(path, "a") as file:
            damage(file)
        with pytest.raises(DatasetError, match=complaint) as caught:
            open_dataset(path.parents[2])
        assert str(path) in str(caught.value)

    def test_a_variable_of_another_size(self, path):
        with h5py.File(path, "a") as file:
            del file["t1_fields/velocity"]
            velocity = file.create_dataset("t1_fields/velocity", (2, T, X, Y + 1, 2), "f4")
            foreign_files.flags(velocity, True, True, True, True)
        with pytest.raises(DatasetError, match=r"velocity has shape \(2, 4, 12, 9, 2\)"):
            open_dataset(path.parents[2]).load("train")

    def test_of_another_dataset(self, path):
        foreign_files.write_well_file(path.with_name("b.hdf5"), 2, 0.1, 0, name="another")
        with pytest.raises(
            DatasetError, match=r"b.hdf5: dataset_name is another, but made_up in a"
        ):
            open_dataset(path.parents[2])

    def test_numbers_that_are_not_finite(self, path):
        with h5py.File(path, "a") as file:
            file["t0_fields/density"][1, 2, 3, 4] = np.inf
        with pytest.raises(DatasetError, match=r"a.hdf5: density has values that are not finite"):
            list(open_dataset(path.parents[2]).records("train"))

    def test_a_hostile_file(self, path):
        with h5py.File(path, "a") as file:
            file["t0_fields/more"] = h5py.ExternalLink("other.hdf5", "u")
        with pytest.raises(UnsafeFile, match="/t0_fields/more: an external link is not allowed"):
            open_dataset(path.parents[2])

    def test_nothing_there(self, tmp_path):
        (tmp_path / "data" / "train").mkdir(parents=True)
        with pytest.raises(DatasetError, match="there are no HDF5 files in data/train"):
            open_dataset(tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(DatasetError, match=r"there is no dataset.json, no data/train, no HDF5"):
            open_dataset(tmp_path / "empty")
        with pytest.raises(DatasetError, match="there is no such dataset"):
            open_dataset(tmp_path / "missing")

    def test_arguments(self, path, tmp_path):
        root = path.parents[2]
        for wrong in ({"splits": (0.5, 0.25, 0.25)}, {"boundary": "periodic"}):
            with pytest.raises(
                ValueError, match="is a dataset of The Well, which does not take it"
            ):
                open_dataset(root, **wrong)
        with pytest.raises(InvalidInput, match="time_stride=0: must be an integer"):
            open_dataset(root, time_stride=0)
        foreign_files.write_tensor(tmp_path / "a.hdf5")
        with pytest.raises(ValueError, match="boundary='wet': must be periodic, wall or open"):
            open_dataset(tmp_path / "a.hdf5", boundary="wet")
        with pytest.raises(ValueError, match=r"splits=\(1, 1, 1\): must be three fractions"):
            open_dataset(tmp_path / "a.hdf5", splits=(1, 1, 1))


WRITERS = {
    "tensor": foreign_files.write_tensor,
    "compressible": foreign_files.write_compressible,
    "darcy": foreign_files.write_darcy,
    "groups": foreign_files.write_groups,
    "incompressible": foreign_files.write_incompressible,
}


class TestPDEBench:
    @pytest.mark.parametrize("kind", WRITERS)
    def test_the_numbers_are_those_of_the_file(self, tmp_path, kind):
        full = WRITERS[kind](tmp_path / "a.hdf5")
        dataset = open_dataset(tmp_path / "a.hdf5")
        n = len(next(iter(full.values())))
        ends = {20: (16, 18, 20), 4: (3, 4, 4)}[n]
        for split, start, stop in zip(SPLITS, (0, *ends), ends, strict=False):
            assert dataset.count(split) == stop - start
            if start == stop:
                continue
            data = dataset.load(split)
            found = {**data.field_inputs, **data.fields}
            assert set(found) == set(full)
            assert data.indices.tolist() == list(range(start, stop))
            for name, values in found.items():
                np.testing.assert_array_equal(values, full[name][start:stop], err_msg=name)

    def test_declarations(self, tmp_path):
        foreign_files.write_tensor(tmp_path / "a.hdf5")
        recorded = open_dataset(tmp_path / "a.hdf5", boundary="periodic").simulation
        assert recorded.grid.periodic == (True,)
        assert recorded.grid.axes[0].bounds == pytest.approx((1 / 24, 1 + 1 / 24), abs=1e-6)
        np.testing.assert_allclose(recorded.times, [0, 0.5, 1.0, 1.5])
        assert recorded.parameters["Nu"].sampling == (0.01, 0.01)
        assert list(recorded.field_inputs) == ["tensor0"]
        foreign_files.write_darcy(tmp_path / "b.hdf5")
        steady = open_dataset(tmp_path / "b.hdf5").simulation
        assert list(steady.field_inputs) == ["nu"]
        assert steady.times.size == 1
        assert steady.grid.axes[1].bounds == pytest.approx((0, 1))

    def test_resolutions_of_published_baselines(self, tmp_path):
        full = foreign_files.write_compressible(tmp_path / "a.hdf5")
        dataset = open_dataset(tmp_path / "a.hdf5", time_stride=3, space_stride=2)
        found = dataset.load("valid").fields["Vy"]
        np.testing.assert_array_equal(found, full["Vy"][16:18, ::3, ::2, ::2])
        assert dataset.simulation.grid.shape == (X // 2, Y // 2)
        np.testing.assert_allclose(dataset.simulation.times, [0, 0.75])

    def test_other_splits(self, tmp_path):
        foreign_files.write_groups(tmp_path / "a.h5", n=10)
        dataset = open_dataset(tmp_path / "a.h5", splits=(0.5, 0.2, 0.3))
        assert [dataset.count(split) for split in SPLITS] == [5, 2, 3]
        assert dataset.load("test").indices.tolist() == [7, 8, 9]

    def test_files_that_differ_in_a_parameter(self, tmp_path):
        a = foreign_files.write_tensor(tmp_path / "Nu0.01.hdf5", 10, 0.01, 1)
        b = foreign_files.write_tensor(tmp_path / "Nu1.0.hdf5", 10, 1.0, 2)
        dataset = open_dataset(tmp_path)
        assert dataset.simulation.parameters["Nu"].sampling == (0.01, 1.0)
        data = dataset.load("valid")
        np.testing.assert_array_equal(
            data.fields["tensor"], np.stack([a["tensor"][8], b["tensor"][8]])
        )
        np.testing.assert_allclose(data.parameters["Nu"], [0.01, 1.0])
        assert data.indices.tolist() == [8, 18]

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            ({"a": np.zeros(3)}, r"of no layout of PDEBench: has \['a'\]"),
            ({"x-coordinate": np.zeros(3)}, r"has no field \(sample, time, x\)"),
            (
                {"x-coordinate": np.zeros(3), "u": np.zeros((2, 3, 3, 3))},
                r"u has shape \(2, 3, 3, 3\); expected \(sample, time, x\)",
            ),
            ({"0000/data": np.zeros((3, 4, 1))}, "of no layout of PDEBench"),
            (
                {"0000/data": np.zeros((3, 4, 4, 1)), "0000/grid/x": np.zeros(4)},
                r"/0000/data has shape \(3, 4, 4, 1\); expected \(time, x, channel\)",
            ),
        ],
    )
    def test_other_files(self, tmp_path, content, complaint):
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            for name, values in content.items():
                file[name] = values
        with pytest.raises(DatasetError, match=complaint):
            open_dataset(tmp_path / "a.hdf5")

    def test_a_trajectory_of_another_size(self, tmp_path):
        foreign_files.write_groups(tmp_path / "a.h5", n=5)
        with h5py.File(tmp_path / "a.h5", "a") as file:
            del file["0003/data"]
            file["0003/data"] = np.zeros((T, X, Y + 1, 2), "f4")
        with pytest.raises(DatasetError, match=r"a.h5: data0 is not readable"):
            open_dataset(tmp_path / "a.h5").load("train")


class TestRecorded:
    @pytest.fixture
    def dataset(self, tmp_path):
        foreign_files.write_tensor(tmp_path / "a.hdf5")
        return open_dataset(tmp_path / "a.hdf5")

    def test_is_rebuilt_from_its_settings(self, dataset):
        recorded = dataset.simulation
        again = simulations.make("Recorded", json.loads(json.dumps(recorded.settings)))
        assert again == recorded
        assert hash(again) == hash(recorded)
        assert again.grid.shape == recorded.grid.shape
        assert "Recorded" not in simulations.catalogue()

    def test_cannot_be_run(self, dataset):
        recorded = dataset.simulation
        values = {"tensor0": np.zeros(X), "Nu": 0.01}
        for run in (
            lambda: recorded.solve(values),
            lambda: recorded(**values),
            lambda: recorded.rescaled(2),
            lambda: recorded.sample(np.random.default_rng()),
        ):
            with pytest.raises(InvalidInput, match="a: recorded data"):
                run()
        with pytest.raises(InvalidInput, match=r"lacks \['tensor0'\], which recorded data cannot"):
            recorded(seed=0)
        with pytest.raises(InvalidInput, match="a: recorded data"):
            simulations.generate(recorded, 3, dataset.path.with_name("d"), progress=False)

    def test_inputs_of_a_trajectory(self, dataset):
        inputs = dataset.inputs(17)
        assert inputs["Nu"] == pytest.approx(0.01)
        np.testing.assert_array_equal(
            inputs["tensor0"], dataset.load("valid").fields["tensor"][1, 0]
        )
        with pytest.raises(ValueError, match="index=20: there are trajectories 0 to 19"):
            dataset.inputs(20)

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"times": []}, "times must be finite numbers, at least one"),
            ({"times": [0, float("nan")]}, "times must be finite"),
            ({"fields": {}}, "has no fields"),
            ({"fields": {"u": {"order": 3, "spatial": True}}}, "order=3 must be 0, 1 or 2"),
            ({"axes": "x"}, "not one of recorded data"),
            ({"axes": [{}] * 4}, "not one of recorded data"),
            ({"parameters": {"a": {"range": [2, 1], "scale": "linear"}}}, "must be finite, asc"),
            ({"parameters": {"a": {"range": [0, 1], "scale": "log"}}}, "must be positive"),
            (
                {"parameters": {"time": {"range": [0, 1], "scale": "linear"}}},
                r"\['time'\] are used",
            ),
            ({"fields": {f"u{i}": {} for i in range(1001)}}, "has 1001 fields, at most 1000"),
        ],
    )
    def test_declarations_that_are_none(self, dataset, change, complaint):
        declaration = {**dataset.simulation.declaration, **change}
        with pytest.raises(InvalidInput, match=complaint):
            Recorded(declaration)
        for settings in ({}, {"declaration": None}, {"n": 3}):
            with pytest.raises(InvalidInput):
                simulations.make("Recorded", settings)


class TestXarray:
    """Blocks that are read when they are needed."""

    def test_of_others(self, well):
        pytest.importorskip("dask")
        dataset = open_dataset(well[0])
        eager = dataset.to_xarray("train")
        lazy = dataset.to_xarray("train", chunks={"sample": 2, "time": 3})
        assert lazy["stress"].chunks[:2] == ((2, 1, 2, 2), (3, 1))
        xarray.testing.assert_identical(lazy.load(), eager)
        np.testing.assert_array_equal(eager["velocity"], well[1]["train"]["velocity"])
        assert eager["gravity"].dims == ("sample", "time")

    def test_of_our_own(self, generate_here, tmp_path):
        pytest.importorskip("dask")
        from tests.toy import Toy

        dataset = generate_here(Toy(n_times=3), 30, tmp_path)
        eager = dataset.to_xarray("train")
        for chunks in ({}, "auto", {"sample": 1, "x": 5}):
            lazy = dataset.to_xarray("train", chunks=chunks)
            xarray.testing.assert_identical(lazy.compute(), eager)

    def test_reads_no_more_than_it_needs(self, well, monkeypatch):
        pytest.importorskip("dask")
        dataset = open_dataset(well[0])
        lazy = dataset.to_xarray("train", chunks={"sample": 1})
        asked = []
        original = type(dataset).read_variable

        def counted(self, part, name, key):
            asked.append((name, key[0]))
            return original(self, part, name, key)

        monkeypatch.setattr(type(dataset), "read_variable", counted)
        lazy["density"][5, 2].compute()
        assert [name for name, _ in asked] == ["density"]
        assert asked[0][1] == slice(2, 3)

    def test_chunks_that_are_none(self, well):
        pytest.importorskip("dask")
        dataset = open_dataset(well[0])
        with pytest.raises(ValueError, match="no such dimension as z"):
            dataset.to_xarray("train", chunks={"z": 1})
        with pytest.raises(ValueError, match="chunks='some': must be sizes by dimension"):
            dataset.to_xarray("train", chunks="some")


@pytest.mark.filterwarnings("ignore::surrogate.OutOfDomainWarning")
@pytest.mark.parametrize("kind", ["well", *WRITERS])
def test_training_on_it(kind, well, tmp_path):
    """Two epochs, saved, loaded, asked: as with our own data."""
    if kind == "well":
        path = shutil.copytree(well[0], tmp_path / "well")
    else:
        path = tmp_path / "a.hdf5"
        WRITERS[kind](path)
    network = surrogate.FNO(modes=2, width=4, layers=1)
    emulator = surrogate.train(path, network, epochs=2, progress=False)
    assert emulator.training["epochs"] == 2
    assert emulator.training["history"][1]["train"] < emulator.training["history"][0]["train"]
    emulator.save(tmp_path / "saved")
    again = surrogate.load(tmp_path / "saved")
    assert again.simulation == emulator.simulation

    dataset = open_dataset(path)
    data = dataset.load("valid")
    inputs = dict(data.parameters)
    for name, declared in dataset.simulation.field_inputs.items():
        initial = declared.initial_of
        inputs[name] = data.fields[initial][:, 0] if initial else data.field_inputs[name]
    answer, expected = again.predict(**inputs), emulator.predict(**inputs)
    for name, values in data.fields.items():
        assert answer[name].shape == values.shape
        np.testing.assert_array_equal(answer[name], expected[name])
    one = again(**{name: values[0] for name, values in inputs.items()})
    for name in data.fields:
        np.testing.assert_allclose(one[name], answer[name][0], rtol=1e-5, atol=1e-5)


def test_the_command_line_trains_on_it(tmp_path, capsys):
    from surrogate.cli import main

    foreign_files.write_tensor(tmp_path / "a.hdf5")
    arguments = [str(tmp_path / "a.hdf5"), "-o", str(tmp_path / "model"), "--epochs", "1"]
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments, "--network", "FNO", "--set", "modes=2", "--quiet", "--json"])
    assert ended.value.code == 0
    assert "tensor" in json.loads(capsys.readouterr().out)["test_relative_l2"]
    assert surrogate.load(tmp_path / "model").simulation.name == "a"
