"""Augmentation of training images."""

from __future__ import annotations

from dataclasses import dataclass

from ghostify.types.settings import check, setting

_PANEL = "Augmentation"


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

    crop_scale: float = setting(1.0, _PANEL, above=0, at_most=1)
    flip: bool = setting(False, _PANEL)
    randaugment: int = setting(0, _PANEL, at_least=0, at_most=30)
    mixup: float = setting(0.0, _PANEL, at_least=0)
    cutmix: float = setting(0.0, _PANEL, at_least=0)

    def __post_init__(self) -> None:
        check(self)
