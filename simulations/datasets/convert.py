"""The same numbers in other layouts: netCDF, XDMF, VTKHDF, Parquet, PDEBench's HDF5.

Axes of space come last first in netCDF and VTKHDF, as their readers expect; in XDMF, which points
into the shards, the first axis of a reader is our last one. Nothing that exists is overwritten.

References:
    XDMF Model and Format, version 2.
    VTKHDF file format, version 2: image data that change in time.
    Takamoto et al., PDEBench, NeurIPS 2022: the layout of its files.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from xml.sax.saxutils import quoteattr

import h5py
import numpy as np
import xarray

from simulations.datasets.layout import LIBRARY_VERSIONS, SPLITS, WELL_FLAGS
from simulations.datasets.publish import publish_text, published
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError, open_untrusted


def convert(source: str | Path, to: str, output: str | Path) -> list[Path]:
    """Write a dataset, or one of its shards, in another layout.

    Args:
        source: folder of a dataset, or a shard.
        to: ``netcdf``, ``xdmf``, ``vtkhdf`` (one file a trajectory), ``parquet`` (parameters and
            outputs without space) or ``pdebench`` (one file a split).
        output: folder, made if it does not exist.

    Returns:
        The files written.

    Raises:
        DatasetError: the source is no dataset, a file exists, or the layout cannot hold the data.
        RuntimeError: a package for the layout is not installed.
    """
    if to not in FORMATS:
        raise DatasetError(f"to={to!r}: must be one of {list(FORMATS)}")
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder}: is a file; choose another folder")
    splits = _shards(Path(source))
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for split, shards in splits.items():
        try:
            written += FORMATS[to](split, shards, folder)
        except (OSError, KeyError) as error:
            raise DatasetError(f"{split}: cannot be converted ({error})") from None
    return written


def _shards(source: Path) -> dict[str, list[Path]]:
    if source.is_file():
        return {source.stem: [source]}
    dataset = Dataset(source)
    splits = {split: shards for split in SPLITS if (shards := dataset.shards(split))}
    if not splits:
        raise DatasetError(f"{source}: holds no trajectories")
    return splits


@contextmanager
def _fresh(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path``, which must not exist."""
    if path.exists():
        raise DatasetError(f"{path}: exists; choose another folder")
    with published(path) as temporary:
        yield temporary


def _space(shard: Path) -> list[str]:
    with open_untrusted(shard) as file:
        return [str(name) for name in file["dimensions"].attrs["spatial_dims"]]


def _trajectories(shards: Sequence[Path]) -> Iterator[xarray.Dataset]:
    """One at a time, without the flags of The Well, which netCDF has no type for."""
    for shard in shards:
        with xarray.open_dataset(shard, engine="h5netcdf") as opened:
            for variable in opened.variables.values():
                for flag in WELL_FLAGS:
                    variable.attrs.pop(flag, None)
            for position in range(opened.sizes["sample"]):
                yield opened.isel(sample=position).load()


def _name(trajectory: xarray.Dataset) -> str:
    return f"{int(trajectory['sample']):012d}"


def _to_netcdf(split: str, shards: Sequence[Path], folder: Path) -> list[Path]:
    written = []
    space = _space(shards[0])
    for trajectory in _trajectories(shards):
        turned = trajectory.transpose("time", *space[::-1], ...)
        turned.attrs["n_trajectories"] = 1
        path = folder / f"{split}-{_name(trajectory)}.nc"
        with _fresh(path) as temporary:
            turned.to_netcdf(temporary, engine="h5netcdf")
        written.append(path)
    return written


def _to_xdmf(split: str, shards: Sequence[Path], folder: Path) -> list[Path]:
    """XML beside the shards: the numbers stay where they are."""
    written = []
    for shard in shards:
        with open_untrusted(shard) as file:
            space = [str(name) for name in file["dimensions"].attrs["spatial_dims"]]
            if not space:
                raise DatasetError(f"{shard}: has no space, of which XDMF could be a picture")
            where = Path(os.path.relpath(shard.resolve(), folder.resolve())).as_posix()
            for position, index in enumerate(file["sample"][:]):
                path = folder / f"{split}-{index:012d}.xdmf"
                if path.exists():
                    raise DatasetError(f"{path}: exists; choose another folder")
                grids = "".join(
                    _xdmf_grid(file, where, space, position, frame, time)
                    for frame, time in enumerate(file["time"][:])
                )
                publish_text(
                    path,
                    '<?xml version="1.0"?>\n<Xdmf Version="2.0"><Domain>\n'
                    '<Grid Name="trajectory" GridType="Collection" CollectionType="Temporal">\n'
                    f"{grids}</Grid>\n</Domain></Xdmf>\n",
                )
                written.append(path)
    return written


def _xdmf_grid(
    file: h5py.File, where: str, space: list[str], position: int, frame: int, time: float
) -> str:
    sizes = [file[name].size for name in space]
    pad = [1] * (3 - len(sizes))
    shape = " ".join(map(str, [*pad, *sizes]))
    axes = [_xdmf_axis(file, where, name) for name in reversed(space)]
    axes += ['<DataItem Dimensions="1" Format="XML">0</DataItem>'] * len(pad)
    lines = [
        f'<Grid Name="{frame}" GridType="Uniform"><Time Value="{time:.9g}"/>',
        f'<Topology TopologyType="3DRectMesh" Dimensions="{shape}"/>',
        f'<Geometry GeometryType="VXVYVZ">{"".join(axes)}</Geometry>',
    ]
    for group, order in (("t0_fields", 0), ("t1_fields", 1), ("t2_fields", 2)):
        for name in file[group].attrs["field_names"]:
            data = file[name]
            lead = [position, frame] if data.attrs["time_varying"] else [position]
            for component in product(range(len(space)), repeat=order):
                start = [*lead, *[0] * len(space), *component]
                count = [1] * len(lead) + sizes + [1] * order
                selection = " ".join(map(str, [*start, *[1] * len(start), *count]))
                label = "_".join([str(name), *(space[c] for c in component)])
                source = f"{where}:/{name}"
                lines.append(
                    f"<Attribute Name={quoteattr(label)} "
                    'AttributeType="Scalar" Center="Node">'
                    f'<DataItem ItemType="HyperSlab" Type="HyperSlab" Dimensions="{shape}">'
                    f'<DataItem Dimensions="3 {len(start)}" Format="XML">{selection}</DataItem>'
                    f'<DataItem Dimensions="{" ".join(map(str, data.shape))}" NumberType="Float" '
                    f'Precision="4" Format="HDF">{_text(source)}</DataItem>'
                    "</DataItem></Attribute>"
                )
    return "\n".join([*lines, "</Grid>\n"])


def _xdmf_axis(file: h5py.File, where: str, name: str) -> str:
    return (
        f'<DataItem Dimensions="{file[name].size}" NumberType="Float" Precision="4" '
        f'Format="HDF">{_text(f"{where}:/{name}")}</DataItem>'
    )


def _text(value: str) -> str:
    return quoteattr(value)[1:-1]


def _to_vtkhdf(split: str, shards: Sequence[Path], folder: Path) -> list[Path]:
    written = []
    space = _space(shards[0])
    for trajectory in _trajectories(shards):
        path = folder / f"{split}-{_name(trajectory)}.vtkhdf"
        origin, spacing, extent = [0.0] * 3, [1.0] * 3, [0] * 6
        for axis, name in enumerate(space):
            points = trajectory[name].values.astype(np.float64)
            steps = np.diff(points)
            if np.ptp(steps) > 1e-6 * np.abs(points).max():
                raise DatasetError(f"{name}: is not uniform, as VTKHDF's images are; use xdmf")
            origin[axis], spacing[axis] = points[0], steps.mean()
            extent[2 * axis + 1] = points.size - 1
        with (
            _fresh(path) as temporary,
            h5py.File(temporary, "w", libver=LIBRARY_VERSIONS) as file,
        ):
            root = file.create_group("VTKHDF")
            root.attrs["Version"] = (2, 0)
            root.attrs.create("Type", b"ImageData", dtype=h5py.string_dtype("ascii", 9))
            root.attrs.update(WholeExtent=extent, Origin=origin, Spacing=spacing)
            root.attrs["Direction"] = np.eye(3).ravel()
            steps_group = root.create_group("Steps")
            steps_group.attrs["NSteps"] = trajectory.sizes["time"]
            steps_group["Values"] = trajectory["time"].values.astype(np.float64)
            offsets = steps_group.create_group("PointDataOffsets")
            points_group = root.create_group("PointData")
            for label, values in trajectory.data_vars.items():
                name = str(label)
                if not set(space) <= set(values.dims):
                    continue
                turned = values.transpose(..., *space[::-1], *_components(values))
                array = turned.values.reshape(*turned.shape[: turned.ndim - _order(values)], -1)
                if _order(values) == 0:
                    array = array[..., 0]
                if "time" not in values.dims:
                    array = array[None]
                points_group[name] = array
                frames = np.arange(trajectory.sizes["time"])
                offsets[name] = frames if "time" in values.dims else 0 * frames
        written.append(path)
    return written


def _components(values: xarray.DataArray) -> list[str]:
    return [str(dim) for dim in values.dims if str(dim).startswith("component")]


def _order(values: xarray.DataArray) -> int:
    return len(_components(values))


def _to_parquet(split: str, shards: Sequence[Path], folder: Path) -> list[Path]:
    """One row a trajectory: index, parameters, and outputs without space as lists over time."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise RuntimeError("parquet needs pyarrow: pip install 'physurrogate[parquet]'") from None
    path = folder / f"{split}.parquet"
    tables = []
    for shard in shards:
        with open_untrusted(shard) as file:
            columns = {"index": pyarrow.array(file["sample"][:])}
            for name in file["scalars"].attrs["field_names"]:
                values = file[name][:]
                columns[str(name)] = pyarrow.array(values if values.ndim == 1 else list(values))
        tables.append(pyarrow.table(columns))
    with _fresh(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.concat_tables(tables), temporary)
    return [path]


def _to_pdebench(split: str, shards: Sequence[Path], folder: Path) -> list[Path]:
    """``tensor`` for a scalar on an interval or a steady one; an array for each field otherwise.

    Times have one more entry than frames, as in PDEBench's own files.
    """
    path = folder / f"{split}_pdebench.hdf5"
    space = _space(shards[0])
    if not space:
        raise DatasetError(f"{shards[0]}: has no space, without which PDEBench has no layout")
    total = 0
    for shard in shards:
        with open_untrusted(shard) as file:
            total += file["sample"].size
    with _fresh(path) as temporary, h5py.File(temporary, "w", libver=LIBRARY_VERSIONS) as out:
        begin = 0
        for shard in shards:
            with open_untrusted(shard) as file:
                if not begin:
                    _pdebench_axes(file, out, space)
                size = file["sample"].size
                for name, values in _pdebench_arrays(file, space):
                    if name not in out:
                        out.create_dataset(name, (total, *values.shape[1:]), values.dtype)
                    out[name][begin : begin + size] = values
                begin += size
    return [path]


def _pdebench_axes(file: h5py.File, out: h5py.File, space: list[str]) -> None:
    for name in space:
        out[f"{name}-coordinate"] = file[name][:]
    times = file["time"][:]
    last = times[-1] + (times[-1] - times[-2] if times.size > 1 else 1.0)
    out["t-coordinate"] = np.append(times, np.float32(last))


def _pdebench_arrays(file: h5py.File, space: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    fields = [n for group in ("t0_fields", "t1_fields", "t2_fields") for n in file[group]]
    evolving = [name for name in fields if file[name].attrs["time_varying"]]
    coefficients = [name for name in fields if name not in evolving]
    steady = file["time"].size == 1 and len(coefficients) == 1
    is_tensor = len(evolving) == 1 and evolving[0] in file["t0_fields"]
    for name in evolving:
        values = file[name][:]
        if is_tensor and (len(space) == 1 or steady):
            yield "tensor", values
            continue
        order = values.ndim - 2 - len(space)
        for component in product(range(len(space)), repeat=order):
            axes = "".join(space[c] for c in component)
            stem = "V" if name == "velocity" else f"{name}_" if axes else name
            yield f"{stem}{axes}", values[(..., *component)]
    for name in coefficients:
        yield "nu" if steady else name, file[name][:]
    yield from ((f"parameter_{n}", file[n][:]) for n in file["scalars"] if file[n].ndim == 1)


FORMATS: dict[str, Callable[[str, Sequence[Path], Path], list[Path]]] = {
    "netcdf": _to_netcdf,
    "xdmf": _to_xdmf,
    "vtkhdf": _to_vtkhdf,
    "parquet": _to_parquet,
    "pdebench": _to_pdebench,
}
