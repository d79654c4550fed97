import pytest

from ghostify.report.document import Column, Table, numeric, shorten, si, summarize_names


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


def test_names_are_shortened_in_the_middle():
    assert shorten(["a.long.name", "b"], 8) == ["a.l…name", "b"]
    assert shorten(["a.long.name", "b"], 11) == ["a.long.name", "b"]
    assert shorten([], 8) == []


@pytest.mark.parametrize("width", [1, 3, 8, 16, 24, 40])
def test_shortened_names_stay_distinct(width):
    names = [f"features.block{b}.layer{n}.conv{c}" for b in (1, 2) for n in range(12) for c in "ab"]
    short = shorten(names + names, width)
    assert len(set(short)) == len(names)
    if width >= 24:
        assert max(map(len, short)) <= width


LAYERS = Table(
    "t",
    (Column("layer"), Column("map", spare=True), *numeric("error")),
    (("features.layer1.conv", "112x112", "12.3%"), ("features.layer2.conv", "7x7", "1.23%")),
)


def test_a_table_is_fitted():
    assert LAYERS.width == 36
    assert LAYERS.fitted(36) == LAYERS
    assert LAYERS.fitted(34).rows[0] == ("features…yer1.conv", "112x112", "12.3%")


def test_spare_columns_go_before_names_become_unreadable():
    narrow = LAYERS.fitted(28)
    assert [column.heading for column in narrow.columns] == ["layer", "error"]
    assert narrow.rows == (("features.layer1.conv", "12.3%"), ("features.layer2.conv", "1.23%"))


def test_only_names_are_cut():
    narrowest = LAYERS.fitted(1)
    assert [row[1] for row in narrowest.rows] == ["12.3%", "1.23%"]
    assert len({row[0] for row in narrowest.rows}) == 2


def test_a_table_that_wraps_has_a_width():
    assert Table("t", (Column("reason", wrap=True), *numeric("n")), (("x" * 99, "1"),)).width == 15
