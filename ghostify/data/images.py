"""Images by index, decoded on access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ghostify.data.image_files import decode_file


@dataclass(frozen=True)
class Images:
    """The images of one split.

    Attributes:
        names: of each image, for reports.
        items: a file, or a uint8 array ``(H, W)`` or ``(H, W, 3)``, for each image.
        labels: class index of each image, or None.
    """

    names: Sequence[str] = ()
    items: Sequence[Any] = ()
    labels: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def decode(self, index: int, mode: str) -> Image.Image:
        """Decode an image to ``mode`` of PIL. Broken files raise exceptions of all kinds."""
        item = self.items[index]
        if isinstance(item, Path):
            return decode_file(item, mode)
        return Image.fromarray(item).convert(mode)

    def select(self, indices: Sequence[int]) -> Images:
        """Return the images at ``indices``, in that order."""
        return Images(
            [self.names[i] for i in indices],
            [self.items[i] for i in indices],
            None if self.labels is None else [self.labels[i] for i in indices],
        )

    def without_labels(self) -> Images:
        return replace(self, labels=None)


def images_of_files(
    files: Sequence[Path], root: Path, labels: Sequence[int] | None = None
) -> Images:
    return Images([str(file.relative_to(root)) for file in files], files, labels)


def images_of_array(pixels: Any, labels: Sequence[int], name: str) -> Images:
    names = [f"{name}[{index}]" for index in range(len(pixels))]
    return Images(names, pixels, [int(label) for label in labels])
