"""Tables of sensitivity and redundancy."""

import csv
import io
import json
from dataclasses import replace

import pytest
from torch import nn

import ghostify
from ghostify import GhostSpec
from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.tables import list_redundancy, list_sensitivity
from ghostify.types import FeatureMapPair, LayerRedundancy, Sensitivity

HALF, QUARTER = GhostSpec(2, 3), GhostSpec(4, 3)
SENSITIVITY = Sensitivity(
    unit="loss",
    measured=True,
    layers={"wide": {HALF: 0.0123, QUARTER: 0.5}, "project": {HALF: 0.0}},
)


def test_a_row_for_each_measured_layer(sites):
    document = list_sensitivity(SENSITIVITY, sites, model="small")
    (table,) = document.tables
    assert [column.heading for column in table.columns] == ["layer", "MACs", "2, 3", "4, 3"]
    assert table.rows == (("wide", "295K", "0.012", "0.5"), ("project", "65.5K", "0", "-"))
    assert document.title == "small: sensitivity of each layer, loss"


def test_json_and_csv_of_a_sensitivity(sites):
    document = list_sensitivity(SENSITIVITY, sites, model="small")
    assert Sensitivity.from_dict(json.loads(to_json(document))) == SENSITIVITY
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert [(row["layer"], row["sensitivity"]) for row in rows] == [
        ("wide", "0.0123"), ("wide", "0.5"), ("project", "0.0"),
    ]  # fmt: skip
    assert rows[0]["macs_after"] == str(64 * 2448)


@pytest.mark.parametrize("size", [1, 3])
def test_a_sensitivity_in_80_columns(image, size):
    name = "a_module_with_a_long_name." * 4 + "0"
    ghosts = [GhostSpec(1 + 1 / number, size) for number in range(3, 10)]
    found = Sensitivity(
        unit="KL (nats)", measured=True, layers={name: dict.fromkeys(ghosts, 1.234e-5)}
    )
    sites = ghostify.analyze(nn.Sequential(nn.Conv2d(3, 512, 1)), image)
    sites = [replace(site, name=name) for site in sites]
    (table,) = list_sensitivity(found, sites, model="long").tables
    assert table.width > 80
    fitted = table.fitted(80)
    assert fitted.width == 80
    assert fitted.rows[0][1:] == table.rows[0][1:]


def test_no_layers(sites):
    empty = Sensitivity(unit="x", measured=True, layers={})
    assert "Layers: 0" in to_text(list_sensitivity(empty, sites, model="m"))


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
