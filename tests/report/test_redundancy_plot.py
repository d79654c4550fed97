"""Feature maps and similar pairs."""

from itertools import combinations

import pytest
import torch

from ghostify.report.redundancy_plot import plot_redundancy
from ghostify.types import FeatureMapPair, LayerRedundancy

PAIR = FeatureMapPair(4, 1, {1: 0.25, 3: 0.0123})
FOUND = LayerRedundancy(
    layer="wide", maps=6, constant=1, size=(8, 12), positions=96,
    explained={1: 0.5, 3: 0.625}, ghosts={1: 0, 3: 2}, pairs=(PAIR,),
)  # fmt: skip


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_maps_and_pairs(tmp_path, monkeypatch, channels):
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
    boxes = [axes.get_position() for axes in drawn[0].axes]
    assert all(0 <= b.x0 < b.x1 <= 1 and 0 <= b.y0 < b.y1 <= 1 for b in boxes)
    assert not any(a.fully_overlaps(b) for a, b in combinations(boxes, 2))
    assert any("small, wide" in text.get_text() for text in drawn[0].texts)


def test_pairs_are_among_the_maps_that_are_shown(tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    far = LayerRedundancy("wide", 200, 0, (4, 4), 16, {}, {}, (FeatureMapPair(199, 150, {1: 0.5}),))
    plot_redundancy(far, torch.rand(3, 8, 8), torch.randn(200, 4, 4), tmp_path / "r.png", title="")
    mosaic = drawn[0].axes[0]
    assert len(mosaic.images) == 64
    assert len(mosaic.patches) == 2
