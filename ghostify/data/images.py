"""Find image files, and decode images."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from ghostify.types import GhostifyError
from ghostify.types.errors import first_names

_NO_DECODER = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that PIL opens but hands to another program, such as Ghostscript, to decode."""

_SYSTEM_FOLDERS = {
    "$RECYCLE.BIN", "@eaDir", "System Volume Information", "__MACOSX", "__pycache__", "lost+found",
}  # fmt: skip
"""Folders that systems and servers put beside a user's."""

_LONGEST = 100
"""Longer side over shorter side. A line of one pixel would be enlarged to gigabytes."""


@dataclass(frozen=True)
class Images:
    """The images of one split, decoded on access.

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

    def sizes(self) -> set[tuple[int, int]]:
        """Return the heights and widths of the images; of many, a hundred are looked at."""
        step = -(-len(self) // 100) or 1
        return {size for index in range(0, len(self), step) if (size := self._size(index))}

    def _size(self, index: int) -> tuple[int, int] | None:
        item = self.items[index]
        if not isinstance(item, Path):
            return item.shape[:2]  # type: ignore[no-any-return]
        try:
            with Image.open(item, formats=_formats()) as image:
                return image.height, image.width
        except Exception:  # decoders raise exceptions of all kinds
            return None

    def hold_out(self, share: float) -> tuple[Images, Images]:
        """Split off the same ``share`` of each class; return the other images, and those held out.

        The choice is that of `held_out_indices`.
        """
        kept, held = held_out_indices(self.labels or [0] * len(self), share)
        return self.select(kept), self.select(held)


def held_out_indices(labels: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Return the indices that stay, and those of the same ``share`` of each class.

    The choice is always the same. Of a class of two or more images, at least one is held out and,
    unless ``share`` is 1, at least one stays.
    """
    classes: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    generator = torch.Generator().manual_seed(0)
    held: set[int] = set()
    for _, indices in sorted(classes.items()):
        most = len(indices) - 1
        count = max(min(round(len(indices) * share), most), min(most, 1))
        if share in (0, 1):
            count = len(indices) * int(share)
        order = torch.randperm(len(indices), generator=generator).tolist()
        held |= {indices[place] for place in order[:count]}
    return [index for index in range(len(labels)) if index not in held], sorted(held)


def images_of_files(
    files: Sequence[Path], root: Path, labels: Sequence[int] | None = None
) -> Images:
    return Images([str(file.relative_to(root)) for file in files], files, labels)


def images_of_array(pixels: Any, labels: Sequence[int], name: str) -> Images:
    names = [f"{name}[{index}]" for index in range(len(pixels))]
    return Images(names, pixels, [int(label) for label in labels])


def find_images(folder: Path, root: Path | None = None) -> tuple[list[Path], dict[str, str]]:
    """Find the images in ``folder`` and its subfolders, and follow links.

    Return them in alphabetical order, and the reason for each file and folder that was skipped, by
    its path relative to ``root`` (default: ``folder``).
    """
    files: list[Path] = []
    skipped: dict[str, str] = {}
    for path, reason in _walk(folder, {*folder.resolve().parents}):
        if reason is None:
            files.append(path)
        else:
            skipped[str(path.relative_to(root or folder))] = reason
    if not files:
        reasons = f": {summarize_skipped(skipped)}" if skipped else ""
        raise GhostifyError(f"{folder} holds no images{reasons}")
    return files, skipped


def _walk(folder: Path, above: set[Path]) -> Iterator[tuple[Path, str | None]]:
    """Yield each file and skipped folder, with the reason for skipping it."""
    place = folder.resolve()
    if place in above:
        yield folder, "link to a folder around it"
        return
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        yield folder, error.strerror or "unreadable"
        return
    for path in paths:
        if is_hidden(path.name):
            yield path, "hidden"
        elif (kind := _kind(path)) == stat.S_IFDIR:
            yield from _walk(path, above | {place})
        elif kind != stat.S_IFREG:
            yield path, "not a file"
        else:
            yield path, None if path.suffix.lower() in image_suffixes() else "not an image"


def _kind(path: Path) -> int:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError:  # a link to nothing or to itself
        return 0


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or made by the system."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


@cache
def _formats() -> tuple[str, ...]:
    """The formats that PIL decodes itself."""
    Image.init()
    return tuple(name for name in Image.ID if name in Image.OPEN and name not in _NO_DECODER)


@cache
def image_suffixes() -> frozenset[str]:
    """The file suffixes of images that PIL decodes itself, in lower case."""
    formats = _formats()
    return frozenset(s for s, name in Image.registered_extensions().items() if name in formats)


def decode_file(path: Path, mode: str) -> Image.Image:
    """Decode an image, turned upright as its EXIF data says, in PIL's ``mode``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=_formats()) as opened:
            if max(opened.size) > _LONGEST * min(opened.size):
                raise ValueError(f"more than {_LONGEST} times as long as wide")
            image = ImageOps.exif_transpose(opened)
            if image.mode == "F":
                raise ValueError("floating-point pixels of unknown range")
            if image.mode.startswith("I"):  # PIL would clip 16 bits
                pixels = (np.asarray(image) / 257).clip(0, 255)
                image = Image.fromarray(pixels.astype(np.uint8))
            return image.convert(mode)


def summarize_skipped(skipped: Mapping[str, str]) -> str:
    """Return one line such as ``3 skipped: hidden (.DS_Store, .cache), not an image (a.csv)``."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    parts = [f"{reason} ({first_names(names)})" for reason, names in reasons.items()]
    return f"{len(skipped)} skipped: {', '.join(parts)}"
