"""Settings of a training: default, range or choices, and help panel of each in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from operator import ge, gt, le, lt
from typing import Any, get_type_hints

from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import is_finite

_BOUNDS = {"above": gt, "at_least": ge, "below": lt, "at_most": le}
_AUGMENTATION, _DURATION, _EXECUTION = "Augmentation", "Duration", "Execution"
_LOSS, _OPTIMIZATION = "Loss", "Optimization"


def setting(
    default: Any, panel: str, *, choices: tuple[str, ...] = (), opposite: str = "", **bounds: float
) -> Any:
    """Return a field of a settings dataclass, for `check` and for the command line.

    Args:
        panel: group in the command line's help.
        opposite: name of the option for False. Default: ``no_`` and the field's name.
        bounds: ``above``, ``at_least``, ``below`` or ``at_most`` a number.
    """
    metadata = {"panel": panel, "choices": choices, "opposite": opposite, "bounds": bounds}
    return field(default=default, metadata=metadata)


def check(settings: Any) -> None:
    """Check type and range of every field; None is allowed where it is the default."""
    hints = get_type_hints(type(settings))
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if value is None and entry.default is None:
            continue
        fits, rule = _test(hints[entry.name], entry.metadata)
        if not fits(value):
            raise GhostifyError(f"`{entry.name}` (={value!r}) must be {rule}")


def _test(hint: Any, metadata: Mapping[str, Any]) -> tuple[Callable[[Any], bool], str]:
    """Return a function that tells whether a value is allowed, and the rule in words."""
    choices, bounds = metadata["choices"], metadata["bounds"].items()
    if choices:
        return choices.__contains__, f"one of {', '.join(choices)}"
    if hint is bool:
        return lambda value: isinstance(value, bool), "True or False"
    integer = hint in (int, int | None)

    def fits(value: Any) -> bool:
        number = is_finite(value) and (isinstance(value, int) or not integer)
        return number and all(_BOUNDS[name](value, end) for name, end in bounds)

    rule = " and ".join(f"{name.replace('_', ' ')} {end:g}" for name, end in bounds)
    return fits, f"an integer, {rule}" if integer else rule


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of training images; none by default.

    Attributes:
        crop_scale: Random resized crop (arXiv 1409.4842): smallest share of the image's area; 1
            is the center crop of the evaluation.
        flip: Flip every second image horizontally.
        randaugment: Magnitude of two RandAugment operations (arXiv 1909.13719), 0 to 30; 0
            disables them.
        mixup: Alpha of mixup (arXiv 1710.09412); 0 disables it.
        cutmix: Alpha of CutMix (arXiv 1905.04899); 0 disables it. With mixup, one of the two is
            drawn per image.

    Raises:
        GhostifyError: if a setting is out of its range.
    """

    crop_scale: float = setting(1.0, _AUGMENTATION, above=0, at_most=1)
    flip: bool = setting(False, _AUGMENTATION)
    randaugment: int = setting(0, _AUGMENTATION, at_least=0, at_most=30)
    mixup: float = setting(0.0, _AUGMENTATION, at_least=0)
    cutmix: float = setting(0.0, _AUGMENTATION, at_least=0)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class RecoverySettings:
    """How to train a converted network.

    Attributes:
        epochs: Maximum number of epochs. Default: 10, or unlimited with ``minutes``.
        minutes: Maximum training time in minutes.
        patience: Stop after this many epochs without a better validation score.
        optimizer: ``adamw``, ``sgd`` or ``muon`` (torch.optim.Muon for weights, AdamW for the
            rest).
        lr: Peak learning rate. Default: chosen by a short probe of a few rates.
        weight_decay: Weight decay. Norms and biases are exempt.
        momentum: Momentum of ``sgd``.
        warmup: Share of a phase with linear warm-up, before cosine decay.
        max_grad_norm: Gradient clipping: maximum norm; 0 disables it.
        ema_decay: EMA decay per step. The averaged weights are evaluated and returned; 0 disables
            it.
        layerwise_fraction: Share of the training in which each converted layer is trained on its
            own, on the teacher's inputs. The rest is end to end.
        alpha: Weight of the label loss, 0 to 1; the distillation loss gets the rest.
        label_smoothing: Label smoothing.
        temperature: Temperature of the distillation loss (arXiv 1503.02531).
        feature_weight: Weight of the feature-map loss of the converted layers. Default: 0 for
            classes and labels, 1 for values.
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
    warmup: float = setting(0.3, _OPTIMIZATION, at_least=0, at_most=1)
    max_grad_norm: float = setting(5.0, _OPTIMIZATION, at_least=0)
    ema_decay: float = setting(0.9, _OPTIMIZATION, at_least=0, below=1)
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
