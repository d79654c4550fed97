"""Changes in words."""

import pytest

from ghostify.report.changes import Change, cost_change, latency_change, score_change


@pytest.mark.parametrize(
    ("before", "after", "text", "worse"),
    [
        (1000, 500, "2.00× fewer", False),
        (500, 1000, "2.00× more", True),
        (1000, 1004, "the same", False),
        (1000, 80, "12.5× fewer", False),
        (1000, 3, "333× fewer", False),
        (0, 5, "", False),
        (5, 0, "", False),
    ],
)
def test_costs(before, after, text, worse):
    assert cost_change(before, after) == Change(text, worse)


def test_words_of_a_cost():
    words = {"less": "smaller", "more": "larger"}
    assert cost_change(3, 2, **words).text == "1.50× smaller"
    assert cost_change(2, 3, **words).text == "1.50× larger"


def test_latencies():
    assert latency_change(1.5) == Change("1.50× faster")
    assert latency_change(1 / 2.8) == Change("2.80× slower", worse=True)
    assert latency_change(1.001) == Change("the same")


@pytest.mark.parametrize(
    ("metric", "before", "after", "change"),
    [
        ("top1", 0.98, 0.977, Change("0.3 points lower", worse=True)),
        ("top1", 0.9, 0.95, Change("5.0 points higher")),
        ("top1", 0.9, 0.9004, Change("the same")),
        ("mae", 1.25, 1.5, Change("0.25 higher", worse=True)),
        ("mae", 1.5, 1.25, Change("0.25 lower")),
        ("r2", 0.9, 0.8, Change("0.1 lower", worse=True)),
    ],
)
def test_scores(metric, before, after, change):
    assert score_change(metric, before, after) == change
