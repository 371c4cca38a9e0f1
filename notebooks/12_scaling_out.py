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
# # Scaling out
#
# One trajectory takes one core. A dataset of a hundred thousand takes as many cores as there are,
# on a laptop or a cluster, with or without a scheduler, and the files are the same bytes in every
# case. This notebook shows why, on two cores.

# %%
import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import simulations
from surrogate import plot

folder = Path(tempfile.mkdtemp())
sim = simulations.Advection(ndim=1, n=64)


def fingerprint(dataset):
    """One hash over all shards."""
    digest = hashlib.sha256()
    for shard in sorted(dataset.path.glob("data/*/*.hdf5")):
        digest.update(shard.read_bytes())
    return digest.hexdigest()[:16]


# %% [markdown]
# ## Trajectory *i* is a function of the seed and of *i*
#
# Not of the worker, not of the order, not of how often the run was interrupted.

# %%
whole = simulations.generate(sim, 96, folder / "whole", seed=1, workers=1, progress=False)
print(fingerprint(whole))

# %% [markdown]
# ### As an array of jobs
#
# Job `i` of `m` makes every m-th shard. Here the third job dies before it starts; the dataset is
# then incomplete, and knows it.

# %%
for job in (0, 1, 3):
    array = simulations.generate(
        sim, 96, folder / "array", seed=1, part=(job, 4), workers=1, progress=False
    )
print("after three of four jobs:", len(list(array.path.glob("data/*/*.hdf5"))), "shards")
array = simulations.generate(sim, 96, folder / "array", seed=1, workers=1, progress=False)
print("after the same call without a part:", fingerprint(array))
assert fingerprint(array) == fingerprint(whole)

# %% [markdown]
# On a cluster that is one line in a job script, and needs nothing but a shared folder:
#
# ```bash
# #SBATCH --array=0-31
# surrogate generate Advection -n 100000 -o "$SCRATCH/advection" \
#     --range "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --workers "$SLURM_CPUS_PER_TASK"
# ```
#
# ### On any executor
#
# Whatever has the interface of `concurrent.futures` hands out shards: processes, threads, Dask,
# MPI.

# %%
with ThreadPoolExecutor(2) as executor:
    pooled = simulations.generate(
        sim, 96, folder / "pooled", seed=1, executor=executor, progress=False
    )
assert fingerprint(pooled) == fingerprint(whole)
print(fingerprint(pooled))

# %% [markdown]
# With Dask it is the client's:
#
# ```python
# from distributed import Client
#
# with Client("tcp://scheduler:8786") as client:
#     simulations.generate(sim, 100_000, "/shared/advection", executor=client.get_executor())
# ```
#
# ## A machine that dies
#
# A shard is written under another name and renamed when it is whole. What a killed job leaves is
# therefore either complete or absent. We play the part of the disk: one shard is cut in half,
# another one vanishes.

# %%
shards = sorted(pooled.path.glob("data/train/*.hdf5"))
os.truncate(shards[0], shards[0].stat().st_size // 2)
shards[1].unlink()
repaired = simulations.generate(
    sim, 96, pooled.path, seed=1, verify=True, workers=1, progress=False
)
assert fingerprint(repaired) == fingerprint(whole)
print("made again:", shards[0].name, shards[1].name)

# %% [markdown]
# ## More of it
#
# A larger `n` extends the dataset; what is there stays.

# %%
larger = simulations.generate(sim, 192, pooled.path, seed=1, workers=1, progress=False)
print(len(whole), "→", len(larger))

# %% [markdown]
# ## What it costs
#
# Records beside the shards keep the time of each trajectory, so that the price of the next
# dataset can be read off the last one.

# %%
seconds = np.concatenate([record["wall_time_seconds"] for record in larger.records()])
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.hist(
    1e6 * seconds,
    bins=np.geomspace(1e6 * seconds.min(), 1e6 * seconds.max(), 40),
    color=plot.SOLVER,
)
ax.set(xscale="log", xlabel="time of a trajectory in µs", ylabel="trajectories")
print(f"{larger.solver_seconds:.3f} s in the solver for {len(larger)} trajectories")

# %% [markdown]
# For a system this cheap the overhead of processes and files is all there is. At a second a
# trajectory it is nothing.
#
# [Generate on a cluster](../generate-on-a-cluster) has Slurm, Dask, MPI and Airflow in full, and
# says what is promised and what is not.
