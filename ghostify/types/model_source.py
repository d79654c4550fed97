"""How to build a model, and how to call it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ghostify.types.constraints import Pixels
from ghostify.types.errors import GhostifyError
from ghostify.types.preprocessing import Preprocessing
from ghostify.types.serialization import Serializable

Example: TypeAlias = Any
"""A single input such as a tensor, a tuple of positional inputs, or a dict of keyword inputs."""


@dataclass(frozen=True)
class ModelSource(Serializable):
    """How to build a model, and how to call it.

    Attributes:
        name: MODEL, such as ``resnet50`` or ``net.py:build``.
        arguments: keyword arguments of the factory.
        input_size: shape of one input without the batch, such as ``(3, 224, 224)``.
        preprocessing: how images become inputs. Default: what the model or its library declares.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    input_size: tuple[Pixels, ...] | None = None
    preprocessing: Preprocessing | None = None

    def resized(self, input_size: tuple[int, ...]) -> ModelSource:
        """Return the source for another input size, whose images show as much."""
        preprocessing = self.preprocessing
        if preprocessing is not None and self.input_size is not None:
            preprocessing = preprocessing.scaled(self.input_size, input_size)
        return replace(self, input_size=input_size, preprocessing=preprocessing)

    @classmethod
    def parse(
        cls, name: str, input: str | None = None, arguments: Iterable[str] = ()
    ) -> ModelSource:
        """Parse a source from strings.

        Args:
            name: MODEL.
            input: shape of one input, such as ``3x224x224``.
            arguments: each ``KEY=VALUE``; values are JSON, or Python's True, False and None, or
                strings.

        Raises:
            GhostifyError: if a string cannot be parsed.
        """
        return cls(
            name,
            dict(map(_parse_argument, arguments)),
            None if input is None else _parse_shape(input),
        )


def _parse_shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(map(int, text.lower().split("x")))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise GhostifyError(f"input (={text!r}) must be a shape such as 3x224x224")
    return shape


def _parse_argument(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise GhostifyError(f"model argument (={text!r}) must be KEY=VALUE, such as num_classes=10")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, {"True": True, "False": False, "None": None}.get(value, value)


def split_example(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of an example."""
    if isinstance(example, dict):
        return (), example
    return (example if isinstance(example, tuple) else (example,)), {}


def describe_example(example: Example) -> str:
    """Return the shapes of an example, such as ``1x3x224x224`` or ``ids=1x77, mask=1x77``."""
    args, kwargs = split_example(example)
    return ", ".join([*map(describe, args), *(f"{k}={describe(v)}" for k, v in kwargs.items())])


def describe(value: Any) -> str:
    """Return the shapes of the tensors in ``value``, such as ``[16x3x224x224, 16]``."""
    if isinstance(value, list | tuple):
        return f"[{_abridged([describe(entry) for entry in value])}]"
    if isinstance(value, Mapping):
        return f"{{{_abridged([f'{key}: {describe(entry)}' for key, entry in value.items()])}}}"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else "x".join(map(str, shape)) or "scalar"


def _abridged(entries: list[str]) -> str:
    return ", ".join([*entries[:4], "..."] if len(entries) > 4 else entries)
