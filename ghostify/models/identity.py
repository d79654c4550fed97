"""Identify the weights of a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ghostify.types import GhostifyError, OriginalWeights, Plan
from ghostify.types.regular_file import check_regular

_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)
_MANY, _NEARLY = 100, 0.9
"""The largest of many random weights is near the end of their range."""


def identify(model: nn.Module) -> OriginalWeights | None:
    """Return which weights a network has, and from where if it was loaded by `models`.

    For a converted network, they are those of its original. None on the meta device.
    """
    known = OriginalWeights.find(model)
    if Plan.find(model):
        return known
    if any(tensor.is_meta for tensor in _tensors(model).values()):
        return None
    digest = weights_digest(model)
    if known and known.digest == digest:
        return known
    return OriginalWeights(digest, trained=not is_untrained(model))


def attach_origin(model: nn.Module, *, file: Path | None = None, name: str | None = None) -> None:
    """Attach to a network where its weights come from: a file, or the library's name."""
    found = None if Plan.find(model) else identify(model)
    if found is not None:
        found = OriginalWeights(found.digest, found.trained, name=name)
        (found.from_file(file, file_digest(file)) if file else found).attach(model)


def check_original(
    model: nn.Module, weights: OriginalWeights | None, what: str = "`teacher`"
) -> None:
    """Check that ``model`` is the trained network that was converted.

    Args:
        model: the original, as the caller was given it.
        weights: the weights that were converted; None if they are not known.
        what: ``model`` in the message.

    Raises:
        GhostifyError: if it or the converted one is randomly initialized, or it has other weights.
    """
    if weights is not None and not weights.trained:
        raise GhostifyError(
            "the network was converted from a randomly initialized one: convert the network with "
            "its trained weights"
        )
    if is_untrained(model):
        raise GhostifyError(f"{what} appears to be randomly initialized: load its trained weights")
    if weights is not None and weights_digest(model) != weights.digest:
        raise GhostifyError(
            f"{what} has other weights than the network that was converted, {weights}"
        )


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of a state dict, independent of device and memory format.

    Of a network whose branches were merged, it is that of the network before.
    """
    digest, known = tensors_digest(_tensors(model)), OriginalWeights.find(model)
    return known.digest if known and known.merged == digest else digest


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors and their names, independent of device and memory format."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a regular file."""
    check_regular(file)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_untrained(model: nn.Module) -> bool:
    """Whether a network appears to be randomly initialized.

    It is if no norm has statistics or a bias other than 0 or, without norms, if all biases are 0
    or all weights fill the range that PyTorch draws them from. Training leaves that range.
    """
    known = OriginalWeights.find(model)
    if known and known.merged and weights_digest(model) == known.digest:
        return not known.trained
    modules = list(model.modules())
    norms = [m for m in modules if isinstance(m, _NORMS)]
    state = [t for m in norms for t in (m.bias, getattr(m, "running_mean", None)) if t is not None]
    if state:
        return not any(map(_is_nonzero, state))
    layers = [m for m in modules if isinstance(m, (_ConvNd, nn.Linear))]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    if biases and not any(map(_is_nonzero, biases)):
        return True
    return bool(layers) and all(_is_as_drawn(layer.weight) for layer in layers)


def _is_as_drawn(weight: Tensor) -> bool:
    """Whether a weight is as ``reset_parameters`` of its layer draws it."""
    if weight.is_meta:
        return True
    bound = weight[0].numel() ** -0.5
    largest = float(weight.detach().abs().max()) / bound
    rounding = torch.finfo(weight.dtype).eps
    return largest <= 1 + rounding and (largest > _NEARLY or weight.numel() < _MANY)


def _is_nonzero(tensor: Tensor) -> bool:
    return not tensor.is_meta and bool(tensor.any())


def _tensors(model: nn.Module) -> dict[str, Any]:
    return {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
