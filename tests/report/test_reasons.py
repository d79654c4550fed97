"""Why layers are as they were."""

import pytest

from ghostify.report.document import Document
from ghostify.report.formats import to_text
from ghostify.report.reasons import list_reasons

from .conftest import conv


def test_layers_with_one_reason_are_a_row():
    sites = [conv("a", 4, 4, 1), conv("b", 4, 4, 1), conv("c", 4, 8, 1), conv("d", 4, 4, 1)]
    reasons = ["depthwise", "depthwise", "excluded", None]
    table = list_reasons("Kept", zip(reasons, sites, strict=True), 64 * 16 * 10)
    assert table.title == "Kept: 3"
    assert table.rows == (("depthwise", "a, b", "2", "20.0%"), ("excluded", "c", "1", "20.0%"))


def test_reasons_that_differ_in_numbers_are_one():
    sites = [conv(name, 4, 4, 1) for name in "abc"]
    reasons = ["1 of 4 calls", "2 of 4 calls", "read 3 times"]
    table = list_reasons("Kept", zip(reasons, sites, strict=True), 0)
    assert [row[:3] for row in table.rows] == [
        ("* of * calls", "a, b", "2"), ("read 3 times", "c", "1")
    ]  # fmt: skip
    assert {row[3] for row in table.rows} == {"nan%"}


@pytest.mark.parametrize("reasons", [[], [None, None]])
def test_without_reasons_there_is_no_table(reasons):
    assert list_reasons("Kept", ((reason, conv("a", 4, 4, 1)) for reason in reasons), 1) is None


@pytest.mark.parametrize(
    ("reason", "name"),
    [("a reason of many words " * 8, "a"), ("short", "backbone.stages.3.blocks." * 6 + "conv")],
)
def test_long_reasons_and_names_wrap(reason, name):
    table = list_reasons("Kept", [(reason, conv(name, 4, 4, 1))], 1024)
    text = to_text(Document("title", (table,), (), (), {}))
    assert max(map(len, text.splitlines())) <= 80
