"""Record of a recovery training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ghostify.types.attachment import Attachment
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable
from ghostify.types.settings import RecoverySettings


@dataclass(frozen=True)
class Recovery(Attachment, Serializable):
    """Record of a recovery training.

    Attributes:
        settings: how the network was trained.
        steps: optimizer steps.
        images: training images, counted each time.
        seconds: training time, without validation.
        ended: what ended the training: ``epochs``, ``minutes`` or ``patience``.
        original: score of the teacher on the validation data; None without any.
        converted: score of the student as given.
        recovered: score of the returned weights.
        best_epoch: epoch whose weights are returned: the best one, or 0 for the student as given.
            The last epoch without validation data.
        history: one record per epoch: ``epoch``, ``phase``, ``step``, ``seconds``, mean losses,
            ``score``; with stages also ``stage``, from 1.
    """

    settings: RecoverySettings
    steps: int
    images: int
    seconds: float
    ended: str
    original: Score | None = None
    converted: Score | None = None
    recovered: Score | None = None
    best_epoch: int = 0
    history: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def joined(cls, stages: Sequence[Recovery]) -> Recovery:
        """Return the record of all stages of a progressive training.

        Scores are those of the last stage. Epochs are numbered consecutively.
        """
        history: list[Mapping[str, Any]] = []
        earlier = 0
        for number, stage in enumerate(stages, 1):
            earlier = len(history)
            for record in stage.history:
                history.append({**record, "stage": number, "epoch": earlier + record["epoch"]})
        last = stages[-1]
        return replace(
            last,
            steps=sum(stage.steps for stage in stages),
            images=sum(stage.images for stage in stages),
            seconds=sum(stage.seconds for stage in stages),
            best_epoch=earlier + last.best_epoch if last.best_epoch else 0,
            history=tuple(history),
        )
