"""The line that says it all."""

import pytest

from ghostify.io.measurements import record
from ghostify.report.changes import Change
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.html.headline import accuracy_line, headline
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Score


def line(folder):
    return [part.text for part in headline(ArtifactSummary(folder))]


def time(folder, **speedups):
    one = Spread(1, 1, 1)
    for runtime, speedup in speedups.items():
        pair = tuple(
            Measurement(name, runtime, 1, 1, 9, one, Spread(s, s, s))
            for name, s in (("net", 1.0), ("out", speedup))
        )
        timing = Timing("1x3x8x8", {"net": 4, "out": 2}, "bytes", pair)
        record(folder, "timing", timing.to_dict(), part=runtime)


def score(folder, before, after):
    rows = {"original": before, "converted": after}
    found = {name: EvaluationRow(Score(99, **metrics), 4, 2) for name, metrics in rows.items()}
    record(folder, "evaluation", Evaluation("digits", 0, found).to_dict())


def test_everything_that_was_measured(measured):
    assert line(measured) == [
        "2.00× smaller", "1.50× faster in PyTorch", "1.50× faster in OpenVINO",
        "2.0 points less accurate",
    ]  # fmt: skip
    assert accuracy_line(ArtifactSummary(measured)) == (
        "Top-1 accuracy: 92.0% → 90.0% on 50 images of digits"
    )


def test_without_measurements(artifact):
    assert line(artifact) == [
        "1.54× smaller in convolutions", "1.54× fewer MACs",
        "95.0% of images keep their top-1 class",
    ]  # fmt: skip
    assert accuracy_line(ArtifactSummary(artifact)) == (
        "Same top-1 class as the original: 95.0% on 20 held-out images"
    )


def test_the_runtime_of_the_plan(artifact, make):
    time(artifact, eager=0.5, onnxruntime=1.5, openvino=1.25)
    make.change(artifact, lambda recipe: recipe["options"].update(runtime="openvino"))
    assert line(artifact)[1:-1] == ["1.25× faster in OpenVINO"]


def test_of_several_runtimes_the_fastest_and_the_slowest(artifact):
    time(artifact, eager=0.4, onnxruntime=1.5, openvino=1.25)
    parts = headline(ArtifactSummary(artifact))
    assert parts[1:-1] == [
        Change("1.50× faster in ONNX Runtime"), Change("2.50× slower in PyTorch", worse=True)
    ]  # fmt: skip
    time(artifact, eager=1.0, onnxruntime=1.0, openvino=1.0)
    assert line(artifact)[1].startswith("as fast in ")


@pytest.mark.parametrize(
    ("before", "after", "text", "worse"),
    [
        ({"top1": 0.98}, {"top1": 0.977}, "0.3 points less accurate", True),
        ({"top1": 0.9}, {"top1": 0.95}, "5.0 points more accurate", False),
        ({"top1": 0.9}, {"top1": 0.9}, "as accurate", False),
        ({"mean_iou": 0.5}, {"mean_iou": 0.4}, "10.0 points lower mean IoU", True),
        ({"mean_iou": 0.5}, {"mean_iou": 0.5}, "the same mean IoU", False),
        ({"mae": 2.0}, {"mae": 2.5}, "0.5 higher mean absolute error", True),
        ({"top1": None}, {"top1": 0.5}, "50.0% top-1 accuracy", False),
        ({}, {"relative_error": 0.02}, "2.00% relative error", False),
    ],
)
def test_accuracy(artifact, before, after, text, worse):
    score(artifact, before, after)
    assert headline(ArtifactSummary(artifact))[-1] == Change(text, worse)


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (0.904, "as accurate"),
        (0.896, "0.4 points less accurate"),
        (0.925, "as accurate"),
        (0.935, "3.5 points more accurate"),
    ],
)
def test_a_gain_within_two_standard_errors_is_none(artifact, after, text):
    score(artifact, {"top1": 0.9}, {"top1": after, "agreement": 0.99})
    assert line(artifact)[-1] == text
    shown = f"Top-1 accuracy: 90.0% → {after:.1%} (± 1.4 points) on 99 images of digits"
    assert accuracy_line(ArtifactSummary(artifact)) == shown


def test_an_untrained_network(artifact, make):
    random = {"digest": "0", "trained": False}
    make.change(artifact, lambda recipe: recipe.update(original=random))
    assert headline(ArtifactSummary(artifact))[-1] == Change("untrained", worse=True)
    score(artifact, {}, {"top1": 0.5})
    assert line(artifact)[-1] == "50.0% top-1 accuracy"


def test_nothing_is_known(artifact, make):
    zero = {"params": 0, "weight_bytes": 0, "macs": {}, "uncounted": {}}
    record(artifact, "costs", {"model": "", "input": "", "before": zero, "after": zero})
    make.change(artifact, lambda recipe: recipe.pop("fidelity"))
    assert line(artifact) == ["untrained"]
    assert accuracy_line(ArtifactSummary(artifact)) == ""


def test_nothing_became_smaller(artifact):
    one = {"params": 10, "weight_bytes": 0, "macs": {"conv": 5}, "uncounted": {}}
    record(artifact, "costs", {"model": "", "input": "", "before": one, "after": one})
    assert line(artifact)[:2] == ["same size", "as many MACs"]
