"""Texts: the library names keyword arguments, nothing is archaic, and spelling is American."""

import ast
import re
from pathlib import Path

import pytest

import ghostify

PACKAGE = Path(ghostify.__file__).parent
ROOT = Path(__file__).parents[2]
FILES = sorted(PACKAGE.rglob("*.py"))
LIBRARY = [file for file in FILES if file.relative_to(PACKAGE).parts[0] != "cli"]

SHOWS_COMMANDS = PACKAGE / "report" / "html"
"""The page shows commands. Its errors name no flags either."""

FLAG = re.compile(r"(?<![\w-])--[a-z]")
DASHES = re.compile("--")
ARCHAIC = re.compile(r"\b(nought|amiss|anew|likewise)\b", re.IGNORECASE)

BRITISH = re.compile(
    r"colour|behaviour|neighbour|flavour|favour|centre[ds]?\b|grey|artefact|licence|catalogue|spelt"
    r"|(label|model|cancel|signal)l(ed(?!by)|ing)|distils?\b|towards\b|afterwards\b|whilst|analys(e[dr]?|ing)\b"
    r"|\w\w(al|il|im|an|ar|or|on|gn|nt|rd|tr)is(e[drs]?|ing|ation)\b",
    re.IGNORECASE,
)


def _name(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def _found(pattern: re.Pattern[str], trees: list[ast.AST]) -> list[str]:
    """Strings with a match, parts of f-strings included, docstrings excluded."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    alone = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return [
        f"line {node.lineno}: {node.value}"
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone
        if pattern.search(node.value)
    ]


def _flags(source: str) -> list[str]:
    return _found(FLAG, [ast.parse(source)])


def _dashes_raised(source: str) -> list[str]:
    raised = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Raise)]
    return _found(DASHES, raised)


@pytest.mark.parametrize("file", LIBRARY, ids=_name)
def test_errors_of_the_library_name_no_flags(file):
    assert not _dashes_raised(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "file", [file for file in LIBRARY if not file.is_relative_to(SHOWS_COMMANDS)], ids=_name
)
def test_strings_of_the_library_name_no_flags(file):
    assert not _flags(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def hint():\n    return "; give --weights"', True),
        ('HINTS = {"weights": f"({path}, --weights)"}', True),
        ('def save():\n    """Same as ``ghostify save --force``."""', False),
        ('line = "-" * 3 + "--"', False),
    ],
)
def test_flags_are_found(source, found):
    assert bool(_flags(source)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('raise GhostifyError(f"{path} exists: replace it with --force")', True),
        (
            'raise GhostifyError(path + (" -- give another" if y else ""))',
            True,
        ),
        ('command = "ghostify export --to onnx"', False),
    ],
)
def test_dashes_in_errors_are_found(source, found):
    assert bool(_dashes_raised(source)) == found


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_no_archaisms(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert not [line.strip() for line in lines if ARCHAIC.search(line)]


@pytest.mark.parametrize("folder", ["docs", "ghostify", "examples", "*.md"])
def test_spelling_is_american(folder):
    files = ROOT.glob(folder) if "*" in folder else (ROOT / folder).rglob("*.*")
    texts = {f: f.read_text("utf-8") for f in files if f.suffix in (".py", ".md", ".html", ".css")}
    assert texts
    assert not [(file, word[0]) for file, text in texts.items() for word in BRITISH.finditer(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Colours of neighbours", True),
        ("centred", True),
        ("unlabelled", True),
        ("normalisation, realised, it distils", True),
        ("centered color, noise, promise, otherwise, comparison, arise", False),
        ('aria-labelledby="x"', False),
    ],
)
def test_british_words_are_found(text, found):
    assert bool(BRITISH.search(text)) == found
