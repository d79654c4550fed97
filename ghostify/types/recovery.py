"""How a converted network is trained back, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any, ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.score import Score
from ghostify.types.serialization import construct

OPTIMIZERS = ("adamw", "sgd", "muon")
NORMS = ("frozen", "updated")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_RATES = {"adamw": 4e-3, "sgd": 5e-2, "muon": 5e-3}


@dataclass(frozen=True)
class RecoverySettings:
    """How a converted network is trained back.

    Attributes:
        epochs: passes over the data, at most. Default: 10, or without end where minutes are given.
        minutes: of training, at most.
        local: share of the training in which every site learns its own original from the
            teacher's inputs; the rest is end to end.
        optimizer: ``adamw``, ``sgd`` or ``muon`` (orthogonalised steps for weights of two or more
            dimensions, AdamW for the others; torch.optim.Muon, as for AdamW in size).
        rate: the learning rate at its height. Default: 4e-3 for ``adamw``, 5e-3
            for ``muon``, 5e-2 for ``sgd``.
        weight_decay: of weights; norms and biases have none.
        momentum: of ``sgd``.
        warmup: share of a stage in which the rate rises from nought; then it falls as a cosine.
        clip: largest norm of the gradient; 0 for any.
        ema: decay of the running mean of the weights, a step, which is what is kept; 0 for none.
        temperature: that the teacher's probabilities are softened by (arXiv 1503.02531).
        alpha: with labels, what cross-entropy counts; the teacher counts 1 - alpha.
        smoothing: of the labels.
        maps: what the error of the maps at the replaced sites counts beside the outputs'. Default:
            0 where these are logits, 1 elsewhere.
        norms: ``frozen`` runs batch norms with the statistics they have, and trains their scales
            and shifts alone; ``updated`` trains the network in training mode.
        precision: of the arithmetic; ``auto`` is bf16 where a GPU has it, else fp32.
        channels_last: the memory format of maps.
        compile: both networks by torch.compile, end to end; not while maps are compared, for
            which one looks into the networks.
        patience: end after so many epochs without a better validation score.
        checkpoint_minutes: between checkpoints, of which every epoch has one too.
        seed: of the order of the data and of what is random.

    Raises:
        GhostifyError: naming the setting that is out of range.
    """

    epochs: int | None = None
    minutes: float | None = None
    local: float = 0.0
    optimizer: str = "adamw"
    rate: float | None = None
    weight_decay: float = 1e-4
    momentum: float = 0.9
    warmup: float = 0.1
    clip: float = 5.0
    ema: float = 0.0
    temperature: float = 2.0
    alpha: float = 0.0
    smoothing: float = 0.0
    maps: float | None = None
    norms: str = "frozen"
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    patience: int | None = None
    checkpoint_minutes: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise GhostifyError(
                    f"{name} (={getattr(self, name)!r}) must be one of {', '.join(known)}"
                )
        for name, (lowest, highest, meaning) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not isfinite(value) or not lowest <= value <= highest:
                raise GhostifyError(f"{name} (={value!r}) must be {meaning}")
        if self.compile and self.maps:
            raise GhostifyError(
                f"maps (={self.maps:g}) are compared inside the networks, which compile closes: "
                "leave one out"
            )

    @property
    def passes(self) -> int | None:
        """Epochs at most, or None for as many as the minutes allow."""
        return 10 if self.epochs is None and self.minutes is None else self.epochs

    @property
    def peak_rate(self) -> float:
        """The learning rate at its height."""
        return _RATES[self.optimizer] if self.rate is None else self.rate

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> RecoverySettings:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: saying what is wrong.
        """
        settings: RecoverySettings = construct(cls, data)
        return settings


_CHOICES = {"optimizer": OPTIMIZERS, "norms": NORMS, "precision": PRECISIONS}
_OPTIONAL = ("epochs", "minutes", "rate", "maps", "patience")
_TINY, _ANY = 1e-12, float("inf")
_RANGES: dict[str, tuple[float, float, str]] = {
    "epochs": (1, _ANY, "a whole number from 1"),
    "minutes": (_TINY, _ANY, "a number above 0"),
    "local": (0, 1, "between 0 and 1"),
    "rate": (_TINY, _ANY, "a number above 0"),
    "weight_decay": (0, _ANY, "0 or more"),
    "momentum": (0, 1 - _TINY, "at least 0 and below 1"),
    "warmup": (0, 1, "between 0 and 1"),
    "clip": (0, _ANY, "0 or more"),
    "ema": (0, 1 - _TINY, "at least 0 and below 1"),
    "temperature": (_TINY, _ANY, "a number above 0"),
    "alpha": (0, 1, "between 0 and 1"),
    "smoothing": (0, 1 - _TINY, "at least 0 and below 1"),
    "maps": (0, _ANY, "0 or more"),
    "patience": (1, _ANY, "a whole number from 1"),
    "checkpoint_minutes": (0, _ANY, "0 or more"),
    "seed": (0, 2**63 - 1, "a whole number from 0"),
}


@dataclass(frozen=True)
class Recovery(Attachment):
    """What came of training a converted network back.

    Attributes:
        settings: how it was trained.
        steps: of the optimizer.
        images: the network was shown, each as often as it was.
        seconds: of training, without validation.
        ended: ``epochs``, ``minutes`` or ``patience``: what ended it.
        original: score of the teacher on the validation images; None without any.
        converted: of the student before training.
        recovered: of the weights that were kept.
        history: a record for each epoch.
    """

    _attribute: ClassVar[str] = "_ghostify_recovery"

    settings: RecoverySettings
    steps: int
    images: int
    seconds: float
    ended: str
    original: Score | None = None
    converted: Score | None = None
    recovered: Score | None = None
    history: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[Recovery]) -> Recovery:
        """Several trainings one after another as one.

        The scores are those of the last. Epochs are counted through, and each record has the
        number of its ``part``, from 1.
        """
        history: list[Mapping[str, Any]] = []
        for number, part in enumerate(parts, 1):
            before = len(history)
            history += [
                {**record, "part": number, "epoch": before + record["epoch"]}
                for record in part.history
            ]
        return replace(
            parts[-1],
            steps=sum(part.steps for part in parts),
            images=sum(part.images for part in parts),
            seconds=sum(part.seconds for part in parts),
            history=tuple(history),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self) | {"history": list(map(dict, self.history))}

    @classmethod
    def from_dict(cls, data: Any) -> Recovery:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: if it is something else.
        """
        try:
            entries = dict(data)
            settings = RecoverySettings.from_dict(entries.pop("settings"))
            history = tuple(map(dict, entries.pop("history")))
            for name in ("original", "converted", "recovered"):
                entries[name] = entries[name] and construct(Score, entries[name])
            recovery: Recovery = construct(
                cls, entries | {"settings": settings, "history": history}
            )
            return recovery
        except (TypeError, KeyError, ValueError) as error:
            raise GhostifyError(f"not a record of a recovery: {error}") from error
