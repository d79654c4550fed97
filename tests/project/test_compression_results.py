"""The results of compressions in the documentation are those that were recorded."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "examples" / "benchmarks"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "results" / "compress.md").read_text(encoding="utf-8")


@pytest.fixture
def records(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    record = import_module("compression.record")
    yield record.read(record.RESULTS)
    for name in ("compression", "compression.record", "compression.table"):
        sys.modules.pop(name, None)


def test_the_tables_are_those_of_the_records(records):
    table = import_module("compression.table")
    assert table.markdown(records) in PAGE
    assert table.overview(records) in README


def test_every_command_is_on_the_page(records):
    for record in records.values():
        assert f"{record.command}\n" in PAGE


def test_the_curves_are_drawn_from_the_records(records, tmp_path):
    import_module("compression.table").draw(records, tmp_path)
    for file in tmp_path.iterdir():
        kept = ROOT / "docs" / "images" / file.name
        assert kept.read_text(encoding="utf-8") == file.read_text(encoding="utf-8"), file.name
        assert f'--8<-- "docs/images/{file.name}"' in PAGE
