"""Redundancy as tables and as a picture."""

import csv
import io
import json

import pytest
import torch

from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.tables.redundancy import list_redundancy, plot_redundancy
from ghostify.types import LayerRedundancy, MapPair

PAIR = MapPair(4, 1, {1: 0.25, 3: 0.0123})
FOUND = LayerRedundancy(
    layer="wide", maps=6, constant=1, size=(8, 12), positions=96,
    explained={1: 0.5, 3: 0.625}, ghosts={1: 0, 3: 2}, pairs=(PAIR,),
)  # fmt: skip
SMALL = LayerRedundancy("a_module_with_a_long_name." * 4, 512, 0, (7, 7), 49, {}, {}, ())


def test_a_row_a_layer():
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


def test_for_programs():
    document = list_redundancy([FOUND], model="small")
    (layer,) = json.loads(to_json(document))["layers"]
    assert layer["pairs"] == [{"source": 4, "target": 1, "errors": {"1": 0.25, "3": 0.0123}}]
    (row,) = csv.DictReader(io.StringIO(to_csv(document)))
    assert (row["layer"], row["explained_d3"], row["ghosts_d3"]) == ("wide", "0.625", "2")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_picture(tmp_path, monkeypatch, channels):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    maps = torch.randn(6, 8, 12)
    maps[1] = 3 * maps[4] - 1
    plot_redundancy(FOUND, torch.rand(channels, 16, 24), maps, tmp_path / "r.png", title="small")
    mosaic, *panels, _ = drawn[0].axes
    assert len(mosaic.images) == len(maps)
    assert len({patch.get_edgecolor() for patch in mosaic.patches}) == 1
    source, target, ghost, difference = (
        torch.as_tensor(axes.images[0].get_array()) for axes in panels
    )
    assert torch.equal(source, maps[4])
    assert torch.equal(target, maps[1])
    torch.testing.assert_close(ghost, target, atol=1e-4, rtol=0)
    assert float(difference.abs().max()) < 1e-4
    words = [text.get_text() for axes in panels for text in axes.texts]
    assert words == ["error   d=1: 25.00%   d=3: 1.23%"]
    assert any("small, wide" in text.get_text() for text in drawn[0].texts)


def test_pairs_are_among_the_maps_that_are_shown(tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    far = LayerRedundancy("wide", 200, 0, (4, 4), 16, {}, {}, (MapPair(199, 150, {1: 0.5}),))
    plot_redundancy(far, torch.rand(3, 8, 8), torch.randn(200, 4, 4), tmp_path / "r.png", title="")
    mosaic = drawn[0].axes[0]
    assert len(mosaic.images) == 64
    assert len(mosaic.patches) == 2
