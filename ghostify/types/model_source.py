"""Where a model comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Normalization: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of pixels in [0, 1], of each channel or one for all."""


@dataclass(frozen=True)
class ModelSource:
    """How the command line came by a model, so that it can be built again.

    Attributes:
        name: what the user wrote for MODEL, such as ``resnet50`` or ``net.py:build``.
        arguments: keyword arguments of the model's factory.
        input_size: shape of one input without the batch, such as ``(3, 224, 224)``.
        normalization: by which its images are normalised, if not as its library says.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    input_size: tuple[int, ...] | None = None
    normalization: Normalization | None = None
