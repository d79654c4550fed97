"""Record of a recovery training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias, TypedDict

from ghostify.types.attachment import Attachment
from ghostify.types.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt, Share
from ghostify.types.displayed import Displayed
from ghostify.types.score import Score
from ghostify.types.serialization import Like, Serializable
from ghostify.types.settings import RecoverySettings

_EPOCHS = ("epoch", "back_to")


class _Numbered(TypedDict):
    epoch: PositiveInt


class _Epoch(_Numbered, total=False):
    stage: PositiveInt
    phase: str
    step: NonNegativeInt
    seconds: NonNegativeFloat
    lr: float
    loss: float
    distillation: float
    labels: float
    features: float
    accuracy: Share
    score: Annotated[dict[str, Any], Like(Score)] | None
    back_to: NonNegativeInt


class _Attempt(TypedDict):
    lr: float
    loss: float


History: TypeAlias = tuple[Annotated[Mapping[str, Any], Like(_Epoch)], ...]
"""A record for each epoch: its number, time, rate, mean losses and score."""

Probe: TypeAlias = tuple[Annotated[Mapping[str, float], Like(_Attempt)], ...]
"""The learning rates that were tried, and the loss of each."""


@dataclass(frozen=True)
class Selection(Serializable):
    """What chose the weights that a training returns.

    Attributes:
        kind: the images: ``validation``, ``held-out`` training images, or ``training`` images,
            where there were too few to hold some out.
        images: number of images that chose the epoch.
        others: number of other images, whose scores are reported; 0 if the same images do both.
        given: score of the student as given on the images that chose.
        best: score of the best weights on them.
        rejected: an epoch that was chosen, but on the other images was worse than the student as
            given by more than noise; 0 if there is none.
    """

    kind: str
    images: NonNegativeInt
    others: NonNegativeInt
    given: Score
    best: Score
    rejected: NonNegativeInt = 0

    def __str__(self) -> str:
        images = f"{self.images} {self.kind} images"
        if self.others:
            return f"chosen on {images}, scored on {self.others} others"
        return f"chosen and scored on the same {images}"


@dataclass(frozen=True)
class Recovery(Attachment, Serializable, Displayed):
    """Record of a recovery training. ``print(recovery)`` shows scores and epochs.

    Attributes:
        settings: how the network was trained; ``lr`` is the rate that was chosen.
        steps: optimizer steps.
        images: training images, counted each time.
        seconds: training time with the probe of learning rates, without validation.
        ended: what ended the training: ``epochs``, ``minutes`` or ``patience``.
        original: score of the teacher on the reporting images.
        converted: score of the student as given on them.
        recovered: score of the returned weights on them.
        best_epoch: epoch whose weights are returned: the best one, or 0 for the student as given.
        selection: what chose it.
        probe: held-out loss after a few steps at each learning rate that was tried, as records of
            ``lr`` and ``loss``; the first is that of the student as given, at 0. Empty if the rate
            was given.
        history: one record per epoch: ``epoch``, ``phase``, ``step``, ``seconds``, peak ``lr``,
            mean losses, ``score`` on the images that choose; with stages also ``stage``, from 1.
            After a collapse ``back_to`` names the epoch that the training went back to.
    """

    settings: RecoverySettings
    steps: NonNegativeInt
    images: NonNegativeInt
    seconds: NonNegativeFloat
    ended: str
    original: Score | None = None
    converted: Score | None = None
    recovered: Score | None = None
    best_epoch: NonNegativeInt = 0
    selection: Selection | None = None
    probe: Probe = ()
    history: History = ()

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
                numbers = {key: earlier + record[key] for key in _EPOCHS if record.get(key)}
                history.append({**record, "stage": number, **numbers})
        last = stages[-1]
        selection = last.selection
        if selection is not None and selection.rejected:
            selection = replace(selection, rejected=earlier + selection.rejected)
        return replace(
            last,
            steps=sum(stage.steps for stage in stages),
            images=sum(stage.images for stage in stages),
            seconds=sum(stage.seconds for stage in stages),
            best_epoch=earlier + last.best_epoch if last.best_epoch else 0,
            selection=selection,
            history=tuple(history),
        )

    def notes(self) -> tuple[str, ...]:
        """Return how the learning rate and the epoch were chosen, in words."""
        found = []
        if self.probe:
            found.append(f"lr {self.settings.lr:g}, the highest that a probe found stable")
        for record in self.history:
            if "back_to" in record:
                back = f"epoch {record['back_to']}" if record["back_to"] else "the start"
                found.append(
                    f"epoch {record['epoch']} collapsed at lr {record['lr']:g}: training went back "
                    f"to {back}, with a quarter of the rate"
                )
        if self.selection is not None:
            if rejected := self.selection.rejected:
                kept = f"epoch {rejected} was worse on other images: the weights as given are kept"
            elif self.best_epoch:
                kept = f"epoch {self.best_epoch} of {len(self.history)} kept"
            elif len(self.history) == 1:
                kept = "the epoch was not better"
            else:
                kept = f"none of {len(self.history)} epochs was better"
            found.append(f"{kept}: {self.selection}")
        return tuple(found)
