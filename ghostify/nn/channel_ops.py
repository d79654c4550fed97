"""Operations on channels: fast ones in eager mode, plain ones in graphs."""

from __future__ import annotations

import warnings
from itertools import pairwise

import torch
from torch import Tensor
from torch._jit_internal import is_scripting
from torch.fx import Proxy


def first_channels(features: Tensor, count: int, channels: int) -> Tensor:
    """Return the first ``count`` of ``channels``.

    They are split from the others: NNCF has no INT8 kernel for slices, nor ncnn an operation.
    """
    if count == channels:
        return features
    return torch.split(features, [count, channels - count], -3)[0]


def permute_channels(features: Tensor, order: Tensor, rank: Tensor | None = None) -> Tensor:
    """Return ``features`` with channel ``order[j]`` as channel j.

    Args:
        features: ``(N, C, H, W)`` or without N.
        order: ``(C,)``.
        rank: ``order.argsort()``, if it is known.
    """
    if not is_scripting():
        if is_traced():
            return _permute_runs(features, order)
        if not (torch.compiler.is_compiling() or is_recorded(features)):
            return scatter_channels(features, order.argsort() if rank is None else rank)
    return features.index_select(-3, order)


def scatter_channels(features: Tensor, rank: Tensor) -> Tensor:
    """Return ``features`` with channel j as channel ``rank[j]``.

    Unlike ``index_select``, this keeps the memory format.
    """
    return torch.empty_like(features).index_copy_(-3, rank, features)


def _permute_runs(features: Tensor, order: Tensor) -> Tensor:
    """Split ``features`` into runs of channels, and concatenate these: ncnn has no index_select."""
    with warnings.catch_warnings(action="ignore"):  # the trace holds the order as constants
        channels = order.tolist()
    starts = [j for j, channel in enumerate(channels) if not j or channel != channels[j - 1] + 1]
    lengths = {channels[a]: b - a for a, b in pairwise([*starts, len(channels)])}
    runs = torch.split(features, [lengths[first] for first in sorted(lengths)], -3)
    by_first = dict(zip(sorted(lengths), runs, strict=True))
    return torch.cat([by_first[first] for first in lengths], -3)


def scale_channels(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``scale * features + shift`` by channel; both are ``(C,)``."""
    scale, shift = scale.view(-1, 1, 1), shift.view(-1, 1, 1)
    if not is_scripting():  # noqa: SIM102
        if not is_recorded(features):
            return torch.addcmul(shift, features, scale)
    return features * scale + shift


# Ask these inside ``if not is_scripting()`` alone: TorchScript then does not compile them.


def is_traced() -> bool:
    """Return whether ``torch.jit.trace`` records what is computed."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def is_recorded(x: Tensor) -> bool:
    """Return whether an exporter or a tracer records what is computed of ``x``.

    Operations must be plain then: those who read the graph, such as Core ML, ncnn and FX
    quantization, know neither ``index_copy`` nor ``addcmul``, and no operation of ghostify.
    """
    return torch.compiler.is_exporting() or is_traced() or isinstance(x, Proxy)
