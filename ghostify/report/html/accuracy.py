"""How accurate the network is, from its evaluations and from the conversion."""

from __future__ import annotations

from typing import NamedTuple

from ghostify.report.changes import Change, score_change
from ghostify.report.evaluation import UNNAMED, Evaluation
from ghostify.report.html.summary import ArtifactSummary
from ghostify.report.metric_texts import METRIC_TEXTS
from ghostify.types import Score


class Accuracy(NamedTuple):
    """The metric that networks are compared by, on some images.

    Attributes:
        metric: its name in `Score`.
        name: the metric in words.
        data: name of the data source; empty for images that the conversion held out.
        number: number of images.
        after: value of the network as it is now.
        before: the original's value; None if unknown, or if the metric compares with the original.
        error: standard error of the difference of top-1 accuracies, in percentage points.
        seen: whether the network was calibrated or trained on some of the images.
    """

    metric: str
    name: str
    data: str
    number: int
    after: float
    before: float | None = None
    error: float | None = None
    seen: bool = False

    @property
    def by_labels(self) -> bool:
        """Whether labels judge, not the original."""
        return self.metric not in ("agreement", "relative_error")

    @property
    def images(self) -> str:
        """Number and source of the images."""
        unnamed = {"": "held-out images", UNNAMED: "images"}
        named = unnamed.get(self.data, f"images of {self.data}")
        return f"{self.number} {named}{', some of them seen in training' * self.seen}"

    @property
    def change(self) -> Change:
        """What changed; empty if the original's value is unknown."""
        if self.before is None:
            return Change()
        return score_change(self.metric, self.before, self.after)

    @property
    def is_chance(self) -> bool:
        """Whether the network is better, but within two standard errors."""
        if self.before is None or self.error is None:
            return False
        return 0 < 100 * (self.after - self.before) <= 2 * self.error

    @property
    def values(self) -> tuple[str, str]:
        """The value of the original, empty if unknown, and of the network."""
        text = METRIC_TEXTS[self.metric]
        form = ".1%" if text.is_share and self.metric != "relative_error" else text.form
        return "" if self.before is None else format(self.before, form), format(self.after, form)


def accuracies(summary: ArtifactSummary) -> list[Accuracy]:
    """Return what is known, first by labels, then by the number of images.

    What the conversion measured is not that of a network that was trained since, and agreement with
    a randomly initialized network means nothing.
    """
    same = f"{summary.report.same} as the original".capitalize()
    found = [_evaluated(evaluation, same) for evaluation in summary.evaluations]
    fidelity = summary.report.fidelity
    if fidelity and fidelity.score and summary.is_as_converted:
        found.append(_compared(fidelity.score, same))
    known = [a for a in found if a and (a.by_labels or not summary.is_random)]
    return sorted(known, key=lambda accuracy: (not accuracy.by_labels, -accuracy.number))


def _evaluated(evaluation: Evaluation, same: str) -> Accuracy | None:
    """Return the accuracy of the current weights, which are the last row."""
    rows = evaluation.rows
    if not rows:
        return None
    score, original = list(rows.values())[-1].score, rows.get("original")
    if not score.is_comparable or score.decisive in ("kl", "relative_error"):
        return _compared(score, same, evaluation.data, evaluation.seen)
    metric = score.decisive
    before = getattr(original.score, metric) if original else None
    name, after = METRIC_TEXTS[metric].name, getattr(score, metric)
    error = score.standard_error if metric == "top1" else None
    return Accuracy(
        metric, name, evaluation.data, score.images, after, before, error, evaluation.seen
    )


def _compared(score: Score, same: str, data: str = "", seen: bool = False) -> Accuracy | None:
    """Return how far the outputs agree with the original's."""
    if score.agreement is not None:
        return Accuracy("agreement", same, data, score.images, score.agreement, seen=seen)
    if score.relative_error is not None:
        name = "Relative error of the outputs"
        return Accuracy("relative_error", name, data, score.images, score.relative_error, seen=seen)
    return None
