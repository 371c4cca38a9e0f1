"""Pages that are written from the code: one a system, the public names, the command line.

A Sphinx extension. What it writes lies in ``systems/``, ``reference/`` and ``tutorials/`` and is
made again by every build; nothing of it is kept.
"""

import dataclasses
import inspect
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from math_pictures import svg, tex_of

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
GALLERY = DOCS / "gallery"

#: Pages that explain; what else lies beside them says how something is done
EXPLANATIONS = ["architecture", "verification", "benchmark-protocol", "trust", "benchmarks"]
ELSEWHERE = {
    "index",
    "start",
    "faq",
    "comparison",
    "migration",
    "glossary",
    "stability",
    "changelog",
}
ELSEWHERE |= {"contributing", "file-format", "how-to", "explanation", "reference", "tutorials"}
ELSEWHERE |= {"systems", "community"}


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("source-read", _fill_in)
    app.connect("autodoc-process-docstring", _docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> None:
    """Write all generated pages below a folder of sources."""
    systems = library()
    verified = verification_by_system()
    for name, system in systems.items():
        _write(folder / "systems" / f"{name}.md", system_page(system, verified.get(name, "")))
    _write(folder / "systems.md", catalogue_page(systems))
    for title, module, names in public_names():
        page = reference_page(title, module, names)
        _write(folder / "reference" / f"{module.replace('.', '-')}.md", page)
    _write(folder / "reference" / "command-line.md", command_line_page())
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        target = folder / "tutorials" / notebook.name
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.read_bytes() != notebook.read_bytes():
            shutil.copyfile(notebook, target)


def library() -> dict[str, Any]:
    """The systems by name: the library's own, and what else the program has defined."""
    import simulations

    return {
        name: system
        for name, system in simulations.catalogue().items()
        if not system.__module__.startswith("tests.")
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:  # Sphinx reads again what is newer
        path.write_text(text, "utf-8")


def _fill_in(app: Any, name: str, source: list[str]) -> None:
    """Lists of pages, which follow what there is."""
    pages = sorted(path.stem for path in Path(app.srcdir).glob("*.md"))
    explaining = [page for page in EXPLANATIONS if page in pages]
    how_to = [page for page in pages if page not in {*EXPLANATIONS, *ELSEWHERE}]
    source[0] = source[0].replace("@explanations@", "\n".join(explaining))
    source[0] = source[0].replace("@how-to@", "\n".join(how_to))


# Docstrings


@dataclasses.dataclass(frozen=True)
class Docstring:
    """A docstring in its parts: the first line, the text, and its sections by title."""

    summary: str
    text: str
    sections: dict[str, str]

    @classmethod
    def of(cls, documented: Any) -> "Docstring":
        summary, _, rest = (inspect.getdoc(documented) or "").partition("\n")
        parts = re.split(
            r"^(Args|Returns|Raises|References|Attributes|Yields):\n", rest, flags=re.M
        )
        sections = dict(zip(parts[1::2], map(inspect.cleandoc, parts[2::2]), strict=True))
        return cls(summary, parts[0].strip("\n"), sections)

    @property
    def arguments(self) -> dict[str, str]:
        """Descriptions by name, of an argument or a setting."""
        found: dict[str, str] = {}
        for entry in re.split(r"\n(?=\S)", self.sections.get("Args", "")):
            name, _, description = entry.partition(":")
            for one in name.split(","):
                found[one.strip()] = " ".join(description.split())
        return found


def markdown(text: str) -> str:
    """Text of a docstring as Markdown, with its indented lines as formulas."""
    blocks = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            formulas = " \\\\\n".join(tex_of(line) for line in lines)
            blocks.append(f"```{{math}}\n{formulas}\n```")
            continue
        # In what is no code, an asterisk or an underscore is one and no emphasis
        parts = re.split(r"(``[^`]*``|`[^`]*`)", block)
        parts[::2] = [re.sub(r"([*_])", r"\\\1", part) for part in parts[::2]]
        parts[1::2] = [part.replace("``", "`") for part in parts[1::2]]
        blocks.append("".join(parts))
    return "\n\n".join(blocks)


# A page a system


def system_page(system: Any, verified: str) -> str:
    """What a system is, takes and gives, what it looks like, costs and is held against."""
    simulation, text = system(), Docstring.of(system)
    facts = _gallery_facts().get(system.__name__)
    source = Path(inspect.getsourcefile(system) or "")
    lines = [f"# {system.__name__}", "", text.summary, ""]
    if facts and (GALLERY / f"{system.__name__}.webp").exists():
        picture = f"../gallery/{system.__name__}.webp"
        lines += [f"```{{image}} {picture}\n:alt: {text.summary}\n```", ""]
        lines += [f"```python\nsimulations.{facts['call']}\n```", ""]
    lines += [markdown(text.text), ""]
    lines += ["## Inputs", ""]
    if simulation.parameters:
        rows = [
            (
                f"`{name}`",
                p.description,
                unit(p.unit),
                _span(p.admissible),
                _span(p.sampling),
                p.scale,
            )
            for name, p in simulation.drawn_parameters.items()
        ]
        lines += _table(("parameter", "", "unit", "admissible", "drawn from", "scale"), rows)
    if simulation.field_inputs:
        rows = [
            (f"`{name}`", f.description, unit(f.unit), _initial(f), _distribution(f.distribution))
            for name, f in simulation.field_inputs.items()
        ]
        lines += _table(("field", "", "unit", "is", "drawn from"), rows)
    lines += ["## Outputs", ""]
    rows = [
        (
            f"`{name}`",
            f.description,
            unit(f.unit),
            ("scalar", "vector", "tensor")[f.order],
            _where(f, simulation),
        )
        for name, f in simulation.fields.items()
    ]
    lines += _table(("field", "", "unit", "", "where"), rows)
    lines += ["## Settings", ""]
    described = text.arguments
    rows = [
        (
            f"`{setting.name}`",
            described.get(setting.name, ""),
            _default(getattr(simulation, setting.name)),
        )
        for setting in dataclasses.fields(system)
        if setting.name != "sampling"
    ]
    lines += _table(("setting", "", "default"), rows)
    if simulation.presets:
        lines += [
            "## Presets",
            "",
            "Settings of published data; `--preset NAME` on the command line.",
            "",
        ]
        rows = [(f"`{name}`", _settings(values)) for name, values in simulation.presets.items()]
        lines += _table(("preset", "settings"), rows)
    if conserved := simulation.conserved:
        lines += ["## Conserved", "", "What `surrogate check` holds every trajectory to.", ""]
        rows = [
            (name, "rounding" if drift == 0 else f"{drift:.2g}")
            for name, drift in conserved.items()
        ]
        lines += _table(("quantity", "relative drift of the solver, at most"), rows)
    if facts:
        lines += ["## Cost", ""]
        lines += [
            f"A call with default settings takes {_duration(facts['seconds'])} of processor time"
            f" ({facts['machine']}).",
            "",
        ]
    if verified:
        lines += ["## Verification", "", verified, ""]
    if references := text.sections.get("References"):
        lines += ["## References", "", markdown(references), ""]
    if source.is_relative_to(ROOT):
        lines += ["## Source", "", f"`{source.relative_to(ROOT)}`", ""]
    return "\n".join(lines)


def catalogue_page(systems: dict[str, Any]) -> str:
    lines = ["# Systems", "", "Every solver of the library: its equation, what it takes and gives,"]
    lines += [
        "what it looks like and what it is held against.",
        "",
        "::::{grid} 1 2 3 3",
        ":gutter: 3",
        "",
    ]
    for name, system in systems.items():
        lines += [f":::{{grid-item-card}} {name}", f":link: systems/{name}", ":link-type: doc"]
        if (GALLERY / f"{name}.webp").exists():
            lines += [f":img-bottom: gallery/{name}.webp"]
        lines += ["", Docstring.of(system).summary, ":::", ""]
    lines += ["::::", "", "```{toctree}", ":hidden:", ""]
    lines += [f"systems/{name}" for name in systems]
    return "\n".join([*lines, "```", ""])


def verification_by_system() -> dict[str, str]:
    """The sections of the page that ``surrogate verify -o`` has written."""
    page = (DOCS / "verification.md").read_text("utf-8")
    parts = re.split(r"^## (\w+)$", page, flags=re.M)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def _gallery_facts() -> dict[str, Any]:
    path = GALLERY / "gallery.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(header), line(["---"] * len(header)), *map(line, rows), ""]


def unit(udunits: str) -> str:
    """``m² s⁻¹`` from ``m2 s-1``; nothing for a number without a unit."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    if udunits == "1":
        return ""
    return re.sub(r"(?<=[A-Za-z])-?\d+", lambda m: m[0].translate(raised), udunits)


def _span(limits: tuple[float, float]) -> str:
    return " to ".join(f"{limit:g}".replace("-inf", "−∞").replace("inf", "∞") for limit in limits)


def _initial(field: Any) -> str:
    if field.initial_of:
        return f"the first frame of `{field.initial_of}`"
    return "a coefficient of cells" if field.piecewise_constant else "a field"


def _distribution(distribution: Any) -> str:
    return f"`{type(distribution).__name__}`"


def _where(field: Any, simulation: Any) -> str:
    if not field.spatial or simulation.grid.ndim == 0:
        return "a number"
    return " × ".join(map(str, simulation.grid.shape))


def _default(value: Any) -> str:
    return _distribution(value) if hasattr(value, "sample") else f"`{value!r}`"


def _settings(values: Any) -> str:
    shown = []
    for name, value in values.items():
        if name == "sampling":
            ranges = [f"{n} from {_span(span)}" for n, span in value.ranges]
            cases = (
                [f"{len(value.cases)} cases of {', '.join(n for n, _ in value.cases[0])}"]
                if value.cases
                else []
            )
            shown += [*ranges, *cases]
        else:
            shown.append(f"{name} = {_default(value)}")
    return ", ".join(shown)


def _duration(seconds: float) -> str:
    for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{float(f'{seconds / factor:.2g}'):g} {name}"
    return "less than 1 µs"


# Reference


def public_names() -> Iterator[tuple[str, str, list[str]]]:
    """Title, module and names of each page of the reference."""
    import simulations
    import simulations.datasets
    import simulations.grid
    import simulations.inputs
    import simulations.verification
    import surrogate
    import surrogate.metrics
    import surrogate.plot

    systems = set(simulations.catalogue())
    yield (
        "Simulations and data",
        "simulations",
        [n for n in simulations.__all__ if n not in systems],
    )
    contract = ["Parameter", "Field", "FieldInput", "Sampling", "Showcase", "check_setting"]
    yield "The contract of a simulation", "simulations.simulation", contract
    yield "Grids", "simulations.grid", ["Axis", "Grid"]
    yield "Distributions of fields", "simulations.inputs", _defined(simulations.inputs)
    elsewhere = set(simulations.__all__)
    files = [n for n in simulations.datasets.__all__ if n not in elsewhere]
    yield "Files", "simulations.datasets", files
    yield "Checks of solvers", "simulations.verification", simulations.verification.__all__
    yield "Surrogates", "surrogate", surrogate.__all__
    yield "Metrics", "surrogate.metrics", _defined(surrogate.metrics)
    functions = [
        n for n in surrogate.plot.__all__ if callable(getattr(surrogate.plot, n)) and n != "Style"
    ]
    yield "Pictures", "surrogate.plot", functions


def _defined(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    ]


def reference_page(title: str, module: str, names: Sequence[str]) -> str:
    import importlib

    home = importlib.import_module(module)
    lines = [f"# {title}", "", f"`{module}`", "", "```{eval-rst}"]
    for name in sorted(names, key=str.lower):
        value = getattr(home, name)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            lines += [f".. autodata:: {module}.{name}", ""]
            continue
        kind = "class" if inspect.isclass(value) else "function"
        lines += [f".. auto{kind}:: {module}.{name}"]
        if inspect.isclass(value) and issubclass(value, Exception):
            lines += ["   :no-members:"]
        lines += [""]
    return "\n".join([*lines, "```", ""])


def command_line_page() -> str:
    """All commands with their arguments and options, from what parses them."""
    from typer.main import get_command

    import surrogate.cli

    group: Any = get_command(surrogate.cli.app)
    lines = ["# The command line", "", group.help, ""]
    lines += ["Errors are one line on stderr. Exit codes: 0 success, 1 failure, 2 misuse.", ""]
    for name, command in group.commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
        usage = " ".join([f"surrogate {name}", *(_metavar(p) for p in arguments)])
        lines += [f"## {name}", "", " ".join((command.help or "").split()), ""]
        lines += [f"```text\n{usage}{' [OPTIONS]' if options else ''}\n```", ""]
        rows = [(f"`{_metavar(p)}`", p.help or "", "") for p in arguments]
        rows += [(f"`{', '.join(p.opts)}`", p.help or "", _option_default(p)) for p in options]
        lines += _table(("", "", "default"), rows)
    return "\n".join(lines)


def _metavar(parameter: Any) -> str:
    metavar = parameter.metavar or parameter.name.upper()
    return metavar if parameter.required or metavar.startswith("[") else f"[{metavar}]"


def _option_default(parameter: Any) -> str:
    default = parameter.default
    if default in (None, False, True, [], ()) or isinstance(default, Callable):  # type: ignore[arg-type]
        return ""
    return f"`{default}`"


def _docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """What docstrings have that would be markup: blocks of formulas or code, bars of |x|."""
    written: list[str] = []
    block: list[str] = []
    for line in [*lines, ""]:
        starts = not written or not written[-1].strip()
        introduced = any(previous.rstrip().endswith("::") for previous in written[-2:])
        if line.startswith("    ") and (
            block or (starts and not introduced and not _is_field(written))
        ):
            block.append(line[4:])
            continue
        if block:
            written += [*_formulas(block), ""]
            block = []
        written.append(re.sub(r"(?<![`\w|])\|(?=\S)", r"\\|", line))
    lines[:] = written


def _is_field(written: list[str]) -> bool:
    """Whether an indented line goes on with what napoleon has made of a section."""
    before = next((line for line in reversed(written) if line.strip()), "")
    return before.lstrip().startswith((":", "..")) or before.startswith("  ")


def _formulas(block: list[str]) -> list[str]:
    directive = "math" if not "".join(block).isascii() else "code-block:: text"
    if directive == "math":
        block = [tex_of(line) for line in block]
        try:
            for line in block:
                svg(line)
        except ValueError:
            raise ValueError(f"no formula: {block}") from None
        return [".. math::", "", *(f"   {line} \\\\" for line in block)]
    return [f".. {directive}", "", *(f"   {line}" for line in block)]
