# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Training on The Well's and PDEBench's files
#
# Data that somebody else has made train as they are: nothing is converted, and nothing is written
# beside them. This notebook first makes small files in both layouts, so that it runs without a
# download; with the real ones only the path changes.

# %%
import os
import tempfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np

import simulations
import surrogate
from simulations.simulation import Sampling
from surrogate import plot

os.chdir(tempfile.mkdtemp())
folder = Path()
sim = simulations.Heat(ndim=2, n=24, t_end=1.0, n_times=6)
made = simulations.generate(sim, 120, folder / "heat", progress=False)

# %% [markdown]
# ## A dataset of The Well
#
# What this library generates *is* one: `data/{train,valid,test}/*.hdf5` and `stats.yaml`. To see
# it as a stranger would, we take these away from their `dataset.json`, which is what tells us our
# own.

# %%
import shutil

well = folder / "somebodys_well"
shutil.copytree(made.path / "data", well / "data")
shutil.copy(made.path / "stats.yaml", well)
data = simulations.open_dataset(well)
print(data)
print("fields    ", data.simulation.fields)
print(
    "inputs    ", list(data.simulation.field_inputs), "parameters", list(data.simulation.parameters)
)
print("boundaries", [axis.boundary for axis in data.simulation.grid.axes])

# %% [markdown]
# The evolving field has become an output, and its first frame an input; the scalar of each
# trajectory is a parameter with the range found in the files. There is no solver behind such
# data, so that inputs are always given and never drawn.

# %%
emulator = surrogate.train(
    data, surrogate.FNO(modes=6, width=16, layers=2), epochs=20, progress=False
)
emulator.training["test_relative_l2"]

# %%
test = data.load("test")
inputs = {"alpha": float(test.parameters["alpha"][0]), "u0": test.fields["u"][0, 0]}
answer = emulator(**inputs)
figure, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
truth = test.fields["u"][0]
limits = (float(truth[-1].min()), float(truth[-1].max()))
plot.plot_field(data.simulation, "u", truth, axes[0], limits=limits)
plot.plot_field(data.simulation, "u", answer["u"].values, axes[1], limits=limits)
plot.plot_field(data.simulation, "u", answer["u"].values - truth, axes[2], style="error")
for ax, title in zip(axes, ("in the file", "surrogate", "difference"), strict=True):
    ax.set_title(title)

# %% [markdown]
# ## Files of PDEBench
#
# One array `tensor` of samples, times and points, coordinates beside it, and the viscosity as a
# number of the whole file. We write two of them.

# %%
Path("pdebench").mkdir()
for nu in (0.01, 0.04):
    burgers = simulations.Burgers(n=128, n_times=21, sampling=Sampling(cases=[{"nu": nu}]))
    runs = simulations.generate(burgers, 60, f"burgers-{nu}", progress=False)
    u = np.concatenate([runs.load(split).fields["u"] for split in ("train", "valid", "test")])
    with h5py.File(f"pdebench/1D_Burgers_Nu{nu}.hdf5", "w") as file:
        file["tensor"] = u
        file["x-coordinate"] = burgers.grid.axes[0].points
        file["t-coordinate"] = burgers.times
        file.attrs["Nu"] = nu

# %% [markdown]
# A folder of files that differ in a number is one dataset with a parameter. What they do not say
# is where the boundaries are, and which samples are for testing: that we say. Strides read less.

# %%
data = simulations.open_dataset(
    "pdebench", boundary="periodic", splits=(0.8, 0.1, 0.1), space_stride=2, time_stride=4
)
print(data)
print("parameters", data.simulation.parameters)
print("grid", data.simulation.grid.shape, "times", data.simulation.times.round(2))

# %%
operator = surrogate.train(
    data, surrogate.FNO(modes=12, width=20, layers=2), epochs=25, progress=False
)
baseline = surrogate.train(data, surrogate.Persistence(), progress=False)
for trained in (operator, baseline):
    print(trained.network_name, f"{trained.training['test_relative_l2']['tensor']:.1%}")

# %% [markdown]
# With a hundred samples that is no benchmark; `Persistence`, which says that nothing moves, is
# there so that the figure can be read.
#
# ## Strangers' files
#
# Every file is looked at before it is read. One that points to other files of the machine is
# refused, whoever sent it.

# %%
hostile = folder / "hostile.hdf5"
with h5py.File(hostile, "w") as file:
    file["tensor"] = h5py.ExternalLink("/etc/hostname", "x")
try:
    simulations.open_dataset(hostile)
except simulations.DatasetError as error:
    print(error)

# %% [markdown]
# [Reading other data](../reading-other-data) has the rules; [the file format](../file-format)
# what is refused.
