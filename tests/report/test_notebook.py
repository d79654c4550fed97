"""Reports and times in notebooks."""

from xml.etree import ElementTree as ET

import pytest
from torch import nn

import ghostify
from ghostify.report.document import Column, Document, Table
from ghostify.report.formats import to_notebook
from ghostify.report.timing import Measurement, Spread, Timing

EVIL = "<script>alert('x')</script>&"


def elements(page):
    """All elements of HTML that is well-formed XML, but for its line breaks."""
    return list(ET.fromstring(page.replace("<br>", "<br/>")).iter())


def texts(page, tag):
    found = [element for element in elements(page) if element.tag == tag]
    return ["".join(element.itertext()).strip() for element in found]


def test_text_is_escaped():
    table = Table(EVIL, (Column(EVIL), Column("n", numeric=True)), ((EVIL, "1"),) * 13)
    page = to_notebook(Document(EVIL, (table,), (EVIL,), (), {}), [(EVIL, "<svg/>")])
    assert "script" not in {element.tag for element in elements(page)}
    assert texts(page, "b") == texts(page, "summary") == [EVIL]
    assert texts(page, "td") == [EVIL, "1"] * 13
    assert texts(page, "p")[1:] == [EVIL, EVIL]


def test_short_tables_are_not_collapsed():
    short = Table("short", (Column("name"),), (("row",),) * 12)
    page = to_notebook(Document("title", (short,), (), (), {}))
    assert texts(page, "summary") == []
    assert len(texts(page, "td")) == 12


def test_a_report_has_a_bar_for_every_layer(small_net, image):
    small_net.add_module(EVIL, nn.Identity())
    report = ghostify.compare(small_net, ghostify.convert(small_net, image), image, name=EVIL)
    page = report._repr_html_()
    assert "script" not in {element.tag for element in elements(page)}
    bars = [element.get("class") for element in elements(page) if element.tag == "rect"]
    assert bars.count("hit") == 2 * 4
    assert bars.count("intrinsic") == bars.count("ghosts") == 2 * 2
    assert bars.count("dense") == 2 * 2
    titles = texts(page, "title")
    assert titles[1] == (
        "wide\n3x3, 16→32, /2\noutputs 32 (16 + 16 ghosts)\n295K → 157K MACs\ns=2, d=3"
    )
    assert titles[2] == "depthwise\n3x3, 32→32, g=32\n18.4K MACs\nkept: depthwise"


@pytest.mark.parametrize("speedup", [1.5, 2.5, 0.5])
def test_a_timing_has_a_bar_for_every_speed_up(speedup):
    pair = [
        Measurement(name, "eager", 1, 1, 5, Spread(1, 1, 1), Spread(s, s, s))
        for name, s in (("original", 1.0), (EVIL, speedup))
    ]
    timing = Timing("1x3x8x8", {"original": 400, EVIL: 200}, "bytes", tuple(pair))
    page = timing._repr_html_()
    role = "ghost" if speedup > 1 else "worse"
    bar = next(e for e in elements(page) if e.tag == "rect" and e.get("class") == role)
    mark = next(e for e in elements(page) if e.tag == "line" and e.get("class") == "mark")
    most = max(speedup, 2)
    assert float(bar.get("width")) == pytest.approx(100 * speedup / most)
    assert float(mark.get("x1")) == pytest.approx(100 * 2 / most)
    change = f"{speedup:.2f}× faster" if speedup > 1 else "2.00× slower"
    assert f"{EVIL} against original, eager, batch 1, 1 thread: {change}" in texts(page, "p")
