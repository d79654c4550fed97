"""Networks whose parallel branches are made one convolution each."""

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
    """Copy ``model`` into the form that its parallel branches have at inference.

    What a `GhostBottleneckV3` or `GhostModuleV3` of GhostNetV3 does in evaluation mode is linear
    up to its activations, so that each sum of branches is one convolution with a bias; kernels are
    added in double precision. There is no way back. What has no branches stays as it is, and so
    does what carries hooks. `deploy` and `export` do this by themselves.

    Args:
        model: any network, of which nothing is changed.

    Returns:
        A copy in the same mode, trainable where ``model`` is, with the names that the authors'
        code has after its own reparameterisation. It is no conversion that could be saved.
    """
    check_model(model)
    exchange = fusions(model)
    fused = copy_model(model, exchange)
    if exchange:
        Attachment.remove_all(fused)
    return fused


def fusions(model: nn.Module) -> dict[Any, Any]:
    """Modules of ``model`` with branches, and new ones that do the same without."""
    kinds = (GhostBottleneckV3, GhostModuleV3)
    return {
        module: copy_model(module).reparameterize()
        for module in model.modules()
        if isinstance(module, kinds) and not has_hooks(module)
    }
