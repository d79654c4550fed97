"""Redundancy as tables."""

import csv
import io
import json

from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.tables.redundancy import list_redundancy
from ghostify.types import FeatureMapPair, LayerRedundancy

PAIR = FeatureMapPair(4, 1, {1: 0.25, 3: 0.0123})
FOUND = LayerRedundancy(
    layer="wide", maps=6, constant=1, size=(8, 12), positions=96,
    explained={1: 0.5, 3: 0.625}, ghosts={1: 0, 3: 2}, pairs=(PAIR,),
)  # fmt: skip
SMALL = LayerRedundancy("a_module_with_a_long_name." * 4, 512, 0, (7, 7), 49, {}, {}, ())


def test_a_row_for_each_layer():
    (table,) = list_redundancy([FOUND, SMALL], model="small").tables
    words = ["layer", "maps", "size", "d=1", "d=3", "ghosts"]
    assert [column.heading for column in table.columns] == words
    assert table.rows[0] == ("wide", "5", "8x12", "50%", "62%", "2")
    assert table.rows[1][1:] == ("512", "7x7", "-", "-", "-")


def test_pairs_of_a_single_layer():
    _, pairs = list_redundancy([FOUND], model="small").tables
    assert pairs.rows == (("4 → 1", "0.2500", "0.0123"),)


def test_80_columns():
    text = to_text(list_redundancy([FOUND, SMALL], model="small"))
    assert max(map(len, text.splitlines())) <= 80
    assert "too few positions" in text


def test_json_and_csv():
    document = list_redundancy([FOUND], model="small")
    (layer,) = json.loads(to_json(document))["layers"]
    assert layer["pairs"] == [{"source": 4, "target": 1, "errors": {"1": 0.25, "3": 0.0123}}]
    (row,) = csv.DictReader(io.StringIO(to_csv(document)))
    assert (row["layer"], row["explained_d3"], row["ghosts_d3"]) == ("wide", "0.625", "2")
