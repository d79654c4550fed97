"""Open images to score networks on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ghostify.data.fingerprints import has_seen
from ghostify.data.loaders import Data
from ghostify.data.open_data import HELD_OUT, open_data, source_of
from ghostify.data.sources import SOURCES
from ghostify.types import Example, ModelSource, Plan
from ghostify.types.attachment import DeploymentReport
from ghostify.types.errors import GhostifyWarning


def open_evaluation(
    data: str | Path,
    models: Sequence[nn.Module],
    source: ModelSource | None = None,
    *,
    held_out: float | None = None,
    **options: Any,
) -> Data:
    """Open images to score networks on, as `open_data` does.

    Without a validation split these are all images, unless a network was calibrated or trained on
    some of them: then they are the tenth that `open_data` holds out. So they are for ``mnist5k``
    and ``digits``, which are training images. A single loader of your own cannot be divided, and
    is used for networks that were not converted.

    Args:
        data, source, options: as in `open_data`.
        models: the networks to score, with the same preprocessing.
        held_out: use this share of the images instead; 1 for all.

    Returns:
        A `Data`. If a network was calibrated or trained on some of its validation images all the
        same, its ``seen`` is True, with a warning.
    """
    if held_out is None and str(data) in SOURCES:
        held_out = HELD_OUT
    share = 1.0 if held_out is None else held_out
    chosen = open_data(data, models[0], source, held_out=share, **options)
    is_seen = has_seen(models, chosen.validation)
    is_unknown = chosen.train == () and any(map(_is_converted, models))  # one loader of the user's
    if held_out is None and (is_seen or is_unknown):
        part = open_data(data, models[0], source, held_out=HELD_OUT, **options)
        if is_unknown or part.validation is not None:
            chosen, is_seen = part, has_seen(models, part.validation)
    if is_seen:
        warnings.warn(
            f"{data}: the network was calibrated or trained on some of these images, so that its "
            "score is too high. Use other images",
            GhostifyWarning,
            stacklevel=3,
        )
    return replace(chosen, seen=is_seen)


def _is_converted(model: nn.Module) -> bool:
    return bool(Plan.find(model) or DeploymentReport.find(model))


def opened_for_evaluation(
    data: Any,
    models: Sequence[nn.Module],
    example: Example = None,
    source: ModelSource | None = None,
) -> Any:
    """Return ``data``, or what `open_evaluation` makes of it if it names a source."""
    if not isinstance(data, str | Path):
        return data
    return open_evaluation(data, models, source or source_of(example))
