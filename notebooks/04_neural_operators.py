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
# # Neural operators: Burgers, Darcy, and another resolution
#
# A neural operator learns a map between functions, not between arrays. Two things follow that can
# be tested: it is trained on one grid and evaluated on another, and its error does not depend on
# which. We try both problems of the paper on the Fourier neural operator, at a size that takes a
# minute: errors here are those of a few hundred samples and seconds of training, not those of a
# benchmark.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import simulations
import surrogate
from surrogate import metrics, plot
from surrogate.encoding import Encoding

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Burgers: from the initial velocity to the final one
#
# The preset has the equation and the initial conditions as they are in the published files: ν =
# 0.1 on an interval of length 2π. (The paper says 1; with that the wave would be gone.)

# %%
burgers = simulations.Burgers.preset("fno_paper", n=128)
data = simulations.generate(burgers, 240, folder / "burgers", progress=False)
operator = surrogate.train(
    data, surrogate.FNO(modes=16, width=24, layers=3), epochs=30, progress=False
)
print(f"test error at n = 128, as trained: {operator.training['test_relative_l2']['u']:.2%}")

# %% [markdown]
# Now the same weights on other grids. A `Surrogate` is simulation, network and normalisation;
# only the simulation is another one.

# %%


def on(simulation, emulator):
    """The same network in the place of another discretisation of the same problem."""
    encoding = Encoding(simulation, emulator.encoding.moments, emulator.encoding.ranges)
    return surrogate.Surrogate(simulation, emulator.network, encoding)


def error_of(emulator, seeds=range(1000, 1010)):
    simulation = emulator.simulation
    truth, answer = (
        np.stack([call(seed=seed)["u"].values[-1] for seed in seeds])
        for call in (simulation, emulator)
    )
    return metrics.relative_l2(answer, truth).mean()


resolutions = [64, 96, 128, 256, 1024]
errors = [
    error_of(on(burgers.from_settings({**burgers.settings, "n": n}), operator)) for n in resolutions
]
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.loglog(resolutions, errors, "o-", color=plot.SURROGATE)
ax.axvline(128, color=plot.TRIVIAL, ls=":")
ax.annotate(" trained here", (128, min(errors)))
ax.set(xlabel="grid points", ylabel="relative L2 error", ylim=(min(errors) / 3, max(errors) * 3))
dict(zip(resolutions, np.round(errors, 4), strict=True))

# %% [markdown]
# The same random numbers give the same initial velocity on every grid (a draw is a function,
# sampled where the grid has points), so these are the same ten problems each time. The error is
# that of the function that was learnt, not of the grid.

# %%
fine = on(burgers.from_settings({**burgers.settings, "n": 1024}), operator)
truth, answer = (call(seed=1003) for call in (fine.simulation, fine))
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
plot.plot_profiles(truth, "u", ax=left)
plot.plot_profiles(answer, "u", ax=left, dashed=True)
left.set_title("n = 1024, eight times the grid of the training")
plot.plot_spectrum(
    fine.simulation, "u", {"solver": truth["u"].values, "operator": answer["u"].values}, right
)
right.set_xlim(right=200)
# %% [markdown]
# The spectrum shows what the figure hides: the operator has its 16 modes, and beyond them what
# its pointwise layers make of these. Where the solution has nothing there, nothing is lost.
#
# ## Darcy: from the permeability to the pressure
#
# $-\nabla\cdot(a \nabla u) = 1$ in a square, $u = 0$ on its sides, in a medium of two materials.

# %%
darcy = simulations.DarcyFlow.preset("fno_paper", n=32)
data = simulations.generate(darcy, 160, folder / "darcy", progress=False)
networks = {
    "FNO": surrogate.FNO(modes=8, width=20, layers=3),
    "UNet": surrogate.UNet(width=8),
}
emulators = {
    name: surrogate.train(data, network, epochs=12, progress=False)
    for name, network in networks.items()
}
{name: f"{e.training['test_relative_l2']['u']:.1%}" for name, e in emulators.items()}

# %%
sample = darcy(seed=2001)
answers = {name: emulator(seed=2001) for name, emulator in emulators.items()}
figure, axes = plt.subplots(1, 4, figsize=(15, 3.3), layout="constrained")
plot.plot_input(darcy, "a", sample["a"].values, axes[0])
plot.plot_field(sample, "u", ax=axes[1])
for ax, (name, answer) in zip(axes[2:], answers.items(), strict=True):
    plot.plot_field(darcy, "u", answer["u"].values - sample["u"].values, ax, style="error")
    ax.set_title(f"{name} − solver")

# %% [markdown]
# And on a grid twice as fine? Here the two differ in kind. A convolution of three points means
# half the distance on the finer grid, so that the U-Net declines; a Fourier mode means the same.

# %%
finer = simulations.DarcyFlow.preset("fno_paper", n=64)
for name, emulator in emulators.items():
    print(f"{name} on 32²: {error_of(on(darcy, emulator)):.1%}")
    try:
        print(f"{name} on 64²: {error_of(on(finer, emulator)):.1%}")
    except ValueError as error:
        print(f"{name} on 64²: {error}")

# %% [markdown]
# An operator that can be moved between grids is not one that becomes better by it: its error
# stays what training made it. For a better answer on a finer grid train on finer data, or on some
# of both.
