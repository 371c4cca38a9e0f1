"""Pictures: fields, spectra, training, errors, accuracy against cost.

Every function draws into the axes it is given, or into new ones, and returns them::

    from surrogate import plot

    solution = simulations.KuramotoSivashinsky()(nu=1.0, seed=0)
    plot.plot_space_time(solution, "u")
"""

from surrogate.plot.accuracy_cost import plot_accuracy_cost
from surrogate.plot.fields import (
    is_line,
    is_number,
    magnitude,
    plot_field,
    plot_input,
    plot_portrait,
    plot_profiles,
    plot_solution,
    plot_space_time,
    portrait_fields,
    save_solution,
    simulation_of,
)
from surrogate.plot.gallery import plot_showcase, save_gallery
from surrogate.plot.learning import plot_coverage, plot_error_growth, plot_history, plot_parity
from surrogate.plot.spectra import plot_spectrum, power_spectrum
from surrogate.plot.style import SOLVER, SURROGATE, TRIVIAL, Style, with_unit

__all__ = [
    "SOLVER",
    "SURROGATE",
    "TRIVIAL",
    "Style",
    "is_line",
    "is_number",
    "magnitude",
    "plot_accuracy_cost",
    "plot_coverage",
    "plot_error_growth",
    "plot_field",
    "plot_history",
    "plot_input",
    "plot_parity",
    "plot_portrait",
    "plot_profiles",
    "plot_showcase",
    "plot_solution",
    "plot_space_time",
    "plot_spectrum",
    "portrait_fields",
    "power_spectrum",
    "save_gallery",
    "save_solution",
    "simulation_of",
    "with_unit",
]
