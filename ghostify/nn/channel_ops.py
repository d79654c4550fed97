"""Operations on channels: fast ones, and plain ones for those who read the graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._jit_internal import is_scripting
from torch.fx import Proxy


def permute_channels(features: Tensor, order: Tensor, rank: Tensor | None = None) -> Tensor:
    """Return ``features`` with channel ``order[j]`` as channel j.

    Args:
        features: ``(N, C, H, W)`` or without N.
        order: ``(C,)``.
        rank: ``order.argsort()``, if it is known.
    """
    if not is_scripting():  # noqa: SIM102
        if not (torch.compiler.is_compiling() or is_recorded(features)):
            return scatter_channels(features, order.argsort() if rank is None else rank)
    return features.index_select(-3, order)


def scatter_channels(features: Tensor, rank: Tensor) -> Tensor:
    """Return ``features`` with channel j as channel ``rank[j]``.

    Unlike ``index_select``, this keeps the memory format.
    """
    return torch.empty_like(features).index_copy_(-3, rank, features)


def scale_channels(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``scale * features + shift`` by channel; both are ``(C,)``."""
    scale, shift = scale.view(-1, 1, 1), shift.view(-1, 1, 1)
    if not is_scripting():  # noqa: SIM102
        if not is_recorded(features):
            return torch.addcmul(shift, features, scale)
    return features * scale + shift


def is_recorded(x: Tensor) -> bool:
    """Return whether an exporter or a tracer records what is computed of ``x``.

    Operations must be plain then: those who read the graph, such as Core ML, ncnn and FX
    quantization, know neither ``index_copy`` nor ``addcmul``, and no operation of ghostify.

    Ask it inside ``if not is_scripting()``, which alone keeps TorchScript from compiling it.
    """
    return (
        torch.compiler.is_exporting()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or isinstance(x, Proxy)
    )
