"""Whether a tensor holds numbers that a model can compute with."""

from __future__ import annotations

import torch
from torch import Tensor

from ghostify.spec import GhostifyError


def usable(value: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """``value`` as the model computes with it.

    Raises:
        GhostifyError: if it holds integers for a model that takes floating point, or the other
            way round, or numbers that are not finite.
    """
    if dtype.is_floating_point and not value.is_floating_point():
        raise GhostifyError(
            f"{name} holds {_short(value.dtype)}, but the model takes {_short(dtype)}: scale "
            "images with x.float() / 255 and normalise them as for training"
        )
    if value.is_floating_point() and not dtype.is_floating_point:
        raise GhostifyError(
            f"{name} holds {_short(value.dtype)}, but the model takes {_short(dtype)}"
        )
    if not value.isfinite().all():
        raise GhostifyError(f"{name} holds NaN or infinite values")
    return value.to(dtype) if value.is_floating_point() else value


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
