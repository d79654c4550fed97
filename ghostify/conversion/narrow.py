"""Drop output channels of convolutions, and what other layers do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ghostify.analysis.convolutions import is_plain_layer
from ghostify.analysis.forward_observer import parameter_owners, shares_parameters
from ghostify.analysis.model_copy import copy_model
from ghostify.analysis.regions import scales_channels
from ghostify.nn.hooks import has_hooks
from ghostify.types import ConvSite, GhostifyError, Plan
from ghostify.types.errors import near

Model = TypeVar("Model", bound=nn.Module)

_OUTPUTS = ("out_channels", "out_features", "num_features", "num_parameters")
"""Attributes with the number of output channels of a convolution, Linear, BatchNorm and PReLU."""


def narrow(model: Model, plan: Plan) -> Model:
    """Copy ``model`` with the channels that ``plan`` leaves, and without Ghost modules.

    Convolutions, and the layers along the way of their outputs, lose filters; the layers that read
    these lose the weights of the dropped channels. All other parameters are shared.
    """
    shared = {parameter: parameter for parameter in model.parameters()}
    return copy_model(model, shared | narrowed_layers(model, plan))


def narrowed_layers(model: nn.Module, plan: Plan) -> dict[nn.Module, nn.Module]:
    """Return each layer that loses channels, and a copy with those that are left."""
    outputs, inputs = plan.kept_channels, plan.kept_inputs
    names = dict.fromkeys((*outputs, *inputs))
    layers = {name: model.get_submodule(name) for name in names}
    return {
        layer: _narrowed(layer, outputs.get(name), inputs.get(name))
        for name, layer in layers.items()
    }


def check_widths(model: nn.Module, plan: Plan) -> None:
    """Check that the layers of each region can lose the channels that ``plan`` drops.

    Raises:
        GhostifyError: if one cannot, if the model lacks it, or if the channels are not chosen.
    """
    modules = dict(model.named_modules())
    owners = parameter_owners(model)
    for decision in plan.decisions:
        site, region = decision.site, decision.site.region
        if decision.width is None or region is None:
            continue
        if decision.channels is None:
            raise GhostifyError(
                f"{site.name}: `width` (={decision.width}) needs `channels`, those that are left; "
                "ghostify.convert chooses them"
            )
        outputs = dict.fromkeys((*region.channelwise, *region.gates), 0)
        for name, spread in (*outputs.items(), *region.readers.items()):
            if name not in modules:
                raise GhostifyError(
                    f"the plan names {name}, which the model lacks{near(name, modules)}"
                )
            layer = modules[name]
            shared = shares_parameters(layer, owners)
            why = "shares its parameters" if shared else _fault(layer, site, spread)
            if why is not None:
                raise GhostifyError(f"the plan drops channels of {site.name}, but {name} {why}")


def _fault(layer: nn.Module, site: ConvSite, spread: int) -> str | None:
    """Return why a layer cannot lose outputs, or inputs if ``spread`` is not 0."""
    channels = site.geometry.out_channels
    if has_hooks(layer):
        return "has hooks"
    if not is_plain_layer(layer) and (spread or not scales_channels(layer)):
        return f"is a {type(layer).__name__}"
    if not spread:
        own = {len(tensor) for tensor in _channel_tensors(layer)}
        return None if own <= {channels} else f"has {max(own)} channels, not {channels}"
    inputs = layer.get_parameter("weight").shape[1]
    return None if inputs == channels * spread else f"reads {inputs}, not {channels * spread}"


def _narrowed(
    layer: nn.Module, outputs: Sequence[int] | None, inputs: Sequence[int] | None
) -> nn.Module:
    kept: dict[Tensor, Tensor] = {}
    if outputs is not None:
        kept = {tensor: tensor.detach()[list(outputs)] for tensor in _channel_tensors(layer)}
    if inputs is not None:
        weight = layer.get_parameter("weight")
        kept[weight] = kept.get(weight, weight).detach()[:, list(inputs)]
    narrowed = copy_model(layer, {old: _like(old, new) for old, new in kept.items()})
    if outputs is not None:
        _set_sizes(narrowed, len(outputs), _OUTPUTS)
        if getattr(layer, "groups", 1) > 1:
            _set_sizes(narrowed, len(outputs), ("in_channels", "groups"))
    if inputs is not None:
        _set_sizes(narrowed, len(inputs), ("in_channels", "in_features"))
    return narrowed


def _channel_tensors(layer: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a layer that have an entry for each output channel."""
    tensors = (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
    return [tensor for tensor in tensors if tensor.dim()]


def _like(old: Tensor, new: Tensor) -> Tensor:
    """Return ``new`` as the kind of tensor, and in the memory format, that ``old`` is."""
    new = torch.empty_like(old.detach()[tuple(map(slice, new.shape))]).copy_(new)
    return nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new


def _set_sizes(layer: nn.Module, number: int, names: Sequence[str]) -> None:
    for name in names:
        if hasattr(layer, name):
            setattr(layer, name, number)
