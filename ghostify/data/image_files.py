"""Find and decode image files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ghostify.types import GhostifyError

_NO_DECODER = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that PIL opens but hands to another program, such as Ghostscript, to decode."""

_SYSTEM_FOLDERS = {"__MACOSX"}
_NAMES_SHOWN = 3


@cache
def image_formats() -> tuple[str, ...]:
    """The formats that PIL decodes itself."""
    Image.init()
    return tuple(name for name in Image.ID if name in Image.OPEN and name not in _NO_DECODER)


@cache
def image_suffixes() -> frozenset[str]:
    """The file suffixes of `image_formats`, in lower case."""
    formats = image_formats()
    return frozenset(s for s, name in Image.registered_extensions().items() if name in formats)


def find_images(folder: Path, root: Path | None = None) -> tuple[list[Path], dict[str, str]]:
    """Find the images in ``folder`` and its subfolders, and follow links.

    Returns:
        The images in alphabetical order, and the reason for each file and folder that was skipped,
        by its path relative to ``root`` (default: ``folder``).

    Raises:
        GhostifyError: if there are no images.
    """
    files: list[Path] = []
    skipped: dict[str, str] = {}
    above = tuple(parent.stat() for parent in folder.resolve().parents)
    for path, reason in _walk(folder, above):
        if reason is None:
            files.append(path)
        else:
            skipped[str(path.relative_to(root or folder))] = reason
    if not files:
        reasons = f": {summarize_skipped(skipped)}" if skipped else ""
        raise GhostifyError(f"{folder} holds no images{reasons}")
    return files, skipped


def _walk(folder: Path, above: tuple[os.stat_result, ...]) -> Iterator[tuple[Path, str | None]]:
    """Yield each file and skipped folder, with the reason for skipping it."""
    try:
        place = folder.stat()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield folder, error.strerror or "unreadable"
        return
    if any(os.path.samestat(place, other) for other in above):
        yield folder, "link to a folder around it"
        return
    for entry in entries:
        path = folder / entry.name
        if is_hidden(entry.name):
            yield path, "hidden"
        elif _is(entry.is_dir):
            yield from _walk(path, (*above, place))
        elif not _is(entry.is_file):
            yield path, "not a file"
        else:
            yield path, None if path.suffix.lower() in image_suffixes() else "not an image"


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or made by the system."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def decode_file(path: Path, mode: str) -> Image.Image:
    """Decode an image, turned upright as its EXIF data says, in PIL's ``mode``.

    Raises:
        Exception: whatever decoders raise if the file is broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path, formats=image_formats()) as opened:
            return _to_8_bits(ImageOps.exif_transpose(opened)).convert(mode)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits to 8; PIL would clip them."""
    if image.mode == "F":
        raise ValueError("floating-point pixels of unknown range")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))


def summarize_skipped(skipped: Mapping[str, str]) -> str:
    """Return one line such as ``3 skipped: hidden (.DS_Store, .cache), not an image (a.csv)``."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    parts = []
    for reason, names in reasons.items():
        more = len(names) - _NAMES_SHOWN
        shown = ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"{reason} ({shown})")
    return f"{len(skipped)} skipped: {', '.join(parts)}"
