"""Tables of convolutions and of redundancy."""

import csv
import io
import json

from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.tables import list_redundancy, list_sites
from ghostify.types import FeatureMapPair, LayerRedundancy

PAIR = FeatureMapPair(4, 1, {1: 0.25, 3: 0.0123})
REDUNDANCY = LayerRedundancy(
    layer="wide", maps=6, constant=1, size=(8, 12), positions=96,
    explained={1: 0.5, 3: 0.625}, ghosts={1: 0, 3: 2}, pairs=(PAIR,),
)  # fmt: skip
SMALL = LayerRedundancy("a_module_with_a_long_name." * 4, 512, 0, (7, 7), 49, {}, {}, ())


def test_a_row_for_each_layer():
    (table,) = list_redundancy([REDUNDANCY, SMALL], model="small").tables
    words = ["layer", "maps", "size", "d=1", "d=3", "ghosts"]
    assert [column.heading for column in table.columns] == words
    assert table.rows[0] == ("wide", "5", "8x12", "50%", "62%", "2")
    assert table.rows[1][1:] == ("512", "7x7", "-", "-", "-")


def test_pairs_of_a_single_layer():
    _, pairs = list_redundancy([REDUNDANCY], model="small").tables
    assert pairs.rows == (("4 → 1", "0.2500", "0.0123"),)


def test_a_redundancy_in_80_columns():
    document = list_redundancy([REDUNDANCY, SMALL], model="small")
    assert document.tables[0].fitted(80).width == 80
    assert "too few positions" in to_text(document)


def test_json_and_csv_of_a_redundancy():
    document = list_redundancy([REDUNDANCY], model="small")
    (layer,) = json.loads(to_json(document))["layers"]
    assert layer["pairs"] == [{"source": 4, "target": 1, "errors": {"1": 0.25, "3": 0.0123}}]
    (row,) = csv.DictReader(io.StringIO(to_csv(document)))
    assert (row["layer"], row["explained_d3"], row["ghosts_d3"]) == ("wide", "0.625", "2")


def test_what_can_become_of_each_convolution(pruned_plan):
    sites = [decision.site for decision in pruned_plan.decisions]
    document = list_sites(sites, model="net", input="1x3x8x8")
    table, reasons = document.tables
    assert table.title == "Convolutions: 5, of which replaceable: 4, prunable: 3"
    assert [row[5:] for row in table.rows] == [
        ("yes", "yes"), ("yes", "yes"), ("depthwise", "no"), ("yes", "yes"), ("yes", "no")
    ]  # fmt: skip
    assert reasons.title == "Not prunable: 2"
    assert reasons.rows == (
        ("depthwise", "dw", "1", "4.5%"), ("added to other feature maps", "c", "1", "4.0%")
    )  # fmt: skip
    assert table.fitted(80).columns == table.columns
    narrow = table.fitted(60)
    assert narrow.width <= 60
    assert [column.heading for column in narrow.columns][-1] == "prunable"
    (row,) = [row for row in csv.DictReader(io.StringIO(to_csv(document))) if row["layer"] == "c"]
    assert (row["prunable"], row["unprunable"]) == ("False", "added to other feature maps")
    found = {site["name"]: site for site in json.loads(to_json(document))["convolutions"]}
    assert found["b"]["region"]["readers"] == {"c": 1}
    assert found["c"]["unprunable"] == "added to other feature maps"
