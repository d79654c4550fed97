"""How closely a converted model follows its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.serialization import Serializable


@dataclass(frozen=True)
class Agreement:
    """Outputs of the converted model compared with the original's on the same images.

    Attributes:
        images: number of images.
        relative_error: squared error of the outputs divided by their squared norm.
        top1: share of images with the same top-1 class; None if the outputs are not logits.
        kl: Kullback-Leibler divergence from the original's probabilities, in nats per image; None
            if the outputs are not logits.
    """

    images: int
    relative_error: float
    top1: float | None = None
    kl: float | None = None


@dataclass(frozen=True)
class Fidelity(Attachment, Serializable):
    """Result of an initializer.

    Attributes:
        init: name of the initializer.
        residuals: weighted feature-map error divided by variance, by site. Without calibration
            data: error of the filters.
        images: number of calibration images.
        agreement: agreement with the original on held-out images.
        notes: warnings for the user.
    """

    _attribute: ClassVar[str] = "_ghostify_fidelity"
    _noun: ClassVar[str] = "fidelity record"

    init: str
    residuals: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    agreement: Agreement | None = None
    notes: tuple[str, ...] = ()
