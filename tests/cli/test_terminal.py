"""Tables at the width of a terminal, and of a pipe."""

import json
import re

import pytest

from ghostify.cli.options import Format
from ghostify.cli.terminal import note, print_document, show, stage, warn
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


EVIL = "a\x1b[2J\nerror: forged\u2028\x9b\udce9"
FORGED = Document(
    EVIL,
    (Table(EVIL, (Column(EVIL), Column("n")), ((EVIL, EVIL),)),),
    (EVIL,),
    ({"layer": EVIL},),
    {"layer": EVIL},
)


@pytest.mark.parametrize("format", Format)
def test_control_characters_are_not_printed(capsys, format):
    print_document(FORGED, format)
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "\\u001b[2J" in out
    if format is Format.json:
        assert json.loads(out) == FORGED.data


def test_nor_by_status_lines_notes_and_warnings(capsys, monkeypatch):
    with stage(EVIL):
        note(EVIL)
        warn(EVIL)
    noted, warned = capsys.readouterr().err.splitlines()
    assert noted == "a\\u001b[2J\\u000aerror: forged\\u2028\\u009b\\udce9"
    assert warned.startswith("warning: a\\u001b[2J error: forged")


def test_a_warning_has_a_bounded_length(capsys):
    warn("x " * 9999)
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 1100


TALKATIVE = """
import sys
from torch import nn
print("imported")

class Net(nn.Sequential):
    def forward(self, x):
        print("forward")
        sys.stdout.write("written\\n")
        return super().forward(x)

def build():
    print("built")
    return Net(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "--format", "json"],
        ["plan"],
        ["benchmark", "--seconds", "0", "--format", "json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_user_code_prints_goes_to_stderr(run, tmp_path, arguments):
    (tmp_path / "talkative.py").write_text(TALKATIVE)
    command, *options = arguments
    result = run(command, "talkative.py:build", "--input", "3x16x16", *options)
    assert result.code == 0, result.err
    json.loads(result.out)
    for word in ("imported", "built", "forward", "written"):
        assert word in result.err.split()
