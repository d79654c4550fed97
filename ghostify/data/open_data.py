"""From what the user names to batches that the network takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader

from ghostify.analysis.dry_run import dry_run
from ghostify.data.batches import device_of
from ghostify.data.datasets import TrainingSet, ValidationSet
from ghostify.data.loaders import Data, check_loading, training_loader, validation_loader
from ghostify.data.pictures import Pictures, hold_out
from ghostify.data.preprocessing import Preprocessing, preprocessing_of
from ghostify.data.sources import SOURCES, Parts, downloads, folder
from ghostify.data.views import View
from ghostify.models.user_code import call_code
from ghostify.types import Augmentation, GhostifyError, Normalization
from ghostify.types.errors import near

_SMALL = 64  # pixels; of smaller pictures a crop takes more


def open_data(
    source: str | Path,
    *,
    network: nn.Module,
    name: str,
    input_size: tuple[int, ...],
    batch_size: int = 32,
    workers: int = 0,
    seed: int = 0,
    root: Path | None = None,
    labels: bool = True,
    held_out: float = 0.1,
    augmentation: Augmentation | None = None,
    normalization: Normalization | None = None,
    preprocessing: Preprocessing | None = None,
) -> Data:
    """Loaders of images to train on and to be scored on, as the network was trained to see them.

    The order of the training images and their augmentation are functions of the seed, the epoch
    (`set_epoch`) and the image's number, whatever the number of workers. Batches are pairs of
    images ``(B, C, H, W)`` and labels ``(B)``, or shares of classes ``(B, classes)`` where images
    are mixed; without labels, images alone. An image that cannot be read is left out, in training
    replaced by the next one, and is named by ``Data.skipped``.

    Args:
        source: ``cifar10``, ``cifar100``, ``mnist5k``, ``digits``; a folder, with a subfolder for
            each class or with images alone, perhaps in parts ``train`` and ``val``; or
            ``package.module:function`` or ``file.py:function``, which returns a `DataLoader`, a
            pair of them for training and validation, or a `Data`.
        network: which the images are for.
        name: MODEL as the user wrote it, by which the library's weights say how images are to be
            normalised.
        input_size: ``(C, H, W)``.
        batch_size: images to a batch. The last training batch is dropped if it is not full.
        workers: processes that load; 0 to load in this one.
        seed: of order and augmentation.
        root: where CIFAR is, or is downloaded to; a cache folder by default.
        labels: False to do without those that the source has.
        held_out: share of the training images that is held out where a source has no validation
            part: always the same images. 1 to train on none.
        augmentation: by default a random crop, of more than the middle, and the mirror image
            where a source is not of digits.
        normalization: of the channels, instead of what the network's library says.
        preprocessing: instead of all that the library says.

    Raises:
        GhostifyError: if there is no such source, it holds no image that can be read, its number
            of classes is not the network's, or an argument is out of range.
    """
    check_loading(batch_size, workers, seed)
    if not 0 <= held_out <= 1:
        raise GhostifyError(f"held_out={held_out}: give a share between 0 and 1")
    place, colon, function = str(source).rpartition(":")
    if colon and not Path(source).exists():
        data = _of_code(str(source), call_code(place, function, {}), labels)
        _check_classes(data, network, input_size)
        return data
    if len(input_size) != 3:
        shape = "x".join(map(str, input_size))
        raise GhostifyError(f"images are channels x height x width, the model's input is {shape}")
    parts = _parts(str(source), root)
    named = str(source) in SOURCES
    ways = preprocessing or _usual_preprocessing(network, name, input_size, normalization, named)
    vary = augmentation or _usual_augmentation(input_size, parts)
    train, validation, held = _split(parts, held_out)
    if not labels:
        train, validation = train.without_labels(), validation.without_labels()
    classes = parts.classes if labels else None
    training_set = TrainingSet(
        train, View(input_size, ways, vary), seed=seed, augmentation=vary, classes=classes
    )
    training_set.check()
    validation_set = ValidationSet(validation, View(input_size, ways))
    validation_set.check()
    data = Data(
        str(source),
        training_loader(training_set, batch_size=batch_size, workers=workers, seed=seed),
        validation_loader(validation_set, batch_size=batch_size, workers=workers)
        if len(validation)
        else None,
        classes,
        held,
    )
    _check_classes(data, network, input_size)
    return data


def _parts(source: str, root: Path | None) -> Parts:
    if source in SOURCES:
        return SOURCES[source](root or downloads())
    path = Path(source)
    if path.is_dir():
        return folder(path)
    raise GhostifyError(
        f"no data {source!r}: give a folder, {', '.join(SOURCES)} or file.py:function"
        f"{near(source, SOURCES)}"
    )


def _split(parts: Parts, share: float) -> tuple[Pictures, Pictures, int]:
    """Pictures to train on, those to be scored on, and how many of these were held out."""
    if len(parts.validation):
        return parts.train, parts.validation, 0
    train, held = hold_out(parts.train, share)
    return train, held, len(held)


def _usual_preprocessing(
    network: nn.Module,
    name: str,
    input_size: tuple[int, ...],
    normalization: Normalization | None,
    whole: bool,
) -> Preprocessing:
    said = preprocessing_of(network, name, channels=input_size[0], normalization=normalization)
    return replace(said, crop=1.0) if whole else said


def _usual_augmentation(input_size: tuple[int, ...], parts: Parts) -> Augmentation:
    scale = 0.7 if min(input_size[1:]) <= _SMALL else 0.35
    return Augmentation(crop_scale=scale, flip=parts.mirrored)


def _of_code(name: str, found: Any, labels: bool) -> Data:
    if not labels:
        raise GhostifyError(f"{name} decides itself whether to give labels: let it leave them out")
    if isinstance(found, Data):
        return found
    pair = found if isinstance(found, list | tuple) else (found, None)
    if len(pair) != 2 or not isinstance(pair[0], DataLoader):
        raise GhostifyError(
            f"{name} returned {type(found).__name__}: return a DataLoader, or two of them, for "
            "training and validation"
        )
    known = getattr(pair[0].dataset, "classes", None)
    train, validation = pair
    return Data(name, train, validation, known and len(known))


def _check_classes(data: Data, network: nn.Module, input_size: tuple[int, ...]) -> None:
    if data.classes is None:
        return
    output = dry_run(network, torch.zeros(1, *input_size, device=device_of(network))).output
    scores = next((leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)), None)
    if scores is not None and scores.dim() == 2 and scores.shape[1] != data.classes:
        raise GhostifyError(
            f"{data.name} has {data.classes} classes, but the network gives {scores.shape[1]}: "
            "build it for as many, or do without labels"
        )
