"""The charts of the page as files."""

import pytest
from PIL import Image

import ghostify

pytest.importorskip("matplotlib")


def test_a_file_for_each_chart(measured):
    folder = measured.parent / "some" / "plots"
    ghostify.write_report(measured, plots=folder)
    names = ("macs", "params", "plans", "speed")
    assert {file.name for file in folder.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("png", "svg")
    }
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            assert min(image.size) > 200
    assert "body.0.conv" in (folder / "macs.svg").read_text(encoding="utf-8")
