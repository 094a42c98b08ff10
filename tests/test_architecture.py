"""The rules of the house: who may import whom, what stays light, what is documented, how long a module may be."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import rgstep

SOURCE = Path(rgstep.__file__).parent

PLATES = (
    "page.plates",
    *(f"page.plates.{row}" for row in ("tiles", "hamiltonian", "mcrg", "drift", "two_point", "information", "entropy")),
)

# Each module stands after all that it imports: in a lower level, or earlier in its own.
HOUSE = {
    1: ("errors", "arguments", "arrays", "types"),
    2: (
        *("lattice", "packed", "estimates", "memory", "files", "progress", "compiled"),
        *("exact", "exact._arguments", "exact.onsager", "exact.torus", "exact.enumeration", "exact.transfer"),
        *("exact.blocks", "exact.hidden", "exact.information"),
    ),
    3: ("ising",),
    4: ("certificate", "ensemble"),
    5: (
        *("samplers", "samplers.streams", "samplers.chances", "samplers.multispin", "samplers.philox"),
        *("samplers.single", "samplers.cluster", "samplers.chains", "samplers.perfect"),
        *("samplers.jobs", "samplers.request", "samplers.trial", "samplers.plan", "samplers.endless", "blocking"),
        *(
            "nets",
            "nets._product_kernels",
            "nets.products",
            "nets.presets",
            "nets.adapters",
            "nets.rbm",
            "nets.gibbs",
            "nets.likelihood",
        ),
        *("nets.conversion", "nets.localisation", "nets.couplings"),
        *("nets.annealing", "nets.divergence"),
        *("nets.tempering", "nets.bennett"),
        *("nets.monitor", "nets.updates", "nets.sources", "nets.readings"),
        *("nets.checkpoints", "nets.training"),
        *("nets.starts", "nets.equilibrium", "nets.assessment"),
    ),
    6: ("correlators", "patterns", "gauge", "operators"),
    7: (
        *("report", "criteria", "controls", "nulls", "diagnostics", "diagnostics.subject", "diagnostics.sampling"),
        *("diagnostics.training", "diagnostics.pictures", "diagnostics.coefficients", "diagnostics.tiles"),
        *("diagnostics.pseudolikelihood", "diagnostics.pairwise", "diagnostics.hamiltonian"),
        *("diagnostics.mcrg", "diagnostics.drift", "diagnostics.tangent", "diagnostics.amplitudes"),
        *(
            "diagnostics.two_point",
            "diagnostics.mutual",
            "diagnostics.information",
            "diagnostics.kadanoff",
            "diagnostics.decoy",
            "diagnostics.entropy",
        ),
        *("findings", "battery"),
    ),
    8: ("store",),
    9: ("figures", "page", "page.plate", *PLATES, "page.render", "compare", "verbs"),
    10: ("cli",),
}
ORDER = [module for level in HOUSE.values() for module in level]
WITNESSES_USE = {"errors", "arguments", "types"}  # all that exact/ may import of ours
DRAWS = {"figures", "page.plate", *PLATES[1:]}  # all that may import matplotlib
HEAVY = ("numba", "jax", "matplotlib", "xarray", "dask", "torch", "scipy")
LONGEST = 400  # lines


def modules():
    """Return the path of every module by its name within the package, a folder by its own."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del found[""]  # the package itself: names without code
    return found


MODULES = modules()


def imports(source):
    """Return all names that a module imports, wherever in it: `a.b.c` for `from a.b import c` too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def ours(source):
    """Return the modules of the package that a module imports; a name that is in none of them as it stands."""
    found = set()
    for name in imports(source):
        if name.startswith("."):
            found.add(name)
        elif name.split(".")[0] == "rgstep":
            inner = name.removeprefix("rgstep").removeprefix(".")
            module, _, last = inner.rpartition(".")
            found.add(inner if inner in MODULES else module if module in MODULES else f"rgstep.{last or inner}")
    return found


def upward(module, source):
    """Return what a module imports although it does not stand before it."""
    before = ORDER[: ORDER.index(module)]
    allowed = {name for name in before if name in WITNESSES_USE or name.startswith("exact")}
    return sorted(ours(source) - set(allowed if module.startswith("exact") else before))


def draws(source):
    """Return whether a module imports matplotlib."""
    return any(name.split(".")[0] == "matplotlib" for name in imports(source))


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    assert upward(module, MODULES[module].read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("lattice", "from rgstep.ising import energy", ["ising"]),
        ("lattice", "from rgstep import ising, errors", ["ising"]),
        ("lattice", "import rgstep.cli", ["cli"]),
        ("lattice", "from rgstep.lattice import shells", ["lattice"]),
        ("lattice", "def f():\n    if 1:\n        from rgstep.store import load_rbm", ["store"]),
        ("lattice", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rgstep.battery", ["battery"]),
        ("correlators", "from rgstep.patterns import x", ["patterns"]),
        ("patterns", "from rgstep.correlators import Means", []),
        ("exact.torus", "from rgstep.lattice import shells", ["lattice"]),
        ("exact.torus", "from rgstep.exact import onsager", []),
        ("exact.onsager", "from rgstep.exact.torus import energy", ["exact.torus"]),
        ("cli", "from rgstep import sample", ["rgstep.sample"]),  # from its own module, not from the root
        ("cli", "import rgstep", ["rgstep.rgstep"]),
        ("cli", "from .compare import compare", [".compare.compare"]),
        ("cli", "import rgstepper, numpy.random", []),
    ],
)
def test_imports_that_point_up_are_found(module, source, found):
    if source == "import rgstep":
        found = sorted(ours(source))
        assert found
    assert upward(module, source) == found


def test_only_figures_and_page_draw():
    assert {module for module, path in MODULES.items() if draws(path.read_text("utf-8"))} == DRAWS
    assert draws("def f():\n    import matplotlib.pyplot as plt")
    assert draws("from matplotlib.figure import Figure")


def loaded_by(statement):
    """Return which heavy packages a fresh interpreter holds after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_the_package_is_light():
    assert loaded_by("import rgstep") == []
    assert loaded_by("import rgstep; rgstep.InputError; rgstep.CoarseGraining; dir(rgstep)") == []
    assert "numba" in loaded_by("import rgstep; rgstep.sample")  # the probe sees what is loaded


def defined(source):
    """Return the names that a module defines at its top level."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_every_public_name_is_where_the_stub_says():
    stub = ast.parse((SOURCE / "__init__.pyi").read_text("utf-8")).body
    named = [node for node in stub if isinstance(node, ast.ImportFrom)]
    for node in named:
        assert {alias.asname for alias in node.names} <= defined(MODULES[node.module].read_text("utf-8"))
    assert sorted(rgstep.__all__) == sorted(alias.name for node in named for alias in node.names)
    assert len(rgstep.__all__) > 20
    for node in stub:  # the rest are plain attributes
        assert node in named or hasattr(rgstep, node.target.id), ast.unparse(node)


@pytest.mark.slow
def test_every_public_name_loads():
    for name in rgstep.__all__:
        assert getattr(rgstep, name) is not None, name


def undocumented(source):
    """Return the public functions, classes and methods without a docstring; the module itself as `<module>`."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["<module>"]
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    def visit(body, prefix):
        for node in body:
            if not isinstance(node, definitions) or node.name.startswith("_"):
                continue
            overload = any(ast.unparse(d).split(".")[-1] == "overload" for d in node.decorator_list)
            if not overload and not ast.get_docstring(node):
                missing.append(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")

    visit(tree.body, "")
    return missing


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_documented(module):
    assert undocumented(MODULES[module].read_text("utf-8")) == []


def test_missing_docstrings_are_found():
    source = 'class A:\n    """."""\n    def f(self): ...\ndef g():\n    """."""\ndef h(): ...\ndef _i(): ...\n'
    assert undocumented(source) == ["<module>", "A.f", "h"]
    assert undocumented('"""."""\n@typing.overload\ndef f(): ...\n@overload\ndef f(): ...') == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_in_the_head(module):
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= LONGEST
