"""Charts drawn by Matplotlib."""

import pytest

from ghostify import GhostifyError
from ghostify.report.plots import plot_sensitivity, plot_timing
from ghostify.report.timing import Measurement, Spread, Timing

from .test_sensitivity_table import PRUNED, SENSITIVITY


def test_a_curve_for_each_ghost(sites, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    plot_sensitivity(SENSITIVITY, sites, tmp_path / "s.png", title="small")
    (axes,) = drawn[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["wide", "project"]
    first, second = (list(line.get_ydata()) for line in axes.lines)
    assert first == [0.0123, 0.0]
    assert second[0] == 0.5
    assert axes.get_title() == "small"


def test_dashed_curves_for_widths(pruned_plan, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    sites = [decision.site for decision in pruned_plan.decisions]
    plot_sensitivity(PRUNED, sites, tmp_path / "s.png", title="net")
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert list(lines["1/2 of the channels"].get_ydata()) == [32.0, 16.0]
    assert [line.get_linestyle() for line in lines.values()] == ["-", "--", "--", "--"]
    assert lines["s=2, d=3"].get_ydata()[0] == 0.5


def test_an_unknown_ending_of_a_sensitivity(sites, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(GhostifyError, match=r"the ending must be one such as \.png or \.svg"):
        plot_sensitivity(SENSITIVITY, sites, tmp_path / "s.xyz", title="small")


def measurement(model, median, speedup):
    seconds = Spread(median, 0.9 * median, 1.1 * median)
    return Measurement(model, "eager", 1, 1, 7, seconds, Spread(speedup, 0.5, 9))


PAIR = (measurement("resnet50", 0.003, 1.0), measurement("ghost", 0.002, 1.5))
TIMING = Timing("1x3x8x8", {"resnet50": 4_000_000, "ghost": 2_000_000}, "memory", PAIR)
ALONE = Timing("1x3x8x8", {"resnet50": 4_000_000}, "memory", PAIR[:1])


@pytest.mark.parametrize("timing", [TIMING, ALONE])
def test_files_of_timings(tmp_path, timing):
    pytest.importorskip("matplotlib")
    plot_timing(timing, tmp_path / "bars.svg")
    plot_timing(timing, tmp_path / "bars.png")
    assert (tmp_path / "bars.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unknown_ending_of_a_timing(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(GhostifyError, match="the ending must be one such as .png"):
        plot_timing(TIMING, tmp_path / "bars.doc")
