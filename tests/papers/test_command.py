"""``python examples/papers``"""

import json
import subprocess
import sys
from pathlib import Path

PAPERS = Path(__file__).parents[2] / "examples" / "papers"


def run(*arguments):
    command = [sys.executable, str(PAPERS), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_one_table():
    out = run("vgg16-kernel").stdout
    line = next(line for line in out.splitlines() if "d = 7" in line)
    assert line.split()[-6:] == ["7.736M", "7.7M", "163.4M", "163M", "yes", "93.1"]
    tables, _, _ = out.partition("params, MACs:")
    assert max(map(len, tables.splitlines())) <= 80


def test_for_programs():
    (table,) = json.loads(run("resnet50", "--format", "json").stdout)["tables"]
    ghost = next(row for row in table["rows"] if row["ratio"] == 4)
    assert (ghost["macs"], ghost["macs_agree"], ghost["params_agree"]) == (1181942912, True, False)


def test_a_table_that_is_not_there():
    result = run("vgg")
    assert result.returncode == 1
    assert "unknown table 'vgg'" in result.stderr
