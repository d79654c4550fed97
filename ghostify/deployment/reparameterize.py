"""Fuse the parallel branches of a network."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.model_copy import copy_model
from ghostify.nn import GhostBottleneckV3, GhostModuleV3
from ghostify.nn.hooks import has_hooks
from ghostify.types.attachment import Attachment

Model = TypeVar("Model", bound=nn.Module)


def reparameterize(model: Model) -> Model:
    """Copy ``model`` with each sum of parallel branches fused into one convolution.

    In evaluation mode a `GhostModuleV3` or `GhostBottleneckV3` is linear up to its activations.
    Kernels are added in double precision. Modules with hooks stay as they are. There is no way
    back, and the copy cannot be saved as a conversion. `deploy` and `export` do this themselves.

    Args:
        model: any network; it is not changed.

    Returns:
        A copy in the same mode, trainable where ``model`` is, with the parameter names that the
        authors' code has after its own reparameterization.
    """
    check_model(model)
    fused = fused_modules(model)
    copy = copy_model(model, fused)
    if fused:
        Attachment.remove_all(copy)
    return copy


def fused_modules(model: nn.Module) -> dict[Any, Any]:
    """Return, for each module of ``model`` with branches, an equivalent without."""
    kinds = (GhostBottleneckV3, GhostModuleV3)
    return {
        module: copy_model(module).reparameterize()
        for module in model.modules()
        if isinstance(module, kinds) and not has_hooks(module)
    }
