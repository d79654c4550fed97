"""Totals of the original and of the converted network, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ghostify.report.changes import Change, cost_change, latency_change
from ghostify.report.document import si
from ghostify.report.evaluation import UNNAMED
from ghostify.report.html.accuracy import accuracies
from ghostify.report.html.records import FeatureMapImages
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.runtime_titles import runtime_title
from ghostify.report.timing import Measurement, Timing

_MAX_CLASSES = 6


class Total(NamedTuple):
    """One quantity of both networks, formatted; ``share`` is converted / original for a bar."""

    label: str
    original: str
    converted: str
    change: Change = Change()
    share: float | None = None


def totals(summary: ArtifactSummary) -> Iterator[Total]:
    """Yield costs, latency, scores and agreement, as far as they are known."""
    before, after = summary.report.before, summary.report.after
    macs = (before.conv_and_linear_macs, after.conv_and_linear_macs)
    of = "" if summary.whole_network else " of convolutions"
    linear = " of convolutions and linear layers" if summary.whole_network else of
    yield _cost(f"Parameters{of}", before.params, after.params)
    yield _cost(f"MACs{linear}", *macs)
    yield _cost(f"Weights{of}", before.weight_bytes, after.weight_bytes, "B")
    for timing in summary.timings:
        yield from _latency(timing)
    for accuracy in accuracies(summary):
        name, values = accuracy.name, accuracy.values
        if accuracy.by_labels:
            on = "" if accuracy.data == UNNAMED else f" on {accuracy.data}"
            yield Total(f"{name}{on}", *values, accuracy.change)
        else:
            yield Total(name, *values, Change(f"on {accuracy.images}"))


def percent(share: float | None) -> str:
    """Format a share of 1 in percent."""
    return "" if share is None else f"{share:.1%}"


def milliseconds(measurement: Measurement) -> str:
    """Format the median latency."""
    number = 1000 * measurement.seconds.median
    return f"{number:.0f} ms" if number >= 100 else f"{number:.3g} ms"


def runtime_and_version(measurement: Measurement) -> str:
    """Return the runtime with its version, such as ``ONNX Runtime 1.23.2``."""
    return f"{runtime_title(measurement.runtime)} {measurement.version}".rstrip()


def smallest_settings(timing: Timing) -> dict[str, tuple[Measurement, Measurement]]:
    """Return both networks' smallest batch with the fewest threads in each runtime."""
    smallest: dict[str, tuple[Measurement, Measurement]] = {}
    for pair in sorted(timing.pairs(), key=lambda pair: (pair[0].batch, pair[0].threads)):
        smallest.setdefault(pair[0].runtime, pair)
    runtimes = dict.fromkeys(m.runtime for m in timing.measurements)
    return {runtime: smallest[runtime] for runtime in runtimes if runtime in smallest}


def _cost(label: str, before: float, after: float, unit: str = "") -> Total:
    change = cost_change(before, after, less="less" if unit else "fewer")
    share = after / before if before else None
    return Total(label, f"{si(before, 4)}{unit}", f"{si(after, 4)}{unit}", change, share)


def _latency(timing: Timing) -> Iterator[Total]:
    for old, new in smallest_settings(timing).values():
        speedup = new.speedup.median
        yield Total(
            f"Latency: {', '.join((runtime_and_version(old), *old.setting[1:]))}",
            milliseconds(old), milliseconds(new), latency_change(speedup), 1 / speedup,
        )  # fmt: skip
        if old.memory and new.memory:
            title = runtime_title(old.runtime)
            yield _cost(f"Peak memory: {title}", old.memory, new.memory, "B")


def class_rows(images: FeatureMapImages) -> list[tuple[str, str, str]]:
    """Return the most likely classes of an image, with both networks' probabilities."""
    converted = dict(images["classes"] or ())
    original = dict(images["original_classes"] or ())
    shown = list(dict.fromkeys([*original, *converted]))[:_MAX_CLASSES]
    return [(str(c), percent(original.get(c)), percent(converted.get(c))) for c in shown]
