"""Feature maps of teacher and student: where they are compared, and on what scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.output_hooks import record_calls
from ghostify.evaluation.metrics import is_logits, numbers
from ghostify.nn import GhostModule
from ghostify.types import Example, split_example

_FLAT, _TINY = 1e-4, 1e-12
"""Lower bounds of a scale: relative to the mean square, and absolute."""


def are_logits(outputs: Sequence[Tensor]) -> bool:
    """Whether an output is one tensor ``(B, classes)``."""
    return len(outputs) == 1 and is_logits(outputs[0])


def match_layers(teacher: nn.Module, student: nn.Module, example: Example) -> dict[str, str]:
    """Return, for each Ghost module of ``student``, the module whose output is compared.

    That is the BatchNorm that alone reads the Ghost module, where there is one, else the Ghost
    module itself.
    """
    norms = trace_dataflow(teacher, example).following_norms()
    sites = [name for name, module in student.named_modules() if isinstance(module, GhostModule)]
    known = dict(teacher.named_modules())
    return {site: norms.get(site, site) for site in sites if site in known}


def scale_of(tensor: Tensor) -> float:
    """Return the variance of a tensor, each channel (dimension 1) around its own mean.

    The variance of a nearly constant tensor is bounded below. An empty tensor has an infinite
    scale, so that its error is 0.
    """
    values = tensor.float()
    if not values.numel():
        return float("inf")
    others = [dimension for dimension in range(values.dim()) if dimension != 1] or None
    variance = (values - values.mean(others, keepdim=True)).square().mean()
    return max(float(variance), _FLAT * float(values.square().mean()), _TINY)


@torch.no_grad()
def measure_scales(
    teacher: nn.Module, layers: Iterable[str], inputs: Example
) -> tuple[dict[str, tuple[float, ...]], bool]:
    """Return the scales of the teacher's outputs (key ``""``) and feature maps, call by call.

    Also return whether its outputs are logits.
    """
    args, kwargs = split_example(inputs)
    with record_calls(teacher, layers) as calls:
        outputs = numbers(teacher(*args, **kwargs))
    tensors = {"": outputs} | {name: [output for _, output in calls[name]] for name in calls}
    scales = {name: tuple(map(scale_of, found)) for name, found in tensors.items()}
    return scales, are_logits(outputs)


def relative_errors(
    found: Sequence[Tensor], wanted: Sequence[Tensor], scales: Sequence[float]
) -> Tensor:
    """Return the mean over tensors of the mean squared error divided by its scale.

    Pairs of different shapes, such as the boxes of two detectors, are skipped.
    """
    errors = [
        F.mse_loss(a.float(), b.float()) / scale
        for a, b, scale in zip(found, wanted, scales, strict=False)
        if a.shape == b.shape and a.numel()
    ]
    return torch.stack(errors).mean() if errors else torch.zeros(())
