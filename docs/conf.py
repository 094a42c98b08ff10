"""How Sphinx builds the documentation: `make docs`, where every warning is an error."""

import re
import sys
from pathlib import Path

import rgstep

sys.path.insert(0, str(Path(__file__).parent))  # command_line

project = "rgstep"
author = copyright = "The rgstep developers"
version = release = rgstep.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
]
exclude_patterns = ["_build", "reproduce", "studies", "templates", "README.md"]

html_theme = "furo"
html_title = "rgstep"
html_static_path: list[str] = []

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "cache"
nb_execution_timeout = -1  # a busy machine is no error
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

default_role = "code"  # a word between backticks in a docstring
ARRAY_LIKE = re.compile(r"[~\w.]*_Buffer \| .*?_NestedSequence\[complex \| bytes \| str\]")


def shorter(app, what, name, obj, options, signature, return_annotation):
    """Write ArrayLike for the union of types that NumPy means by it."""
    return signature and ARRAY_LIKE.sub("ArrayLike", signature), return_annotation


def with_strokes(app, what, name, obj, options, lines):
    """Let a stroke mean itself, as in |m|; in reStructuredText a pair of them asks for a substitution."""
    lines[:] = [line if line.lstrip().startswith((">>>", "...")) else line.replace("|", r"\|") for line in lines]


def without_class(app, context, lines):
    """Write a path that is the default of an option as it would be typed."""
    lines[:] = [re.sub(r"PosixPath\('(.*?)'\)", r"\1", line) for line in lines]


def setup(app):
    """Register what this file adds."""
    app.connect("autodoc-process-signature", shorter)
    app.connect("autodoc-process-docstring", with_strokes)
    app.connect("sphinx-click-process-options", without_class)
    app.connect("sphinx-click-process-arguments", without_class)
