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
# # Roll-outs and stability
#
# An evolution can be learnt in two ways: all stored times at once, or the step from one to the
# next, which is then repeated. The second needs no end: it can go on beyond the training. But its
# errors feed on themselves, and in a chaotic system any error grows. The Kuramoto–Sivashinsky
# equation is the usual testing ground:
#
# $$\frac{\partial u}{\partial t} + \frac{\partial}{\partial x}\frac{u^2}{2}
# + \frac{\partial^2 u}{\partial x^2} + \nu\frac{\partial^4 u}{\partial x^4} = 0 .$$

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import simulations
import surrogate
from simulations.inputs import RandomWaves
from simulations.simulation import Sampling
from surrogate import metrics, plot

folder = Path(tempfile.mkdtemp())
sim = simulations.KuramotoSivashinsky(
    n=64,
    length=44.0,
    t_end=15.0,
    n_times=31,
    initial=RandomWaves(0.0, 0.0, deviation=1.2, highest=8, exponent=0.0, positive=False),
    sampling=Sampling(cases=[{"nu": 1.0}]),
)
data = simulations.generate(sim, 100, folder / "ks", progress=False)
example = sim(seed=5)
ax = plot.plot_space_time(example, "u")
ax.set_title("the solver")
# %% [markdown]
# ## Two ways to learn a step
#
# `Propagator()` learns with the truth at the beginning of every step (*teacher forcing*).
# `unroll=3` repeats the step three times in training and takes the gradient through all of them,
# so that the network sees its own mistakes.

# %%
network = {"modes": 12, "width": 24, "layers": 3}
recipe = {"epochs": 16, "batch_size": 2, "learning_rate": 3e-3, "progress": False}
emulators = {
    "one step": surrogate.train(
        data, surrogate.FNO(**network), problem=surrogate.Propagator(), **recipe
    ),
    "three steps, unrolled": surrogate.train(
        data,
        surrogate.FNO(**network),
        problem=surrogate.Propagator(unroll=3, curriculum=True),
        **recipe,
    ),
}

# %%
seeds = range(100, 112)
truth = np.stack([sim(seed=seed)["u"].values for seed in seeds])
errors = {
    "as if nothing moved": metrics.nrmse(truth[:, :1].repeat(truth.shape[1], axis=1), truth, ndim=1)
}
answers = {}
for name, emulator in emulators.items():
    answers[name] = np.stack([emulator(seed=seed)["u"].values for seed in seeds])
    errors[name] = metrics.nrmse(answers[name], truth, ndim=1)
growth = {name: values[:, 1:] for name, values in reversed(errors.items())}
ax = plot.plot_error_growth(sim.times[1:], growth, quantity="relative error of a frame")
ax.axhline(np.sqrt(2), color="0.6", ls=":")
ax.set_title("dotted: two states that know nothing of each other", fontsize="small")
# %% [markdown]
# The straight rise on a logarithmic scale is chaos: errors grow as $e^{\lambda t}$, whoever makes
# them. What training can change is where the line begins. The figure that counts is how long a
# forecast is of use:

# %%
for name, answer in answers.items():
    lost = metrics.valid_time(answer, truth, ndim=1, times=sim.times)
    print(f"{name}: of use until t = {np.median(lost):.0f} (median of {len(seeds)})")

# %% [markdown]
# ## Beyond the training
#
# `rollout` goes on for as long as wanted. No forecast of single waves is meant here; the question
# is whether the surrogate stays on the attractor: whether what it makes still looks like the
# equation.

# %%
long_sim = sim.from_settings({**sim.settings, "t_end": 100.0, "n_times": 201})
reference = long_sim(seed=5)["u"].values
emulator = emulators["three steps, unrolled"]
start = {"u": reference[None, :1]}
continued = emulator.rollout(start, 200, nu=np.array([1.0]))["u"][0]
continued = np.concatenate([reference[:1], continued])

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
limits = (reference.min(), reference.max())
plot.plot_space_time(long_sim, "u", reference, left, limits=limits)
plot.plot_space_time(long_sim, "u", continued, right, limits=limits)
left.set_title("solver")
right.set_title("surrogate, trained up to t = 15")
# %% [markdown]
# Statistics say it in numbers: the spectrum, averaged over the run from t = 30 on.

# %%
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, frames, colour in (
    ("solver", reference, plot.SOLVER),
    ("surrogate", continued, plot.SURROGATE),
):
    spectra = [plot.power_spectrum(frame, long_sim.grid) for frame in frames[60:]]
    ax.loglog(
        spectra[0][0], np.mean([power for _, power in spectra], axis=0), color=colour, label=name
    )
ax.set(xlabel="wave number", ylabel="mean square of u", ylim=(1e-9, 3))
ax.legend(frameon=False)
print(f"root mean square: solver {reference[60:].std():.2f}, surrogate {continued[60:].std():.2f}")

# %% [markdown]
# The long waves are those of the equation, in strength and in shape. The short ones are not: what
# the fourth derivative would damp, the pointwise layers of the network let grow, in this run as a
# kink that stays where it is. A loss on a few steps hardly sees it; a spectrum does.
#
# Two things to take care of. Weights are chosen by the error of whole roll-outs on the validation
# split: were these many times longer than chaos lets anybody predict, the best answer would be
# the mean, and a surrogate that damps everything to zero would be chosen. Trajectories for
# training should therefore be about as long as a forecast can be; the roll-out may be longer.
#
# And levers, in the order of what they usually bring: more data, `unroll`, `noise` (trains on
# disturbed frames), `history`, a wider network; for conserved means `surrogate.Constrained`.
# Whether any of it was worth it, `compare` says as for any surrogate.
