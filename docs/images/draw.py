"""Draw the picture of the README from what ``make demo`` has left behind.

python docs/images/draw.py demo-output
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import surrogate
from surrogate.plot import plot_field

INPUTS = {"rayleigh": 5e5, "prandtl": 0.71}

emulator = surrogate.load(Path(sys.argv[1]) / "natural-convection" / "model")
simulation = emulator.simulation
truth, answer = (solve(**INPUTS, seed=0) for solve in (simulation, emulator))

figure = Figure(figsize=(13, 6.6), layout="constrained")
for row, name in enumerate(("temperature", "velocity")):
    panels = (
        ("solver", truth[name].values, "value"),
        ("surrogate", answer[name].values, "value"),
        ("surrogate − solver", answer[name].values - truth[name].values, "error"),
    )
    for column, (title, values, style) in enumerate(panels):
        ax = figure.add_subplot(2, 3, 3 * row + column + 1)
        plot_field(simulation, name, np.asarray(values), ax, style=style)
        ax.set_title(title)
figure.suptitle("Natural convection at Ra = 5·10⁵, Pr = 0.71")
figure.savefig(Path(__file__).with_name("natural-convection.png"), dpi=80)
