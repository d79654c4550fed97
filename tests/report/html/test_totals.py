"""Totals of both networks."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.html.totals import Total, class_rows, milliseconds, totals
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import Score


def by_label(folder, **changes):
    summary = ArtifactSummary(folder)
    for name, value in changes.items():
        setattr(summary, name, value)
    return {total.label: total for total in totals(summary)}


def test_costs(measured):
    found = by_label(measured)
    assert found["Parameters"] == Total("Parameters", "1.000K", "500", "2.00× fewer", 0.5)
    macs = found["MACs of convolutions and linear layers"]
    assert macs == Total(macs.label, "64.00K", "32.00K", "2.00× fewer", 0.5)
    assert found["Weights"].converted.endswith("B")
    assert found["Weights"].change == "the same"


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(1000, 500, "2.00× fewer"), (500, 1000, "2.00× more"), (1000, 1004, "the same"), (0, 5, "")],
)
def test_how_a_cost_changed(measured, before, after, change):
    report = ArtifactSummary(measured).report
    report = replace(
        report,
        before=replace(report.before, params=before),
        after=replace(report.after, params=after),
    )
    assert by_label(measured, report=report)["Parameters"].change == change


def timing(*settings):
    measurements = []
    for runtime, batch, threads, seconds, memory in settings:
        for name, factor in (("net", 1), ("out", 2)):
            time = seconds / factor
            spread, speedup = Spread(time, time, time), Spread(factor, factor, factor)
            measurements.append(
                Measurement(name, runtime, batch, threads, 5, spread, speedup, memory)
            )
    return Timing("1x3x8x8", {"net": 4, "out": 2}, "bytes", tuple(measurements))


def test_the_smallest_setting_of_each_runtime_is_shown(measured):
    settings = [
        ("openvino", 8, 1, 0.8, None), ("openvino", 1, 4, 0.1, None), ("openvino", 1, 1, 0.2, 1000),
        ("eager", 2, 1, 0.4, None),
    ]  # fmt: skip
    found = by_label(measured, timings=(timing(*settings),))
    shown = [label for label in found if label.startswith(("Latency", "Peak"))]
    assert shown == [
        "Latency: openvino, batch 1, 1 thread", "Peak memory: openvino",
        "Latency: eager, batch 2, 1 thread",
    ]  # fmt: skip
    assert found[shown[0]] == Total(shown[0], "200 ms", "100 ms", "2.00× as fast", 0.5)
    assert found[shown[1]].change == "the same"


def test_milliseconds():
    def shown(seconds):
        return milliseconds(SimpleNamespace(seconds=Spread(seconds, seconds, seconds)))

    assert [shown(s) for s in (0.00123, 0.0999, 0.1, 1.2345)] == [
        "1.23 ms", "99.9 ms", "100 ms", "1234 ms"
    ]  # fmt: skip


def evaluation(**scores):
    rows = {name: EvaluationRow(score, 64_000, 1000) for name, score in scores.items()}
    return (Evaluation("digits", 0, rows),)


def test_accuracy_is_that_of_the_last_weights(measured):
    given = {"original": Score(9, top1=0.9), "converted": Score(9, top1=0.7)}
    found = by_label(measured, evaluations=evaluation(**given, recovered=Score(9, top1=0.95)))
    label = "Top-1 accuracy on digits"
    assert found[label] == Total(label, "90.0%", "95.0%", "+5.0 points")
    found = by_label(measured, evaluations=evaluation(**given))
    assert found[label] == Total(label, "90.0%", "70.0%", "−20.0 points")
    alone = by_label(measured, evaluations=evaluation(converted=Score(9, top1=0.7)))
    assert alone[label] == Total(label, "", "70.0%")


def test_a_metric_that_is_no_share(measured):
    scores = {"original": Score(9, mae=1.25), "converted": Score(9, mae=1.5)}
    label = "Mean absolute error on digits"
    found = by_label(measured, evaluations=evaluation(**scores))
    assert found[label] == Total(label, "1.25", "1.5", "+0.25")


@pytest.mark.parametrize("score", [Score(9, kl=0.5), Score(9, relative_error=0.1)])
def test_without_labels_there_is_no_accuracy(measured, score):
    found = by_label(measured, evaluations=evaluation(converted=score))
    assert not any(label.endswith("on digits") for label in found)


def test_agreement_or_error(measured, make):
    label = "Same top-1 class as the original"
    assert by_label(measured)[label] == Total(label, "", "95.0%", "on 20 held-out images")
    make.change(measured, lambda recipe: recipe["fidelity"]["score"].update(agreement=None))
    label = "Relative error of the outputs"
    assert by_label(measured)[label] == Total(label, "", "2.00%", "on 20 held-out images")


def test_classes_of_both_networks():
    images = {"classes": [[3, 0.5], [1, 0.25]], "original_classes": [[1, 0.75], [2, 0.125]]}
    assert class_rows(images) == [
        ("1", "75.0%", "25.0%"), ("2", "12.5%", ""), ("3", "", "50.0%")
    ]  # fmt: skip
    many = [[n, 0.1] for n in range(9)]
    assert len(class_rows({"classes": many, "original_classes": None})) == 6
