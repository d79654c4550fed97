"""Charts show lengths and points in proportion."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from draw import Bar, Line, bars, lines

SVG = "{http://www.w3.org/2000/svg}"


def found(text, tag, role=None):
    shapes = ET.fromstring(text).iter(SVG + tag)
    return [shape for shape in shapes if role is None or shape.get("class") == role]


def floats(shapes, *names):
    return [tuple(float(shape.get(name)) for name in names) for shape in shapes]


def test_parts_of_a_bar_follow_each_other_in_proportion():
    text = bars("t", [Bar("a", "9", (("ours", 6), ("light", 3)), mark=12), Bar("b", "", ())])
    ((start, width),) = floats(found(text, "rect", "ours"), "x", "width")
    ((then, rest),) = floats(found(text, "rect", "light"), "x", "width")
    ((mark,),) = floats(found(text, "line", "mark"), "x1")
    assert (start, then) == (0, width)
    assert rest == pytest.approx(width / 2)
    assert mark == pytest.approx(2 * width)


def test_every_bar_and_legend_is_labeled():
    text = bars("title", [Bar("label", "value", (("ours", 1),))], [("ours", "legend")])
    assert [t.text for t in found(text, "text")] == ["title", "legend", "label", "value"]
    assert ET.fromstring(text).get("aria-label") == "title"


def test_lines_go_down_from_the_whole_share():
    curve = Line("a", "ours", ((1, 100), (0.75, 50), (0.5, 0)))
    places = floats(found(lines("t", "x", "y", [curve]), "circle", "ours"), "cx", "cy")
    (x1, y1), (x2, y2), (x3, y3) = places
    assert x1 < x2 < x3
    assert y1 < y2 < y3
    assert (x2, y2) == pytest.approx(((x1 + x3) / 2, (y1 + y3) / 2))


def test_labels_of_close_lines_do_not_overlap():
    curves = [Line(name, "ours", ((1, 100), (0.5, 50 + place))) for place, name in enumerate("abc")]
    labels = [t for t in found(lines("t", "x", "y", curves), "text") if t.text in "abc"]
    heights = sorted(y for (y,) in floats(labels, "y"))
    assert [t.text for t in labels] == ["c", "b", "a"]
    assert all(b - a >= 14 for a, b in pairwise(heights))
