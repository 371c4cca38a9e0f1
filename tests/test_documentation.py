"""The documentation: links, names and examples in it, and the pages that are written from code."""

import ast
import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
GENERATED = {"systems", "reference", "tutorials", "_build"}
PAGES = [
    *ROOT.glob("*.md"),
    *(p for p in DOCS.rglob("*.md") if p.relative_to(DOCS).parts[0] not in GENERATED),
]
SCRIPTS = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
EXAMPLES = [
    "simulations",
    "simulations.grid",
    "simulations.simulation",
    "surrogate.metrics",
    "surrogate.plot.spectra",
    "surrogate.plot.style",
]


@pytest.fixture(scope="module")
def system_pages():
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("system_pages")
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def formulas():
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("math_pictures")
    sys.path.remove(str(DOCS))


def anchors(page):
    """Of the headings of a page, as they are linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        if found.relative_to(ROOT).parts[1:2] and found.relative_to(ROOT).parts[1] in GENERATED:
            continue  # written by the build, which checks these links itself
        assert found.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_are_python_and_name_what_exists(page):
    import simulations
    import surrogate

    text = page.read_text("utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.S | re.M):
        ast.parse(block)
        for library, name in re.findall(r"\b(simulations|surrogate)\.(\w+)", block):
            home = {"simulations": simulations, "surrogate": surrogate}[library]
            if not hasattr(home, name):
                importlib.import_module(f"{library}.{name}")


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_of_docstrings_do_what_they_say(module):
    failed, run = doctest.testmod(
        importlib.import_module(module),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert run > 0
    assert not failed


def test_the_citation_file_is_of_this_version():
    import tomllib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


class TestNotebooks:
    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
    def test_the_notebook_kept_is_the_script_that_was_run(self, script):
        jupytext = pytest.importorskip("jupytext")
        edited, kept = (jupytext.read(p) for p in (script, script.with_suffix(".ipynb")))
        assert [c.source for c in kept.cells] == [c.source for c in edited.cells]
        code = [cell for cell in kept.cells if cell.cell_type == "code"]
        assert all(cell.execution_count for cell in code)
        outputs = [output for cell in code for output in cell.outputs]
        assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]

    @pytest.mark.parametrize(
        "script",
        [
            pytest.param(s, marks=() if s.stem.startswith("12") else pytest.mark.slow)
            for s in SCRIPTS
        ],
        ids=lambda s: s.stem,
    )
    def test_it_runs(self, script, tmp_path):
        pytest.importorskip("nbmake")
        command = [sys.executable, "-m", "pytest", "-q", "--nbmake", "--nbmake-timeout=1200"]
        command += ["-p", "no:cacheprovider", str(script.with_suffix(".ipynb"))]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert run.returncode == 0, run.stdout[-3000:]


class TestFormulas:
    @pytest.mark.parametrize(
        ("equation", "tex"),
        [
            ("∂u/∂t = ν ∂²u/∂x²", r"\frac{∂u}{∂t} = ν \frac{∂^{2}u}{∂x^{2}}"),
            ("∂(ρu)/∂t = 0", r"\frac{∂(ρu)}{∂t} = 0"),
            ("x_(i+1) − e^(−λt)", "x_{i+1} − e^{−λt}"),
            ("l₁ θ₁″ + θ₂′²", r"l_{1} θ_{1}^{\prime \prime } + θ_{2}^{\prime 2}"),
            ("u = 0 on the boundary", r"u = 0\;\mathrm{on}\;\mathrm{the}\;\mathrm{boundary}"),
            ("√(Pr/Ra) ∇²u", r"\sqrt{\mathrm{Pr}/\mathrm{Ra}} ∇^{2}u"),
        ],
    )
    def test_unicode_becomes_tex(self, formulas, equation, tex):
        assert formulas.tex_of(equation) == tex
        assert formulas.svg(tex).startswith('<svg class="maths" role="img"')

    def test_what_is_not_tex_is_an_error(self, formulas):
        with pytest.raises(ValueError, match="frac"):
            formulas.svg(r"\frac{1")


class TestSystemPages:
    def test_every_system_has_its_equation_parameters_and_checks(self, system_pages):
        import simulations

        verified = system_pages.verification_by_system()
        for name, system in simulations.catalogue().items():
            if not system.__module__.startswith("simulations."):
                continue
            page = system_pages.system_page(system, verified.get(name, ""))
            assert f"# {name}\n" in page
            assert "```{math}" in page, name
            assert "## Verification" in page, name
            for parameter in system.parameters:
                assert f"| `{parameter}` |" in page

    def test_burgers(self, system_pages):
        from simulations import Burgers

        page = system_pages.system_page(Burgers, "")
        assert r"\frac{∂u}{∂t} + \frac{∂(u^{2}/2)}{∂x} = ν \frac{∂^{2}u}{∂x^{2}}" in page
        assert "| `nu` | viscosity | m² s⁻¹ | 1e-05 to 10 | 0.01 to 0.1 | log |" in page
        assert "| `n` | grid points. | `256` |" in page
        assert "| `u0` | initial velocity | m s⁻¹ | the first frame of `u` |" in page
        assert "`pdebench`" in page
        assert "## Verification" not in page

    def test_all_commands_are_on_the_page_of_the_command_line(self, system_pages):
        from typer.main import get_command

        import surrogate.cli

        page = system_pages.command_line_page()
        for name in get_command(surrogate.cli.app).commands:
            assert f"\n## {name}\n" in page
        assert "surrogate simulate NAME [OPTIONS]" in page


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += [str(DOCS), str(tmp_path / "html"), "-d", str(tmp_path / "doctrees")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    facts = json.loads((DOCS / "gallery" / "gallery.json").read_text("utf-8"))
    for name in facts:
        assert (tmp_path / "html" / "systems" / f"{name}.html").exists()
    page = (tmp_path / "html" / "systems" / "Burgers.html").read_text("utf-8")
    assert 'class="maths"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
