"""The rules of the house: who may import whom, what stays light, what is public and what is documented."""

import ast
import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import rgstep

SOURCE = Path(rgstep.__file__).parent

# Each module stands after all that it imports: in a lower level, or earlier in its own.
HOUSE = {
    1: ("arguments", "types", "glossary"),
    2: (
        *("memory", "scratch", "lattice", "packed", "notebook", "estimates", "streams", "drawing", "locks"),
        *("schema", "files", "folders", "zarr_files", "hdf5", "progress", "compiled", "parts", "spin_text", "foreign"),
        *("exact", "exact.onsager", "exact.torus"),
    ),
    3: ("ising",),
    4: ("independence", "certificate", "ensemble"),
    5: (
        *("adapters", "blocking"),
        *("samplers", "samplers.rng", "samplers.multispin", "samplers.single", "samplers.cluster"),
        *("samplers.perfect", "samplers.chains", "samplers.sample", "samplers.stream"),
        *(
            "nets",
            "nets.presets",
            "nets.devices",
            "nets.products",
            "nets.rbm",
            "nets.localisation",
            "nets.conversion",
            "nets.couplings",
        ),
        *(
            "nets.kernel",
            "nets.annealing",
            "nets.tempering",
            "nets.bennett",
            "nets.batches",
            "nets.curves",
            "nets.updates",
        ),
        *(
            "nets.states",
            "nets.tensor_files",
            "nets.checkpoints",
            "nets.training",
            "nets.equilibrium",
            "nets.assessment",
        ),
        *("nets.shared_rbm", "nets.information_filter"),
    ),
    6: (
        "results",
        "forecast",
        "roles",
        "labelled",
        "correlators",
        "patterns",
        "gauge",
        "operators",
        "sizes",
        "data_collapse",
        "scaling",
    ),
    7: (
        *("controls", "instruments.draws", "instruments.base", "instruments.training", "instruments.tiles"),
        *("instruments.vh_pattern", "instruments.spatial_correlator", "instruments.two_point", "instruments.pairwise"),
        *("instruments.coherence", "instruments.conditional_law", "instruments.symmetry", "instruments.gain"),
        *(
            "instruments.pseudolikelihood",
            "instruments.hamiltonian",
            "instruments.sampling",
            "instruments.mcrg",
            "instruments.tangent",
        ),
        *("instruments.drift", "instruments.information", "instruments.entropy", "instruments.kadanoff"),
        *("instruments.decoy", "instruments", "stack"),
        *("stationary", "learned", "dimensions"),
    ),
    8: (
        "words",
        "report_schema",
        "plates",
        "report",
        "claims",
        "fate",
        "battery",
        "store",
        "classifier",
        "temperatures",
        "flows",
    ),
    9: (
        *("studies.plan", "studies.measure", "studies.engines", "studies.run", "studies.collect", "studies"),
        *("explorer", "page", "jobs", "commands"),
        "experiments.base",
        *("experiments.p1", "experiments.networks", "experiments.swendsen1984", "experiments.wu_car_tangent"),
        *("experiments.kim_jane", "experiments.flows", "experiments.chung_kao", "experiments.veiga_vicente"),
        *("experiments.p7", "experiments.stacks"),
        *("experiments", "inspection", "reproduction"),
    ),
    10: ("cli", "__main__"),
}
ORDER = [module for level in HOUSE.values() for module in level]
WITNESSES_USE = {"arguments", "types"}  # all that exact/ may import of ours
DRAWS = {"drawing"}  # all that may import matplotlib, and only when something is drawn
HEAVY = ("numba", "jax", "matplotlib", "xarray", "dask", "torch", "scipy")
OLD_NAMES = {  # public in version 0.1; each goes on to work until the next release
    *("save_ensemble", "save_rbm", "load_ensemble", "load_rbm", "load_report", "load_rbms", "load_checkpoints"),
    *("pattern_statistics", "pattern_correlator", "Assessment", "Certificate"),
}


def modules():
    """Return the path of every module by its name within the package, a folder by its own."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    del found[""]  # the package itself: public names, and old ones that warn
    return found


MODULES = modules()


def imports(source, at_once=False):
    """Return all names that a module imports, wherever in it: `a.b.c` for `from a.b import c` too.

    `at_once`: only those that it imports when it is imported itself, not when one of its functions is called.
    """
    names = set()
    tree = ast.parse(source)
    later = {
        inner
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        if at_once and node in later:
            continue
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


def within(module, folder):
    """Return whether a module is a folder or in it."""
    return module == folder or module.startswith(f"{folder}.")


def upward(module, source):
    """Return what a module imports although it does not stand before it, or is not for it.

    What is exact is independent of what it is held against: exact/ uses nothing of ours but errors and types, and
    instruments ask the model, not exact/.
    """
    allowed = set(ORDER[: ORDER.index(module)])
    if within(module, "exact"):
        allowed = {name for name in allowed if name in WITNESSES_USE or within(name, "exact")}
    if within(module, "instruments"):
        allowed = {name for name in allowed if not within(name, "exact")}
    return sorted(ours(source) - allowed)


def draws(source, at_once=False):
    """Return whether a module imports matplotlib."""
    return any(name.split(".")[0] == "matplotlib" for name in imports(source, at_once))


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    assert upward(module, MODULES[module].read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("lattice", "from rgstep.ising import energy", ["ising"]),
        ("lattice", "from rgstep import ising, arguments", ["ising"]),
        ("lattice", "import rgstep.cli", ["cli"]),
        ("lattice", "from rgstep.lattice import shells", ["lattice"]),
        ("lattice", "def f():\n    if 1:\n        from rgstep.store import load_rbm", ["store"]),
        ("lattice", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rgstep.battery", ["battery"]),
        ("correlators", "from rgstep.patterns import x", ["patterns"]),
        ("patterns", "from rgstep.correlators import Means", []),
        ("exact.torus", "from rgstep.lattice import shells", ["lattice"]),
        ("exact.torus", "from rgstep.exact import onsager", []),
        ("instruments.drift", "from rgstep.exact import onsager", ["exact.onsager"]),
        ("instruments.drift", "from rgstep.exact.torus import energy", ["exact.torus"]),
        ("instruments.mcrg", "from rgstep.instruments.drift import curve", ["instruments.drift"]),
        ("instruments.drift", "from rgstep.instruments.base import Row\nfrom rgstep.ising import Ising", []),
        ("exact.onsager", "from rgstep.exact.torus import energy", ["exact.torus"]),
        ("cli", "from rgstep import sample", ["rgstep.sample"]),  # from its own module, not from the root
        ("cli", "import rgstep", ["rgstep.rgstep"]),
        ("cli", "from .jobs import compare", [".jobs.compare"]),
        ("cli", "import rgstepper, numpy.random", []),
    ],
)
def test_imports_that_point_up_are_found(module, source, found):
    if source == "import rgstep":
        found = sorted(ours(source))
        assert found
    assert upward(module, source) == found


def test_only_the_drawing_module_draws_and_only_when_called():
    assert {module for module, path in MODULES.items() if draws(path.read_text("utf-8"))} == DRAWS
    assert not any(draws(MODULES[module].read_text("utf-8"), at_once=True) for module in DRAWS)
    late = "def f():\n    import matplotlib.pyplot as plt"
    assert draws(late)
    assert not draws(late, at_once=True)
    for early in (
        "from matplotlib.figure import Figure",
        "class A:\n    import matplotlib",
        f"{late}\nimport matplotlib",
    ):
        assert draws(early)
        assert draws(early, at_once=True)


def loaded_by(statement):
    """Return which heavy packages a fresh interpreter holds after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_the_package_is_light():
    assert loaded_by("import rgstep") == []
    assert loaded_by("import rgstep; rgstep.InputError; rgstep.CoarseGraining; dir(rgstep)") == []
    assert "numba" in loaded_by("import rgstep; rgstep.sample")  # the probe sees what is loaded


def test_who_only_measures_does_without_matplotlib():
    loaded = loaded_by("import rgstep; rgstep.judge; rgstep.compare; import rgstep.page, rgstep.cli")
    assert "matplotlib" not in loaded
    assert "jax" in loaded
    drawn = "from rgstep.drawing import sheet\nwith sheet(size=(1, 1)):\n    pass"
    assert "matplotlib" in loaded_by(drawn)


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


def test_every_public_name_loads():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in rgstep.__all__:
            assert getattr(rgstep, name) is not None, name
    assert set(rgstep.__all__) <= set(dir(rgstep))


def test_the_package_itself_imports_nothing_of_ours():
    source = Path(rgstep.__file__).read_text("utf-8")
    assert ours(source) == set()
    assert imports(source, at_once=True) == {"importlib", "warnings", "lazy_loader", "typing.Any"}
    assert undocumented(source) == []


@pytest.mark.parametrize("name", sorted(OLD_NAMES))
def test_an_old_name_works_and_says_what_takes_its_place(name):
    with pytest.warns(DeprecationWarning, match=rf"rgstep\.{name} goes with the next release: use rgstep\.") as caught:
        found = getattr(rgstep, name)
    (warning,) = caught
    assert found.__name__ == name
    module, _, last = str(warning.message).rpartition("use ")[2].rpartition(".")
    assert getattr(importlib.import_module(module), last).__doc__


def test_the_warning_is_of_the_line_that_uses_the_old_name():
    """As Python shows it by default: in the user's own code, not in ours."""
    program = [sys.executable, "-c", "import rgstep\nrgstep.pattern_statistics"]
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    assert run.stderr.startswith("<string>:2: DeprecationWarning: rgstep.pattern_statistics goes")


def test_old_names_are_those_that_were_public():
    assert set(rgstep._OLD_NAMES) == OLD_NAMES
    assert not OLD_NAMES & set(rgstep.__all__)
    with pytest.raises(AttributeError, match="load_rbmss"):
        rgstep.load_rbmss  # noqa: B018
    with pytest.warns(DeprecationWarning, match="load_rbm"):
        exec("from rgstep import load_rbm", {})


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
