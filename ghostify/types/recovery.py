"""Settings and outcome of a recovery training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable
from ghostify.types.settings import check, setting

_LR = {"adamw": 4e-3, "sgd": 5e-2, "muon": 5e-3}
_DURATION, _OPTIMIZATION, _LOSS, _EXECUTION = "Duration", "Optimization", "Loss", "Execution"


@dataclass(frozen=True)
class RecoverySettings:
    """How to train a converted network.

    Attributes:
        epochs: Maximum number of epochs. Default: 10, or unlimited with ``minutes``.
        minutes: Maximum training time in minutes.
        patience: Stop after this many epochs without a better validation score.
        optimizer: ``adamw``, ``sgd`` or ``muon`` (torch.optim.Muon for weights, AdamW for the
            rest).
        lr: Peak learning rate. Default: 4e-3 for ``adamw``, 5e-3 for ``muon``, 5e-2 for ``sgd``.
        weight_decay: Weight decay. Norms and biases are exempt.
        momentum: Momentum of ``sgd``.
        warmup: Share of a phase with linear warm-up, before cosine decay.
        max_grad_norm: Gradient clipping: maximum norm; 0 disables it.
        ema_decay: EMA decay per step. The averaged weights are evaluated and returned; 0 disables
            it.
        layerwise_fraction: Share of the training in which each replaced layer is trained on its
            own, on the teacher's inputs. The rest is end to end.
        alpha: Weight of the label loss, 0 to 1; the distillation loss gets the rest.
        label_smoothing: Label smoothing.
        temperature: Temperature of the distillation loss (arXiv 1503.02531).
        feature_weight: Weight of the feature-map loss of the replaced layers. Default: 0 for
            classifiers, 1 for other networks.
        freeze_bn: Whether BatchNorm running statistics are frozen or updated.
        precision: Arithmetic; ``auto`` is bf16 on GPUs that support it, fp32 elsewhere.
        channels_last: Whether feature maps have the channels-last memory format.
        compile: Use torch.compile for end-to-end training; requires a feature weight of 0.
        checkpoint_minutes: Minutes between checkpoints, in addition to one per epoch.
        seed: Seed of data order and augmentation.

    Raises:
        GhostifyError: if a setting is out of its range.
    """

    epochs: int | None = setting(None, _DURATION, at_least=1)
    minutes: float | None = setting(None, _DURATION, above=0)
    patience: int | None = setting(None, _DURATION, at_least=1)
    optimizer: str = setting("adamw", _OPTIMIZATION, choices=("adamw", "sgd", "muon"))
    lr: float | None = setting(None, _OPTIMIZATION, above=0)
    weight_decay: float = setting(1e-4, _OPTIMIZATION, at_least=0)
    momentum: float = setting(0.9, _OPTIMIZATION, at_least=0, below=1)
    warmup: float = setting(0.1, _OPTIMIZATION, at_least=0, at_most=1)
    max_grad_norm: float = setting(5.0, _OPTIMIZATION, at_least=0)
    ema_decay: float = setting(0.0, _OPTIMIZATION, at_least=0, below=1)
    layerwise_fraction: float = setting(0.0, _LOSS, at_least=0, at_most=1)
    alpha: float = setting(0.0, _LOSS, at_least=0, at_most=1)
    label_smoothing: float = setting(0.0, _LOSS, at_least=0, below=1)
    temperature: float = setting(2.0, _LOSS, above=0)
    feature_weight: float | None = setting(None, _LOSS, at_least=0)
    freeze_bn: bool = setting(True, _OPTIMIZATION, opposite="update_bn")
    precision: str = setting("auto", _EXECUTION, choices=("auto", "fp32", "bf16", "fp16"))
    channels_last: bool = setting(True, _EXECUTION)
    compile: bool = setting(False, _EXECUTION)
    checkpoint_minutes: float = setting(10.0, _EXECUTION, at_least=0)
    seed: int = setting(0, _EXECUTION, at_least=0, below=2**63)

    def __post_init__(self) -> None:
        check(self)
        if self.compile and self.feature_weight:
            raise GhostifyError(
                f"`compile` requires `feature_weight` (={self.feature_weight:g}) to be 0: compiled "
                "networks do not expose feature maps"
            )

    @property
    def max_epochs(self) -> int | None:
        """Maximum number of epochs; None is unlimited."""
        return 10 if self.epochs is None and self.minutes is None else self.epochs

    @property
    def peak_lr(self) -> float:
        """Peak learning rate, by default that of the optimizer."""
        return _LR[self.optimizer] if self.lr is None else self.lr


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

    _attribute: ClassVar[str] = "_ghostify_recovery"
    _noun: ClassVar[str] = "recovery record"

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
            history += [
                {**record, "stage": number, "epoch": earlier + record["epoch"]}
                for record in stage.history
            ]
        last = stages[-1]
        return replace(
            last,
            steps=sum(stage.steps for stage in stages),
            images=sum(stage.images for stage in stages),
            seconds=sum(stage.seconds for stage in stages),
            best_epoch=earlier + last.best_epoch if last.best_epoch else 0,
            history=tuple(history),
        )
