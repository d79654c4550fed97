"""How closely a converted model follows its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable


@dataclass(frozen=True)
class Fidelity(Attachment, Serializable):
    """Result of an initializer.

    Attributes:
        init: name of the initializer.
        residuals: weighted feature-map error divided by variance, by site. Without calibration
            data: error of the filters.
        images: number of calibration images.
        score: score on held-out images, with the original as teacher.
        notes: warnings for the user.
    """

    _attribute: ClassVar[str] = "_ghostify_fidelity"
    _noun: ClassVar[str] = "fidelity record"

    init: str
    residuals: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    score: Score | None = None
    notes: tuple[str, ...] = ()
