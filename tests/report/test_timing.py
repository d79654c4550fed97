"""Times as data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify import GhostifyError, Timing
from ghostify.report.timing import Measurement, Spread

HALF = Measurement("ghost", "eager", 1, 2, 5, Spread(2.0, 1.0, 4.0), Spread(1.5, 1.25, 2.0), 1024)
WHOLE = Measurement("original", "eager", 1, 2, 5, Spread(3.0, 3.0, 3.5), Spread(1, 1, 1))
TIMING = Timing("1x3x8x8", {"original": 400, "ghost": 200}, "bytes", (WHOLE, HALF))


def test_quartiles_by_hand():
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4)
    assert Spread.of([1, 2]) == Spread(1.5, 1.25, 1.75)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30))
def test_quartiles_are_ordered(values):
    spread = Spread.of(values)
    low, high = min(values) * (1 - 1e-12), max(values) * (1 + 1e-12)
    assert low <= spread.lower <= spread.median <= spread.upper <= high


def test_realised_speed_up():
    assert TIMING.macs_ratio("ghost") == 2
    assert TIMING.realised(HALF) == 0.75
    assert TIMING.realised(WHOLE) == 1


def test_json_round_trip():
    assert Timing.from_json(TIMING.to_json()) == TIMING
    assert Timing.from_dict(json.loads(json.dumps(TIMING.to_dict()))) == TIMING


def edited(**changes):
    return TIMING.to_dict() | changes


def with_entry(**changes):
    return edited(measurements=[TIMING.to_dict()["measurements"][0] | changes])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "`format` must be 'ghostify-timing/1'"),
        ({"format": "ghostify/1"}, "`format` must be"),
        ({"format": "ghostify-timing/1"}, "invalid timing: 'input' is missing"),
        (edited(mac={}), "unknown key 'mac'; did you mean macs?"),
        (edited(measurements=3), "`measurements` (=3) must be a list"),
        (
            edited(macs={"original": 3}),
            "`macs` lacks the measured network 'ghost'",
        ),
        (with_entry(seconds={"median": 1, "lower": 2, "upper": 3}), "must be positive numbers"),
        (with_entry(seconds={"median": 1, "lower": 0, "upper": 3}), "must be positive numbers"),
        (with_entry(speedup={"median": 1}), "measurements[0].speedup: 'lower' is missing"),
        (with_entry(thread=1), "unknown key 'thread'; did you mean threads?"),
    ],
)
def test_invalid_timings(data, message):
    with pytest.raises(GhostifyError) as raised:
        Timing.from_dict(data)
    assert message in str(raised.value)


def test_a_syntax_error_has_its_line():
    with pytest.raises(GhostifyError, match="not JSON: .*line 1"):
        Timing.from_json("{")
