"""What the outputs of a network mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ghostify.types.attachment import Attachment
from ghostify.types.constraints import NonNegativeInt
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable

KINDS = ("classes", "multilabel", "values")


@dataclass(frozen=True, slots=True)
class Output:
    """What one floating-point output tensor of a network means.

    Attributes:
        kind: ``classes``: one of the entries along dimension 1 is right. ``multilabel``: each
            entry is right or not. ``values``: numbers in units of their own.
        reason: how this was found, in words.
        size: number of classes, labels or values: the length of dimension 1; 0 if not every image
            has a row.
        dense: whether there is one for each position, ``(B, size, H, W)``, as in segmentation.
        probabilities: whether softmax or sigmoid is already applied.
    """

    kind: Literal["classes", "multilabel", "values"]
    reason: str
    size: NonNegativeInt = 1
    dense: bool = False
    probabilities: bool = False

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})"

    @property
    def same(self) -> str:
        """What networks may agree on, such as ``images with the same top-1 class``."""
        if self.kind == "multilabel":
            return "labels with the same decision"
        return "pixels with the same class" if self.dense else "images with the same top-1 class"


_UNKNOWN = Output("values", "nothing is known of them", size=0)


@dataclass(frozen=True)
class Outputs(Attachment, Serializable):
    """What the outputs of a network mean.

    Attributes:
        tensors: what each floating-point tensor means, in the order of the output's structure.
            Further tensors are values.
        given: whether the user said so.
    """

    tensors: tuple[Output, ...] = ()
    given: bool = False

    def __str__(self) -> str:
        return "; ".join(dict.fromkeys(map(str, self.tensors or [_UNKNOWN])))

    def __getitem__(self, number: int) -> Output:
        return self.tensors[number] if number < len(self.tensors) else _UNKNOWN

    @property
    def are_scores(self) -> bool:
        """Whether all tensors score classes or labels."""
        return bool(self.tensors) and all(each.kind != "values" for each in self.tensors)


OutputsLike: TypeAlias = str | Outputs | None
"""A kind of outputs, what an earlier step found, or None to find it."""


def check_kind(kind: str) -> None:
    """Check the kind of outputs that a user names."""
    if kind not in KINDS:
        raise GhostifyError(f"`outputs` (={kind!r}) must be one of {', '.join(KINDS)}")
