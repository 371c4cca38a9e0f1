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
# # An inverse problem: nine thermometers
#
# A cavity is heated from the side. Nobody can measure the Rayleigh number, but nine thermometers in
# the fluid can be read, each to 0.003 of the temperature difference. Which Rayleigh and Prandtl
# numbers explain the readings, and how much heat passes the wall, which was never measured?
#
# Bayes' rule answers with a distribution. To draw from it takes tens of thousands of solutions,
# which is what a surrogate is for. But its own error is then part of the problem, and this notebook
# is about not being fooled by it.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.stats

import simulations
import surrogate
from surrogate import plot

folder = Path(tempfile.mkdtemp())
cavity = simulations.NaturalConvection(n=24, tolerance=1e-3)
data = simulations.generate(cavity, 30, folder / "cavity", progress=False)
emulator = surrogate.train(data, surrogate.PODPolynomial(), progress=False)
emulator

# %% [markdown]
# ## The readings
#
# They are made up, so that the truth is known. Observations are a part of a dataset as the solver
# returns it: one field, nine points. (A table with columns `field`, `value`, `x`, `y` does as
# well.)

# %%
true = {"rayleigh": 2e5, "prandtl": 0.71}
noise = 0.003
solution = cavity(**true)
seen = solution[["temperature"]].isel(x=slice(3, 24, 7), y=slice(3, 24, 7))
seen = seen + noise * np.random.default_rng(4).standard_normal(seen.temperature.shape)
ax = plot.plot_field(cavity, "temperature", solution.temperature.values)
places = np.meshgrid(seen.x, seen.y, indexing="ij")
_ = ax.scatter(*places, c="white", edgecolors="black", s=40)

# %% [markdown]
# ## Three posteriors
#
# 1. The surrogate taken for the truth (`model_error=0`): what one would write in an afternoon.
# 2. The default: the surrogate's error on the test split widens the noise, and half of its variance
#    is shared by all thermometers, so that many of them do not average it away.
# 3. *Delayed acceptance*: the surrogate proposes, and the solver accepts or refuses each draw.
#    These are draws of the solver's posterior whatever the surrogate does; a bad one costs runs.

# %%
posteriors = {
    "surrogate taken for the truth": surrogate.calibrate(
        emulator, seen, noise=noise, model_error=0
    ),
    "surrogate with its error": surrogate.calibrate(emulator, seen, noise=noise),
    "checked by the solver": surrogate.calibrate(
        emulator, seen, noise=noise, method="delayed", draws=250
    ),
}
for name, posterior in posteriors.items():
    print(f"{name}: {posterior.solver_calls} runs of the solver")
    for parameter, found in posterior.summary().items():
        print(
            f"    {parameter}: {found['mean']:.4g} ± {found['std']:.2g}, 90 % between "
            f"{found['5%']:.4g} and {found['95%']:.4g} (R̂ {found['r_hat']:.3f}, "
            f"{found['ess']:.0f} independent draws)"
        )

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained", sharex=True, sharey=True)
rng = np.random.default_rng(0)
for ax, (name, posterior) in zip(axes, posteriors.items(), strict=True):
    draws = rng.choice(posterior.draws, 1000)
    ax.plot(*draws.T, ".", color=plot.SURROGATE, ms=3, alpha=0.35)
    ax.plot(*true.values(), "k+", ms=14, mew=2)
    ax.set(xlabel="Rayleigh number", title=name)
_ = axes[0].set_ylabel("Prandtl number")

# %% [markdown]
# The cross is the truth. The right-hand cloud is the correct answer to these readings; the others
# are to be compared with it. The first is as narrow as if the surrogate were perfect, but has been
# pushed aside by the surrogate's error, and nothing in it says so. The second holds the correct one
# and costs nothing, but it is wider than need be: the error on the test split is that of the worst
# corners, too. Neither of them shows by itself what it is worth. The third does, for about a
# thousand runs, fewer than the chain has steps. Between them is
# `measured_error=32`, which buys the covariance of the error at just these thermometers.
#
# R̂ near one says that chains that began apart agree; the number of independent draws says how far
# a mean can be trusted. Neither finds a solution that no chain was near.
#
# ## What was never measured
#
# The posterior is a distribution over flows. Its heat flux:

# %%
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
colours = (plot.TRIVIAL, plot.SURROGATE, plot.SOLVER)
for (name, posterior), colour in zip(posteriors.items(), colours, strict=True):
    rayleigh, prandtl = rng.choice(posterior.draws, 2000).T
    nusselt = emulator.predict(rayleigh=rayleigh, prandtl=prandtl)["nusselt"].ravel()
    centres = np.linspace(nusselt.min(), nusselt.max(), 200)
    density = scipy.stats.gaussian_kde(nusselt)(centres)
    ax.plot(centres, density, color=colour, label=name)
ax.axvline(solution.nusselt.item(), color="black", ls=":")
ax.set(xlabel="Nusselt number", ylabel="density", ylim=(0, None))
_ = ax.legend(frameon=False, fontsize="small")

# %% [markdown]
# Nine thermometers in the fluid tell the heat through the wall to about a per cent.
# `posterior.predict()` does the same for whole fields, with bounds of every value: where the
# standard deviation of the temperature is large, the next thermometer would be worth most.

# %%
fields = posteriors["checked by the solver"].predict(n=300)
width = (fields.temperature_upper - fields.temperature_lower).values
ax = plot.plot_field(cavity, "temperature", width)
ax.scatter(*places, c="white", edgecolors="black", s=40)
_ = ax.set_title("width of the 90 % interval of the temperature", fontsize="medium")

# %% [markdown]
# ## What is known beforehand
#
# A prior is a distribution of `scipy.stats`. Somebody says that the fluid is air, give or take a
# little:

# %%
informed = surrogate.calibrate(
    emulator, seen, noise=noise, prior={"prandtl": scipy.stats.lognorm(0.03, scale=0.71)}
)
for parameter, found in informed.summary().items():
    print(f"{parameter}: {found['mean']:.4g} ± {found['std']:.2g}")

# %% [markdown]
# ## Which parameter matters
#
# Sobol' indices say how much of the variance of an answer a parameter explains over the whole
# range. They have two kinds of uncertainty: finitely many points, and the surrogate. The second is
# what a few control runs of the solver bound; it is wider than one would like, and it is true.

# %%
found = surrogate.sensitivity(emulator, n=512, control=24)
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
rows = [(field, name) for field in found.total for name in found.total[field]]
for place, (field, name) in enumerate(rows):
    index = found.total[field][name]
    ax.plot(index.model, [place, place], color=plot.SOLVER, lw=6, alpha=0.35, solid_capstyle="butt")
    ax.plot(index.value, place, "o", color=plot.SURROGATE)
ax.set_yticks(range(len(rows)), [f"{field}: {name}" for field, name in rows])
ax.invert_yaxis()
ax.set(xlabel="total Sobol' index (dot) and what the solver's can be (bar)", xlim=(-0.02, 1.02))
print("error in deviations of the field:", {n: round(e, 3) for n, e in found.error.items()})

# %% [markdown]
# The Rayleigh number is nearly everything, which is why the thermometers find it to a few per cent
# and leave the Prandtl number within a tenth or two.
#
# ## And the other way round
#
# Searching for the best parameters is the same loop with another end: `optimise` follows the
# gradients of the surrogate, and the solver has the last word. How much heat can pass if the fluid
# may not be faster than 30 κ/L in the root mean square?

# %%
best = surrogate.optimise(
    emulator,
    "nusselt",
    maximise=True,
    constraints=[lambda answer, inputs: 30.0**2 - answer["velocity"].square().sum(-1).mean()],
)
print({name: f"{value:.4g}" for name, value in best.inputs.items()})
print(f"Nu = {best.value:.3f} by the solver, {best.predicted:.3f} predicted")
print(f"disagreement: {best.discrepancy:.1%} of the range that Nu has")
print(f"{best.solver_calls} runs of the solver, converged: {best.converged}")

# %% [markdown]
# Here the solver agreed at once. Where it does not, the search goes on in a trust region in which
# the surrogate is corrected by the solver's values and slopes, so that it ends at an optimum of the
# solver.
#
# [Beyond answers](../inverse-problems) has the settings of all of this, and what is not promised.
