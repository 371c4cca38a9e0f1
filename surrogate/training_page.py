"""How a surrogate was trained and where it errs, as one HTML page that needs nothing but itself.

Cases are those of the validation split: what is chosen by looking at this page has not seen the
test split.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from simulations.datasets import Dataset, Trajectories, open_dataset
from simulations.simulation import Array, InvalidInput, Simulation
from surrogate import metrics, plot
from surrogate.comparison import Example, wording
from surrogate.emulator import Surrogate
from surrogate.report import figure, panels, table, write_page
from surrogate.training import answered, stored_inputs

# As many trajectories of the split are looked at
MOST_CASES = 256
# Stored times of a scalar in a picture of parity
MOST_DOTS = 2000


@dataclass(frozen=True, eq=False)
class _Cases:
    """Stored trajectories of a split, what the surrogate answers, and how far off it is."""

    simulation: Simulation
    samples: Trajectories
    answers: Mapping[str, Array]
    errors: Mapping[str, Array]

    @property
    def headline(self) -> Array:
        """Mean over fields, for each trajectory."""
        return np.mean(list(self.errors.values()), axis=0)


def training_report(
    emulator: Surrogate, path: str | Path, dataset: Dataset | str | Path | None = None
) -> None:
    """Write a page with the curves of a training, its worst and median cases and its recipe.

    Args:
        emulator: a trained surrogate.
        path: of the HTML file.
        dataset: its training data; by default where its record says they are.

    Raises:
        InvalidInput: the surrogate has no record of a training.
        DatasetError: its training data are not where they were; name them.
    """
    training = emulator.training
    if "history" not in training:
        raise InvalidInput("emulator: has no record of its training")
    if dataset is None:
        dataset = training["dataset"]["path"]
    if not isinstance(dataset, Dataset):
        dataset = open_dataset(dataset)
    if dataset.simulation.settings != emulator.simulation.settings:
        raise InvalidInput(f"dataset: of {dataset.simulation}, not of {emulator.simulation}")
    cases = _valid_cases(emulator, dataset)
    title = f"{type(emulator.simulation).__name__} by {emulator.network_name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _key_figures(emulator, cases),
        *_curves(training),
        _errors(cases),
        *_by_parameter(cases),
        *_parity(cases),
        *_pictures(cases),
        _provenance(emulator),
    ]
    write_page(path, title, body)


def _valid_cases(emulator: Surrogate, dataset: Dataset) -> _Cases:
    simulation = emulator.simulation
    parts: list[Trajectories] = []
    for part in dataset.parts("valid"):
        room = MOST_CASES - sum(map(len, parts))
        if room > 0:
            parts.append(dataset.read(part, slice(0, room)))
    samples = Trajectories.join(parts)
    encoded = emulator.encoding.encode(samples)
    answers = emulator.encoding.decode(
        *answered(emulator.network, encoded), stored_inputs(simulation, samples)
    )
    errors = {}
    for name, field in simulation.fields.items():
        first, weights = emulator.encoding.first_frame[name], field.weights(simulation.grid)
        truth = samples.fields[name][:, first:].astype(np.float64)
        errors[name] = metrics.relative_l2(answers[name][:, first:], truth, weights)
    return _Cases(simulation, samples, answers, errors)


def _key_figures(emulator: Surrogate, cases: _Cases) -> str:
    training = emulator.training
    figures = [
        (wording.percent(float(cases.headline.mean())), "validation error, mean over fields"),
        (wording.percent(float(cases.headline.max())), "the worst case"),
        (wording.duration(training["seconds"]), "training"),
        (f"{training['best_epoch']} of {training['epochs']}", "epoch that was kept"),
        (f"{sum(p.numel() for p in emulator.network.parameters()):,}", "weights"),
    ]
    if "tuning_seconds" in training:
        figures.append((wording.duration(training["tuning_seconds"]), "search for the recipe"))
    cells = [f"<div><b>{escape(value)}</b><span>{escape(of)}</span></div>" for value, of in figures]
    return f'<div class="figures">{"".join(cells)}</div>'


def _curves(training: Mapping[str, Any]) -> list[str]:
    history = training["history"]
    if not history:
        return ["<p>Fitted in closed form: there are no curves.</p>"]
    parts = ["<h2>Curves</h2>", '<div class="row">']
    parts.append(figure(lambda ax: plot.plot_history(history, ax), (4.8, 2.9)))
    if "learning_rate" in history[0]:

        def rate(ax: Axes) -> None:
            epochs = np.arange(1, len(history) + 1)
            ax.plot(epochs, [h["learning_rate"] for h in history], color=plot.TRIVIAL)
            ax.set(xlabel="epoch", ylabel="learning rate at its end")

        parts.append(figure(rate, (4.8, 2.9)))
    loss = training["recipe"].get("loss", "relative_l2")
    if loss != "relative_l2" or training["recipe"].get("field_weights"):
        parts.append(
            f"<p>Trained on another loss ({escape(str(loss))}): its curve is not comparable with "
            "that of validation, which is in relative L2.</p>"
        )
    return [*parts, "</div>"]


def _errors(cases: _Cases) -> str:
    rows: list[tuple[str, ...]] = [("", "mean", "median", "90 %", "worst")]
    for name, errors in cases.errors.items():
        figures = [errors.mean(), *np.quantile(errors, [0.5, 0.9, 1.0])]
        rows.append((name, *(wording.percent(float(value)) for value in figures)))
    caption = f"Relative L2 error over {len(cases.samples)} trajectories of the validation split"
    return "<h2>Errors</h2>" + table(rows, caption)


def _by_parameter(cases: _Cases) -> list[str]:
    """Where in the space of parameters it errs."""
    drawn = [name for name, values in cases.samples.parameters.items() if np.ptp(values) > 0]
    if not drawn:
        return []
    pictures = [figure(partial(_draw_errors, cases, name)) for name in drawn]
    return ["<h2>Error by parameter</h2>", f'<div class="row">{"".join(pictures)}</div>']


def _draw_errors(cases: _Cases, name: str, ax: Axes) -> None:
    parameter = cases.simulation.parameters[name]
    label = plot.with_unit(f"{name}, {parameter.description}", parameter.unit)
    values = cases.samples.parameters[name]
    ax.plot(values, cases.headline, "o", color=plot.SURROGATE, ms=3, mew=0)
    ax.set(xlabel=label, ylabel="relative L2 error", yscale="log")
    if parameter.scale == "log":
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())


def _parity(cases: _Cases) -> list[str]:
    """Scalars: what was predicted against what is true."""
    drawn = [name for name, field in cases.simulation.fields.items() if not field.spatial]
    if not drawn:
        return []
    pictures = [figure(partial(_draw_parity, cases, name)) for name in drawn]
    return ["<h2>Numbers</h2>", f'<div class="row">{"".join(pictures)}</div>']


def _draw_parity(cases: _Cases, name: str, ax: Axes) -> None:
    field = cases.simulation.fields[name]
    truth, answer = cases.samples.fields[name].ravel(), cases.answers[name].ravel()
    step = -(-truth.size // MOST_DOTS)
    ends = [min(truth.min(), answer.min()), max(truth.max(), answer.max())]
    ax.plot(ends, ends, color=plot.TRIVIAL, lw=1)
    ax.plot(truth[::step], answer[::step], "o", color=plot.SURROGATE, ms=3, mew=0)
    label = plot.with_unit(field.description, field.unit)
    ax.set(xlabel=f"{label}, stored", ylabel="surrogate")


def _pictures(cases: _Cases) -> list[str]:
    order = np.argsort(cases.headline)
    chosen = {"worst": int(order[-1]), "median": int(order[len(order) // 2])}
    parts = ["<h2>Cases</h2>"]
    for title, case in chosen.items():
        example = Example(
            title,
            {name: float(values[case]) for name, values in cases.samples.parameters.items()},
            float(cases.headline[case]),
            {name: values[case] for name, values in cases.samples.fields.items()},
            {name: values[case] for name, values in cases.answers.items()},
        )
        inputs = [
            f"{k} = {wording.brief(float(f'{v:.4g}'))}" for k, v in example.parameters.items()
        ]
        about = ", ".join([f"error {wording.percent(example.error)}", *inputs])
        parts.append(f"<h3>The {title} case</h3><p>{escape(about)}</p>")
        for name in cases.simulation.fields:
            if not plot.is_number(cases.simulation, name):
                pictures = "".join(panels(cases.simulation, name, example))
                parts.append(f'<div class="row">{pictures}</div>')
    return parts


def _provenance(emulator: Surrogate) -> str:
    training = emulator.training
    facts = [
        ("network", emulator.network_name),
        ("settings of the network", str(getattr(emulator.learner, "config", {}))),
        ("recipe", str({k: v for k, v in training["recipe"].items() if v is not None})),
        ("data", str(training["dataset"]["path"])),
        ("trajectories", str(training["trajectories"])),
        ("settings of the simulation", str(dict(emulator.simulation.settings))),
        ("versions", str(training.get("versions", {}))),
    ]
    return f"<h2>How it was made</h2>{table(facts, numeric=False)}"
