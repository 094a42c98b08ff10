"""The code in README and docs runs and prints what the docs say; every verb and public name is documented."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from scripts import script

import rgstep

ROOT = Path(__file__).parent.parent
PAGES = [
    "docs/index.md",
    "docs/quickstart.md",
    "docs/own-data.md",
    "docs/own-map.md",
    "docs/sampling.md",
    "docs/networks.md",
    "docs/kernels.md",
    "README.md",
]
PAGES += ["docs/scaling.md", "docs/flows.md", "docs/stacks.md", "docs/files.md"]
PAGES += [f"docs/diagnostics/{path.name}" for path in sorted((ROOT / "docs/diagnostics").glob("*.md"))]
LONG = {
    "docs/quickstart.md",
    "docs/own-data.md",
    "README.md",
    "docs/networks.md",
    "docs/kernels.md",
    "docs/stacks.md",
    "docs/files.md",
    "docs/flows.md",
    "docs/diagnostics/decoy.md",
    "docs/diagnostics/controls.md",
}  # over two seconds


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Return (language, code) of every fenced block."""
    return re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)


@pytest.mark.parametrize("page", [pytest.param(p, marks=[pytest.mark.slow] if p in LONG else []) for p in PAGES])
def test_code_of_a_page_runs_and_prints_what_it_says(page: str) -> None:
    blocks = code_blocks((ROOT / page).read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    printed = ""
    for language, code in blocks:
        if language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, page, "exec"), names)
            printed = out.getvalue()
        elif language == "" and printed:
            if not code.startswith(("rgstep", "make")):
                assert printed == code
            printed = ""


def test_pages_link_only_to_files_that_exist() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_public_name_is_typed_and_has_a_docstring() -> None:
    for name in rgstep.__all__:
        value = getattr(rgstep, name)
        assert isinstance(value, float) or value.__doc__, name


def test_architecture_names_every_module() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "src/rgstep").rglob("*.py"):
        if not path.name.startswith("_"):
            assert path.stem in text, path


@pytest.mark.parametrize(("page", "lines"), [("studies", "table"), ("stacks", "tables"), ("results", "tables")])
def test_tables_of_a_page_are_those_that_its_command_prints(page, lines):
    text = (ROOT / f"docs/{page}.md").read_text(encoding="utf-8")
    printed = getattr(script(f"tabulate_{page}"), lines)()
    assert len(printed) > 10
    assert all(line in text for line in printed)


def test_the_glossary_is_the_one_of_the_package():
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    assert page == "\n".join(script("make_glossary").lines()) + "\n", "run python docs/make_glossary.py"
