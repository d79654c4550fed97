"""Timings as data and as tables."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostify import GhostifyError
from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.timing import Measurement, Spread, Timing

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


def test_realized_speed_up():
    assert TIMING.macs_ratio("ghost") == 2
    assert TIMING.realized(HALF) == 0.75
    assert TIMING.realized(WHOLE) == 1


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


def measurement(model, runtime, batch, middle, speedup, memory):
    spread = Spread(middle, 0.9 * middle, 1.1 * middle)
    return Measurement(
        model, runtime, batch, 1, 7, spread, Spread(speedup, 0.5, 9), memory
    )  # fmt: skip


SEVERAL = Timing(
    "1x3x8x8",
    {"resnet50": 4_000_000, "resnet50-ghost": 2_000_000},
    "resident memory",
    (
        measurement("resnet50", "eager", 1, 0.003, 1.0, 4_000_000),
        measurement("resnet50-ghost", "eager", 1, 0.002, 1.5, None),
        measurement("resnet50", "onnxruntime", 8, 0.03, 1.0, 4_000_000),
        measurement("resnet50-ghost", "onnxruntime", 8, 0.0125, 2.4, 3_000_000),
    ),
)
ALONE = Timing("1x3x8x8", {"resnet50": 4_000_000}, "resident memory", SEVERAL.measurements[:1])


def lines(timing):
    return [" ".join(line.split()) for line in to_text(timing.document()).splitlines()]


def test_the_tables():
    shown = lines(SEVERAL)
    assert "resnet50-ghost 2.000M 2.00x" in shown
    assert "eager, batch 1: 7 rounds" in shown
    assert "resnet50 1 3 (2.7–3.3) 1.00x 100% 4.00MB" in shown
    assert "resnet50-ghost 1 2 (1.8–2.2) 1.50x 75% -" in shown
    assert "resnet50-ghost 1 12.5 (11.3–13.8) 2.40x 120% 3.00MB" in shown
    assert "memory: resident memory." in shown
    assert max(len(line) for line in to_text(SEVERAL.document()).splitlines()) <= 80


def test_what_it_was_measured_on():
    assert not any("measured on" in line for line in lines(SEVERAL))
    devices = ("A CPU", "A CPU", "A CPU", "A GPU")
    known = tuple(
        replace(m, version="1.2", device=device)
        for m, device in zip(SEVERAL.measurements, devices, strict=True)
    )
    timing = replace(SEVERAL, measurements=known)
    assert timing.measured_on == "A CPU, A GPU, eager 1.2, onnxruntime 1.2"
    assert "measured on: A CPU, A GPU, eager 1.2, onnxruntime 1.2." in lines(timing)


def test_one_network_has_no_speed_up():
    shown = "\n".join(lines(ALONE))
    assert "resnet50 1 3 (2.7–3.3) 4.00MB" in shown
    assert "speed-up" not in shown


def test_json_and_csv():
    assert Timing.from_json(to_json(SEVERAL.document())) == SEVERAL
    header, first, *rest = to_csv(SEVERAL.document()).splitlines()
    assert header.startswith("model,runtime,batch,threads,rounds,seconds_median,seconds_lower")
    assert first.startswith("resnet50,eager,1,1,7,0.003,")
    assert rest[0].endswith(",2.0,0.75")
    assert len(rest) == 3
    assert json.loads(to_json(SEVERAL.document()))["macs"]["resnet50"] == 4_000_000


def test_it_prints_as_tables():
    assert str(SEVERAL).startswith("resnet50 and resnet50-ghost, input 1x3x8x8\n\nMACs")
    assert "100 %: time fell as much as MACs did" in str(SEVERAL)


def test_pairs_of_first_and_last_network():
    assert SEVERAL.pairs() == [SEVERAL.measurements[:2], SEVERAL.measurements[2:]]
    assert ALONE.pairs() == []
