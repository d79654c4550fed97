"""Curves of sensitivity."""

import pytest

import ghostify
from ghostify import GhostifyError, GhostSpec, Sensitivity
from ghostify.report.plots.sensitivity import plot_sensitivity

HALF, QUARTER = GhostSpec(2, 3), GhostSpec(4, 3)
FOUND = Sensitivity(
    unit="loss",
    measured=True,
    layers={"wide": {HALF: 0.0123, QUARTER: 0.5}, "project": {HALF: 0.0}},
)


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


def test_a_curve_for_each_ghost(sites, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    plot_sensitivity(FOUND, sites, tmp_path / "s.png", title="small")
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["wide", "project"]
    first, second = (list(line.get_ydata()) for line in axes.lines)
    assert first == [0.0123, 0.0]
    assert second[0] == 0.5
    assert axes.get_title() == "small"


def test_an_unknown_ending(sites, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(GhostifyError, match=r"the ending must be one such as \.png or \.svg"):
        plot_sensitivity(FOUND, sites, tmp_path / "s.xyz", title="small")
