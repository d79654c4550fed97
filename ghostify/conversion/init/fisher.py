"""Importance of feature maps: the effect of an error on the network's output."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice, zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.analysis.output_hooks import output_hooks
from ghostify.data import images_in
from ghostify.evaluation.metrics import numbers
from ghostify.types import Example, Output, Outputs, split_example

_FLOOR = 1e-3
_MIN_IMAGES, _MAX_IMAGES = 32, 256
_MAX_NUMBERS = 5_000_000
_NORM_IMAGES = 16
_SMALLEST = 1e-6
"""Smallest variance of a probability."""


def fisher_importance(
    model: nn.Module, batches: Sequence[Example], names: Sequence[str], outputs: Outputs
) -> dict[str, Tensor]:
    """Return the diagonal of the Fisher information with respect to feature maps.

    The importance of a layer's feature map j is the sum over positions of
    E[(v^T dlogits/dy_j)^2] per image, where E[v v^T] = diag(p) - p p^T for classes, and
    diag(p (1 - p)) for labels. Half the sum over feature maps of importance times mean squared
    error is, to second order, the Kullback-Leibler divergence that the error causes; for each
    pixel, if outputs are dense. Values count by their squared error divided by their mean squared
    norm.

    Args:
        model: in evaluation mode; its parameters need no gradient.
        names: layers with one output tensor, ``(B, n, H, W)`` or ``(B, n)``.
        outputs: what the outputs mean.

    Returns:
        ``(n,)`` by layer, without layers that no gradient reaches.
    """
    found: dict[str, Tensor] = {}
    images = 0
    generator = torch.Generator().manual_seed(0)
    norms = _norms(model, batches)

    def accumulate(name: str, _: nn.Module, __: Any, output: Tensor) -> Tensor | None:
        def add(gradient: Tensor) -> None:
            channels = gradient.dim() - 3 if gradient.dim() > 2 else gradient.dim() - 1
            others = [axis for axis in range(gradient.dim()) if axis != channels]
            found[name] = found.get(name, 0) + gradient.float().square().sum(others).double()

        first = not output.requires_grad
        output.requires_grad_()
        output.register_hook(add)  # type: ignore[no-untyped-call]
        return output.clone() if first else None  # in-place operations fail on leaves

    with output_hooks(model, names, accumulate):
        for batch in batches:
            for image in _split(batch):
                args, kwargs = split_example(image)
                with torch.enable_grad():
                    found_outputs = numbers(model(*args, **kwargs))
                _backward(found_outputs, outputs, norms, generator)
                images += 1
    return {name: value / images for name, value in found.items()}


def relative_importance(importance: Tensor) -> Tensor:
    """Divide by the mean, and add a floor so that no feature map is ignored."""
    mean = importance.mean()
    return importance / mean + _FLOOR if mean > 0 else torch.ones_like(importance)


def increase_by_error(importance: Tensor | None, channels: int) -> Tensor:
    """``(channels,)``: loss increase by mean squared error, from the Fisher information.

    It is half of `fisher_importance`, with a floor; of ones if no gradient reaches the layer.
    """
    half = (torch.ones(channels) if importance is None else importance) / 2
    return relative_importance(half) * half.mean()


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


@torch.no_grad()
def _norms(model: nn.Module, batches: Sequence[Example]) -> list[float]:
    """Return the root mean square over some images of the norm of each output."""
    squares: list[list[Tensor]] = []
    for image in islice(chain.from_iterable(map(_split, batches)), _NORM_IMAGES):
        args, kwargs = split_example(image)
        squares.append([value.square().sum() for value in numbers(model(*args, **kwargs))])
    columns = zip_longest(*squares, fillvalue=torch.zeros(()))
    return [float(torch.stack([each.cpu() for each in c]).mean().sqrt()) for c in columns]


def _backward(
    tensors: Sequence[Tensor], outputs: Outputs, norms: Sequence[float], generator: torch.Generator
) -> None:
    reached, gradients = [], []
    for number, (tensor, norm) in enumerate(zip(tensors, norms, strict=False)):
        if tensor.requires_grad and tensor.numel():
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            reached.append(tensor)
            gradients.append(_with_fisher_covariance(noise, tensor.detach(), outputs[number], norm))
    if reached:
        torch.autograd.backward(reached, gradients)


def _with_fisher_covariance(noise: Tensor, value: Tensor, output: Output, norm: float) -> Tensor:
    """Return a gradient whose covariance is the Fisher information of an output."""
    if output.kind == "values":
        return noise / max(norm, 1e-12)
    positions = value.numel() / len(value) / output.size
    noise = noise / positions**0.5
    if output.probabilities:
        variance = value * (1 - value) if output.kind == "multilabel" else value
        return noise / variance.clamp_min(_SMALLEST).sqrt()
    if output.kind == "multilabel":
        return noise * (value.sigmoid() * (-value).sigmoid()).sqrt()
    probability = value.softmax(1)
    noise = noise * probability.sqrt()
    return noise - probability * noise.sum(1, keepdim=True)
