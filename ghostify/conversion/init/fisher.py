"""How much an error in a map does to the output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from ghostify.data import images_in
from ghostify.types import Example, split_example

_FLOOR = 1e-3
_MOST_IMAGES = 256
_ENOUGH_NUMBERS = 5_000_000


def importance(
    model: nn.Module, batches: Iterable[Example], names: Sequence[str]
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information with respect to the maps of some layers.

    For a layer's map j it is the sum over positions of E[(v^T dlogits/dy_j)^2], per image, where
    E[v v^T] = diag(p) - p p^T; with it, half the sum over maps of an error's mean square is, to
    second order, the Kullback-Leibler divergence that the error alone would cause. Outputs that do
    not look like logits are taken for their relative squared error instead.

    Args:
        model: in evaluation mode; its parameters need no gradient.
        batches: some images are enough.
        names: layers that give one tensor, ``(B, n, H, W)`` or ``(B, n)``.

    Returns:
        ``(n,)`` for each layer that the output depends on by way of derivatives.
    """
    found: dict[str, Tensor] = {}
    images = 0
    generator = torch.Generator().manual_seed(0)

    def watch(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
            def add(gradient: Tensor) -> None:
                channels = gradient.dim() - 3 if gradient.dim() > 2 else gradient.dim() - 1
                others = [axis for axis in range(gradient.dim()) if axis != channels]
                squares = gradient.double().square().sum(others)
                found[name] = found.get(name, 0) + squares

            first = not output.requires_grad
            output.requires_grad_()
            output.register_hook(add)  # type: ignore[no-untyped-call]
            return output.clone() if first else None  # a leaf could not be written to

        return hook

    with ExitStack() as stack:
        for name in names:
            handle = model.get_submodule(name).register_forward_hook(watch(name))
            stack.callback(handle.remove)
        for batch in batches:
            for image in _one_by_one(batch):
                args, kwargs = split_example(image)
                with torch.enable_grad():
                    outputs = tree_leaves(model(*args, **kwargs))
                _backward(outputs, generator)
                images += 1
    return {name: value / images for name, value in found.items()}


def images_for_importance(batches: Sequence[Example]) -> int:
    """How many images are enough: the larger they are, the more positions each one has."""
    numbers = sum(t.numel() for t in tree_leaves(list(batches)) if isinstance(t, Tensor))
    images = sum(map(images_in, batches))
    return max(min(_MOST_IMAGES, _ENOUGH_NUMBERS * images // max(numbers, 1)), 32)


def floored(importance: Tensor) -> Tensor:
    """Relative to the mean, and never so little that a map may become anything."""
    mean = importance.mean()
    return importance / mean + _FLOOR if mean > 0 else torch.ones_like(importance)


def _one_by_one(batch: Example) -> list[Example]:
    """The images of a batch, where it is plainly made of them: little memory at a time."""
    tensors = [leaf for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)]
    sizes = {len(t) if t.dim() > 1 else 0 for t in tensors}
    if isinstance(batch, list) or len(sizes) != 1 or 0 in sizes:
        return [batch]
    return [tree_map_only(Tensor, _Image(number), batch) for number in range(sizes.pop())]


class _Image:
    """Takes one image out of a batch."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, batch: Tensor) -> Tensor:
        return batch[self.number : self.number + 1].clone()


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
