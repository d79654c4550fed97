import pytest

from ghostify import GhostifyError
from ghostify.planning.budget import Budget, parse_budgets


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("macs=0.5", Budget("macs", 0.5, share=True)),
        ("macs=.5", Budget("macs", 0.5, share=True)),
        ("macs=1", Budget("macs", 1, share=True)),
        ("macs=1.5", Budget("macs", 1.5)),
        ("macs=1e-1", Budget("macs", 0.1, share=True)),
        ("macs=1.2e9", Budget("macs", 1.2e9)),
        ("macs<=2G", Budget("macs", 2e9)),
        ("params=0.5M", Budget("params", 5e5)),
        ("params = 4 m", Budget("params", 4e6)),
        ("activations <= 300K", Budget("activations", 3e5)),
        ("macs=1T", Budget("macs", 1e12)),
    ],
)
def test_the_form_of_a_budget(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("macs=abc", "budget 'macs=abc': 'abc' must be a number such as 0.5, 4M or 1.2e9"),
        ("macs=", "budget 'macs=': '' must be a number"),
        ("macs=-1", "'-1' must be a number"),
        ("macs=nan", "'nan' must be a number"),
        ("macs=50%", "'50%' must be a number"),
        ("macs=4P", "'4P' must be a number"),
        ("macs=0", "budget 'macs=0': `limit` .*above 0"),
        ("macs=1e999", "finite"),
        ("macs", "budget 'macs': must be of the form macs=0.5 or params=4M"),
        ("macs>=1G", "must be of the form"),
        ("mac=0.5", "budget 'mac=0.5': unknown cost 'mac': known are macs, params, activations"),
    ],
)
def test_invalid_budgets_are_rejected(text, message):
    with pytest.raises(GhostifyError, match=message):
        Budget.parse(text)


def test_a_share_is_at_most_1():
    with pytest.raises(GhostifyError, match="at most 1: it is a share"):
        Budget("macs", 1.5, share=True)


@pytest.mark.parametrize(
    "given",
    [
        ["macs=0.5", "params=4M"],
        {"macs": 0.5, "params": "4M"},
        {"macs": "0.5", "params": 4_000_000},
        (text for text in ("macs=0.5", "params=4M")),
        [Budget("macs", 0.5, share=True), "params=4M"],
    ],
)
def test_several_budgets(given):
    assert parse_budgets(given) == (Budget("macs", 0.5, share=True), Budget("params", 4e6))


def test_one_budget_needs_no_list():
    assert parse_budgets("params=4M") == parse_budgets(Budget("params", 4e6))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "must hold at least one"),
        (["macs=0.5", "macs=1G"], "budget macs is given twice"),
        ({"macs": None}, "budget 'macs=None': 'None' must be a number"),
    ],
)
def test_none_or_two_budgets_for_one_cost(given, message):
    with pytest.raises(GhostifyError, match=message):
        parse_budgets(given)


def test_a_share_is_of_the_total():
    assert Budget.parse("macs=0.25").bound(4e9) == pytest.approx(1e9)
    assert Budget.parse("macs=2G").bound(4e9) == pytest.approx(2e9)


def test_a_share_of_a_whole_number_is_met_by_that_many():
    assert 0.29 * 100 < 29 <= Budget.parse("macs=0.29").bound(100)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("macs=0.1", "0.275 (1.11G)"), ("macs=1M", "1.11G")],
)
def test_costs_are_shown_in_the_terms_of_the_budget_and_rounded_up(text, shown):
    assert Budget.parse(text).describe(1.1001e9, 4.0009e9) == shown


@pytest.mark.parametrize("text", ["macs=0.5", "params=4M", "macs=1.2G", "params=999"])
def test_it_is_written_as_it_is_read(text):
    assert str(Budget.parse(text)) == text
