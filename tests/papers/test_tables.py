import csv
import io

import pytest
from document import list_papers
from printed import PaperRow, PaperTable
from recount import Recount

from ghostify.report.formats import to_csv
from ghostify.types import GhostSpec

COUNTED = Recount(7_651_498, 157_843_456)


def row(network, recount=COUNTED, **more):
    known = {"params": "7.7M", "macs": "158M", "accuracy": ("93.7", ""), "model": "resnet50"}
    return PaperRow(network=network, **{**known, **more}), recount


ROWS = [
    row("dense"),
    row("other", None, params=None, model=None),
    row("ghost", params="7.6M", ghost=GhostSpec(2, 3), note="Odd."),
    row("ghost again", macs="157M", note="Odd."),
    row("neither", params="7.6M", macs="157M"),
    row("only one is printed", params=None, macs="157M"),
    row("absent", None, model="timm:resnet50"),
    row("nothing is printed", params=None, macs=None),
]


@pytest.fixture
def document():
    table = PaperTable(
        name="some",
        title="Some networks",
        source="A paper, Table 1",
        accuracy=("top-1", "top-5"),
        counted=("conv",),
        stem=True,
        rows=tuple(row for row, _ in ROWS),
        note="Counted so.",
    )
    return list_papers([table], [[recount for _, recount in ROWS]])


def test_ours_stand_beside_what_is_printed(document):
    (table,) = document.tables
    assert table.title == "Some networks (A paper, Table 1) [1]"
    assert [column.heading for column in table.columns] == [
        "network", "params", "paper", "MACs", "paper", "agree", "top-1", "top-5",
    ]  # fmt: skip
    assert table.rows[0] == (
        "dense", "7.651M", "7.7M", "157.8M", "158M", "yes", "93.7", "-",
    )  # fmt: skip
    assert table.rows[1] == ("other", "-", "-", "-", "158M", "", "93.7", "-")


def test_agreement_and_footnotes(document):
    assert [row[5] for row in document.tables[0].rows] == [
        "yes", "", "not params [2]", "not MACs [2]", "no", "not MACs", "[3]", "",
    ]  # fmt: skip
    assert document.notes[-3:] == (
        "[1] Counted so.",
        "[2] Odd.",
        "[3] Not counted: timm is not installed. Run pip install timm.",
    )


def test_accuracies_are_marked_as_published(document):
    assert any("Accuracies are published ones; nothing is trained" in n for n in document.notes)


def test_a_program_gets_raw_numbers(document):
    ghost = document.data["tables"][0]["rows"][2]
    assert (ghost["params"], ghost["params_printed"], ghost["params_agree"]) == (
        7_651_498, "7.6M", False,
    )  # fmt: skip
    assert (ghost["ratio"], ghost["dw_size"]) == (2, 3)
    assert ghost["published"] == {"top-1": "93.7", "top-5": ""}


def test_csv_has_one_line_a_row(document):
    lines = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert [line["network"] for line in lines] == [row.network for row, _ in ROWS]
    assert lines[0]["macs"] == "157843456"


def test_it_fits_a_terminal(document):
    assert all(table.fitted(80).width <= 80 for table in document.tables)
