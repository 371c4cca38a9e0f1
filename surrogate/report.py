"""A comparison as one HTML page: self-contained, for a phone, a dark room or the printer."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from simulations.datasets.publish import publish_text
from simulations.simulation import Simulation
from surrogate import plot
from surrogate.comparison import Comparison, Example, wording
from surrogate.comparison.equal_error import Estimate

# Drawn in this colour, which nobody uses, and shown in that of the text around the picture
INK = "#010203"

DRAWING: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "physurrogate",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.4,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

NOTHING: Mapping[str, str] = MappingProxyType({})

NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))

COLOURS = {
    "the surrogate wins": "good",
    "the surrogate wins in batches": "good",
    "the solver wins": "bad",
    "no skill": "bad",
    "unusable": "bad",
}


def write_report(
    path: str | Path,
    comparisons: Sequence[Comparison],
    title: str = "Surrogate against solver",
    failures: Mapping[str, str] = NOTHING,
) -> None:
    """Write a page with the verdict, pictures, tables and provenance of each comparison.

    Args:
        path: of the HTML file.
        comparisons: of which each has a section.
        title: heading of the page.
        failures: of each system without a comparison, why there is none.
    """
    body = [f"<h1>{escape(title)}</h1>"]
    if len(comparisons) + len(failures) > 1:
        body.append(_overview(comparisons, failures))
    for number, comparison in enumerate(comparisons):
        body.append(_section(comparison, f"system-{number}"))
    write_page(path, title, body)


def write_page(path: str | Path, title: str, body: Sequence[str]) -> None:
    """Write HTML in the style of the house, with nothing that would have to be fetched."""
    style = STYLE.replace("\n", "")
    publish_text(
        Path(path),
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(body) + "\n</main>\n</body>\n</html>\n",
    )


def _overview(comparisons: Sequence[Comparison], failures: Mapping[str, str]) -> str:
    items = [
        f'<li><a href="#system-{number}">{escape(c.system)}</a>: {escape(c.outcome)}</li>'
        for number, c in enumerate(comparisons)
    ]
    items += [f"<li>{escape(name)}: {escape(reason)}</li>" for name, reason in failures.items()]
    return f"<ul>{''.join(items)}</ul>"


def _section(comparison: Comparison, anchor: str) -> str:
    parts = [
        f'<section id="{anchor}"><h2>{escape(comparison.system)}</h2>',
        f'<p class="verdict {COLOURS.get(comparison.outcome, "open")}">'
        f"{escape(comparison.verdict)}</p>",
        *(f'<p class="caution">{escape(caution)}</p>' for caution in comparison.cautions),
        _key_figures(comparison),
        *(_example(comparison, example) for example in comparison.examples),
        "<h3>Accuracy against cost</h3>",
        figure(lambda ax: plot.plot_accuracy_cost(comparison, ax), (4.8, 4.4), "wide"),
        "<p>Further down is more accurate, further left is faster. The line joins the versions "
        "of the solver that no other one beats in both; along it its time at the surrogate's error "
        "is read. In the grey band errors are too small for the reference to judge.</p>",
        "<h3>Errors and times</h3>",
        _errors_table(comparison),
        _contenders_table(comparison),
    ]
    if history := comparison.training.get("history"):
        parts += [
            "<h3>Training</h3>",
            figure(lambda ax: plot.plot_history(history, ax), (4.8, 2.9), "wide"),
        ]
    parts += [_provenance(comparison), "</section>"]
    return "\n".join(parts)


def _key_figures(comparison: Comparison) -> str:
    model = comparison.surrogate
    figures = [
        (wording.percent(model.error), "error of the surrogate"),
        (wording.percent(comparison.data_error), "error of its training data"),
        (wording.duration(model.seconds), "a call of the surrogate"),
    ]
    if comparison.solver_seconds is not None:
        seconds = _short(comparison.solver_seconds, wording.duration)
        figures.append((seconds, "the solver at equal error"))
    for batched, how in ((False, "speed-up at equal error"), (True, "speed-up in batches")):
        speed_up = comparison.speed_up(batched=batched)
        if speed_up is not None and not (batched and model.batch_seconds is None):
            figures.append((_short(speed_up, wording.significant) + "×", how))
    for batched, how in ((False, "calls to break even"), (True, "to break even in batches")):
        calls = comparison.break_even(batched=batched)
        if calls is not None and not (batched and model.batch_seconds is None):
            figures.append((_short(calls, _rounded), how))
    for measure, how in (("frames", "nRMSE of stored times"), ("quantity", "what is asked for")):
        if measure in comparison.measures:
            error = comparison.measured_by(measure).surrogate.error
            figures.append((wording.percent(error), how))
    if not np.isnan(model.valid_time):
        end = float(comparison.simulation.times[-1])
        figures.append((f"{model.valid_time:.3g} of {end:.3g}", "time it holds for"))
    if model.joules is not None:
        figures.append((wording.energy(model.joules), "energy of a call"))
    cells = [f"<div><b>{escape(value)}</b><span>{escape(of)}</span></div>" for value, of in figures]
    return f'<div class="figures">{"".join(cells)}</div>'


def _short(estimate: Estimate, show: Callable[[float], str]) -> str:
    return {"=": "", "<": "< ", ">": "> "}[estimate.relation] + show(estimate.value)


def _rounded(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.0f}" if np.isfinite(value) else "∞"


def _example(comparison: Comparison, example: Example) -> str:
    simulation = comparison.simulation
    inputs = [f"{name} = {_four_digits(value)}" for name, value in example.parameters.items()]
    heading = f"The {example.title} case"
    about = ", ".join([f"error {wording.percent(example.error)}", *inputs])
    parts = [f"<h3>{heading}</h3><p>{escape(about)}</p>"]
    numbers = []
    for name, field in simulation.fields.items():
        truth, prediction = example.truth[name], example.prediction[name]
        if plot.is_number(simulation, name):
            described = plot.with_unit(field.description, field.unit)
            numbers.append((described, f"{truth.item():.5g}", f"{prediction.item():.5g}"))
        else:
            parts.append(f'<div class="row">{"".join(panels(simulation, name, example))}</div>')
    if numbers:
        parts.append(table([("", "reference", "surrogate"), *numbers]))
    return "\n".join(parts)


def _four_digits(value: float) -> str:
    return wording.brief(float(f"{value:.4g}"))


def panels(simulation: Simulation, name: str, example: Example) -> Iterator[str]:
    """Truth, prediction and error of a field; curves share the first panel."""
    truth, prediction = example.truth[name], example.prediction[name]

    def draw(values: Any, **options: Any) -> Callable[[Axes], Any]:
        return lambda ax: plot.plot_field(simulation, name, values, ax, **options)

    if plot.is_line(simulation, name):

        def both(ax: Axes) -> None:
            draw(truth)(ax)
            draw(prediction, dashed=True)(ax)

        yield figure(both, caption="reference, and surrogate dashed")
    else:
        size = plot.magnitude(simulation, name, truth)
        limits = (float(size.min()), float(size.max()))
        yield figure(draw(truth, limits=limits), caption="reference")
        yield figure(draw(prediction, limits=limits), caption="surrogate")
    yield figure(draw(prediction - truth, style="error"), caption="surrogate − reference")


def _errors_table(comparison: Comparison) -> str:
    """The distribution of the error of each field, beside that of the training data."""
    model, own = comparison.surrogate, comparison.ladder[0]

    def figures(errors: ArrayLike) -> Iterator[str]:
        finite = np.asarray(errors)[np.isfinite(errors)]
        if finite.size == 0:
            yield from ["n/a"] * 4
            return
        for value in (finite.mean(), *np.quantile(finite, [0.5, 0.9, 1.0])):
            yield wording.percent(float(value))

    header = ("", "mean", "median", "90 %", "worst", "training data, mean")
    rows = [
        (name, *figures(model.errors[name]), next(figures(own.errors[name])))
        for name in model.errors
    ]
    if len(rows) > 1:
        overall = (*figures(model.headline), wording.percent(own.error))
        rows.append(("mean over fields", *overall))
    return table([header, *rows], "Relative L2 error of the surrogate over the held-out inputs")


def _contenders_table(comparison: Comparison) -> str:
    front = {rung.name for rung in comparison.front}
    header, *rows = comparison.rows()
    marked = [
        (
            f"{row[0]} ●" if contender.kind == "solver" and contender.name in front else row[0],
            *row[1:],
        )
        for contender, row in zip(comparison.contenders, rows, strict=True)
    ]
    return table(
        [header, *marked],
        "Relative L2 error in %, processor time on one thread; ● on the line above",
    )


def _provenance(comparison: Comparison) -> str:
    reference, training = comparison.reference, comparison.training
    order = "" if reference.order is None else f", observed order {reference.order:.1f}"
    facts: list[tuple[str, str]] = [
        ("settings", _json(comparison.settings)),
        ("held-out inputs", str(comparison.inputs["origin"])),
        ("reference", _json(_difference(reference.settings, comparison.settings))),
        ("reference's own error", wording.percent(reference.error) + order),
        ("error of interpolating it", wording.percent(reference.interpolation_error)),
    ]
    if "network" in training:
        facts.append(("network", f"{training['network']}, {training['weights']:,} weights"))
    if comparison.rationale:
        facts.append(("other rivals", comparison.rationale))
    costs = (("data_seconds", "data"), ("tuning_seconds", "tuning"), ("seconds", "training"))
    for key, words in costs:
        if key in training:
            facts.append((f"cost of the {words}", wording.duration(training[key])))
    for key in ("trajectories", "recipe"):
        if key in training:
            facts.append((key, _json(training[key])))
    facts += [(name, str(value)) for name, value in comparison.machine.items()]
    return (
        "<details open><summary>How this was measured</summary>"
        f"{table(facts, numeric=False)}</details>"
    )


def _difference(settings: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value != base.get(key)}


def _json(value: Mapping[str, Any]) -> str:
    """Settings in a line; what is not set is left out."""
    return ", ".join(
        f"{key} = {json.dumps(v) if isinstance(v, (dict, list)) else wording.brief(v)}"
        for key, v in value.items()
        if v is not None
    )


def table(rows: Iterable[Sequence[str]], caption: str = "", numeric: bool = True) -> str:
    """An HTML table; numeric ones have a header and right-aligned figures."""
    lines = [list(map(escape, row)) for row in rows]
    head = ""
    if numeric:
        first = lines.pop(0)
        head = "<thead><tr>" + "".join(f"<th>{cell}</th>" for cell in first) + "</tr></thead>"
    body = "".join(
        f"<tr><th>{name}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for name, *cells in lines
    )
    described = f"<caption>{escape(caption)}</caption>" if caption else ""
    kind = "numbers" if numeric else "facts"
    return (
        f'<div class="scroll"><table class="{kind}">{described}{head}<tbody>{body}</tbody></table>'
        "</div>"
    )


def figure(
    draw: Callable[[Axes], Any],
    size: tuple[float, float] = (3.5, 2.9),
    kind: str = "",
    caption: str = "",
) -> str:
    """A drawing as inline SVG in the colours of the page."""
    with matplotlib.rc_context(DRAWING):
        drawing = Figure(figsize=size, layout="constrained")
        ax = drawing.add_subplot()
        ax.patch.set_alpha(0.0)
        draw(ax)
        buffer = io.StringIO()
        drawing.savefig(buffer, format="svg", transparent=True, dpi=200, metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # Names that nothing refers to and that would be the same in every picture of the page
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    described = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{described}{svg}</figure>'


STYLE = """
:root{--page:#fff;--ink:#1c2126;--soft:#5d6670;--line:#d9dee3;--good:#1a7f4b;--bad:#b3372a;
--open:#9a6700;--panel:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--page:#14181c;--ink:#e4e8ec;--soft:#9aa4ae;
--line:#353c44;--good:#4cc38a;--bad:#ff7b6b;--open:#e0b050;--panel:#1d2228}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;line-height:1.2}
h2{font-size:1.35rem;margin-top:2.5rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h3{font-size:1.05rem;margin:2rem 0 .3rem}
a{color:inherit}
p{max-width:44rem;margin:.4rem 0}
.verdict{font-size:1.1rem;max-width:none;border-left:5px solid var(--open);background:var(--panel);
padding:.8rem 1rem;border-radius:0 6px 6px 0}
.verdict.good{border-color:var(--good)}.verdict.bad{border-color:var(--bad)}
.caution{color:var(--open)}
.caution::before{content:"Caution: ";font-weight:600}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;
margin:1rem 0}
.figures div{background:var(--panel);border-radius:6px;padding:.6rem .8rem}
.figures b{display:block;font-size:1.25rem}
.figures span{color:var(--soft);font-size:.85rem}
.row{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(17rem,100%),1fr));gap:.5rem}
figure{margin:0;break-inside:avoid}
figure svg{width:100%;height:auto;display:block;max-width:30rem}
figure.wide svg{max-width:38rem}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif!important}
figcaption,caption{color:var(--soft);font-size:.85rem;text-align:left;padding:.3rem 0}
caption{caption-side:bottom}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}
.numbers thead th,.numbers td{white-space:nowrap}
.numbers td,.numbers thead th:not(:first-child){text-align:right;
font-variant-numeric:tabular-nums}
tbody th{font-weight:500}
.facts td{overflow-wrap:anywhere;color:var(--soft)}
summary{font-weight:600;margin-top:2rem;cursor:pointer}
@media print{:root{--page:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#f2f2f2}
main{max-width:none;padding:0}section{break-before:page}section:first-of-type{break-before:auto}
.row{grid-template-columns:repeat(3,1fr)}h3{break-after:avoid}tr{break-inside:avoid}}
"""
