"""The floor plan: imports point down only. The list below is the plan."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ghostify

PACKAGE = Path(ghostify.__file__).parent

# From the ground up. Parts on one floor do not import each other, except its base, which is
# marked with a star and which the others on its floor may use.
FLOORS = [
    ["spec"],
    ["files", "memory", "sealed"],
    ["recipe*", "measurements"],
    ["layers"],
    ["replica", "caches"],
    ["calibration", "dry_run", "narrowing", "zoo"],
    ["data", "flow", "tally"],
    ["evaluation", "recalibration"],
    [
        "folding*",
        "agreement",
        "analysis",
        "costs",
        "fusion",
        "initializers",
        "reordering",
        "verification",
    ],
    ["planning*", "conversion", "redundancy", "reporting", "sensing"],
    ["artifact", "deployment", "page", "papers", "trials"],
    ["exporters", "recovery"],
    ["runtimes"],
    ["timing"],
    ["latency"],
    ["cli"],
]
OUTSIDE = {"__init__", "__main__"}  # the root re-exports every floor, and the top one is run


PARTS = {name.rstrip("*"): level for level, floor in enumerate(FLOORS) for name in floor}


def _part(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported_modules(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            module = node.module or ""
            found |= (
                {f"{module}.{a.name}" for a in node.names} if module == "ghostify" else {module}
            )
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_part_has_its_floor():
    parts = {_part(file) for file in FILES} - OUTSIDE
    assert parts == set(PARTS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file):
    part = _part(file)
    if part in OUTSIDE:
        return
    for module in _imported_modules(file):
        root, *path = module.split(".")
        if root != "ghostify" or not path or path[0] not in PARTS or path[0] == part:
            continue  # another package, a name that the root re-exports, or a neighbour
        lower = PARTS[path[0]] < PARTS[part]
        base = PARTS[path[0]] == PARTS[part] and f"{path[0]}*" in FLOORS[PARTS[part]]
        assert lower or base, f"{part} imports {path[0]}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_command_line_knows_terminals(file):
    if _part(file) != "cli" and _part(file) not in OUTSIDE:
        roots = {module.split(".")[0] for module in _imported_modules(file)}
        assert not roots & {"typer", "rich", "click"}


def test_spec_needs_the_standard_library_only():
    for file in (PACKAGE / "spec").glob("*.py"):
        roots = {module.split(".")[0] for module in _imported_modules(file)}
        assert roots <= {*sys.stdlib_module_names, "ghostify"}


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_ghostify_loads_nothing_heavy():
    assert not _loaded_by("import ghostify") & {"torch", "typer", "rich", "onnx", "fvcore"}


def test_verbs_load_no_terminal():
    assert not _loaded_by("import ghostify; ghostify.compare; ghostify.save") & {"typer", "onnx"}


def test_the_command_line_starts_without_torch():
    assert "torch" not in _loaded_by("import ghostify.cli")
