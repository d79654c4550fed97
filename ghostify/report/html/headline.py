"""The line that says it all: how much smaller, how much faster, how accurate."""

from __future__ import annotations

from collections.abc import Iterator

from ghostify.report.changes import Change, cost_change, latency_change
from ghostify.report.html.accuracy import Accuracy, accuracies
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.html.totals import smallest_settings
from ghostify.report.metric_texts import METRIC_TEXTS
from ghostify.report.runtime_titles import runtime_title


def headline(summary: ArtifactSummary) -> list[Change]:
    """Return the parts of the line, such as ``3.42× smaller`` and ``2.80× slower in PyTorch``."""
    parts = [*_costs(summary), *_latencies(summary)]
    known = accuracies(summary)
    if known:
        parts.append(_accuracy(summary, known[0]))
    elif summary.warning:
        parts.append(Change("untrained", worse=True))
    return [part for part in parts if part.text]


def accuracy_line(summary: ArtifactSummary) -> str:
    """Return ``Top-1 accuracy: 97.6% → 97.2% on 250 images of mnist5k``; empty if unknown."""
    for accuracy in accuracies(summary):
        values = " → ".join(filter(None, accuracy.values))
        error = f" (± {accuracy.error:.1f} points)" if accuracy.error and accuracy.before else ""
        return f"{accuracy.name}: {values}{error} on {accuracy.images}"
    return ""


def _costs(summary: ArtifactSummary) -> Iterator[Change]:
    before, after = summary.report.before, summary.report.after
    of = "" if summary.whole_network else " in convolutions"
    change = cost_change(before.params, after.params, less="smaller", more="larger")
    yield _named(change, same="same size", end=of)
    if not summary.is_timed:
        change = cost_change(before.conv_and_linear_macs, after.conv_and_linear_macs)
        yield _named(change, same="as many", end=" MACs")


def _latencies(summary: ArtifactSummary) -> Iterator[Change]:
    """Yield the speed-up in the runtime of the plan, or the largest and the smallest of all."""
    speedups = {
        runtime: converted.speedup.median
        for timing in summary.timings
        for runtime, (_, converted) in smallest_settings(timing).items()
    }
    planned = (summary.recipe.options or {}).get("runtime")
    ordered = sorted(speedups, key=lambda runtime: -speedups[runtime])
    shown = [planned] if planned in speedups else [*ordered[:1], *ordered[-1:]]
    for runtime in dict.fromkeys(shown):
        end = f" in {runtime_title(runtime)}"
        yield _named(latency_change(speedups[runtime]), same="as fast", end=end)


def _accuracy(summary: ArtifactSummary, accuracy: Accuracy) -> Change:
    value, change = accuracy.values[1], accuracy.change
    if accuracy.metric == "agreement":
        outputs = summary.report.outputs
        same = outputs[0].same if outputs else "images with the same top-1 class"
        return Change(f"{value} of {same.replace('with the same', 'keep their')}")
    name = METRIC_TEXTS[accuracy.metric].name
    name = name[0].lower() + name[1:] if name[1].islower() else name
    if not change.text:
        return Change(f"{value} {name}")
    if accuracy.metric == "top1":
        if accuracy.is_chance:
            return Change("as accurate")
        text = change.text.replace("lower", "less accurate").replace("higher", "more accurate")
        return _named(change._replace(text=text), same="as accurate")
    return _named(change, same="the same", end=f" {name}")


def _named(change: Change, *, same: str, end: str = "") -> Change:
    """Say of what a change is."""
    if not change.text:
        return change
    return change._replace(text=change.text.replace("the same", same) + end)
