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
# # Your own network
#
# A surrogate is a network, a normalisation and the simulation it stands for. The network is a
# plain PyTorch module that sees normalised tensors, and nothing of files, units or training. This
# notebook trains three: a module from elsewhere, one that follows the library's convention, and
# one that deserves to be part of it.
#
# The problem is linear, so that we know what to expect: a concentration that is carried along and
# diffuses.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn

import simulations
import surrogate
from surrogate import plot
from surrogate.encoding import Encoding

folder = Path(tempfile.mkdtemp())
sim = simulations.AdvectionDiffusion(ndim=1, n=64, t_end=0.3, n_times=2)
data = simulations.generate(sim, 400, folder / "transport", progress=False)
sizes = Encoding.of_dataset(data).signature
sizes

# %% [markdown]
# The *signature* is all that a network is told: a periodic grid of 64 points, one input channel
# (the initial concentration), two scalars (speed and diffusivity), one output channel (the final
# one).
#
# ## A module from elsewhere
#
# Most modules put channels before space and know nothing of scalars. `ChannelsFirst` turns the
# tensors and hands scalars over as constant channels.

# %%
theirs = nn.Sequential(
    nn.Conv1d(sizes.in_channels + sizes.in_scalars, 32, 9, padding="same", padding_mode="circular"),
    nn.GELU(),
    nn.Conv1d(32, 32, 9, padding="same", padding_mode="circular"),
    nn.GELU(),
    nn.Conv1d(32, sizes.out_channels, 9, padding="same", padding_mode="circular"),
)
recipe = {"epochs": 25, "learning_rate": 3e-3, "progress": False}
errors = {}
emulator = surrogate.train(data, surrogate.ChannelsFirst(theirs), **recipe)
errors["three convolutions"] = emulator.training["test_relative_l2"]["u"]

# %% [markdown]
# It reaches 12 points to each side, a fifth of the domain. What is carried farther than that, it
# cannot know.
#
# ## A module of our own
#
# Any module whose `forward(fields, scalars)` returns `(fields, scalars)`, channels last, is a
# network. Here is one that makes use of what we know: in Fourier space transport multiplies each
# mode by $e^{-Dk^2t - ikct}$. How far and how much, it has to find out.

# %%


class Symbol(nn.Module):
    """Shifts and damps each Fourier mode, by amounts that a small network reads off the scalars."""

    def __init__(self, points: int, scalars: int, width: int = 32) -> None:
        super().__init__()
        self.points = points
        self.register_buffer("k", 2 * torch.pi * torch.arange(points // 2 + 1))
        self.amounts = nn.Sequential(
            nn.Linear(scalars, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, 2),
        )

    def forward(self, fields, scalars):
        shift, damping = self.amounts(scalars).unsqueeze(-1).unbind(1)
        factor = torch.exp(-torch.exp(damping - 6) * self.k**2 - 1j * (shift + 0.3) * self.k)
        spectrum = torch.fft.rfft(fields, dim=1) * factor[..., None]
        answer = torch.fft.irfft(spectrum, n=self.points, dim=1)
        return answer, fields.new_empty(len(fields), 0)


own = surrogate.train(data, Symbol(64, sizes.in_scalars), **recipe)
errors["a shift and a damping"] = own.training["test_relative_l2"]["u"]

# %% [markdown]
# ## A network of the library
#
# `surrogate.networks.Network` asks for two more things: settings with defaults in the
# constructor, and layers made only when `build(signature)` says for what. Then a file can name it
# with its settings and hold its weights; no code is in the file. The general-purpose operator and
# a linear baseline for comparison:

# %%
for network in (surrogate.FNO(modes=16, width=24, layers=3), surrogate.PODLinear()):
    trained = surrogate.train(data, network, **recipe)
    errors[type(network).__name__] = trained.training["test_relative_l2"]["u"]

# %%
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
ax.barh(list(errors), [100 * error for error in errors.values()], color=plot.SURROGATE)
ax.set(xscale="log", xlabel="relative L2 error on the test split, %")
for position, error in enumerate(errors.values()):
    ax.annotate(f" {error:.2%}", (100 * error, position), va="center")
ax.margins(x=0.25)
# %% [markdown]
# A few minutes of physics in the design are worth more than width and depth. That is no argument
# against general networks: where there is no symbol to learn, as with Burgers' equation, `Symbol`
# has nothing to say.

# %%
truth, answer = (call(seed=4) for call in (sim, own))
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
plot.plot_profiles(truth, "u", ax=ax)
plot.plot_profiles(answer, "u", ax=ax, dashed=True)
ax.set_title(
    f"speed {float(truth['speed']):.2f} m/s, diffusivity {float(truth['diffusivity']):.1e} m²/s"
)

# %% [markdown]
# The checklist for a network of the library, one file and two lines, is in
# [Contributing](../contributing).
