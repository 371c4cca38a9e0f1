"""Settings of the documentation: ``make docs``."""

import sys
from importlib import metadata
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

project = "physurrogate"
author = "The physurrogate developers"
copyright = author
try:
    release = metadata.version("physurrogate")
except metadata.PackageNotFoundError:
    release = "unknown"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "math_pictures",
    "system_pages",
]
exclude_patterns = ["_build", "gallery/*.md"]

# Tutorials are run by the tests and kept with their outputs
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "pictures"

# Single backticks are names, which become links where they can be found
default_role = "py:obj"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# A name that two modules offer is one object: either is the right target
suppress_warnings = ["ref.python"]

html_theme = "pydata_sphinx_theme"
html_title = "physurrogate"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
