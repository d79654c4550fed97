"""Tables of sensitivity."""

import csv
import io
import json
from dataclasses import replace

import pytest
from torch import nn

import ghostify
from ghostify import GhostSpec
from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.sensitivity_table import list_sensitivity
from ghostify.types import Sensitivity, WidthSensitivity

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


PRUNED = replace(
    SENSITIVITY,
    layers={"a": {HALF: 0.5}},
    widths={
        "a": WidthSensitivity(tuple(range(64)), tuple(float(i) for i in range(1, 64))),
        "b": WidthSensitivity(tuple(range(32)), tuple(float(i) for i in range(1, 32))),
    },
)


def test_the_sensitivity_to_pruning(pruned_plan):
    """The n-th dropped channel costs 1 more."""
    sites = [decision.site for decision in pruned_plan.decisions]
    document = list_sensitivity(PRUNED, sites, model="net")
    (table,) = document.tables
    assert [column.heading for column in table.columns[2:]] == ["2, 3", "3/4", "1/2", "1/4"]
    assert [(row[0], *row[2:]) for row in table.rows] == [
        ("a", "0.5", "16", "32", "48"), ("b", "-", "8", "16", "24")
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert [(r["layer"], r["ratio"], r["width"], r["sensitivity"]) for r in rows[:3]] == [
        ("a", "2", "64", "0.5"), ("a", "", "48", "16.0"), ("a", "", "32", "32.0")
    ]  # fmt: skip
    assert rows[1]["macs_after"] == str(64 * 48 * 144)
    assert Sensitivity.from_dict(json.loads(to_json(document))) == PRUNED


def test_a_sensitivity_to_pruning_in_80_columns(pruned_plan):
    ghosts = [GhostSpec(1 + 1 / number) for number in range(3, 10)]
    layers = {name: dict.fromkeys(ghosts, 1.234e-5) for name in ("a", "b")}
    sites = [decision.site for decision in pruned_plan.decisions]
    (table,) = list_sensitivity(replace(PRUNED, layers=layers), sites, model="net").tables
    assert len(table.columns) == 8
    assert table.fitted(80) == table
