"""The page of the coverage benchmark adds up what was found."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

COVERAGE = Path(__file__).parents[2] / "examples" / "benchmarks" / "coverage"


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(COVERAGE))
    page = import_module("page")
    monkeypatch.setattr(page, "version", lambda library: "1.2")  # libraries of an extra
    yield page
    for name in ("page", "examine", "networks"):
        sys.modules.pop(name)


def test_a_library_has_its_convolutions_by_reason(page):
    kept = {"depthwise": 3, "grouped convolution": 1, "1x1 output map": 2, "shared weight": 1}
    findings = [
        page.Finding("timm:a", 20, 13, kept, candidates=14, kept_candidates=["x"]),
        page.Finding("timm:b", 5, 5, {}, candidates=6, faults=["s=2: breaks"]),
    ]
    text = page.to_markdown(findings)
    assert "| timm | 2 | 25 | 18 | 4 | 2 | 0 | 1 |" in text
    assert "converted 2 networks of five libraries, and 1 of them pass all checks" in text
    assert "19 of the 20" in text
    assert "timm 1.2" in text
    assert "(95.00%)" in text
    assert "s=2: breaks |" in text
