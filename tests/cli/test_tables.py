import json

from ghostify.papers import read_table, recount
from ghostify.reporting.formats import to_markdown
from ghostify.reporting.papers import list_papers


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


def test_markdown(run):
    table = read_table("vgg16-kernel")
    printed = run("tables", "vgg16-kernel", "--format", "markdown").out
    assert printed == to_markdown(list_papers([table], recount([table])))
