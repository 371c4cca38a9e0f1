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
# # Your own simulation, in one file
#
# The library has forty systems and not yours. Here is how one is added: the sine-Gordon equation
# with friction, a chain of coupled pendulums in the limit of many,
#
# $$\frac{\partial^2\varphi}{\partial t^2} + \gamma \frac{\partial\varphi}{\partial t}
# = \frac{\partial^2\varphi}{\partial x^2} - \sin\varphi .$$
#
# One file states the equation, declares what goes in and out, and solves. Everything else, from
# the command line to training, finds the system by that.

# %%
import os
import sys
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
os.chdir(folder)
sys.path.insert(0, str(folder))

# %%
# %%writefile sine_gordon.py
"""Sine-Gordon equation: a chain of pendulums."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from simulations.compilation import kernel
from simulations.grid import Axis, Grid
from simulations.inputs import Distribution, GaussianRandomField
from simulations.simulation import (
    Array,
    Field,
    FieldInput,
    Inputs,
    Parameter,
    Simulation,
    Solution,
    check_setting,
)


@kernel
def leapfrog(phi, rate, gamma, dx, dt, steps):
    """Advance phi and rate = dφ/dt in place: kick, drift, kick, with friction in halves."""
    n = phi.size
    friction = np.exp(-0.5 * gamma * dt)
    for _ in range(steps):
        for half in range(2):
            if half == 1:
                for i in range(n):
                    phi[i] += dt * rate[i]
            for i in range(n):
                right = phi[i + 1 if i + 1 < n else 0]
                left = phi[i - 1 if i > 0 else n - 1]
                force = (right - 2 * phi[i] + left) / (dx * dx) - np.sin(phi[i])
                if half == 0:
                    rate[i] = friction * rate[i] + 0.5 * dt * force
                else:
                    rate[i] = friction * (rate[i] + 0.5 * dt * force)


@dataclass(frozen=True)
class SineGordon(Simulation):
    """Sine-Gordon equation with friction on a periodic interval.

        ∂²φ/∂t² + γ ∂φ/∂t = ∂²φ/∂x² − sin φ

    Second-order differences in space, leapfrog in time, steps of half a grid spacing.

    Args:
        n: grid points.
        length: length of the interval.
        t_end: last stored time.
        n_times: stored times, the initial one included.
        initial: distribution of the initial angle; the chain starts from rest.
    """

    n: int = 128
    length: float = 20.0
    t_end: float = 10.0
    n_times: int = 41
    initial: Distribution = GaussianRandomField(alpha=3.0, tau=1.0, scale=3.0)

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "gamma": Parameter("friction", "1", (0.0, 10.0), (0.0, 0.5))
    }
    fields: ClassVar[Mapping[str, Field]] = {
        "phi": Field("angle", "rad"),
        "energy": Field("energy of the chain", "1", spatial=False),
    }
    time_unit: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        check_setting("n", self.n, 8, 65536, integer=True)
        check_setting("length", self.length, 1e-3, 1e6)
        check_setting("t_end", self.t_end, 1e-6, 1e6)
        check_setting("n_times", self.n_times, 2, 10000, integer=True)

    @property
    def field_inputs(self) -> Mapping[str, FieldInput]:
        return {"phi0": FieldInput("initial angle", "rad", self.initial, initial_of="phi")}

    @cached_property
    def grid(self) -> Grid:
        return Grid((Axis.periodic("x", self.n, self.length),))

    @cached_property
    def times(self) -> Array:
        return np.linspace(0.0, self.t_end, self.n_times)

    def solve(self, inputs: Inputs) -> Solution:
        dx = self.length / self.n
        interval = self.t_end / (self.n_times - 1)
        steps = int(np.ceil(interval / (0.5 * dx)))
        phi, rate = np.array(inputs["phi0"]), np.zeros(self.n)
        frames, energies = [], []
        for frame in range(self.n_times):
            if frame > 0:
                leapfrog(phi, rate, inputs["gamma"], dx, interval / steps, steps)
            strain = (np.roll(phi, -1) - phi) / dx
            frames.append(phi.copy())
            energies.append(dx * (0.5 * rate**2 + 0.5 * strain**2 + 1 - np.cos(phi)).sum())
        return {"phi": np.array(frames), "energy": np.array(energies)}

    def rescaled(self, factor: float) -> Self:
        return replace(self, n=round(self.n * factor))


# %% [markdown]
# `rescaled` is what makes comparisons fair: the same problem with more or fewer points. By
# default the cheaper rivals of a surrogate are the coarser grids; a system that can do better
# overrides `coarsened`.
#
# ## It is part of the library now

# %%
import matplotlib.pyplot as plt
import numpy as np
from sine_gordon import SineGordon

import simulations
import surrogate
from surrogate import plot

print("SineGordon" in simulations.catalogue())

# %%
chain = SineGordon()(gamma=0.05, seed=3)
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
plot.plot_space_time(chain, "phi", ax=left)
plot.plot_field(chain, "energy", ax=right)
# %% [markdown]
# ## Is it right?
#
# The question of every solver. Small waves obey a linear equation: a cosine of wave number $k$
# swings with $\omega^2 = 1 + k^2$. The error has to fall by four when the spacing is halved; if a
# term were missing, it would not.

# %%
k = 2 * np.pi * 3 / 20.0
errors = []
for n in (32, 64, 128, 256):
    sim = SineGordon(n=n, n_times=11)
    x = sim.grid.axes[0].points
    small = 1e-4
    phi = sim(gamma=0.0, phi0=small * np.cos(k * x))["phi"].values
    exact = small * np.cos(k * x) * np.cos(np.sqrt(1 + k**2) * sim.times[:, None])
    errors.append(np.abs(phi - exact).max() / small)
orders = np.log2(np.divide(errors[:-1], errors[1:]))
print("errors", np.round(errors, 6), "orders", orders.round(2))
assert abs(orders[-1] - 2) < 0.1

# %% [markdown]
# Without friction the energy of a strongly non-linear chain stays the same, too, up to an error
# that falls as fast.

# %%
drifts = []
for n in (256, 512, 1024):
    energy = SineGordon(n=n)(gamma=0.0, seed=3)["energy"].values
    drifts.append(np.abs(energy / energy[0] - 1).max())
print("largest relative change of the energy", np.round(drifts, 5))
assert drifts[2] < drifts[1] / 3

# %% [markdown]
# In the library such checks are functions under `@verifies(SineGordon)`, which the tests run and
# `surrogate verify` prints.
#
# ## Data, and a surrogate
#
# Workers are processes of their own, so that the class has to be in a file that they can import;
# that is why it was written to one.

# %%
data = simulations.generate(SineGordon(n=64, n_times=11, t_end=5.0), 200, "chain", progress=False)
emulator = surrogate.train(
    data, surrogate.FNO(modes=12, width=20, layers=3), epochs=40, progress=False
)
{name: f"{error:.2%}" for name, error in emulator.training["test_relative_l2"].items()}

# %%
truth, answer = (call(gamma=0.1, seed=11) for call in (emulator.simulation, emulator))
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
plot.plot_profiles(truth, "phi", ax=left)
plot.plot_profiles(answer, "phi", ax=left, dashed=True)
plot.plot_field(truth, "energy", ax=right)
plot.plot_field(answer, "energy", ax=right, dashed=True)

# %% [markdown]
# From the command line, a module that defines a system is imported first: `python -c "import
# sine_gordon; from surrogate.cli import main; main()" list SineGordon`. To give it a place in the
# library, follow the checklist in [Contributing](../contributing): one file, and one line.
