"""Tables of the documentation's pages."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "docs" / "results"
Row = dict[str, str]


def read_tables(page: str) -> dict[str, list[list[Row]]]:
    """Return the tables of a page in ``docs/results`` by the heading above them.

    A row is a dict by column.
    """
    text = (RESULTS / f"{page}.md").read_text(encoding="utf-8")
    sections = re.split(r"^#+ ", text, flags=re.M)
    return {
        section.splitlines()[0]: [*map(_rows, re.findall(r"(?:^\|.*\n)+", section, re.M))]
        for section in sections
        if section.strip()
    }


def read_table(page: str, heading: str, place: int = 0) -> list[Row]:
    """Return one of the tables below a heading."""
    return read_tables(page)[heading][place]


def number(cell: str) -> float:
    """Return the first number of a cell."""
    return numbers(cell)[0]


def numbers(cell: str) -> list[float]:
    """Return all numbers of a cell: -1.4, 0.6, -0.8 and 0.4 of ``−1.4 ± 0.6 → −0.8 ± 0.4``."""
    return [float(text) for text in re.findall(r"-?\d+(?:\.\d+)?", cell.replace("−", "-"))]


def _rows(table: str) -> list[Row]:
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    names, _, *rows = ([cell.strip() for cell in cells] for cells in lines)
    return [dict(zip(names, row, strict=True)) for row in rows]
