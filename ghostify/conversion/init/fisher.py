"""Importance of feature maps: the effect of an error on the network's output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.analysis.output_hooks import output_hooks
from ghostify.data import images_in
from ghostify.types import Example, split_example

_FLOOR = 1e-3
_MIN_IMAGES, _MAX_IMAGES = 32, 256
_MAX_NUMBERS = 5_000_000


def fisher_importance(
    model: nn.Module, batches: Iterable[Example], names: Sequence[str]
) -> dict[str, Tensor]:
    """Return the diagonal of the Fisher information with respect to feature maps.

    The importance of a layer's feature map j is the sum over positions of
    E[(v^T dlogits/dy_j)^2] per image, where E[v v^T] = diag(p) - p p^T. Half the sum over feature
    maps of importance times mean squared error is, to second order, the Kullback-Leibler
    divergence that the error causes. Outputs other than logits count by their relative squared
    error instead.

    Args:
        model: in evaluation mode; its parameters need no gradient.
        names: layers with one output tensor, ``(B, n, H, W)`` or ``(B, n)``.

    Returns:
        ``(n,)`` by layer, without layers that no gradient reaches.
    """
    found: dict[str, Tensor] = {}
    images = 0
    generator = torch.Generator().manual_seed(0)

    def accumulate(name: str, _: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        def add(gradient: Tensor) -> None:
            channels = gradient.dim() - 3 if gradient.dim() > 2 else gradient.dim() - 1
            others = [axis for axis in range(gradient.dim()) if axis != channels]
            found[name] = found.get(name, 0) + gradient.double().square().sum(others)

        first = not output.requires_grad
        output.requires_grad_()
        output.register_hook(add)  # type: ignore[no-untyped-call]
        return output.clone() if first else None  # in-place operations fail on leaves

    with output_hooks(model, names, accumulate):
        for batch in batches:
            for image in _split(batch):
                args, kwargs = split_example(image)
                with torch.enable_grad():
                    outputs = tree_leaves(model(*args, **kwargs))
                _backward(outputs, generator)
                images += 1
    return {name: value / images for name, value in found.items()}


def relative_importance(importance: Tensor) -> Tensor:
    """Divide by the mean, and add a floor so that no feature map is ignored."""
    mean = importance.mean()
    return importance / mean + _FLOOR if mean > 0 else torch.ones_like(importance)


def images_for_fisher(batches: Sequence[Example]) -> list[Example]:
    """Return the first 32 to 256 images: fewer of large ones, which have more positions."""
    numbers = sum(t.numel() for t in tree_leaves(list(batches)) if isinstance(t, Tensor))
    images = sum(map(images_in, batches))
    affordable = min(_MAX_IMAGES, _MAX_NUMBERS * images // max(numbers, 1))
    return first_images(batches, max(affordable, _MIN_IMAGES))


def first_images(batches: Sequence[Example], number: int) -> list[Example]:
    """Return the first batches with about ``number`` images."""
    chosen, images = [], 0
    for batch in batches:
        if images >= number:
            break
        if isinstance(batch, Tensor):
            batch = batch[: number - images]
        chosen.append(batch)
        images += images_in(batch)
    return chosen


def _split(batch: Example) -> list[Example]:
    """The single images of a batch, which take less memory, or the batch if it has other parts."""
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)]
    sizes = {len(t) if t.dim() > 1 else 0 for t in tensors}
    if isinstance(batch, list) or len(sizes) != 1 or 0 in sizes:
        return [batch]

    def image(number: int) -> Any:
        return tree_map_only(Tensor, lambda t: t[number : number + 1].clone(), batch)

    return [image(number) for number in range(sizes.pop())]


def _backward(outputs: Sequence[Any], generator: torch.Generator) -> None:
    outputs = [o for o in outputs if isinstance(o, Tensor) and o.requires_grad and o.numel()]
    gradients = []
    for output in outputs:
        noise = torch.randn(output.shape, generator=generator).to(output)
        value = output.detach()
        if value.dim() == 2 and value.shape[1] > 1:
            probability = value.softmax(1)
            noise = noise * probability.sqrt()
            gradients.append(noise - probability * noise.sum(1, keepdim=True))
        else:
            gradients.append(noise / value.norm().clamp_min(1e-12))
    if outputs:
        torch.autograd.backward(outputs, gradients)
