"""Pictures by number, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from ghostify.data.transforms import decode


@dataclass(frozen=True)
class Pictures:
    """Pictures of one part of a source.

    Attributes:
        names: of each, to speak of it.
        decode: a picture in PIL's mode by its number; raises anything over a broken file.
        labels: the class of each, or None.
        numbers: those of the pictures, as ``decode`` knows them.
    """

    names: Sequence[str]
    decode: Callable[[int, str], Image.Image]
    labels: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def part(self, numbers: Sequence[int]) -> Pictures:
        """Some of them, in the order of ``numbers``."""
        labels = None if self.labels is None else [self.labels[i] for i in numbers]
        chosen = partial(_decode_part, self.decode, numbers)
        return Pictures([self.names[i] for i in numbers], chosen, labels)

    def without_labels(self) -> Pictures:
        """The same, unlabelled."""
        return replace(self, labels=None)


def _decode_nothing(number: int, mode: str) -> Image.Image:
    raise IndexError(number)


NONE = Pictures((), _decode_nothing)
"""No pictures."""


def of_files(files: Sequence[Path], root: Path, labels: Sequence[int] | None = None) -> Pictures:
    """Pictures in files below ``root``."""
    names = [str(file.relative_to(root)) for file in files]
    return Pictures(names, partial(_decode_file, files), labels)


def of_array(pixels: Any, labels: Sequence[int], name: str) -> Pictures:
    """Pictures ``(N, H, W)`` or ``(N, H, W, 3)`` of 8 bits in one array."""
    names = [f"{name}[{number}]" for number in range(len(pixels))]
    return Pictures(names, partial(_decode_array, pixels), [int(label) for label in labels])


def hold_out(pictures: Pictures, share: float) -> tuple[Pictures, Pictures]:
    """Pictures to train on and pictures held out: always the same of the same.

    Of each class the same share is held out, but at least one picture where there are two, and not
    the last one unless ``share`` is 1.
    """
    groups: dict[int, list[int]] = {}
    for number, label in enumerate(pictures.labels or [0] * len(pictures)):
        groups.setdefault(label, []).append(number)
    draw = torch.Generator().manual_seed(0)
    held: list[int] = []
    for _, group in sorted(groups.items()):
        order = torch.randperm(len(group), generator=draw).tolist()
        held += [group[place] for place in order[: _count(len(group), share)]]
    taken = set(held)
    kept = [number for number in range(len(pictures)) if number not in taken]
    return pictures.part(kept), pictures.part(sorted(held))


def _count(total: int, share: float) -> int:
    if share in (0, 1):
        return total * int(share)
    return max(min(round(total * share), total - 1), min(total - 1, 1))


def _decode_part(
    whole: Callable[[int, str], Image.Image], numbers: Sequence[int], number: int, mode: str
) -> Image.Image:
    return whole(numbers[number], mode)


def _decode_file(files: Sequence[Path], number: int, mode: str) -> Image.Image:
    return decode(files[number], mode)


def _decode_array(pixels: Any, number: int, mode: str) -> Image.Image:
    return Image.fromarray(pixels[number]).convert(mode)
