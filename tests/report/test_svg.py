"""Charts as SVG."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify.report.charts import Curve, LayerBar, Plot
from ghostify.report.svg import bars_svg, meter_svg, plot_svg

BARS = [
    LayerBar("a", before=100, narrowed=60, after=25, replaced=True, tooltip="a & b"),
    LayerBar("<b>", before=50, narrowed=50, after=50, replaced=False, tooltip="<b>"),
]


def rectangles(svg):
    found = [e for e in ET.fromstring(svg).iter() if e.tag == "rect" and e.get("class") != "hit"]
    return {e.get("class"): tuple(float(e.get(k)) for k in ("x", "y", "height")) for e in found}


def test_bars_by_hand():
    """Two of 500 each, in 1000 x 200."""
    assert rectangles(bars_svg(BARS, "title")) == {
        "dropped": (0, 0, 200), "ghosts": (0, 80, 120), "intrinsic": (0, 150, 50),
        "dense": (500, 100, 100),
    }  # fmt: skip


def test_bars_have_tooltips():
    titles = [e.text for e in ET.fromstring(bars_svg(BARS, '"<x>')).iter("title")]
    assert titles == ["a & b", "<b>"]
    assert ET.fromstring(bars_svg(BARS, '"<x>')).get("aria-label") == '"<x>'


def circles(plot):
    root = ET.fromstring(plot_svg(plot))
    found = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter("circle")]
    return found, [text.text for text in root.iter("text")]


def test_points_lie_where_the_axes_say():
    plot = Plot("t", "x", "y", (Curve("c", ((0, 0), (10, 2), (5, 1)), "ghost"),))
    places, labels = circles(plot)
    assert places == [(46, 210), (426, 10), (236, 110)]
    assert labels[-1] == "x"
    assert {"0", "10", "2"} <= set(labels)


def test_percent_axes_end_at_100():
    plot = Plot("t", "x", "y", (Curve("c", ((1, 0.931), (2, 1.0)), "ghost"),), percent=True)
    _, labels = circles(plot)
    assert "100%" in labels
    assert not [label for label in labels if label.endswith("%") and float(label[:-1]) > 100]


@pytest.mark.parametrize(
    ("epochs", "ticks"),
    [
        ([1], ["0", "1"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([0, 7], ["0", "2", "4", "6", "8"]),
        ([0, 12], ["0", "3", "6", "9", "12"]),
    ],
)
def test_epochs_are_whole_numbers(epochs, ticks):
    curve = Curve("c", tuple((epoch, 0.0) for epoch in epochs), "ghost")
    root = ET.fromstring(plot_svg(Plot("t", "epoch", "y", (curve,), whole=True)))
    below = [text.text for text in root.iter("text") if text.get("y") == "226"]
    assert below == ticks


ROUND = st.floats(-1e9, 1e9).map(lambda number: float(f"{number:.5g}"))
NUMBERS = st.one_of(ROUND, st.floats(-1e99, 1e99), st.sampled_from([1.0, 1 - 2**-53]))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9))
def test_every_point_is_inside(points):
    places, _ = circles(Plot("t", "x", "y", (Curve("c", tuple(points), "original"),)))
    assert len(places) == len(points)
    for x, y in places:
        assert 46 - 0.1 <= x <= 426.1
        assert 9.9 <= y <= 210.1


@pytest.mark.parametrize("bars", [[], [LayerBar("a", 0, 0, 0, False, "a")]])
def test_nothing_to_draw(bars):
    assert ET.fromstring(bars_svg(bars, "title")).tag == "svg"


def test_a_meter_by_hand():
    root = ET.fromstring(meter_svg(1.5, 2, 4, "title"))
    track, bar = root.iter("rect")
    assert (track.get("class"), track.get("width")) == ("track", "100")
    assert (bar.get("class"), bar.get("x"), bar.get("width")) == ("ghost", "0", "37.5")
    (mark,) = root.iter("line")
    assert (mark.get("x1"), mark.get("x2"), mark.get("y1"), mark.get("y2")) == (
        "50", "50", "0", "12"
    )  # fmt: skip
    assert root.find("title").text == "title"


def test_a_value_below_the_base_looks_worse():
    for value, role in ((1.0, "ghost"), (0.5, "worse")):
        root = ET.fromstring(meter_svg(value, 2, 4, "title", base=1))
        _, bar = root.iter("rect")
        assert (bar.get("class"), bar.get("width")) == (role, f"{25 * value:g}")
        lines = {line.get("class"): line.get("x1") for line in root.iter("line")}
        assert lines == {"base": "25", "mark": "50"}


def test_lines_join_the_points_of_curves_that_have_them():
    points = ((0, 0), (10, 2), (5, 1))
    curves = (Curve("a", points, "ghost", line=True), Curve("b", points, "original"))
    root = ET.fromstring(plot_svg(Plot("t", "x", "y", curves)))
    joined, loose = (group for group in root.iter("g"))
    assert (joined.get("class"), loose.get("class")) == ("ghost", "original")
    ends = [
        tuple(float(line.get(k)) for k in ("x1", "y1", "x2", "y2")) for line in joined.iter("line")
    ]
    assert ends == [(46, 210, 426, 10), (426, 10, 236, 110)]
    assert not list(loose.iter("line"))


def test_points_have_tooltips():
    curve = Curve("a", ((0, 0), (1, 1)), "current", ("first", "second"))
    root = ET.fromstring(plot_svg(Plot("t", "x", "y", (curve,))))
    dots = list(root.iter("circle"))
    assert [dot.find("title").text for dot in dots] == ["first", "second"]
    assert dots[0].get("r") == "6"
