"""Merge the parallel branches of a network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.analysis.conv_observer import ConvObserver
from ghostify.analysis.dataflow import tensors_in
from ghostify.analysis.dry_run import clone_tensors, dry_run, materialize
from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.deployment.merge_branches import merge_branches, merge_method
from ghostify.deployment.verify_export import output_errors
from ghostify.models.identity import identify, weights_digest
from ghostify.nn import GhostBottleneckV3, GhostModuleV3
from ghostify.nn.hooks import has_hooks
from ghostify.types import Example, GhostifyError, Plan, split_example
from ghostify.types.attachment import Attachment

Model = TypeVar("Model", bound=nn.Module)


def reparameterize(model: Model, example: Example | None = None) -> Model:
    """Copy ``model`` with each sum of parallel branches merged into one convolution.

    Networks such as RepVGG, MobileOne, FastViT and RepViT are trained with branches that are linear
    up to their sum. Merge them before a conversion: Ghost modules in branches cannot be merged.
    The modules' own methods do it: ``fuse``, ``reparameterize`` and ``switch_to_deploy`` of timm
    and the authors' code, ``fuse`` of Ultralytics, ``fuse_model`` of torchvision. Many fold
    BatchNorms as well. Blocks of GhostNetV3 get the parameter names that the authors' code has
    after its own reparameterization; `deploy` and `export` merge these themselves.

    There is no way back. An artifact remembers that its original was merged; a merged conversion
    cannot be saved as one.

    Args:
        model: any network; it is not changed.
        example: an input, as in `convert`. With it, the outputs are compared.

    Returns:
        A copy in the same mode, trainable where ``model`` is. Modules with hooks stay as they are.

    Raises:
        GhostifyError: if a method fails, or the outputs would change.
    """
    if example is None:
        check_model(model)
    else:
        model = materialize(model, example)
    known = identify(model)
    merged: Any = merge_branches(copy_model(model))
    if merged.state_dict().keys() == model.state_dict().keys():
        return merged  # type: ignore[no-any-return]
    if example is not None:
        _check_outputs(model, merged, example)
    Attachment.remove_all(merged)
    if known is not None and Plan.find(model) is None:
        replace(known, merged=weights_digest(merged)).attach(merged)
    return merged  # type: ignore[no-any-return]


@torch.no_grad()
def _check_outputs(model: nn.Module, merged: nn.Module, example: Example) -> None:
    outputs = []
    for network in (model, merged):
        args, kwargs = split_example(clone_tensors(example))
        with preserve_rng():
            outputs.append(tensors_in(frozen_copy(network)(*args, **kwargs)))
    before, after = outputs
    if [t.shape for t in before] != [t.shape for t in after] or not all(
        output_errors(*pair).acceptable for pair in zip(after, before, strict=True)
    ):
        name = type(model).__name__
        raise GhostifyError(f"merging the branches of {name} changes its outputs")


def branches(model: nn.Module, example: Example) -> set[str]:
    """Return the convolutions in modules that merging leaves with fewer; empty if it cannot."""
    merging = {name for name, module in model.named_modules() if merge_method(module)}
    if not merging:
        return set()
    try:
        before, after = (
            dry_run(network, example, observer=ConvObserver).observer.convolutions
            for network in (model, reparameterize(model))
        )
    except GhostifyError:
        return set()
    if len(after) == len(before):  # BatchNorms were folded
        return set()
    blocks = {_innermost(name, merging) for name in before.keys() - after.keys()}
    return {name for name in before if _innermost(name, merging) in blocks}


def _innermost(name: str, modules: Collection[str]) -> str:
    """Return the innermost of ``modules`` around the module of this name."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def fused_modules(model: nn.Module) -> dict[Any, Any]:
    """Return, for each module of ``model`` with branches, an equivalent without."""
    kinds = (GhostBottleneckV3, GhostModuleV3)
    return {
        module: copy_model(module).reparameterize()
        for module in model.modules()
        if isinstance(module, kinds) and not has_hooks(module)
    }
