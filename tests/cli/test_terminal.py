"""Tables at the width of a terminal, and of a pipe."""

import re

import pytest

from ghostify.cli.terminal import show
from ghostify.report.document import Column, Document, Table, numeric

NAMES = [f"backbone.stages.{n}.blocks.{n}.conv1" for n in range(3)]
LAYERS = Table(
    "Changed: 3",
    (Column("layer"), Column("map", spare=True), *numeric("MACs", "error")),
    tuple((name, "112x112", "116M→40.9M", "62.3%") for name in NAMES),
)
REASONS = Table(
    "Kept: 1",
    (Column("reason", wrap=True), Column("layers", wrap=True)),
    (("budget", "backbone.stages.3.blocks.0.conv1"),),
)
DOCUMENT = Document("title", (LAYERS, REASONS), ("A note of a few words. " * 4,), (), {})


@pytest.fixture
def shown(monkeypatch, capsys):
    """Prints the document on a terminal of some columns, or through a pipe; returns lines."""

    def print_on(columns, *, terminal=True):
        monkeypatch.setenv("COLUMNS", str(columns))
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
        show(DOCUMENT)
        return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()

    return print_on


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_terminal(shown, columns):
    lines = shown(columns)
    rows = [line for line in lines if "116M→40.9M" in line]
    assert len({row.split()[0] for row in rows}) == 3
    assert all(row.rstrip().endswith("62.3%") for row in rows)
    assert ("112x112" in rows[0]) == (columns > 40)
    assert ("Too wide for this terminal: map." in lines) == (columns == 40)
    notes = [line for line in lines if line.startswith(("A note", "Too wide"))]
    assert max(len(line.rstrip()) for line in lines if line not in notes) <= columns
    cells = lines[lines.index(next(line for line in lines if "Kept" in line)) + 3 :]
    assert "".join(cells).replace("budget", "").replace(" ", "").startswith(REASONS.rows[0][1])


def test_a_pipe(shown):
    lines = shown(40, terminal=False)
    assert [line.split()[0] for line in lines if "116M→40.9M" in line] == NAMES
    assert DOCUMENT.notes[0] in lines
