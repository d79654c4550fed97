"""Names, formats and definitions of the metrics of a score."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ghostify.types import Output, Outputs, Score


class MetricText(NamedTuple):
    """How a metric is shown: heading of its column, name, format, and definition with unit."""

    heading: str
    name: str
    form: str
    definition: str = ""

    @property
    def is_share(self) -> bool:
        """Whether it is shown in percent."""
        return self.form.endswith("%")


METRIC_TEXTS = {
    "top1": MetricText("top-1", "Top-1 accuracy", ".2%"),
    "top5": MetricText("top-5", "Top-5 accuracy", ".2%"),
    "mean_iou": MetricText(
        "mIoU", "Mean IoU", ".2%", "intersection over union, mean over classes."
    ),
    "mean_ap": MetricText(
        "mAP", "Mean average precision", ".2%", "average precision, mean over labels."
    ),
    "accuracy": MetricText(
        "accuracy", "Accuracy", ".2%", "share of {units} that are right."
    ),
    "mae": MetricText(
        "MAE", "Mean absolute error", ".3g", "mean absolute error, in the units of the values."
    ),
    "r2": MetricText("R²", "R²", ".4f", "share of the variance of the labels that is explained."),
    "loss": MetricText(
        "loss", "Loss", ".3g", "cross-entropy with the labels, in nats per {unit}."
    ),
    "agreement": MetricText(
        "agree", "Agreement with the original", ".2%",
        "share of {same} as the original.",
    ),
    "kl": MetricText(
        "KL", "KL divergence from the original", ".3g",
        "divergence from the original's probabilities, in nats per {unit}.",
    ),
    "teacher_mae": MetricText(
        "MAE orig.", "Mean absolute difference from the original", ".3g",
        "mean absolute difference from the original's values, in their units.",
    ),
    "teacher_r2": MetricText(
        "R² orig.", "R² of the original", ".4f",
        "share of the variance of the original's values that is explained.",
    ),
    "relative_error": MetricText(
        "error", "Relative error", ".2%",
        "squared error of the outputs divided by their squared norm.",
    ),
}  # fmt: skip
"""By name in `Score`, in the order of columns."""


def definitions(metrics: Iterable[str], outputs: Outputs | None) -> dict[str, str]:
    """Return what the headings of metrics mean, where they are not known to all."""
    output = outputs[0] if outputs else Output("classes", "")
    words = {
        "unit": "pixel" if output.dense else "image",
        "units": "labels" if output.kind == "multilabel" else "pixels",
        "same": output.same,
    }
    texts = map(METRIC_TEXTS.__getitem__, metrics)
    return {text.heading: text.definition.format(**words) for text in texts if text.definition}


def format_metric(score: Score, metric: str) -> str:
    """Return the value of a metric, or ``-`` if it is not known."""
    value = getattr(score, metric)
    return "-" if value is None else format(value, METRIC_TEXTS[metric].form)


def known_metrics(*scores: Score) -> list[str]:
    """Return the metrics that are known of any of the scores."""
    known = {metric for score in scores for metric in score.metrics}
    return [metric for metric in METRIC_TEXTS if metric in known]


def shown_metric(scores: Iterable[Score]) -> str | None:
    """Return the metric that charts show: the one that decides, or agreement for a divergence."""
    known = [score.decisive for score in scores if score.is_comparable]
    return "agreement" if known[:1] == ["kl"] else next(iter(known), None)


def describe_score(score: Score) -> str:
    """Return the known metrics of a score in one line."""
    known = known_metrics(score)
    return ", ".join(f"{METRIC_TEXTS[m].heading} {format_metric(score, m)}" for m in known)
