"""Metrics of networks on images, and how closely a converted model follows its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf, isnan, sqrt

from ghostify.types.attachment import Attachment
from ghostify.types.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt, Share
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable

LOWER_IS_BETTER = ("mae", "kl", "relative_error", "loss", "teacher_mae")
"""Metrics of `Score` of which less is better."""

_ACCURACIES = ("top1", "mean_iou", "mean_ap")
_DECISIVE = (*_ACCURACIES, "mae", "kl", "relative_error")


@dataclass(frozen=True, slots=True)
class Score:
    """Metrics of a network. Shares are 0 to 1.

    A metric is None if it does not fit the kind of the outputs (`Outputs`), or without labels or a
    teacher. Metrics other than ``kl`` and ``relative_error`` are those of the first output.

    Attributes:
        images: number of images.
        top1: top-1 accuracy.
        top5: top-5 accuracy; None with five classes or fewer.
        accuracy: share of correct pixels of a segmentation, or of correct labels.
        mean_iou: mean intersection over union of the classes or labels of a segmentation.
        mean_ap: mean over labels of the average precision. Scores are compared with a resolution
            of 1/64 of a logit.
        mae: mean absolute error of values, in their own units.
        r2: coefficient of determination of values, mean over dimension 1.
        loss: cross-entropy with the labels, in nats per image; of a segmentation per pixel.
        agreement: share of images, labels or pixels with the same class as the teacher.
        kl: Kullback-Leibler divergence from the teacher's probabilities, in nats per image; of a
            segmentation per pixel. None unless all outputs are classes or labels.
        teacher_mae: mean absolute difference from the teacher's values.
        teacher_r2: ``r2`` with the teacher's values in place of labels.
        relative_error: squared error of all outputs divided by the teacher's squared norm.
    """

    images: PositiveInt
    top1: Share | None = None
    top5: Share | None = None
    accuracy: Share | None = None
    mean_iou: Share | None = None
    mean_ap: Share | None = None
    mae: NonNegativeFloat | None = None
    r2: float | None = None
    loss: float | None = None
    agreement: Share | None = None
    kl: NonNegativeFloat | None = None
    teacher_mae: NonNegativeFloat | None = None
    teacher_r2: float | None = None
    relative_error: NonNegativeFloat | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the metrics that are not None."""
        names = (each.name for each in fields(self) if each.name != "images")
        return tuple(name for name in names if getattr(self, name) is not None)

    @property
    def decisive(self) -> str:
        """The name of the metric to compare networks by.

        With labels it is the top-1 accuracy, mean IoU, mean average precision or mean absolute
        error; without, the divergence from the teacher or the relative error.

        Raises:
            GhostifyError: if the score has none of them.
        """
        for metric in _DECISIVE:
            if getattr(self, metric) is not None:
                return metric
        raise GhostifyError("a score needs labels or a teacher to compare networks by")

    @property
    def selection_score(self) -> float:
        """The `decisive` metric, negative if lower is better.

        Raises:
            GhostifyError: if the score has none.
        """
        metric = self.decisive
        value: float = getattr(self, metric)
        return -value if metric in LOWER_IS_BETTER else value

    def drop_from(self, original: Score) -> float:
        """Return how much worse this score is than the original's, in percentage points.

        With labels it is the loss of top-1 accuracy, mean IoU, mean average precision or R²;
        without, the share of images, labels or pixels with another class than the original's, or of
        the variance of the original's values that is lost.

        Raises:
            GhostifyError: if the score has none of them.
        """
        for metric in (*_ACCURACIES, "r2"):
            own, others = getattr(self, metric), getattr(original, metric)
            if own is not None and others is not None:
                return _points(others - own)
        for own in (self.agreement, self.teacher_r2):
            if own is not None:
                return _points(1 - own)
        if self.relative_error is not None:
            return _points(self.relative_error)
        raise GhostifyError("a score needs labels or a teacher to compare networks by")

    @property
    def standard_error(self) -> float | None:
        """Standard error of a loss of accuracy, in percentage points.

        None without agreement, and for mean IoU and mean average precision, which are no shares.
        It is that of a difference of two shares of the same images, at most: the images on which
        the networks disagree are those on which only one can be right. That they agree on 100
        images does not mean that they always do: one more is counted on which they do not.
        """
        if self.agreement is None or (self.mean_iou, self.mean_ap) != (None, None):
            return None
        disagreement = ((1 - self.agreement) * self.images + 1) / (self.images + 2)
        return 100 * sqrt(disagreement / self.images)

    @property
    def is_comparable(self) -> bool:
        """Whether there is a metric to compare networks by."""
        return any(metric in _DECISIVE for metric in self.metrics)

    @property
    def divergence(self) -> float:
        """Divergence from the teacher or relative error; without a teacher the loss, or 0."""
        known = (each for each in (self.kl, self.relative_error, self.loss) if each is not None)
        return next(known, 0.0)

    def better_than(self, other: Score) -> bool:
        """Return whether the selection score is higher, or is equal with a lower divergence.

        A score that is not a number is the worst.
        """
        own, others = (
            tuple(-inf if isnan(value) else value for value in (s.selection_score, -s.divergence))
            for s in (self, other)
        )
        return own > others


def _points(share: float) -> float:
    """Return percentage points without rounding errors: 90 % less 89.5 % are 0.5."""
    return round(100 * share, 9)


@dataclass(frozen=True)
class Fidelity(Attachment, Serializable):
    """Result of an initializer.

    Attributes:
        init: name of the initializer.
        residuals: weighted feature-map error divided by variance, by site. Without calibration
            data: error of the filters.
        images: number of calibration images.
        score: score on held-out images, with the original as teacher.
        notes: warnings for the user.
    """

    init: str
    residuals: Mapping[str, NonNegativeFloat] = field(default_factory=dict)
    images: NonNegativeInt = 0
    score: Score | None = None
    notes: tuple[str, ...] = ()
