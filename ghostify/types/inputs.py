"""Example inputs of a model."""

from typing import Any, TypeAlias

Example: TypeAlias = Any
"""A single input such as a tensor, a tuple of positional inputs, or a dict of keyword inputs."""


def split_example(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments of an example."""
    if isinstance(example, dict):
        return (), example
    return (example if isinstance(example, tuple) else (example,)), {}


def describe_example(example: Example) -> str:
    """Return the shapes of an example, such as ``1x3x224x224`` or ``ids=1x77, mask=1x77``."""
    args, kwargs = split_example(example)
    return ", ".join([*map(_shape, args), *(f"{k}={_shape(v)}" for k, v in kwargs.items())])


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else "x".join(map(str, shape)) or "scalar"
