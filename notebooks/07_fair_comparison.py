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
# # A fair comparison
#
# "A thousand times faster than the solver" is easily said: take a slow solver, ask it for more
# accuracy than the surrogate has, and time the network in large batches. McGreivy and Hakim found
# that most published speed-ups of machine learning for partial differential equations had a weak
# baseline. `surrogate.compare` is built so that this cannot happen by accident:
#
# - the rivals are the solver's **own cheaper versions**: coarser grids, looser tolerances,
#   whatever the system offers;
# - everybody is judged against a **finer reference**, the training data included;
# - the speed-up is that **at equal error**, read off the front of the solver's versions;
# - **trivial predictors** are always in the table;
# - what data and training have cost is counted: after how many calls is it **paid for**?

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import simulations
import surrogate
from surrogate import plot

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A problem where the surrogate wins
#
# Natural convection: two numbers in, a smooth field out, Newton's method in between.

# %%
cavity = simulations.NaturalConvection(n=32)
data = simulations.generate(cavity, 150, folder / "cavity", progress=False)
emulator = surrogate.train(data, surrogate.PODPolynomial(), progress=False)
comparison = surrogate.compare(cavity, emulator, dataset=data, n=6, progress=False)
print(comparison.verdict)

# %%
print(comparison.table())

# %%
plot.plot_accuracy_cost(comparison)
# %% [markdown]
# Down is more accurate, left is faster. Along the line, which joins the versions of the solver
# that no other beats in both, the solver's time at the surrogate's error is read. Where the
# surrogate is more accurate than every version of the solver, there is only a bound.
#
# ## A problem where it does not
#
# Burgers' equation. The solver needs about a millisecond, and coarser versions of it less.

# %%
burgers = simulations.Burgers(n=64)
data = simulations.generate(burgers, 200, folder / "burgers", progress=False)
operator = surrogate.train(
    data, surrogate.FNO(modes=12, width=20, layers=3), epochs=20, progress=False
)
second = surrogate.compare(burgers, operator, dataset=data, n=6, progress=False)
print(second.verdict)

# %%
plot.plot_accuracy_cost(second)
# %% [markdown]
# No better network helps here: at this error the solver takes a fraction of a millisecond, which
# is less than any network of useful size. The surrogate may still be worth having for other
# reasons (it has gradients, it answers in batches, it leaves without the solver), but speed of a
# call is none of them.
#
# ## What to look at in a paper
#
# 1. Which error does the solver have that was compared with? If it is much smaller than the
#    surrogate's, the comparison is of two different things.
# 2. Is it a good solver? Second-order differences with a sparse direct solve would make the first
#    surrogate of this page a hundred times better.
# 3. One thread against a GPU, one call against a batch, compilation, transfer: was the same
#    measured on both sides?
# 4. What did the data cost?
#
# The figures above are from one run on a busy machine. `python -m benchmarks.surrogates` measures
# them with care, and `comparison.save_report("report.html")` writes everything on one page.

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
for ax, result in zip(axes, (comparison, second), strict=True):
    worst = max(result.examples, key=lambda example: example.error)
    name = next(iter(worst.truth))
    plot.plot_field(
        result.simulation, name, worst.prediction[name] - worst.truth[name], ax, style="error"
    )
    ax.set_title(f"{result.system}, the {worst.title} case: {worst.error:.2%}")
