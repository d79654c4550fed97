"""Parameters and MACs of a whole model."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ghostify.analysis.dry_run import clone_tensors, dry_run, materialize
from ghostify.analysis.forward_observer import ForwardObserver
from ghostify.analysis.model_copy import copy_model
from ghostify.analysis.preserve import preserve_rng
from ghostify.nn import CheapOperation, GhostModule
from ghostify.types import Count, Example, split_example

with warnings.catch_warnings():
    # fvcore scripts two losses when it is imported, and torch.jit.script is deprecated.
    warnings.filterwarnings("ignore", message=r"`torch\.jit\.script`", category=Warning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import conv_flop_count, get_shape


def count(model: nn.Module, example: Example, *, counter: str = "fvcore") -> Count:
    """Count the parameters of a model, and its MACs in one forward pass in eval mode.

    fvcore counts, with rules for ``padding="same"`` and for cheap operations with d = 1. If fvcore
    cannot trace the model, ``torch.utils.flop_counter`` counts convolutions and matrix products.

    Args:
        model: the model.
        example: an input of the model.
        counter: ``fvcore`` or ``torch``.

    Raises:
        GhostifyError: if the model does not run on the example.
    """
    model = materialize(model, example)
    if counter == "fvcore":
        try:
            macs, uncounted = _count_by_fvcore(model, example)
        except Exception:  # tracing fails in many ways; torch reports errors of the model
            counter = "torch"
    if counter == "torch":
        macs, uncounted = _count_by_torch(model, example), {}
    parameters = list(model.parameters())
    return Count(
        params=sum(p.numel() for p in parameters),
        weight_bytes=sum(p.numel() * p.element_size() for p in parameters),
        macs=macs,
        uncounted=uncounted,
        counter=counter,
    )


def _count_by_fvcore(model: nn.Module, example: Example) -> tuple[dict[str, int], dict[str, int]]:
    copy = copy_model(model)
    copy.eval()
    args, kwargs = split_example(clone_tensors(example))
    entry = _Keywords(copy, tuple(kwargs)) if kwargs else copy
    scalings = _Scalings(copy)
    analysis = (
        FlopCountAnalysis(entry, tuple(kwargs.values()) or args)
        .set_op_handle("aten::_convolution_mode", _count_padding_mode)
        .unsupported_ops_warnings(False)
        .uncalled_modules_warnings(False)
        .tracer_warnings("none")
    )
    with torch.no_grad(), preserve_rng(), scalings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        operators = Counter(analysis.by_operator())
    operators["conv"] += scalings.macs
    uncounted = Counter(analysis.unsupported_ops()) - _of_ghost_modules(analysis, entry)
    return {name: int(macs) for name, macs in operators.items()}, dict(uncounted)


def _of_ghost_modules(analysis: FlopCountAnalysis, model: nn.Module) -> Counter[str]:
    """Return the uncounted calls of Ghost modules themselves, not of the layers inside.

    They move or scale feature maps; what they cost is counted.
    """
    own: Counter[str] = Counter()
    for name, module in model.named_modules():
        if isinstance(module, GhostModule | CheapOperation):
            own += analysis.unsupported_ops(name)
            for child, _ in module.named_children():
                own -= analysis.unsupported_ops(f"{name}.{child}".lstrip("."))
    return own


class _Scalings(ForwardObserver):
    """Counts the channel-wise multiplications of cheap operations with d = 1."""

    macs = 0

    def after_forward(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if isinstance(module, CheapOperation) and module.dw_size == 1:
            self.macs += math.prod(map(int, result.shape))


def _count_padding_mode(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    shapes = [get_shape(value) for value in (*inputs[:2], outputs[0])]
    return Counter(conv=int(conv_flop_count(*shapes)))


_FVCORE_NAMES = {"convolution": "conv", "_convolution": "conv", "addmm": "linear", "mm": "linear"}


class _TorchCounter(_Scalings):
    """Counts with torch during the forward pass."""

    def __enter__(self) -> _TorchCounter:
        super().__enter__()
        self.mode = self.contexts.enter_context(FlopCounterMode(display=False))
        return self


def _count_by_torch(model: nn.Module, example: Example) -> dict[str, int]:
    counted = dry_run(model, example, observer=_TorchCounter).observer
    macs: Counter[str] = Counter(conv=counted.macs)
    for operator, flops in counted.mode.get_flop_counts().get("Global", {}).items():
        name = str(operator).rpartition(".")[2]
        macs[_FVCORE_NAMES.get(name, name)] += flops // 2
    return dict(macs)


class _Keywords(nn.Module):
    """Turns positional inputs into keywords: fvcore passes positional inputs only."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *values: Any) -> Any:
        return self.model(**dict(zip(self.names, values, strict=True)))
