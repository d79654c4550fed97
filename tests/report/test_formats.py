import pytest

from ghostify import GhostifyError
from ghostify.report.document import Column, Document, Table
from ghostify.report.formats import FORMATS, format_of, to_markdown, to_text

LONG = "a reason of many words that runs over the end of the line and on to the next one"


@pytest.fixture
def document():
    columns = (Column("name"), Column("reason", wrap=True), Column("n", numeric=True))
    table = Table("Layers", columns, (("a", LONG, "1"), ("b", "short", "1000")))
    return Document("Title", (table,), ("A note.",), ({"layer": "a", "n": 1},), {"n": 1})


def test_text_wraps_at_80_columns(document):
    text = to_text(document)
    assert max(map(len, text.splitlines())) <= 80
    assert " ".join(text.split()).endswith("A note.")
    assert all(word in text for word in LONG.split())


def test_markdown_does_not_wrap(document):
    assert LONG in to_markdown(document)


def test_every_format_prints(document):
    assert {name: form(document)[:1] for name, form in FORMATS.items()} == {
        "table": "T", "json": "{", "csv": "l", "markdown": "#",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "name"), [(".txt", "table"), (".json", "json"), (".csv", "csv"), (".md", "markdown")]
)
def test_endings(ending, name):
    assert format_of(ending) is FORMATS[name]


def test_an_unknown_ending():
    with pytest.raises(
        GhostifyError, match=r"the ending \(='.pdf'\) must be one of .txt, .json, .csv, .md"
    ):
        format_of(".pdf")
