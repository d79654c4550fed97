import pytest

from ghostify.report.document import Column, Table, si, summarize_names


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (0, 3, "0"), (999, 3, "999"), (1000, 3, "1.00K"), (25557032, 4, "25.56M"),
        (999_600, 3, "1.00M"), (4111512576, 4, "4.112G"), (123_456, 3, "123K"),
        (5.5e12, 3, "5500G"),
    ],
)  # fmt: skip
def test_si(number, digits, text):
    assert si(number, digits) == text


def test_few_names_are_listed():
    assert summarize_names(["a.0", "b", "a.1"]) == "a.0, b, a.1"


def test_many_names_become_globs():
    names = ["stem", *(f"layer{i}.{j}.conv" for i in (1, 2) for j in range(3)), "f.1.x", "f.2.x"]
    assert summarize_names(names) == "stem, layer1.*.conv (3), layer2.*.conv (3), f.*.x (2)"


def test_long_names_are_cut():
    table = Table("t", (Column("name"), Column("n", numeric=True)), (("a.long.name", "12"),))
    assert table.fitted(12).rows == (("…ng.name", "12"),)
    assert table.fitted(80) == table
