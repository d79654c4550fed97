"""Images by index, decoded on access."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from ghostify.data.image_files import decode_file


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
        names: of each image, for reports.
        decode: returns an image by its index in a mode of PIL; raises any exception if it is
            broken.
        labels: class index of each image, or None.
    """

    names: Sequence[str]
    decode: Callable[[int, str], Image.Image]
    labels: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def select(self, indices: Sequence[int]) -> Images:
        """Return the images at ``indices``, in that order."""
        labels = None if self.labels is None else [self.labels[i] for i in indices]
        decode = partial(_decode_selected, self.decode, indices)
        return replace(self, names=[self.names[i] for i in indices], decode=decode, labels=labels)

    def without_labels(self) -> Images:
        return replace(self, labels=None)


def images_of_files(
    files: Sequence[Path], root: Path, labels: Sequence[int] | None = None
) -> Images:
    """Return the images in ``files`` below ``root``."""
    names = [str(file.relative_to(root)) for file in files]
    return Images(names, partial(_decode_from_files, files), labels)


def images_of_array(pixels: Any, labels: Sequence[int], name: str) -> Images:
    """Return the images of a uint8 array ``(N, H, W)`` or ``(N, H, W, 3)``."""
    names = [f"{name}[{index}]" for index in range(len(pixels))]
    return Images(names, partial(_decode_from_array, pixels), [int(label) for label in labels])


# Functions instead of lambdas: worker processes receive them pickled.


def _decode_selected(
    decode: Callable[[int, str], Image.Image], indices: Sequence[int], index: int, mode: str
) -> Image.Image:
    return decode(indices[index], mode)


def _decode_from_files(files: Sequence[Path], index: int, mode: str) -> Image.Image:
    return decode_file(files[index], mode)


def _decode_from_array(pixels: Any, index: int, mode: str) -> Image.Image:
    return Image.fromarray(pixels[index]).convert(mode)
