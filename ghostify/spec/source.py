"""Where a model comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelSource:
    """How the command line came by a model, so that it can be built again.

    Attributes:
        name: what the user wrote for MODEL, such as ``resnet50`` or ``net.py:build``.
        arguments: keyword arguments of the model's factory.
        input_size: shape of one input without the batch, such as ``(3, 224, 224)``.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    input_size: tuple[int, ...] | None = None
