"""Files as other libraries write them, from the specifications of their formats."""

import h5py
import numpy as np
import yaml

T, X, Y = 4, 12, 8
TIMES = np.linspace(0.0, 1.5, T)

#: By group of The Well: name, whether it varies with sample, time, x, y.
VARIABLES = {
    "t0_fields": {
        "density": (True, True, True, True),
        "mask": (False, False, True, True),
        "depth": (True, False, True, True),
        "profile": (False, False, False, True),
        "gravity": (True, True, False, False),
    },
    "t1_fields": {"velocity": (True, True, True, True), "wind": (False, True, True, False)},
    "t2_fields": {"stress": (True, True, True, True)},
}
CONSTANT = ("mask", "depth", "profile")


def smooth(rng, shape):
    """Random values that a network can learn something of: sums over each axis."""
    values = np.zeros(shape)
    for axis, size in enumerate(shape):
        along = [1] * len(shape)
        along[axis] = size
        values = values + rng.standard_normal(along)
    return values.astype(np.float32)


def flags(target, sample, time, *space):
    target.attrs["sample_varying"] = bool(sample)
    target.attrs["time_varying"] = bool(time)
    if space:
        target.attrs["dim_varying"] = [bool(along) for along in space]


def write_well_file(
    path, n, nu, seed, *, times=TIMES, name="made_up", bc=("PERIODIC", "WALL"), single=False
):
    """One file of The Well with a bit of everything; returns each variable in full.

    ``single``: what is constant along an axis of the grid has it, with a single entry.
    """
    rng = np.random.default_rng(seed)
    n_times = times.shape[-1]
    full = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            dataset_name=name, grid_type="cartesian", n_spatial_dims=2, n_trajectories=n, nu=nu
        )
        file.attrs["simulation_parameters"] = ["nu"]
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        time = dimensions.create_dataset("time", data=times.astype("f4"))
        flags(time, times.ndim == 2, True)
        y = np.cos(np.pi * (np.arange(Y)[::-1] + 0.5) / Y)  # not equidistant
        for axis, points in (("x", np.arange(X) * 0.5), ("y", y)):
            flags(dimensions.create_dataset(axis, data=points.astype("f4")), False, False)
        conditions = file.create_group("boundary_conditions")
        for axis, size, kind, ends in (("x", X, bc[0], (0, -1)), ("y", Y, bc[1], (-1,))):
            group = conditions.create_group(f"{axis}_{kind.lower()}")
            group.attrs["associated_dims"] = [axis]
            group.attrs["associated_fields"] = np.array([], h5py.string_dtype())
            group.attrs["bc_type"] = kind
            flags(group, False, False)
            mask = np.zeros(size, bool)
            mask[list(ends)] = True
            group.create_dataset("mask", data=mask)
        scalars = file.create_group("scalars")
        scalars.attrs["field_names"] = ["nu", "alpha", "energy", "forcing"]
        stored = {
            "nu": (np.float32(nu), False, False),
            "alpha": (rng.uniform(1, 2, n).astype("f4"), True, False),
            "energy": (rng.standard_normal((n, n_times)).astype("f4"), True, True),
            "forcing": (rng.standard_normal(n_times).astype("f4"), False, True),
        }
        for key, (values, by_sample, by_time) in stored.items():
            flags(scalars.create_dataset(key, data=values), by_sample, by_time)
            shape = (n, n_times) if by_time else (n,)
            full[key] = np.broadcast_to(values, shape)
        for order, (group_name, members) in enumerate(VARIABLES.items()):
            group = file.create_group(group_name)
            group.attrs["field_names"] = list(members)
            for key, varies in members.items():
                sizes = np.array([n, n_times, X, Y])
                along = np.array(varies)
                values = smooth(rng, (*sizes[along], *(2,) * order))
                expanded = values.reshape(*np.where(along, sizes, 1), *(2,) * order)
                if single:
                    kept = [*np.where(along, sizes, 1)[2:], *(2,) * order]
                    values = values.reshape(*sizes[:2][along[:2]], *kept)
                flags(group.create_dataset(key, data=values), *varies)
                expanded = np.broadcast_to(expanded, (*sizes, *(2,) * order))
                full[key] = expanded[:, 0] if key in CONSTANT else expanded
        full["gravity"] = full["gravity"][:, :, 0, 0]
    return full


def write_well(root, *, statistics=False, **options):
    """A dataset of The Well with two files for training; returns what each split holds."""
    plan = {
        "train": [("made_up_nu_0.1.hdf5", 3, 0.1), ("made_up_nu_10.hdf5", 4, 10.0)],
        "valid": [("made_up_nu_0.1.hdf5", 2, 0.1)],
        "test": [("made_up_nu_0.1.h5", 1, 0.1), ("made_up_nu_10.h5", 1, 10.0)],
    }
    full = {}
    for split, files in plan.items():
        parts = [
            write_well_file(root / "data" / split / name, n, nu, 10 * len(full) + i, **options)
            for i, (name, n, nu) in enumerate(files)
        ]
        full[split] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if statistics:
        (root / "stats.yaml").write_text(yaml.safe_dump(well_statistics(full["train"])))
    return full


def well_statistics(full):
    """``stats.yaml`` of the fields, by its definition."""
    found = {}
    for order, members in enumerate(VARIABLES.values()):
        for name in members:
            values = full[name].astype(np.float64)
            axes = tuple(range(values.ndim - order))
            found.setdefault("mean", {})[name] = values.mean(axes).tolist()
            found.setdefault("std", {})[name] = values.std(axes).tolist()
            if name not in CONSTANT:
                change = np.diff(values, axis=1)
                found.setdefault("mean_delta", {})[name] = change.mean(axes).tolist()
                found.setdefault("std_delta", {})[name] = change.std(axes).tolist()
    return found


def write_tensor(path, n=20, nu=0.01, seed=0):
    """PDEBench in one dimension: ``tensor`` and coordinates, one time too many."""
    values = smooth(np.random.default_rng(seed), (n, T, X))
    with h5py.File(path, "w") as file:
        file["tensor"] = values
        file["x-coordinate"] = ((np.arange(X) + 0.5) / X).astype("f4")
        file["t-coordinate"] = np.linspace(0, 2, T + 1).astype("f4")
        file.attrs["Nu"] = nu
    return {"tensor": values}


def write_compressible(path, n=20, seed=0):
    """PDEBench in two dimensions: one dataset a field."""
    rng = np.random.default_rng(seed)
    full = {name: smooth(rng, (n, T, X, Y)) for name in ("density", "pressure", "Vx", "Vy")}
    with h5py.File(path, "w") as file:
        for name, values in full.items():
            file[name] = values
        file["x-coordinate"] = (np.arange(X) + 0.5) / X
        file["y-coordinate"] = (np.arange(Y) + 0.5) / Y
        file["t-coordinate"] = np.linspace(0, 1, T + 1)
        file.attrs.update(eta=0.01, zeta=0.01, M=0.1)
    return full


def write_darcy(path, n=20, seed=0):
    """PDEBench, steady: a coefficient and what belongs to it."""
    rng = np.random.default_rng(seed)
    full = {"nu": smooth(rng, (n, X, Y))}
    full["tensor"] = np.cumsum(full["nu"], axis=2)[:, None].astype("f4")
    with h5py.File(path, "w") as file:
        file["nu"], file["tensor"] = full["nu"], full["tensor"]
        file["x-coordinate"] = (np.arange(X) + 0.5) / X
        file["y-coordinate"] = (np.arange(Y) + 0.5) / Y
        file.attrs["beta"] = 1.0
    return full


def write_groups(path, n=20, channels=2, seed=0):
    """PDEBench with a group for each trajectory."""
    rng = np.random.default_rng(seed)
    values = smooth(rng, (n, T, X, Y, channels))
    with h5py.File(path, "w") as file:
        for i, each in enumerate(values):
            group = file.create_group(f"{i:04}")
            group.create_dataset("data", data=each, compression="lzf")
            group["grid/x"] = np.linspace(-1, 1, X).astype("f4")
            group["grid/y"] = np.linspace(-1, 1, Y).astype("f4")
            group["grid/t"] = np.linspace(0, 5, T).astype("f4")
            group.attrs["config"] = "sim:\n  T: 5\n"
    names = ["data"] if channels == 1 else [f"data{c}" for c in range(channels)]
    return {name: values[..., c] for c, name in enumerate(names)}


def write_incompressible(path, n=4, seed=0):
    """PDEBench, incompressible flow: vectors, a companion, a force that does not change."""
    rng = np.random.default_rng(seed)
    full = {
        "velocity": smooth(rng, (n, T, X, Y, 2)),
        "particles": smooth(rng, (n, T, X, Y, 1)),
        "force": smooth(rng, (n, X, Y, 2)),
    }
    with h5py.File(path, "w") as file:
        for name, values in full.items():
            file.create_dataset(name, data=values, compression="lzf", shuffle=True)
        file["t"] = np.tile(np.linspace(0, 5, T), (n, 1)).astype("f4")
    return full | {"particles": full["particles"][..., 0]}
