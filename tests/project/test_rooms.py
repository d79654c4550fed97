"""The floor plan: rooms import only the rooms below them, and nothing runs in a circle."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ghostify

PACKAGE = Path(ghostify.__file__).parent
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"

# From the ground up.
ROOMS = [
    "types",
    "io",
    "nn",
    "models",
    "analysis",
    "data",
    "evaluation",
    "planning",
    "report",
    "deployment",
    "conversion",
    "training",
    "artifact",
    "compression",
    "cli",
]
FILES = sorted(PACKAGE.rglob("*.py"))
INSIDE = [file for file in FILES if file.parent != PACKAGE]


def _name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {_name(file) for file in FILES}


@cache
def _imports(file: Path) -> frozenset[str]:
    """Every module that ``file`` imports, wherever the statement stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = node.module or ""
            members = {f"{module}.{alias.name}" for alias in node.names}
            found |= (members & MODULES) or {module}
    return frozenset(found)


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_the_root_holds_rooms_only():
    names = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert names == {*ROOMS, "__init__.py", "__main__.py", "py.typed"}


@pytest.mark.parametrize("file", INSIDE, ids=_name)
def test_imports_point_down(file):
    own = _room(_name(file))
    for module in _imports(file):
        if module == "ghostify":
            assert own == "cli", "only the command line uses the public names"
        elif module.startswith("ghostify."):
            assert ROOMS.index(_room(module)) <= ROOMS.index(own), f"{own} imports {module}"


def test_no_circles():
    graph = {
        _name(file): {module for module in _imports(file) & MODULES if module != "ghostify"}
        for file in INSIDE
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


@pytest.mark.parametrize("file", INSIDE, ids=_name)
def test_only_the_command_line_knows_typer(file):
    if _room(_name(file)) != "cli":
        assert not {module.split(".")[0] for module in _imports(file)} & {"typer", "click"}


def test_types_needs_the_standard_library_only():
    for file in (PACKAGE / "types").glob("*.py"):
        roots = {module.split(".")[0] for module in _imports(file)}
        assert roots <= {*sys.stdlib_module_names, "ghostify"}


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_ghostify_loads_nothing_heavy():
    assert not _loaded_by("import ghostify") & {"torch", "typer", "rich", "onnx", "fvcore"}


def test_public_modules_load_when_they_are_first_used():
    used = "ghostify.models.build; ghostify.nn.GhostModule; ghostify.data.Data"
    assert "ghostify.models" not in _loaded_by("import ghostify")
    assert {"ghostify.models", "ghostify.nn"} <= _loaded_by(f"import ghostify; {used}")


def test_functions_load_no_command_line():
    assert not _loaded_by("import ghostify; ghostify.compare; ghostify.save") & {"typer", "onnx"}


def test_the_command_line_starts_without_torch():
    assert "torch" not in _loaded_by("import ghostify.cli")


def test_the_architecture_page_names_every_room_and_only_files_that_exist():
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE) == ROOMS[::-1]
    for path in re.findall(r"`([a-z]+/[\w/]*(?:\.py)?)`", page):
        if path.partition("/")[0] in ROOMS:
            assert (PACKAGE / path).exists(), path
        else:
            assert (ARCHITECTURE.parents[1] / path).exists(), path


@pytest.mark.parametrize(
    ("name", "path"),
    re.findall(
        r"`([A-Za-z_.]+)` in\s+`(\w+/[\w/]+\.py)`", ARCHITECTURE.read_text(encoding="utf-8")
    ),
)
def test_names_of_the_architecture_page_are_defined_where_it_says(name, path):
    source = (PACKAGE / path).read_text(encoding="utf-8")
    assert re.search(rf"\b{name.rpartition('.')[2]}\b", source)
