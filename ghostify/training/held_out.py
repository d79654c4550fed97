"""Held-out images: which choose the weights, which report their score, and what is noise."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

from ghostify.data import Data
from ghostify.data.split import has_images, hold_out, split
from ghostify.training.loader import check_batches
from ghostify.types import GhostifyError, Score
from ghostify.types.errors import GhostifyWarning

_ENOUGH = 200
"""Held-out images from which on other images choose than report."""

_FEW = 16
"""Held-out images below which the choice of the epoch says little."""

_SPREAD = 2.0
"""Standard deviation of the divergence or the error of one image, relative to the mean."""

_COLLAPSE = 6.0
"""Noises below the best share from which on an epoch has collapsed; an error has doubled."""


@dataclass(frozen=True)
class HeldOut:
    """Images that a training is not trained on.

    Attributes:
        kind: ``validation``, ``held-out`` or ``training``, as in `Selection`.
        selecting: batches that choose the epoch.
        reporting: batches whose scores are reported; None if ``selecting`` does both.
    """

    kind: str
    selecting: Any
    reporting: Any = None


def divide(data: Any, validation: Any | None) -> tuple[Any, HeldOut]:
    """Return the batches to train on, of a `Data` those of its ``train``, and the held-out images.

    Without validation data, a part of ``data`` is held out; if there are too few images for that,
    the training images choose, with a warning. From 200 held-out images on, every second one, at
    random, chooses and the others report.

    Raises:
        GhostifyError: if there is nothing to train on, or one of both does not hold batches.
    """
    if isinstance(data, Data):
        validation = data.validation if validation is None else validation
        if isinstance(data.train, Sized) and not len(data.train):
            raise GhostifyError("`held_out` leaves no images to train on: lower it")
        data = data.train
    check_batches(data)
    if validation is not None:
        check_batches(validation, "validation")
    kind = "validation"
    if validation is None:
        data, validation = hold_out(data)
        kind = "held-out"
    if validation is None:
        _warn("too few images to hold any out, so that the training images choose the epoch")
        return data, HeldOut("training", data)
    if not has_images(validation, _FEW):
        _warn(f"too few images: fewer than {_FEW} {kind} images choose the epoch")
    if not has_images(validation, _ENOUGH):
        return data, HeldOut(kind, validation)
    return data, HeldOut(kind, *split(validation, 2))


def _warn(reason: str) -> None:
    message = f"{reason}: on other images the network may get worse. Use more images"
    warnings.warn(message, GhostifyWarning, stacklevel=4)


def noise(score: Score) -> float:
    """Return how much a selection score varies by chance.

    That is the standard error: of a share of images, or of the mean of an error or a divergence,
    whose standard deviation is taken to be twice that mean.
    """
    value = score.selection_score
    if value < 0:
        return -value * _SPREAD / math.sqrt(max(score.images, 1))
    share = (min(value, 1.0) * score.images + 1) / (score.images + 2)  # 0 of 50 is not never
    return math.sqrt(share * (1 - share) / max(score.images, 1))


def is_worse(score: Score, other: Score) -> bool:
    """Whether a score is below another by more than noise, or is not a number."""
    return not score.selection_score >= other.selection_score - noise(other)


def has_collapsed(score: Score, best: Score) -> bool:
    """Whether a score is far below the best one, or is not a number."""
    value = best.selection_score
    return not score.selection_score >= (
        2 * value if value < 0 else value - _COLLAPSE * noise(best)
    )
