"""The summary as a picture."""

import pytest
from PIL import Image

import ghostify
from ghostify import GhostifyError
from ghostify.report.html.card import _INK, _WORSE, write_card
from ghostify.report.html.summary import ArtifactSummary


def test_its_size(measured, tmp_path):
    pytest.importorskip("matplotlib")
    ghostify.write_report(measured, card=tmp_path / "card.png")
    with Image.open(tmp_path / "card.png") as image:
        assert image.size == (1200, 630)


def test_its_texts(measured, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    write_card(ArtifactSummary(measured), tmp_path / "card.png", title="A $net$")
    found = {text.get_text(): text for text in drawn[0].texts}
    assert [*found] == [
        "A $net$", "2.00× smaller", "1.50× faster in PyTorch", "1.50× faster in OpenVINO",
        "2.0 points less accurate", "Top-1 accuracy: 92.0% → 90.0% on 50 images of digits",
    ]  # fmt: skip
    colors = [found[text].get_color() for text in ("2.00× smaller", "2.0 points less accurate")]
    assert colors == [_INK, _WORSE]
    assert not found["A $net$"].get_parse_math()
    (axes,) = drawn[0].axes
    assert len(axes.patches) == 4 + 3  # convolutions as they were, and what is left of three


def test_a_long_title_is_shortened(measured, tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = []
    monkeypatch.setattr(figure, "savefig", lambda self, file: drawn.append(self))
    write_card(ArtifactSummary(measured), tmp_path / "card.png", title="long " * 40)
    assert len(drawn[0].texts[0].get_text()) == 60


@pytest.mark.parametrize("name", ["card.xyz", "none/card.png"])
def test_a_card_that_cannot_be_written(measured, tmp_path, name):
    pytest.importorskip("matplotlib")
    with pytest.raises(GhostifyError, match=r"cannot plot|no folder"):
        ghostify.write_report(measured, card=tmp_path / name)
    assert not (measured / "report.html").exists()
