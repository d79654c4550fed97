"""Totals of the original and of the converted network, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ghostify.report.document import si
from ghostify.report.evaluation import Evaluation
from ghostify.report.html.records import FeatureMapImages
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.metric_texts import METRIC_TEXTS
from ghostify.report.timing import Measurement, Timing

_MAX_CLASSES = 6


class Total(NamedTuple):
    """One quantity of both networks, formatted; ``share`` is converted / original for a bar."""

    label: str
    original: str
    converted: str
    change: str = ""
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
    for evaluation in summary.evaluations:
        yield from _accuracy(evaluation)
    if summary.report.fidelity and (score := summary.report.fidelity.score):
        images = f"on {score.images} held-out images"
        if score.agreement is not None:
            label = f"{summary.report.same} as the original".capitalize()
            yield Total(label, "", percent(score.agreement), images)
        elif score.relative_error is not None:
            error = f"{score.relative_error:.2%}"
            yield Total("Relative error of the outputs", "", error, images)


def percent(share: float | None) -> str:
    """Format a share of 1 in percent."""
    return "" if share is None else f"{share:.1%}"


def milliseconds(measurement: Measurement) -> str:
    """Format the median latency."""
    number = 1000 * measurement.seconds.median
    return f"{number:.0f} ms" if number >= 100 else f"{number:.3g} ms"


def _cost(label: str, before: float, after: float, unit: str = "") -> Total:
    change = ""
    if before and after:
        ratio = max(before / after, after / before)
        less = "less" if unit else "fewer"
        change = f"{ratio:.2f}× {less if after < before else 'more'}"
        change = "the same" if ratio < 1.005 else change
    share = after / before if before else None
    return Total(label, f"{si(before, 4)}{unit}", f"{si(after, 4)}{unit}", change, share)


def _latency(timing: Timing) -> Iterator[Total]:
    """Yield the smallest batch with the fewest threads of each runtime."""
    smallest: dict[str, tuple[Measurement, Measurement]] = {}
    for pair in sorted(timing.pairs(), key=lambda pair: (pair[0].batch, pair[0].threads)):
        smallest.setdefault(pair[0].runtime, pair)
    for runtime in dict.fromkeys(m.runtime for m in timing.measurements if m.runtime in smallest):
        old, new = smallest[runtime]
        speedup = new.speedup.median
        yield Total(
            f"Latency: {', '.join(old.setting)}",
            milliseconds(old), milliseconds(new), f"{speedup:.2f}× as fast", 1 / speedup,
        )  # fmt: skip
        if old.memory and new.memory:
            yield _cost(f"Peak memory: {runtime}", old.memory, new.memory, "B")


def _accuracy(evaluation: Evaluation) -> Iterator[Total]:
    """Yield the metric that networks are compared by, if it is one of labels."""
    if not evaluation.rows:
        return
    original = evaluation.rows.get("original")
    last = list(evaluation.rows.values())[-1].score
    metric = last.decisive
    if metric in ("kl", "relative_error"):
        return
    text, change = METRIC_TEXTS[metric], ""
    before: float | None = getattr(original.score, metric) if original else None
    if before is not None:
        difference = getattr(last, metric) - before
        change = f"{100 * difference:+.1f} points" if text.is_share else f"{difference:+.3g}"
    old, new = ("" if x is None else percent(x) if text.is_share else format(x, text.form)
                for x in (before, getattr(last, metric)))  # fmt: skip
    yield Total(f"{text.name} on {evaluation.data}", old, new, change.replace("-", "−"))


def class_rows(images: FeatureMapImages) -> list[tuple[str, str, str]]:
    """Return the most likely classes of an image, with both networks' probabilities."""
    converted = dict(images["classes"] or ())
    original = dict(images["original_classes"] or ())
    shown = list(dict.fromkeys([*original, *converted]))[:_MAX_CLASSES]
    return [(str(c), percent(original.get(c)), percent(converted.get(c))) for c in shown]
