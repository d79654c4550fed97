import json
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_one_table(run):
    result = run("tables", "vgg16-kernel")
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if "d = 7" in line)
    assert line.split()[-6:] == ["7.736M", "7.7M", "163.4M", "163M", "yes", "93.1"]
    assert max(map(len, result.out.splitlines())) <= 80


def test_for_programs(run):
    (table,) = json.loads(run("tables", "resnet50", "--format", "json").out)["tables"]
    ghost = next(row for row in table["rows"] if row["ratio"] == 4)
    assert (ghost["macs"], ghost["macs_agree"], ghost["params_agree"]) == (1181942912, True, False)


def test_a_table_that_is_not_there(fails):
    assert "unknown table 'vgg'" in fails("tables", "vgg")


def test_the_page_is_what_the_command_prints(run):
    pytest.importorskip("timm", reason="some rows are networks of timm")
    printed = run("tables", "--format", "markdown").out
    assert PAGE.read_text(encoding="utf-8") == printed, "ghostify tables --format markdown"
