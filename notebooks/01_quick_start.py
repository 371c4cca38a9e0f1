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
# # Quick start
#
# A solver, the data it generates, a network that learns them, and the network in the solver's
# place. This takes a minute.
#
# The example is Burgers' equation on a periodic interval,
#
# $$\frac{\partial u}{\partial t} + \frac{\partial}{\partial x}\frac{u^2}{2}
# = \nu \frac{\partial^2 u}{\partial x^2},$$
#
# which steepens waves and, where they have become steep, dissipates them.

# %%
import os
import tempfile
import warnings

import matplotlib.pyplot as plt
import numpy as np

import simulations
import surrogate
from surrogate import plot

os.chdir(tempfile.mkdtemp())

# %% [markdown]
# ## A simulation is called
#
# *Settings* fix the discretisation and go to the constructor. *Inputs* are physics and go to the
# call: parameters (here the viscosity `nu`) and fields (here the initial velocity `u0`). What is
# not given is drawn, from a seed, so that the call can be repeated.

# %%
sim = simulations.Burgers(n=128, n_times=21)
solution = sim(nu=0.02, seed=7)
solution

# %% [markdown]
# The answer is an `xarray.Dataset`: coordinates, units, and in its attributes everything needed
# to make it again. Pictures know the units, too.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
plot.plot_space_time(solution, "u", ax=left)
plot.plot_profiles(solution, "u", ax=right)
# %% [markdown]
# The same initial velocity with other viscosities: `seed=7` is the same field whatever `nu` is.

# %%
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for nu in (0.01, 0.03, 0.1):
    final = sim(nu=nu, seed=7)["u"].isel(time=-1)
    final.plot(ax=ax, label=f"ν = {nu} m² s⁻¹")
ax.set(title="", xlabel="x in m", ylabel="velocity at t = 1 s in m s⁻¹")
ax.legend(frameon=False)
# %% [markdown]
# An input that makes no sense is refused, and the message says what does.

# %%
try:
    sim(nu=-0.1)
except simulations.InvalidInput as error:
    print(error)

# %% [markdown]
# ## A dataset is generated
#
# Trajectory `i` is a function of the seed and of `i` alone. Kill this at any moment and call it
# again: it continues, and the files end up as the same bytes. They are a dataset of The Well and
# netCDF-4 at the same time.

# %%
data = simulations.generate(sim, 300, "burgers", seed=0, progress=False)
data

# %% [markdown]
# ## A network learns it
#
# Normalisation comes from the train split, the weights are chosen by the validation split, and
# the test split is looked at once.

# %%
network = surrogate.FNO(modes=12, width=24, layers=3)
emulator = surrogate.train(data, network, epochs=30, progress=False)
emulator

# %%
ax = plot.plot_history(emulator.training["history"])
ax.set_title("Training")
print(f"error on the test split: {emulator.training['test_relative_l2']['u']:.2%}")

# %% [markdown]
# ## The surrogate is called
#
# In the same way, with the same answer: the line below is the one from the beginning with another
# name in front.

# %%
answer = emulator(nu=0.02, seed=7)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
plot.plot_profiles(solution, "u", ax=ax)
plot.plot_profiles(answer, "u", ax=ax, dashed=True)
ax.set_title("solver, and surrogate dashed")
# %% [markdown]
# Outside the range of its training it warns and answers all the same. What such an answer is
# worth, nobody knows.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    emulator(nu=0.5, seed=7)
print(caught[0].message)

# %% [markdown]
# For many inputs at once there is `predict`: plain arrays in, plain arrays out.

# %%
rng = np.random.default_rng(1)
u0 = np.stack([sim.sample(rng)["u0"] for _ in range(64)])
u = emulator.predict(nu=np.linspace(0.02, 0.08, 64), u0=u0)["u"]
print(u.shape, "sample, time, x")

# %% [markdown]
# ## It is kept
#
# As JSON and safetensors. Loading executes nothing.

# %%
emulator.save("burgers-fno")
print(sorted(os.listdir("burgers-fno")))
again = surrogate.load("burgers-fno")
assert np.array_equal(again(nu=0.02, seed=1)["u"], emulator(nu=0.02, seed=1)["u"])

# %% [markdown]
# In a notebook with `ipywidgets` a slider shows what the viscosity does:
#
# ```python
# from ipywidgets import FloatLogSlider, interact
#
# @interact(nu=FloatLogSlider(value=0.02, min=-2, max=-1, step=0.05))
# def draw(nu):
#     plot.plot_profiles(emulator(nu=nu, seed=7), "u")
# ```
#
# Whether the surrogate was worth its training is another question. For Burgers' equation the
# answer is usually no, because this solver takes a millisecond; [the
# comparison](07_fair_comparison) says so.
