"""Metrics of networks on images, and how closely a converted model follows its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable


@dataclass(frozen=True, slots=True)
class Score:
    """Metrics of a network. A metric is None without labels or a teacher. Shares are 0 to 1.

    Attributes:
        images: number of images.
        top1: top-1 accuracy.
        top5: top-5 accuracy; None with five classes or fewer.
        loss: cross-entropy with the labels, in nats per image.
        agreement: share of images with the same top-1 class as the teacher.
        kl: Kullback-Leibler divergence from the teacher's probabilities, in nats per image.
        relative_error: squared error of the outputs divided by the teacher's squared norm.
    """

    images: int
    top1: float | None = None
    top5: float | None = None
    loss: float | None = None
    agreement: float | None = None
    kl: float | None = None
    relative_error: float | None = None

    @property
    def selection_score(self) -> float:
        """The metric to compare networks by; higher is better.

        It is the top-1 accuracy; without labels, the negative divergence from the teacher or
        relative error.

        Raises:
            GhostifyError: if the score has none of them.
        """
        if self.top1 is not None:
            return self.top1
        for error in (self.kl, self.relative_error):
            if error is not None:
                return -error
        raise GhostifyError("a score needs labels or a teacher to compare networks by")


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
    residuals: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    score: Score | None = None
    notes: tuple[str, ...] = ()
