"""Formulas as SVG drawn by matplotlib: no script, no font and no network at view time.

A Sphinx extension (``html_math_renderer = "pictures"``), and the conversion of the equations of
docstrings, which are written in Unicode, to TeX.
"""

import re
from functools import cache
from html import escape
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import TextPath

# Points of the picture; it is scaled to 1.15 times the text around it
SIZE, SCALE = 20.0, 1.15
FONT = FontProperties(math_fontfamily="stix")

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿᵀ", "0123456789−+nT")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
# What is not a product of symbols although it is short
WORDS = {"Ra", "Pr", "Re", "Sc", "ln", "tr", "on", "or", "in", "is", "if", "at"}
WORDS |= {"sin", "cos", "exp", "min", "max", "all", "and", "for", "the", "two"}
WORD_SPACE = r"\;"
DERIVATIVE = re.compile(r"([∂d][⁰¹²³⁴⁵]?(?:\([^()]*\)|\w+(?:_\w)?)?)/([∂d][a-z][⁰¹²³⁴⁵]?)(?![a-z])")


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("pictures", (_visit_inline, None), (_visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _visit_inline(translator: Any, node: Any) -> None:
    from docutils import nodes

    translator.body.append(svg(node.astext()))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: Any) -> None:
    from docutils import nodes

    lines = [line for line in re.split(r"\\\\|\n", node.astext()) if line.strip()]
    rows = "".join(f"<div>{svg(line.strip(), display=True)}</div>" for line in lines)
    translator.body.append(f'<div class="formula">{rows}</div>\n')
    raise nodes.SkipNode


@cache
def svg(tex: str, display: bool = False) -> str:
    """One line of TeX as inline SVG in the colour of the text around it.

    Raises:
        ValueError: it is not TeX that matplotlib understands.
    """
    source = rf"${tex.replace('&', '')}$"
    if display:
        source = source.replace(r"\frac", r"\dfrac")
    parsed = MathTextParser("path").parse(source, 72, FONT.copy())
    unit = FONT.get_size_in_points()
    width, height, depth = (value / unit for value in (parsed.width, parsed.height, parsed.depth))
    outline = TextPath((0, 0), source, size=SIZE, prop=FONT)
    drawn = _path(outline)
    total = height + depth
    view = f"0 {-height * SIZE:.2f} {width * SIZE:.2f} {total * SIZE:.2f}"
    style = f"height:{total * SCALE:.3f}em;vertical-align:{-depth * SCALE:.3f}em"
    return (
        f'<svg class="maths" role="img" aria-label="{escape(tex, quote=True)}" viewBox="{view}" '
        f'style="{style}"><path d="{drawn}" fill="currentColor"/></svg>'
    )


def _path(outline: TextPath) -> str:
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    parts = []
    for points, code in outline.iter_segments(curves=True, simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("Z")
            continue
        # Up is down in SVG
        pairs = [f"{x:.2f} {-y:.2f}" for x, y in points.reshape(-1, 2)]
        parts.append(letters[code] + " ".join(pairs))
    return "".join(parts)


def tex_of(equation: str) -> str:
    """TeX of one line of an equation as docstrings have them.

    ∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x²
    """
    text = DERIVATIVE.sub(r"\\frac{\1}{\2}", equation.strip())
    text = re.sub(r"√\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"([″′]+)([⁰¹²³⁴⁵⁶⁷⁸⁹]*)", _primes, text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿᵀ]+", lambda m: f"^{{{m[0].translate(SUPERSCRIPTS)}}}", text)
    text = re.sub(r"[₀₁₂₃₄₅₆₇₈₉]+", lambda m: f"_{{{m[0].translate(SUBSCRIPTS)}}}", text)
    text = re.sub(r"_(\w)_(\w)", r"_{\1_{\2}}", text)
    for mark in "_^":
        text = re.sub(rf"\{mark}\(([^()]*(?:\([^()]*\)[^()]*)*)\)", rf"{mark}{{\1}}", text)
        text = re.sub(rf"\{mark}⟨(\w+)⟩", rf"{mark}{{⟨\1⟩}}", text)
        text = re.sub(rf"\{mark}([A-Za-z]{{2,}})", rf"{mark}{{\\mathrm{{\1}}}}", text)
    text = re.sub("([xyz])\N{COMBINING TILDE}", r"\\tilde{\1}", text)
    text = text.replace("ỹ", r"\tilde{y}").replace("…", r"\ldots ")
    text = re.sub(r" {2,}", r"\\qquad ", text)
    return re.sub(r"(?<![\\A-Za-z])(?<!mathrm\{)( ?)([A-Za-z]{2,})(?![A-Za-z])( ?)", _word, text)


def _primes(match: re.Match[str]) -> str:
    primes = match[1].replace("″", "′′").replace("′", r"\prime ")
    return f"^{{{primes}{match[2].translate(SUPERSCRIPTS)}}}"


def _word(match: re.Match[str]) -> str:
    """Words are upright, and keep the spaces around them; side by side, factors are not words."""
    before, word, after = match.groups()
    if len(word) <= 3 and word not in WORDS:
        return match[0]
    return rf"{before and WORD_SPACE}\mathrm{{{word}}}{after and WORD_SPACE}"
