"""Charts drawn by Matplotlib."""

import pytest

from ghostify import GhostifyError
from ghostify.report.charts import Curve, LayerBar, Plot
from ghostify.report.plots import plot_curves, plot_layers, plot_sensitivity, plot_timing
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


@pytest.fixture
def drawn(monkeypatch):
    """Gives the axes that a function draws."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    figures = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: figures.append(self))

    def draw(plot, *arguments, **options):
        plot(*arguments, **options)
        return figures[-1].axes[0]

    return draw


def test_speedups_are_bars_and_macs_ratios_lines(drawn, tmp_path):
    axes = drawn(plot_timing, TIMING, tmp_path / "t.png")
    (bar,) = axes.patches
    assert bar.get_height() == 1.5
    dashed = {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"}
    assert dashed == {2.0}
    assert 1.0 in {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "-"}
    assert axes.get_ylabel() == "speed-up over resnet50"
    (spread,) = axes.collections[0].get_segments()
    assert [y for _, y in spread] == [0.5, 9.0]


def test_of_a_single_network_the_time_is_drawn(drawn, tmp_path):
    axes = drawn(plot_timing, ALONE, tmp_path / "t.png")
    assert [bar.get_height() for bar in axes.patches] == [0.003]
    assert axes.get_ylabel() == "seconds per run"


def test_bars_of_layers(drawn, tmp_path):
    bars = [
        LayerBar("a", before=100, narrowed=60, after=25, replaced=True, tooltip=""),
        LayerBar("b", before=50, narrowed=50, after=50, replaced=False, tooltip=""),
    ]
    axes = drawn(plot_layers, bars, tmp_path / "l.png", unit="MACs")
    heights = {c.get_label(): [bar.get_height() for bar in c] for c in axes.containers}
    assert heights == {
        "saved by dropped channels": [100, 0],
        "saved by ghosts": [60, 0],
        "Ghost modules": [25, 0],
        "convolutions": [0, 50],
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert axes.get_ylabel() == "MACs"


def test_curves(drawn, tmp_path):
    curves = (
        Curve("this", ((1, 0.5), (2, 0.75)), "ghost", line=True),
        Curve("points", ((3, 0.25),), "current"),
        Curve("start", ((3, 0.75),), "reference"),
    )
    plot = Plot("title", "epoch", "score", curves, percent=True, whole=True)
    axes = drawn(plot_curves, plot, tmp_path / "c.png")
    first, second, third = axes.lines
    assert [*zip(*first.get_data(), strict=True)] == [(1, 0.5), (2, 0.75)]
    assert [*zip(*second.get_data(), strict=True)] == [(3, 0.25)]
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "None")
    assert [line.get_marker() for line in (first, second, third)] == ["o", "o", "s"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "score")
    assert axes.yaxis.get_major_formatter()(0.5) == "50.0%"
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_bars_of_one_setting_stand_together(drawn, tmp_path):
    def timed(model, batch, speedup):
        spread = Spread(1.0, 1.0, 1.0)
        return Measurement(model, "eager", batch, 1, 7, spread, Spread(speedup, speedup, speedup))

    speedups = {"original": 1.0, "a": 2.0, "b": 3.0}
    measured = tuple(timed(m, batch, s * batch) for batch in (1, 8) for m, s in speedups.items())
    timing = Timing("1x3x8x8", {"original": 4, "a": 2, "b": 1}, "bytes", measured)
    axes = drawn(plot_timing, timing, tmp_path / "t.png")
    bars = {c.get_label(): [(b.get_center()[0], b.get_height()) for b in c] for c in axes.containers
            if hasattr(c, "patches")}  # fmt: skip
    assert bars["a"] == [(pytest.approx(-0.2), 2), (pytest.approx(0.8), 16)]
    assert bars["b"] == [(pytest.approx(0.2), 3), (pytest.approx(1.2), 24)]
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        "eager\nbatch 1\n1 thread", "eager\nbatch 8\n1 thread"
    ]  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["2", "16", "3", "24"]
