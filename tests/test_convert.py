"""Other layouts, read back by the programs that they are meant for."""

import shutil
import subprocess

import h5py
import numpy as np
import pytest
import xarray

from simulations.datasets import DatasetError
from simulations.datasets.convert import convert
from simulations.systems import Heat
from surrogate import cli
from tests.toy import Toy

TOY = Toy(n_times=4)


@pytest.fixture(scope="module")
def made(generate_here, tmp_path_factory):
    path = tmp_path_factory.mktemp("convert") / "toy"
    return generate_here(TOY, 20, path, seed=2)


@pytest.fixture(scope="module")
def test_split(made):
    return made.load("test")


def leaf(output):
    """The grid in what a reader of collections hands out."""
    while hasattr(output, "GetBlock"):
        output = output.GetBlock(0)
    return output


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_netcdf(made, test_split, tmp_path, engine):
    for shard in made.shards("test"):
        convert(shard, "netcdf", tmp_path)
    for position, index in enumerate(test_split.indices):
        (path,) = tmp_path.glob(f"*-{index:012d}.nc")
        with xarray.open_dataset(path, engine=engine) as found:
            assert found["theta"].dims == ("time", "y", "x")
            assert found["theta"].attrs["units"] == "K"
            assert float(found["kappa"]) == test_split.parameters["kappa"][position]
            for name, values in {**test_split.fields, **test_split.field_inputs}.items():
                dims = ("time", "x", "y", "component", "component2")
                turned = found[name].transpose(*dims, missing_dims="ignore")
                assert np.array_equal(turned, values[position])


def test_netcdf_and_shards_open_in_the_tools_of_the_formats(made, tmp_path):
    if not (shutil.which("ncdump") and shutil.which("h5dump")):
        pytest.skip("needs ncdump and h5dump")
    path = convert(made.shards("test")[0], "netcdf", tmp_path)[0]
    header = subprocess.run(["ncdump", "-h", path], capture_output=True, text=True, check=True)
    assert "float theta(time, y, x)" in header.stdout
    dump = subprocess.run(["h5dump", "-H", path], capture_output=True, text=True, check=True)
    assert 'DATASET "theta"' in dump.stdout


def test_xdmf(made, test_split, tmp_path):
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    convert(made.path, "xdmf", tmp_path)
    reader = vtk.vtkXdmfReader()
    reader.SetFileName(str(tmp_path / f"test-{test_split.indices[1]:012d}.xdmf"))
    reader.UpdateInformation()
    reader.UpdateTimeStep(float(np.float32(TOY.times[2])))
    grid = leaf(reader.GetOutputDataObject(0))
    assert sorted(grid.GetDimensions()) == [1, 6, 12]
    data = grid.GetPointData()
    theta = vtk_to_numpy(data.GetArray("theta")).reshape(12, 6)
    assert np.array_equal(theta, test_split.fields["theta"][1, 2])
    flux = vtk_to_numpy(data.GetArray("flux_y")).reshape(12, 6)
    assert np.array_equal(flux, test_split.fields["flux"][1, 2, ..., 1])
    load = vtk_to_numpy(data.GetArray("load_y_x")).reshape(12, 6)
    assert np.array_equal(load, test_split.fields["load"][1, 2, ..., 1, 0])
    source = vtk_to_numpy(data.GetArray("source")).reshape(12, 6)
    assert np.array_equal(source, test_split.field_inputs["source"][1])
    x = vtk_to_numpy(grid.GetYCoordinates())
    np.testing.assert_allclose(x, TOY.grid.axes[0].points, rtol=1e-6)


def test_vtkhdf(made, test_split, tmp_path):
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    convert(made.path, "vtkhdf", tmp_path)
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(tmp_path / f"test-{test_split.indices[1]:012d}.vtkhdf"))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 4
    reader.SetStep(2)
    reader.Update()
    image = reader.GetOutputDataObject(0)
    assert image.GetDimensions() == (12, 6, 1)
    np.testing.assert_allclose(image.GetSpacing()[:2], (2 / 12, 1 / 6), rtol=1e-6)
    data = image.GetPointData()
    theta = vtk_to_numpy(data.GetArray("theta")).reshape(6, 12)
    assert np.array_equal(theta.T, test_split.fields["theta"][1, 2])
    flux = vtk_to_numpy(data.GetArray("flux")).reshape(6, 12, 2)
    assert np.array_equal(np.moveaxis(flux, 0, 1), test_split.fields["flux"][1, 2])
    source = vtk_to_numpy(data.GetArray("source")).reshape(6, 12)
    assert np.array_equal(source.T, test_split.field_inputs["source"][1])


def test_parquet(made, test_split, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    convert(made.path, "parquet", tmp_path)
    table = parquet.read_table(tmp_path / "test.parquet")
    assert table["index"].to_pylist() == test_split.indices.tolist()
    assert np.array_equal(table["kappa"].to_numpy(), test_split.parameters["kappa"])
    assert np.array_equal(table["power"].to_pylist(), test_split.fields["power"])


def test_parquet_without_its_package(made, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(RuntimeError, match="parquet needs pyarrow: pip install"):
        convert(made.path, "parquet", tmp_path)


def test_pdebench(made, tmp_path):
    data = made.load("train")
    convert(made.path, "pdebench", tmp_path)
    with h5py.File(tmp_path / "train_pdebench.hdf5") as file:
        assert np.array_equal(file["theta"][:], data.fields["theta"])
        assert np.array_equal(file["flux_y"][:], data.fields["flux"][..., 1])
        assert np.array_equal(file["load_xy"][:], data.fields["load"][..., 0, 1])
        assert np.array_equal(file["source"][:], data.field_inputs["source"])
        assert np.array_equal(file["parameter_kappa"][:], data.parameters["kappa"])
        np.testing.assert_allclose(file["x-coordinate"], TOY.grid.axes[0].points, rtol=1e-6)
        assert file["t-coordinate"].shape == (TOY.times.size + 1,)


def test_a_scalar_on_an_interval_is_the_tensor_of_pdebench(generate_here, tmp_path):
    data = generate_here(Heat(ndim=1, n=16, n_times=3), 4, tmp_path / "heat")
    convert(data.path, "pdebench", tmp_path / "out")
    with h5py.File(tmp_path / "out" / "train_pdebench.hdf5") as file:
        assert np.array_equal(file["tensor"][:], data.load("train").fields["u"])


@pytest.mark.parametrize("to", ["netcdf", "xdmf", "vtkhdf", "pdebench"])
def test_nothing_is_overwritten(made, tmp_path, to):
    first = convert(made.shards("test")[0], to, tmp_path)
    before = {path: path.read_bytes() for path in first}
    with pytest.raises(DatasetError, match="exists; choose another folder"):
        convert(made.shards("test")[0], to, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bad_arguments(made, tmp_path, capsys):
    with pytest.raises(DatasetError, match=r"to='xls': must be one of \['netcdf'"):
        convert(made.path, "xls", tmp_path)
    (tmp_path / "broken.hdf5").write_text("nothing")
    for to in ("netcdf", "xdmf", "vtkhdf", "pdebench"):
        with pytest.raises(DatasetError, match=r"broken\.hdf5: not readable as HDF5"):
            convert(tmp_path / "broken.hdf5", to, tmp_path / "out")
    with pytest.raises(SystemExit) as ended:
        cli.main(["convert", str(made.path), "--to", "netcdf", "-o", str(tmp_path / "cli")])
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("20 files in ")
