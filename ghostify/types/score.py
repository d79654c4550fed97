"""How well networks do on images, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any

from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import construct


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


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One network of an evaluation: its score, and what it costs.

    Attributes:
        score: on the images of the evaluation.
        macs: of its convolutions and linear layers, for one input.
        params: their number.
    """

    score: Score
    macs: int
    params: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Networks on the same images.

    Attributes:
        data: the source, as the user named it.
        held_out: how many of its training images these are; 0 where it has a validation part.
        standings: by name, in the order they came to be: ``original``, ``converted``,
            ``recovered``. The last one is that of the weights as they are now.
    """

    data: str
    held_out: int
    standings: Mapping[str, EvaluationRow] = field(default_factory=dict)

    def over(self, earlier: Evaluation | None) -> Evaluation:
        """With what an earlier evaluation on the same images says of what came before.

        What came after the last network here is of other weights, and is dropped.
        """
        if earlier is None or (earlier.data, earlier.held_out) != (self.data, self.held_out):
            return self
        images = {standing.score.images for standing in self.standings.values()}
        if any(standing.score.images not in images for standing in earlier.standings.values()):
            return self
        last = list(self.standings)[-1]
        before = dict(takewhile(lambda entry: entry[0] != last, earlier.standings.items()))
        return Evaluation(self.data, self.held_out, {**before, **self.standings})

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Evaluation:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: if it is something else.
        """
        try:
            standings = {
                name: construct(EvaluationRow, {**entry, "score": construct(Score, entry["score"])})
                for name, entry in data["standings"].items()
            }
            evaluation: Evaluation = construct(cls, {**data, "standings": standings})
        except (TypeError, KeyError, AttributeError) as error:
            raise GhostifyError(f"not a record of an evaluation: {error}") from error
        return evaluation
