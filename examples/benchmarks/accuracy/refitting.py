"""The refit of converted networks, for pruned ones: ridge regression, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.model_copy import frozen_copy
from ghostify.analysis.preserve import eval_mode
from ghostify.conversion.init.aligned_sample import aligned_sample
from ghostify.conversion.init.layerwise import layerwise
from ghostify.conversion.init.residual_sums import last_terms
from ghostify.conversion.init.ridge import refit
from ghostify.conversion.init.targets import Targets, observe

POSITIONS = 16384


@torch.no_grad()
def refitted(
    original: nn.Module, pruned: nn.Module, kept: Mapping[str, Tensor], batches: Sequence[Tensor]
) -> nn.Module:
    """Fit every layer of ``pruned`` in place to the original's feature maps that it keeps.

    Args:
        kept: original indices of the outputs of each layer.
        batches: calibration images.
    """
    flow = trace_dataflow(pruned, batches[0][:1])
    norms = flow.following_norms()
    terms = {name: norms.get(name) for name in last_terms(flow)}
    targets = observe(frozen_copy(original), batches, dict.fromkeys(kept, POSITIONS), terms)
    layers = {name: pruned.get_submodule(name) for name in targets}
    with eval_mode(pruned), layerwise(pruned, batches, layers, terms) as (runner, pending):
        for name, layer in layers.items():
            data = aligned_sample(runner, name, pending[name], _only(targets.pop(name), kept[name]))
            new = refit(data.sample, data.weight)
            layer.weight.copy_(new.view_as(layer.weight))
            outputs = data.sample.outputs(data.sample.mean_window, new)
            bias = (data.sample.mean_target - outputs)[:, 0]
            if layer.bias is not None:
                layer.bias.copy_(bias)
            else:
                pruned.get_submodule(norms[name]).running_mean -= bias
            pending[name].install(layer)
    return pruned


def _only(targets: Targets, kept: Tensor) -> Targets:
    calls = {key: replace(c, values=c.values[kept]) for key, c in targets.calls.items()}
    return replace(targets, calls=calls)  # sums keep all their channels
