"""The documentation's charts are those of the tables on its pages."""

from pathlib import Path

import pytest
from charts import CHARTS
from page_tables import number, numbers, read_table

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("name", CHARTS)
def test_the_chart_shows_the_table_as_it_is(name):
    drawn = (DOCS / "images" / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn == f"{CHARTS[name]()}\n", "python examples/charts"


@pytest.mark.parametrize("name", CHARTS)
def test_the_chart_is_on_a_page(name):
    assert f'--8<-- "docs/images/{name}.svg"' in PAGES


def test_a_table_is_read_by_its_heading():
    rows = read_table("accuracy", "Digits")
    assert list(rows[0])[:2] == ["method", "VGG-16, 0.52"]
    assert rows[0]["method"] == "planned"


def test_numbers_of_a_cell():
    assert numbers("−1.4 ± 0.6 → −0.8 ± 0.4") == [-1.4, 0.6, -0.8, 0.4]
    assert number("1.77 (0.93)") == 1.77
