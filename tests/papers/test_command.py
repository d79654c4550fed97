"""``python examples/papers``"""

import json
import runpy
import sys
from pathlib import Path

import pytest
import recount

from ghostify import GhostifyError

PAPERS = Path(__file__).parents[2] / "examples" / "papers"


@pytest.fixture
def run(monkeypatch, capsys, recounted):
    """Runs the command with what was counted before; returns what it prints."""

    def invoke(*arguments):
        known = {table.name: recounts for table, recounts in recounted.values()}
        monkeypatch.setattr(recount, "recount", lambda tables: [known[t.name] for t in tables])
        monkeypatch.setattr(sys, "argv", ["papers", *arguments])
        runpy.run_path(str(PAPERS), run_name="__main__")
        return capsys.readouterr().out

    return invoke


def test_one_table(run):
    out = run("vgg16-kernel")
    line = next(line for line in out.splitlines() if "d = 7" in line)
    assert line.split()[-6:] == ["7.736M", "7.7M", "163.4M", "163M", "yes", "93.1"]
    tables, _, _ = out.partition("params, MACs:")
    assert max(map(len, tables.splitlines())) <= 80


def test_for_programs(run):
    (table,) = json.loads(run("resnet50", "--format", "json"))["tables"]
    ghost = next(row for row in table["rows"] if row["ratio"] == 4)
    assert (ghost["macs"], ghost["macs_agree"], ghost["params_agree"]) == (1181942912, True, False)


def test_a_table_that_is_not_there(run):
    with pytest.raises(GhostifyError, match="unknown table 'vgg'"):
        run("vgg")
