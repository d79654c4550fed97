"""What a compression says of itself."""

from dataclasses import replace

import pytest

from ghostify import GhostifyError
from ghostify.report.compression import Compression
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Score, Trial


def trial(name, macs, top1, minutes=0.0):
    score = Score(100, top1=top1, agreement=0.9)
    drop = score.drop_from(Score(100, top1=0.9))
    return Trial(
        name, name, 0.5, minutes, macs, macs // 10, score, drop, None, None, 1.0
    )  # fmt: skip


def timing(speedup):
    def measured(model, ratio):
        spread = Spread(1.0, 1.0, 1.0), Spread(ratio, ratio, ratio)
        return Measurement(model, "onnxruntime", 1, 1, 5, *spread)

    return Timing("1x3x8x8", {"original": 1000, "converted": 250}, "",
                  (measured("original", 1.0), measured("converted", speedup)))  # fmt: skip


ORIGINAL, BEST = trial("original", 1000, 0.9), trial("macs=0.25", 250, 0.895, minutes=2.0)
ROWS = {
    "original": EvaluationRow(Score(400, top1=0.92, agreement=1.0), 1000, 100),
    "converted": EvaluationRow(Score(400, top1=0.91, agreement=0.96), 250, 25),
}
FOUND = Compression(
    0.5, None, ORIGINAL, (trial("macs=0.5", 500, 0.9), trial("macs=0.25", 250, 0.85), BEST), BEST,
    Evaluation("images", 0, ROWS), timing(2.0), is_independent=True,
)  # fmt: skip


def test_what_was_gained_and_lost_in_two_lines():
    gained, lost = FOUND.summary()
    assert (
        gained == "Gained: 4.00× fewer MACs, 4.00× fewer parameters, 2.00× faster in ONNX Runtime."
    )
    assert lost.startswith("Lost: 1.00 ± 1.03 points (top-1 92.00% to 91.00%) on 400 test images.")


def test_a_loss_beyond_the_drop_is_said():
    _, lost = FOUND.summary()
    assert lost.endswith("more than the 0.5 allowed, which it kept on 100 validation images.")
    _, lost = replace(FOUND, max_drop=1.5).summary()
    assert "allowed" not in lost
    _, lost = replace(FOUND, max_drop=0.1).summary()
    assert lost.endswith("No network was within 0.1 points; this is the nearest.")


def test_what_got_slower_is_a_loss():
    gained, lost = replace(FOUND, timing=timing(0.5)).summary()
    assert gained.endswith("fewer parameters.")
    assert lost.startswith("Lost: 2.00× slower in ONNX Runtime; 1.00 ± ")


def test_the_loss_is_that_of_the_file_that_was_exported():
    found = replace(FOUND, exported=Score(400, top1=0.89, agreement=0.96))
    assert found.drop == pytest.approx(3)
    assert "to 89.00%" in str(found)


def test_images_that_also_chose_are_no_test_images():
    assert "on 400 images, which also chose it" in str(replace(FOUND, is_independent=False))


def test_rows_are_in_the_order_of_their_cost_and_one_is_saved():
    names = [row[0] for row in FOUND.document().tables[0].rows]
    assert names == ["original", "macs=0.5", "macs=0.25", "macs=0.25 (saved)"]


def test_the_trade_off_curve():
    plot = FOUND.plots()["trade-off-macs"]
    assert (plot.x, plot.percent) == ("MACs", True)
    curves = {curve.name: curve.points for curve in plot.curves}
    assert curves == {
        "before training": ((250, 0.85), (500, 0.9), (1000, 0.9)),
        "after training": ((250, 0.895),),
        "original": ((1000, 0.9),),
        "saved": ((250, 0.895),),
    }
    ((caption, svg),) = FOUND.charts()
    marks = "before training (gray), after training (purple), original (square), saved (ring)"
    assert caption == f"Top-1 accuracy by MACs: {marks}"
    assert svg.count("<rect") == 1


def test_latencies_are_drawn_in_milliseconds():
    timed = [replace(t, latency=0.002, speedup=2.0) for t in (ORIGINAL, BEST)]
    found = replace(
        FOUND, runtime="onnxruntime", original=timed[0], tried=(timed[1],), best=timed[1]
    )
    plot = found.plots()["trade-off-latency"]
    assert plot.x == "latency in ONNX Runtime (ms)"
    assert plot.curves[-1].points == ((2.0, 0.895),)
    assert "2 ms" in str(found)


def test_it_can_be_saved():
    assert Compression.from_dict(FOUND.to_dict()) == FOUND


def test_values_that_cannot_be_drawn_are_left_out():
    lost = trial("macs=0.2", 200, float("nan"))
    plot = replace(FOUND, tried=(*FOUND.tried, lost)).plots()["trade-off-macs"]
    assert 200 not in [x for curve in plot.curves for x, _ in curve.points]


def test_a_compression_is_of_two_networks():
    with pytest.raises(GhostifyError, match="must be of the original and another"):
        replace(FOUND, timing=replace(FOUND.timing, measurements=()))
    with pytest.raises(GhostifyError, match="must be of the original and another"):
        replace(FOUND, evaluation=Evaluation("images", 0, {"original": ROWS["original"]}))
    with pytest.raises(GhostifyError, match="the same metrics"):
        replace(FOUND, best=replace(BEST, score=Score(100, agreement=0.9)))
