"""A convolution before and after, by hand."""

import pytest

from ghostify.report.site_row import site_rows


@pytest.fixture
def rows(pruned_plan):
    return {row.site.name: row for row in site_rows(pruned_plan)}


def test_costs_are_those_of_the_channels_that_are_left(rows):
    weights = {
        "stem": (16 * 27, 16 * 27),
        "a": (64 * 144, 20 * 144 + 20 * 9),
        "dw": (64 * 9, 40 * 9),
        "b": (64 * 32, 40 * 24),
        "c": (32 * 16, 24 * 16),
    }
    assert {name: row.params for name, row in rows.items()} == weights
    assert {name: row.macs for name, row in rows.items()} == {
        name: (64 * before, 64 * after) for name, (before, after) in weights.items()
    }


def test_channels_in_words(rows):
    assert [(row.inputs, row.outputs, row.channels) for row in rows.values()] == [
        ("3", "16", "3→16"),
        ("16", "64 → 40 (20 + 20 ghosts)", "16→20+20"),
        ("64 → 40", "64 → 40", "40→40"),
        ("64 → 40", "32 → 24", "40→24"),
        ("32 → 24", "16", "24→16"),
    ]


def test_a_kept_convolution_whose_inputs_shrink_has_changed(rows):
    assert [row.changed for row in rows.values()] == [False, True, True, True, True]
    assert [row.pruned for row in rows.values()] == [False, True, True, True, False]
    assert rows["c"].reason == "excluded"
