"""Ultralytics folds BatchNorms before inference: let it pass Ghost modules over."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from ghostify.nn import GhostModule


def fuse_around_ghosts(model: nn.Module) -> None:
    """Let ``fuse`` of Ultralytics' networks in ``model`` keep the BatchNorms of Ghost modules.

    ``YOLO.predict`` and ``YOLO.export`` call it. It multiplies the weight of a convolution by the
    BatchNorm's scale; a Ghost module has no such weight.
    """
    for module in model.modules():
        names = [f"{kind.__module__}.{kind.__name__}" for kind in type(module).__mro__]
        if "ultralytics.nn.tasks.BaseModel" in names:
            module.fuse = partial(_fuse, module)  # type: ignore[assignment]


def _fuse(model: Any, *args: Any, **kwargs: Any) -> Any:
    """Run the class's own ``fuse`` while blocks with a Ghost module hide their BatchNorm."""
    blocks = [m for m in model.modules() if isinstance(getattr(m, "conv", None), GhostModule)]
    modules = [block._modules for block in blocks]
    for block, own in zip(blocks, modules, strict=True):
        block._modules = {name: module for name, module in own.items() if name != "bn"}
    try:
        return type(model).fuse(model, *args, **kwargs)
    finally:
        for block, own in zip(blocks, modules, strict=True):
            block._modules = own
