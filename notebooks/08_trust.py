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
# # What an answer is worth
#
# A solver that cannot meet its tolerance says so. A surrogate answers whatever it is asked, in the
# same confident way, and the error on the test split is an average over inputs that are not yours.
# Three things mend this, and none of them needs to know how the network works:
#
# - **bounds** that hold with a probability one chooses beforehand,
# - a **guard** that hands an input to the solver where the surrogate should not be relied on,
# - **active learning**, which spends runs of the solver where the surrogate lacks them.

# %%
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import simulations
import surrogate
from surrogate import plot

folder = Path(tempfile.mkdtemp())
# The draws nearest to the ends of a range lie beyond those of the training, which is said each time
warnings.simplefilter("ignore", surrogate.OutOfDomainWarning)
burgers = simulations.Burgers(n=64, n_times=11)
data = simulations.generate(burgers, 300, folder / "burgers", progress=False)
emulator = surrogate.train(
    data, surrogate.FNO(modes=12, width=20, layers=3), epochs=30, progress=False
)
emulator

# %%


def error_of(answer, truth):
    """Relative L2 error of all frames but the first, which is given."""
    difference = (answer.u - truth.u).values[1:]
    return np.linalg.norm(difference) / np.linalg.norm(truth.u.values[1:])


# %% [markdown]
# ## Bounds
#
# The recipe is older than neural networks. Solve a few hundred inputs that training never saw and
# sort the surrogate's errors. If the next input is drawn like these, its error is equally likely to
# take any place in the sorted list, so that it lies below number ⌈(m + 1) · 0.9⌉ of the m with a
# probability of 90 %. Nothing is assumed of the network or of the shape of the errors, and no limit
# of many samples is needed. This is *split conformal prediction*.

# %%
emulator = surrogate.calibrated(emulator, n=300, coverage=0.9, progress=False)
emulator.calibration

# %% [markdown]
# From now on each answer carries a band for every field and a bound on its relative L2 error. The
# unit of the statistics is the whole trajectory: with a probability of 90 % the field stays in the
# band *at all points and times at once*, which is what a sentence like "the peak stays below 1.2"
# needs.
#
# The bounds are not the same for all inputs. A third of the calibration runs teach a small model
# which inputs are hard; the others set the level. At low viscosity, where fronts are steep, the
# band is wide by itself. Its shape in space is that of the errors in these runs: a bulge is
# where one of a hundred had a front that the surrogate missed.

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
for ax, nu in zip(axes, (0.08, 0.011), strict=True):
    answer = emulator(nu=nu, seed=3).isel(time=4)
    truth = burgers(nu=nu, seed=3).isel(time=4)
    ax.fill_between(
        answer.x, answer.u_lower, answer.u_upper, color=plot.SURROGATE, alpha=0.25, lw=0
    )
    ax.plot(answer.x, answer.u, color=plot.SURROGATE, label="surrogate, with its band")
    ax.plot(truth.x, truth.u, color=plot.SOLVER, ls="--", label="solver")
    ax.set_title(f"ν = {nu} m²/s: error at most {answer.error_bound.item():.1%}")
    ax.set_xlabel("x in m")
axes[0].set_ylabel("u in m/s")
_ = axes[0].legend(frameon=False)

# %% [markdown]
# ### Is the promise kept?
#
# Two hundred further inputs, solved and compared. `calibrated` is cheap to repeat for other
# probabilities: the runs have one seed and the surrogate is the same.

# %%
seeds = range(1000, 1200)
solved = [burgers(seed=seed) for seed in seeds]
levels = [0.5, 0.7, 0.8, 0.9, 0.95]
kept = {"error": [], "band": []}
for level in levels:
    bounded = surrogate.calibrated(emulator, n=300, coverage=level, progress=False)
    inside = {"error": [], "band": []}
    for seed, truth in zip(seeds, solved, strict=True):
        answer = bounded(seed=seed)
        inside["error"].append(error_of(answer, truth) <= answer.error_bound.item())
        outside = (truth.u < answer.u_lower) | (truth.u > answer.u_upper)
        inside["band"].append(not outside.values[1:].any())
    for name, found in inside.items():
        kept[name].append(np.mean(found))
figure, axes = plt.subplots(1, 2, figsize=(8.6, 4), layout="constrained")
for ax, (name, found) in zip(axes, kept.items(), strict=True):
    plot.plot_coverage(levels, found, len(seeds), ax)
    ax.set_title({"error": "bound on the L2 error", "band": "band, everywhere at once"}[name])

# %% [markdown]
# The grey region is where chance alone puts the points of a test of this size. One calibration is
# one draw too, so that a little more scatter than that is as it should be.
#
# What is *not* promised is as important. The probability is an average over inputs **drawn as the
# calibration inputs were**. The input that you pick by hand, or that an optimiser drives to, is no
# such draw.
#
# ## Inputs that are unlike the training
#
# Each answer therefore says how unusual its input is: `domain_p_value` is the share of calibration
# inputs that are at least as far from the training data. We ask for three kinds: the usual, a
# viscosity below the range of the training, and initial velocities that are too strong.

# %%
rng = np.random.default_rng(0)
families = {"usual": [], "thinner": [], "stronger": []}
for seed in range(2000, 2040):
    drawn = burgers(seed=seed)
    nu, u0 = drawn.nu.item(), drawn.u.values[0]
    families["usual"].append({"nu": nu, "u0": u0})
    families["thinner"].append({"nu": 0.01 * rng.uniform(0.2, 0.6), "u0": u0})
    families["stronger"].append({"nu": nu, "u0": u0 * rng.uniform(2.5, 4)})

figure, ax = plt.subplots(figsize=(6.6, 3.8), layout="constrained")
for (name, inputs), marker in zip(families.items(), "o^s", strict=True):
    p_values, errors = [], []
    for each in inputs:
        answer = emulator(**each)
        truth = burgers(**each)
        p_values.append(answer.attrs["domain_p_value"])
        errors.append(error_of(answer, truth))
    ax.loglog(p_values, errors, marker, ms=4, alpha=0.7, label=name)
ax.axvline(0.02, color="0.6", ls=":")
ax.set(xlabel="p-value of the domain check", ylabel="relative error of the surrogate")
_ = ax.legend(frameon=False)

# %% [markdown]
# No error was used to tell them apart: the check looks at the inputs, and at how the network's
# answers to them hang together, before anything is solved. The leftmost column is 1/(n + 1), less
# than which n calibration inputs cannot say.
#
# ## A guard
#
# `guard` is called like the surrogate and like the solver. It answers with the first where that is
# safe and with the second elsewhere; `answered_by` says who it was.

# %%
guard = surrogate.guard(emulator, tolerance=0.05, coverage=0.9, collect=folder / "collected")
who = {name: [] for name in families}
errors = []
for name, inputs in families.items():
    for each in inputs:
        answer = guard(**each)
        who[name].append(answer.attrs["answered_by"])
        if "surrogate" in who[name][-1]:
            errors.append(error_of(answer, burgers(**each)))

answerers = sorted({each for found in who.values() for each in found}, reverse=True)
figure, ax = plt.subplots(figsize=(6.6, 2.6), layout="constrained")
left = np.zeros(len(who))
colours = [plot.SURROGATE, "0.25", "0.5", "0.75"]
for answerer, colour in zip(answerers, colours, strict=False):
    counts = [found.count(answerer) for found in who.values()]
    ax.barh(list(who), counts, left=left, color=colour, label=answerer)
    left += counts
ax.invert_yaxis()
ax.set_xlabel("answers")
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
print(f"largest error of what the surrogate answered: {max(errors):.1%}")
print(f"within the tolerance: {np.mean(np.array(errors) <= guard.tolerance):.0%}")

# %% [markdown]
# There are two reasons: *domain*, the input is unusual, and *bound*, it is usual but too hard for
# the tolerance. The threshold of the second is chosen so that calibration **proves** the promise:
# among the usual inputs that the surrogate answers, at most one in ten errs by more than the
# tolerance, with 95 % confidence. Where no threshold passes, a warning says so and the solver
# answers everything.
#
# In a service `spot_checks=0.01` lets the solver look over the surrogate's shoulder and raises an
# alarm when the promise is no longer kept, for whatever reason; `solves_per_minute` limits what
# unusual inputs may cost. And nothing that was solved is lost. The report counts everything, the
# solver's runs included; a speed-up below one says that this solver, a millisecond of Fourier
# transforms, needs no surrogate.

# %%
collected = simulations.open_dataset(folder / "collected")
print(len(collected), "solved trajectories to train with next time")
guard.report.to_json()

# %% [markdown]
# ## Active learning
#
# If some inputs are harder than others, training data need not be spread evenly. Here is a cavity
# heated from the side, which has two parameters, so that the choice can be drawn. `acquire` looks
# at a thousand candidates and takes those whose solutions the surrogate lacks most. With `"lcmd"`
# it measures that by distances in the last layer of the network, where inputs with like answers lie
# close together. A third of the batch is left to chance, because what a surrogate does not know
# that it does not know is found by accident only.

# %%
cavity = simulations.NaturalConvection(n=24, tolerance=1e-3)
first = simulations.generate(cavity, 40, folder / "cavity", progress=False)
pupil = surrogate.train(first, surrogate.PODNet(), epochs=150, progress=False)
chosen = surrogate.acquire(cavity, pupil, budget=30, method="lcmd")

before, reasons = first.to_xarray("train"), chosen.round.reasons
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.loglog(before.rayleigh, before.prandtl, "o", color="0.75", label="already there")
for reason, marker, label in (("random", "x", "by chance"), ("lcmd", "o", "by the network")):
    points = [p for p, why in zip(chosen.inputs, reasons, strict=True) if why == reason]
    places = [[p[name] for p in points] for name in ("rayleigh", "prandtl")]
    ax.loglog(*places, marker, color=plot.SURROGATE, label=label)
ax.set(xlabel="Rayleigh number", ylabel="Prandtl number")
_ = ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# Boundary layers become thinner as the Rayleigh number rises: there the flow changes fastest, and
# there most of the choice falls. `chosen.solve()` would run the solver and extend the dataset.
# `grow` does all of it in rounds: solve, train, choose, and again. Killed, it goes on where it was
# when it is called once more.

# %%
growth = {
    method: surrogate.grow(
        cavity,
        folder / method,
        budget=100,
        rounds=2,
        initial=40,
        method=method,
        members=1,
        network=surrogate.PODNet(),
        recipe={"epochs": 150},
        progress=False,
    )
    for method in ("random", "lcmd")
}
unseen = [cavity(seed=seed) for seed in range(5000, 5150)]
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (method, grown), colour in zip(growth.items(), (plot.SOLVER, plot.SURROGATE), strict=True):
    errors = []
    for truth in unseen:
        answer = grown.members[0](rayleigh=truth.rayleigh.item(), prandtl=truth.prandtl.item())
        difference = answer.velocity - truth.velocity
        errors.append(np.linalg.norm(difference) / np.linalg.norm(truth.velocity))
    ax.semilogx(np.sort(errors), np.linspace(0, 1, len(errors)), color=colour, label=method)
    print(
        f"{method}: {grown.rounds[-1]['train']} runs to train with, error of the velocity "
        f"{np.mean(errors):.1%} on average, {np.quantile(errors, 0.95):.1%} at the 95th percentile"
    )
ax.set(xlabel="relative error of the velocity", ylabel="share of inputs below it")
_ = ax.legend(frameon=False)

# %% [markdown]
# What is gained is the tail: the worst inputs become better, and with them every bound. The other
# popular choice, by disagreement of several networks (`method="sbal"`), was no better than chance
# for this problem with two different seeds. Active learning is an experiment on your own
# problem; `grow(method="random")` is its control, and costs no more.
