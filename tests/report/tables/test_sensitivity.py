"""Sensitivity as a table."""

import csv
import io
import json
from dataclasses import replace

import pytest
from torch import nn

import ghostify
from ghostify import GhostSpec, Sensitivity
from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.tables.sensitivity import list_sensitivity

HALF, QUARTER = GhostSpec(2, 3), GhostSpec(4, 3)
FOUND = Sensitivity(
    unit="loss",
    measured=True,
    layers={"wide": {HALF: 0.0123, QUARTER: 0.5}, "project": {HALF: 0.0}},
)


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


def test_a_row_for_each_measured_layer(sites):
    document = list_sensitivity(FOUND, sites, model="small")
    (table,) = document.tables
    assert [column.heading for column in table.columns] == ["layer", "MACs", "2, 3", "4, 3"]
    assert table.rows == (("wide", "295K", "0.012", "0.5"), ("project", "65.5K", "0", "-"))
    assert document.title == "small: sensitivity of each layer, loss"


def test_json_and_csv(sites):
    document = list_sensitivity(FOUND, sites, model="small")
    assert Sensitivity.from_dict(json.loads(to_json(document))) == FOUND
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert [(row["layer"], row["sensitivity"]) for row in rows] == [
        ("wide", "0.0123"), ("wide", "0.5"), ("project", "0.0"),
    ]  # fmt: skip
    assert rows[0]["macs_after"] == str(64 * 2448)


@pytest.mark.parametrize("size", [1, 3])
def test_80_columns(image, size):
    name = "a_module_with_a_long_name." * 4 + "0"
    ghosts = [GhostSpec(1 + 1 / number, size) for number in range(3, 10)]
    found = Sensitivity(
        unit="KL (nats)", measured=True, layers={name: dict.fromkeys(ghosts, 1.234e-5)}
    )
    sites = ghostify.analyze(nn.Sequential(nn.Conv2d(3, 512, 1)), image)
    sites = [replace(site, name=name) for site in sites]
    text = to_text(list_sensitivity(found, sites, model="long"))
    assert max(map(len, text.splitlines())) <= 80
    assert "1.2e-05" in text


def test_no_layers(sites):
    empty = Sensitivity(unit="x", measured=True, layers={})
    assert "Layers: 0" in to_text(list_sensitivity(empty, sites, model="m"))
