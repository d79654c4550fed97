"""The gallery of the documentation."""

from pathlib import Path

import pytest

import ghostify

ROOT = Path(__file__).parents[3]
GALLERY = ROOT / "examples" / "gallery"
MEASURED = sorted(file.parent for file in GALLERY.glob("*/ghostify.json"))


def test_every_network_is_linked():
    page = (ROOT / "docs" / "results" / "gallery.md").read_text(encoding="utf-8")
    assert MEASURED
    assert [f'href="{folder.name}.html"' in page for folder in MEASURED] == [True] * len(MEASURED)
    assert page.count('.html">') == len(MEASURED)


@pytest.mark.parametrize("folder", MEASURED, ids=lambda folder: folder.name)
def test_every_page_is_written_without_weights(folder, tmp_path, read):
    assert not list(folder.glob("*.safetensors"))
    page = read(ghostify.write_report(folder, tmp_path / "page.html"))
    assert {"Speed", "Exports"} <= set(page.headings)
