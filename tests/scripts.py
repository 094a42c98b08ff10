"""Files of Python that belong to no package, as modules: the scripts of docs/, and its templates."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def module_of(path):
    """The module that a file is."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(name):
    """A script of docs/."""
    return module_of(DOCS / f"{name}.py")
