"""How training images are varied."""

from __future__ import annotations

from dataclasses import dataclass

from ghostify.types.errors import GhostifyError


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done at random to an image before it is trained on; nothing by default.

    Attributes:
        crop_scale: least part of the image's area that a random crop takes, above 0; 1 for the
            centre, as in evaluation (random resized crop, Szegedy et al., arXiv 1409.4842).
        flip: mirror every second image.
        randaugment: magnitude of two operations of RandAugment (Cubuk et al., arXiv 1909.13719),
            0 to 30; 0 for none.
        mixup: alpha of mixup (Zhang et al., arXiv 1710.09412); 0 for none.
        cutmix: alpha of CutMix (Yun et al., arXiv 1905.04899); 0 for none. With mixup too, every
            image gets one of both.

    Raises:
        GhostifyError: if a number is out of its range.
    """

    crop_scale: float = 1.0
    flip: bool = False
    randaugment: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop_scale <= 1:
            raise GhostifyError(f"crop_scale={self.crop_scale}: give a number above 0, at most 1")
        if not 0 <= self.randaugment <= 30:
            raise GhostifyError(f"randaugment={self.randaugment}: give 0 to 30, such as 9")
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise GhostifyError(f"{name}={getattr(self, name)}: give 0 or more, such as 0.2")
