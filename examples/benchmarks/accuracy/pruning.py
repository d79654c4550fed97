"""Pruned networks to compare with: fewer channels, at a share of the MACs."""

from __future__ import annotations

import copy
from bisect import bisect_left
from itertools import pairwise

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ghostify.planning.flops import count

IMPORTANCES: dict[str, tp.importance.Importance] = {
    "L1": tp.importance.MagnitudeImportance(p=1),
    "FPGM": tp.importance.FPGMImportance(),
}
"""From arXiv 1608.08710 and 1811.00250; averaged over the layers that share a channel."""

_RATIOS = [step / 200 for step in range(181)]


def pruned(
    model: nn.Module, example: Tensor, importance: str, macs_share: float
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Remove the same share of channels from each layer, the smallest that meets the budget.

    Torch-Pruning ranks the outputs of each layer, including the stem, and removes the lowest with
    the weights that read them. Outputs that several layers share, such as the terms of a residual
    sum, stay: a residual block loses only its inner channels, and the stem before it none, as in
    arXiv 1608.08710 for ResNets. The last linear layer keeps its outputs.

    Args:
        model: it is not changed.
        example: an input of the model, for example ``(1, 1, 24, 24)``.
        importance: a name in ``IMPORTANCES``.
        macs_share: maximum share of the MACs of convolutions and linear layers.

    Returns:
        A smaller copy in evaluation mode, neither refitted nor trained; and by name, for each
        convolution and linear layer, the indices of the remaining outputs, ``(outputs,)``,
        ascending.
    """
    pruner = _run_within(macs_share, model, example, IMPORTANCES[importance], sums=False)
    kept = {
        name: torch.arange(len(layer.weight))
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    for name, _, removed in pruner.pruning_history():
        kept[name] = kept[name][~torch.isin(kept[name], torch.tensor(removed))]
    names = list(kept)
    for before, name in pairwise(names):
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            # depthwise: its channels and those that it reads are the same
            kept[name] = kept[before] = min(kept[name], kept[before], key=len)
    return pruner.model, kept


def torch_pruning_default(model: nn.Module, example: Tensor, macs_share: float) -> nn.Module:
    """Prune as in Torch-Pruning's README: ``BasePruner`` with the L2 norm of grouped weights.

    Residual sums lose channels too, except those that a padded shortcut appends, which are not
    pruned. The README rounds to multiples of 8 channels. Here any number is allowed, since layers
    of 16 channels could not come close to the budget otherwise.
    """
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    return _run_within(macs_share, model, example, importance, sums=True).model


def _run_within(
    macs_share: float,
    model: nn.Module,
    example: Tensor,
    importance: tp.importance.Importance,
    *,
    sums: bool,
) -> tp.pruner.BasePruner:
    """Return the pruner with the lowest ratio that meets the budget, after it pruned a copy."""
    budget = macs_share * _macs(model, example)

    def run(ratio: float) -> tp.pruner.BasePruner:
        return _run(copy.deepcopy(model), example, importance, ratio, sums=sums)

    place = bisect_left(_RATIOS, True, key=lambda ratio: _macs(run(ratio).model, example) <= budget)
    if place == len(_RATIOS):
        raise ValueError(f"pruned by {_RATIOS[-1]}, more than {macs_share} of the MACs are left")
    return run(_RATIOS[place])


def _run(
    model: nn.Module,
    example: Tensor,
    importance: tp.importance.Importance,
    ratio: float,
    *,
    sums: bool,
) -> tp.pruner.BasePruner:
    """Prune the model in place, with or without the channels that several layers output."""
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    pruner = tp.pruner.BasePruner(
        model, example, importance, pruning_ratio=ratio, ignored_layers=[head]
    )
    for group in pruner.step(interactive=True):
        if sums or len(_sources(group)) == 1:
            group.prune()
    return pruner


def _sources(group: tp.Group) -> list[nn.Module]:
    """Return the layers that lose outputs when the group is pruned."""
    return [
        dependency.layer
        for dependency, _ in group
        if isinstance(dependency.layer, nn.Conv2d | nn.Linear)
        and dependency.pruning_fn in (tp.prune_conv_out_channels, tp.prune_linear_out_channels)
    ]


def _macs(model: nn.Module, example: Tensor) -> int:
    return count(model, example).conv_and_linear_macs
