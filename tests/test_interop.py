"""Clients of the file format, each in an environment of its own: ``pytest -m interop``.

The Well's loader pins an old fsspec, so that it is run with the interpreter that the environment
variable ``PHYSURROGATE_WELL_PYTHON`` names: ``pip install torch the-well==1.2.0`` into an
environment made for it.
"""

import os
import subprocess

import numpy as np
import pytest
import yaml

import simulations
from tests import foreign_files
from tests.toy import Toy

pytestmark = pytest.mark.interop

TOY = Toy(n_times=6)
N = 30

# Reads the folder with The Well's own classes and saves what they hand out
READ_WITH_THE_WELL = """
import sys
import numpy as np
from torch.utils.data import DataLoader
from the_well.data import WellDataset
from the_well.data.normalization import RMSNormalization, ZScoreNormalization

root, out = sys.argv[1:]
found = {}
for split in ("train", "valid", "test"):
    data = WellDataset(path=root, well_split_name=split, n_steps_input=2, n_steps_output=1)
    found[f"{split}_windows"] = len(data)
    found[f"{split}_trajectories"] = sum(data.metadata.n_trajectories_per_file)
data = WellDataset(path=root, well_split_name="train", n_steps_input=2, n_steps_output=1)
metadata = data.metadata
found["name"] = metadata.dataset_name
found["shape"] = metadata.spatial_resolution
found["fields"] = [name for names in metadata.field_names.values() for name in names]
found["constant_fields"] = metadata.constant_field_names[0]
found["scalars"] = metadata.scalar_names
found["constant_scalars"] = metadata.constant_scalar_names
for index in (0, 1, len(data) - 1):
    for key, value in data[index].items():
        found[f"{index}_{key}"] = value
found["last"] = len(data) - 1
whole = WellDataset(path=root, well_split_name="test", full_trajectory_mode=True)
found["whole_output_fields"] = whole[0]["output_fields"]
for kind in (ZScoreNormalization, RMSNormalization):
    normalised = WellDataset(
        path=root, well_split_name="train", use_normalization=True, normalization_type=kind
    )
    found[f"normalised_{kind.__name__}"] = np.stack(
        [normalised[i]["input_fields"] for i in range(len(normalised))]
    )
for workers in (0, 2):
    loader = DataLoader(data, batch_size=4, num_workers=workers)
    found[f"batch_{workers}"] = next(iter(loader))["input_fields"]
found["xarray_theta"] = data.to_xarray("numpy")["theta"]
np.savez(out, **found)
"""


def interpreter(variable, package):
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"set {variable} to the interpreter of an environment with {package}")
    return python


@pytest.fixture(scope="module")
def made(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("well") / "toy"
    return generate_here(TOY, N, path, seed=5)


@pytest.fixture(scope="module")
def read_by_the_well(made, tmp_path_factory):
    python = interpreter("PHYSURROGATE_WELL_PYTHON", "the-well")
    out = tmp_path_factory.mktemp("read") / "found.npz"
    done = subprocess.run(
        [python, "-c", READ_WITH_THE_WELL, str(made.path), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return np.load(out)


def channels(data):
    """Scalars, vector and tensor components side by side, as The Well lays them out."""
    parts = []
    for name in ("theta", "flux", "load"):
        values = data.fields[name]
        parts.append(values.reshape(*values.shape[: 2 + TOY.grid.ndim], -1))
    return np.concatenate(parts, axis=-1)


def test_the_well_counts_the_same_trajectories_and_windows(made, read_by_the_well):
    windows = TOY.times.size - 3 + 1
    for split in ("train", "valid", "test"):
        assert read_by_the_well[f"{split}_trajectories"] == made.count(split)
        assert read_by_the_well[f"{split}_windows"] == made.count(split) * windows


def test_the_well_knows_the_names(read_by_the_well):
    found = read_by_the_well
    assert found["name"] == "Toy"
    assert found["shape"].tolist() == list(TOY.grid.shape)
    vector = [f"flux_{i}" for i in "xy"]
    tensor = [f"load_{i}{j}" for i in "xy" for j in "xy"]
    assert found["fields"].tolist() == ["theta", *vector, *tensor]
    assert found["constant_fields"].tolist() == ["source"]
    assert found["scalars"].tolist() == ["power"]
    assert found["constant_scalars"].tolist() == ["kappa", "offset"]


def test_the_well_reads_the_same_numbers(made, read_by_the_well):
    found, data = read_by_the_well, made.load("train")
    fields = channels(data)
    last = int(found["last"])
    for index, (sample, start) in {0: (0, 0), 1: (0, 1), last: (-1, 3)}.items():
        inputs, outputs = slice(start, start + 2), slice(start + 2, start + 3)
        assert np.array_equal(found[f"{index}_input_fields"], fields[sample, inputs])
        assert np.array_equal(found[f"{index}_output_fields"], fields[sample, outputs])
        power = data.fields["power"][sample]
        assert np.array_equal(found[f"{index}_input_scalars"][:, 0], power[inputs])
        assert np.array_equal(found[f"{index}_output_scalars"][:, 0], power[outputs])
        constants = [data.parameters[name][sample] for name in ("kappa", "offset")]
        assert np.array_equal(found[f"{index}_constant_scalars"], constants)
        source = data.field_inputs["source"][sample]
        assert np.array_equal(found[f"{index}_constant_fields"][..., 0], source)
    test = channels(made.load("test"))
    assert np.array_equal(found["whole_output_fields"], test[0, 1:])
    assert np.array_equal(found["xarray_theta"], data.fields["theta"])
    for workers in (0, 2):
        assert np.array_equal(found[f"batch_{workers}"], [fields[0, i : i + 2] for i in range(4)])


def test_the_well_reads_grid_and_boundaries(read_by_the_well):
    wall, open_, periodic = 0, 1, 2
    sides = [[periodic, periodic], [wall, open_]]
    assert read_by_the_well["0_boundary_conditions"].tolist() == sides
    mesh = np.stack(np.meshgrid(*(axis.points for axis in TOY.grid.axes), indexing="ij"), -1)
    np.testing.assert_allclose(read_by_the_well["0_space_grid"], mesh, rtol=1e-6)
    np.testing.assert_allclose(read_by_the_well["0_input_time_grid"], TOY.times[:2], rtol=1e-6)


def test_the_well_normalises_with_our_statistics(made, read_by_the_well):
    """Windows of one step leave out the last frame, of which the statistics know."""
    fields = channels(made.load("train")).astype(np.float64)
    statistics = yaml.safe_load((made.path / "stats.yaml").read_text())
    flat = {
        kind: np.concatenate([np.ravel(statistics[kind][n]) for n in ("theta", "flux", "load")])
        for kind in ("mean", "std", "rms")
    }
    frames = fields[:, :-1].reshape(-1, 1, *fields.shape[2:])
    normalised = {"ZScore": (frames - flat["mean"]) / flat["std"], "RMS": frames / flat["rms"]}
    for kind, expected in normalised.items():
        found = read_by_the_well[f"normalised_{kind}Normalization"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    everything = (fields - flat["mean"]) / flat["std"]
    np.testing.assert_allclose(everything.mean(axis=(0, 1, 2, 3)), 0.0, atol=1e-6)
    np.testing.assert_allclose(everything.std(axis=(0, 1, 2, 3)), 1.0, rtol=1e-6)


# Whole trajectories of a dataset that we have not written
READ_ANOTHER_WITH_THE_WELL = """
import sys
import numpy as np
from the_well.data import WellDataset

root, out = sys.argv[1:]
found = {}
for split in ("train", "valid", "test"):
    data = WellDataset(path=root, well_split_name=split, full_trajectory_mode=True)
    for key in data[0]:
        found[f"{split}_{key}"] = np.stack([data[i][key] for i in range(len(data))])
np.savez(out, **found)
"""


def test_the_well_and_we_read_the_same_numbers_of_others(tmp_path):
    python = interpreter("PHYSURROGATE_WELL_PYTHON", "the-well")
    foreign_files.write_well(tmp_path / "made_up", single=True)
    done = subprocess.run(
        [python, "-c", READ_ANOTHER_WITH_THE_WELL, str(tmp_path / "made_up"), str(tmp_path / "f")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "f.npz")
    dataset = simulations.open_dataset(tmp_path / "made_up")
    grid = dataset.simulation.grid
    for split in simulations.datasets.SPLITS:
        ours = dataset.load(split)
        frames = np.concatenate(
            [theirs[f"{split}_input_fields"], theirs[f"{split}_output_fields"]], axis=1
        )
        n = len(ours)
        gravity = ours.fields["gravity"][:, :, None, None, None]
        fields = [
            ours.fields["density"][..., None],
            np.broadcast_to(gravity, (*frames.shape[:4], 1)),
        ]
        for name in ("velocity", "wind", "stress"):
            fields.append(ours.fields[name].reshape(*frames.shape[:4], -1))
        np.testing.assert_array_equal(np.concatenate(fields, axis=-1), frames)
        series = np.concatenate(
            [theirs[f"{split}_input_scalars"], theirs[f"{split}_output_scalars"]], axis=1
        )
        for column, name in enumerate(("energy", "forcing")):
            np.testing.assert_array_equal(ours.fields[name], series[..., column])
        for column, name in enumerate(("nu", "alpha")):
            constant = theirs[f"{split}_constant_scalars"].reshape(n, -1)
            np.testing.assert_array_equal(ours.parameters[name], constant[:, column])
        for column, name in enumerate(("mask", "depth", "profile")):
            constant = theirs[f"{split}_constant_fields"][..., column]
            np.testing.assert_array_equal(ours.field_inputs[name], constant)
        times = [theirs[f"{split}_input_time_grid"], theirs[f"{split}_output_time_grid"]]
        np.testing.assert_allclose(np.concatenate(times, axis=1)[0], dataset.simulation.times)
    codes = {"wall": 0, "open": 1, "periodic": 2}
    sides = [[codes[side] for side in axis.boundary] for axis in grid.axes]
    assert theirs["train_boundary_conditions"][0].tolist() == sides
    mesh = np.stack(np.meshgrid(*(axis.points for axis in grid.axes), indexing="ij"), -1)
    np.testing.assert_allclose(theirs["train_space_grid"][0], mesh, rtol=1e-6)
