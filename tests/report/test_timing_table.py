"""Timings as tables."""

import json

from ghostify import Timing
from ghostify.report.formats import to_csv, to_json, to_text
from ghostify.report.timing import Measurement, Spread


def measurement(model, runtime, batch, middle, speedup, memory):
    spread = Spread(middle, 0.9 * middle, 1.1 * middle)
    return Measurement(
        model, runtime, batch, 1, 7, spread, Spread(speedup, 0.5, 9), memory
    )  # fmt: skip


TIMING = Timing(
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
ALONE = Timing("1x3x8x8", {"resnet50": 4_000_000}, "resident memory", TIMING.measurements[:1])


def lines(timing):
    return [" ".join(line.split()) for line in to_text(timing.document()).splitlines()]


def test_the_tables():
    shown = lines(TIMING)
    assert "resnet50-ghost 2.000M 2.00x" in shown
    assert "eager, batch 1: 7 rounds" in shown
    assert "resnet50 1 3 (2.7–3.3) 1.00x 100% 4.00MB" in shown
    assert "resnet50-ghost 1 2 (1.8–2.2) 1.50x 75% -" in shown
    assert "resnet50-ghost 1 12.5 (11.3–13.8) 2.40x 120% 3.00MB" in shown
    assert "memory: resident memory." in shown
    assert max(len(line) for line in to_text(TIMING.document()).splitlines()) <= 80


def test_one_network_has_no_speed_up():
    shown = "\n".join(lines(ALONE))
    assert "resnet50 1 3 (2.7–3.3) 4.00MB" in shown
    assert "speed-up" not in shown


def test_json_and_csv():
    assert Timing.from_json(to_json(TIMING.document())) == TIMING
    header, first, *rest = to_csv(TIMING.document()).splitlines()
    assert header.startswith("model,runtime,batch,threads,rounds,seconds_median,seconds_lower")
    assert first.startswith("resnet50,eager,1,1,7,0.003,")
    assert rest[0].endswith(",2.0,0.75")
    assert len(rest) == 3
    assert json.loads(to_json(TIMING.document()))["macs"]["resnet50"] == 4_000_000


def test_it_prints_as_tables():
    assert str(TIMING).startswith("resnet50 and resnet50-ghost, input 1x3x8x8\n\nMACs")
    assert "100 %: time fell as much as MACs did" in str(TIMING)


def test_pairs_of_first_and_last_network():
    assert TIMING.pairs() == [TIMING.measurements[:2], TIMING.measurements[2:]]
    assert ALONE.pairs() == []
