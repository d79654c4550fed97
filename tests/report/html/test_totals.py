"""Totals of both networks."""

from dataclasses import replace
from types import SimpleNamespace

from ghostify.report.changes import Change
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.html.totals import Total, class_rows, milliseconds, totals
from ghostify.report.timing import Measurement, Spread, Timing


def by_label(folder, **changes):
    summary = ArtifactSummary(folder)
    for name, value in changes.items():
        setattr(summary, name, value)
    return {total.label: total for total in totals(summary)}


def test_costs(measured):
    found = by_label(measured)
    assert found["Parameters"] == Total("Parameters", "1.000K", "500", Change("2.00× fewer"), 0.5)
    macs = found["MACs of convolutions and linear layers"]
    assert macs == Total(macs.label, "64.00K", "32.00K", Change("2.00× fewer"), 0.5)
    assert found["Weights"].converted.endswith("B")
    assert found["Weights"].change == Change("the same")


def test_more_than_before_is_worse(measured):
    report = ArtifactSummary(measured).report
    report = replace(report, after=replace(report.after, params=3000))
    found = by_label(measured, report=report)["Parameters"]
    assert (found.change, found.share) == (Change("3.00× more", worse=True), 3)


def timing(*settings):
    measurements = []
    for runtime, batch, threads, seconds, memory in settings:
        for name, factor in (("net", 1), ("out", 2)):
            time = seconds / factor
            spread, speedup = Spread(time, time, time), Spread(factor, factor, factor)
            measurements.append(
                Measurement(name, runtime, batch, threads, 5, spread, speedup, memory, "1.2")
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
        "Latency: OpenVINO 1.2, batch 1, 1 thread", "Peak memory: OpenVINO",
        "Latency: PyTorch 1.2, batch 2, 1 thread",
    ]  # fmt: skip
    assert found[shown[0]] == Total(shown[0], "200 ms", "100 ms", Change("2.00× faster"), 0.5)
    assert found[shown[1]].change == Change("the same")


def test_milliseconds():
    def shown(seconds):
        return milliseconds(SimpleNamespace(seconds=Spread(seconds, seconds, seconds)))

    assert [shown(s) for s in (0.00123, 0.0999, 0.1, 1.2345)] == [
        "1.23 ms", "99.9 ms", "100 ms", "1234 ms"
    ]  # fmt: skip


def test_accuracy_by_labels(measured):
    label = "Top-1 accuracy on digits"
    change = Change("2.0 points lower", worse=True)
    assert by_label(measured)[label] == Total(label, "92.0%", "90.0%", change)


def test_accuracy_on_data_without_a_name(measured):
    (evaluation,) = ArtifactSummary(measured).evaluations
    found = by_label(measured, evaluations=(replace(evaluation, data="data"),))
    assert "Top-1 accuracy" in found


def test_agreement_with_the_original(measured):
    label = "Same top-1 class as the original"
    change = Change("on 20 held-out images")
    assert by_label(measured)[label] == Total(label, "", "95.0%", change)


def test_classes_of_both_networks():
    images = {"classes": [[3, 0.5], [1, 0.25]], "original_classes": [[1, 0.75], [2, 0.125]]}
    assert class_rows(images) == [
        ("1", "75.0%", "25.0%"), ("2", "12.5%", ""), ("3", "", "50.0%")
    ]  # fmt: skip
    many = [[n, 0.1] for n in range(9)]
    assert len(class_rows({"classes": many, "original_classes": None})) == 6
