"""Metrics of one network on images."""

from __future__ import annotations

from dataclasses import dataclass

from ghostify.types.errors import GhostifyError


@dataclass(frozen=True, slots=True)
class Score:
    """How well a network does; all shares from 0 to 1.

    What cannot be said, for want of labels or of a teacher, is None.

    Attributes:
        images: how many.
        top1: share of them whose most likely class is the label.
        top5: share of them whose label is among the five most likely classes, of more than five.
        loss: cross-entropy with the labels, in nats an image.
        agreement: share of them whose most likely class is the teacher's.
        kl: Kullback-Leibler divergence from the teacher's probabilities, in nats an image.
        relative_error: squared error of all outputs over the square of the teacher's.
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
        """What tells the better of two networks on the same images, which has more of it.

        The top-1 accuracy; without labels the divergence from the teacher, or else the error,
        below zero.

        Raises:
            GhostifyError: if there is none of them.
        """
        if self.top1 is not None:
            return self.top1
        for error in (self.kl, self.relative_error):
            if error is not None:
                return -error
        raise GhostifyError("a score without labels and teacher says nothing of a network")
