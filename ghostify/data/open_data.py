"""Open a dataset for a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ghostify.analysis.dry_run import dry_run
from ghostify.data.batches import device_of
from ghostify.data.datasets import EvaluationDataset, TrainingDataset
from ghostify.data.images import Images
from ghostify.data.loaders import Data, evaluation_loader, tensor_loader, training_loader
from ghostify.data.sources import SOURCES, ImageSource, open_source
from ghostify.data.tensors import TensorImages
from ghostify.data.transform import Transform
from ghostify.models.preprocessing import preprocessing_of
from ghostify.models.registry import declared_input_size
from ghostify.types import Augmentation, Example, GhostifyError, ModelSource, Preprocessing

HELD_OUT = 0.1
"""Share of the images that is held out of a source without a validation split."""

_SMALL = 64  # pixels; random crops of smaller images keep more of the image


def open_data(
    data: str | Path,
    model: nn.Module,
    source: ModelSource | None = None,
    *,
    batch_size: int = 32,
    workers: int = 0,
    seed: int = 0,
    data_root: Path | None = None,
    labels: bool = True,
    held_out: float = HELD_OUT,
    augmentation: Augmentation | None = None,
    preprocessing: Preprocessing | None = None,
) -> Data:
    """Open training and validation images with the preprocessing that ``model`` expects.

    Batches are pairs of images ``(B, C, H, W)`` and labels ``(B)``, or class probabilities
    ``(B, classes)`` if images are mixed; without labels, images alone. The order of the training
    images and their augmentation are functions of the seed, the epoch (`set_epoch`) and the index,
    whatever the number of workers. An unreadable image is skipped; in training the next one
    replaces it. ``Data.skipped`` names all that was skipped.

    Args:
        data: ``cifar10``, ``cifar100``, ``mnist5k``, ``digits``; a folder of images, with a
            subfolder for each class or without labels, perhaps in ``train`` and ``val``; an image;
            a file (.pt, .pth, .safetensors, .npy) with one preprocessed tensor ``(N, C, H, W)`` or
            with images and ``labels`` by name; or ``package.module:function`` or
            ``file.py:function``, which returns a `DataLoader`, a pair of them for training and
            validation, a `Data`, a tensor, or any iterable of batches.
        model: the network that the images are for.
        source: its input size and preprocessing, and the name by which torchvision's
            preprocessing is found. Default: what the model declares.
        batch_size: images per batch. The last training batch is dropped if it is not full.
        workers: processes that load images; 0 loads them in this process.
        seed: of the order and the augmentation.
        data_root: folder of CIFAR, which is downloaded if missing. Default: a cache folder.
        labels: False drops the labels.
        held_out: share of the training images to hold out if there is no validation split; always
            the same images. 1 holds out all.
        augmentation: of training images. Default: a random resized crop, and a horizontal flip
            except for digits.
        preprocessing: overrides what the model or its library declares.

    Raises:
        GhostifyError: if there is no such dataset, no image can be read, the number of classes is
            not that of the model, or an argument is out of range.
    """
    counts = {"batch_size": (batch_size, 1), "workers": (workers, 0), "seed": (seed, 0)}
    for name, (value, least) in counts.items():
        if value < least:
            raise GhostifyError(f"`{name}` (={value}) must be at least {least}")
    if not 0 <= held_out <= 1:
        raise GhostifyError(f"`held_out` (={held_out}) must be a share between 0 and 1")
    found = open_source(data, data_root, declared_size(model, source))
    if isinstance(found, ImageSource):
        loaders = _open_images(
            found,
            data,
            model,
            source,
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            labels=labels,
            held_out=held_out,
            augmentation=augmentation,
            preprocessing=preprocessing,
        )
    elif isinstance(found, TensorImages):
        train, held = found.hold_out(held_out)
        if not labels:
            train, held = train.without_labels(), held.without_labels()
        loaders = Data(
            str(data),
            tensor_loader(train, batch_size, seed),
            tensor_loader(held, batch_size) if len(held) else None,
            held_out=len(held) if len(train) else 0,
            preprocessing=str(found),
        )
    elif not labels:
        raise GhostifyError(
            f"`labels` does not apply to {data}: return batches without labels from the function"
        )
    elif found.validation is None and held_out == 1:
        loaders = replace(found, train=(), validation=found.train)
    else:
        loaders = found
    _check_classes(loaders, model, source)
    return loaders


def opened(
    data: Any, model: nn.Module, example: Example = None, source: ModelSource | None = None
) -> Any:
    """Return ``data``, or what `open_data` makes of it if it names a source."""
    if not isinstance(data, str | Path):
        return data
    return open_data(data, model, source or source_of(example))


def source_of(example: Example) -> ModelSource | None:
    """Return a source with the input size of an example, or None."""
    tensors = [leaf for leaf in tree_leaves(example) if isinstance(leaf, Tensor)]
    if not tensors or tensors[0].dim() < 3:
        return None
    return ModelSource("", input_size=tuple(tensors[0].shape[-3:]))


def _open_images(
    images: ImageSource,
    data: str | Path,
    model: nn.Module,
    source: ModelSource | None,
    *,
    batch_size: int,
    workers: int,
    seed: int,
    labels: bool,
    held_out: float,
    augmentation: Augmentation | None,
    preprocessing: Preprocessing | None,
) -> Data:
    seen = images.train if len(images.train) else images.validation
    plain = evaluation_transform(data, seen, model, source, preprocessing)
    if augmentation is None:
        scale = 0.7 if min(plain.input_size[1:]) <= _SMALL else 0.35
        augmentation = Augmentation(crop_scale=scale, flip=images.flip)
    train, validation = images.hold_out(held_out)
    held = 0 if len(images.validation) or not len(train) else len(validation)
    if not labels:
        train, validation = train.without_labels(), validation.without_labels()
    classes = images.classes if labels else None
    training = TrainingDataset(train, plain.with_augmentation(augmentation), seed, classes)
    evaluation = EvaluationDataset(validation, plain)
    training.check()
    evaluation.check()
    return Data(
        str(data),
        training_loader(training, batch_size, workers, seed),
        evaluation_loader(evaluation, batch_size, workers) if len(validation) else None,
        classes,
        held,
        images.skipped,
        str(plain),
    )


def evaluation_transform(
    data: str | Path,
    images: Images,
    model: nn.Module,
    source: ModelSource | None,
    preprocessing: Preprocessing | None,
) -> Transform:
    """Return the transform without augmentation, for evaluation and calibration.

    Images that have the size of the input are never zoomed, nor are small ones of a named dataset.
    """
    input_size = input_size_of(model, source)
    found = preprocessing or preprocessing_of(model, source, input_size=input_size)
    sizes = images.sizes()
    if str(data) in SOURCES or sizes == {input_size[1:]}:
        found = replace(found, resize=None)
    return Transform(input_size, found, largest=max(sizes, key=min, default=None))


def input_size_of(model: nn.Module, source: ModelSource | None) -> tuple[int, ...]:
    """Return the shape of one input without the batch, which ``source`` or the model declares."""
    input_size = declared_size(model, source)
    if input_size is None:
        raise GhostifyError(
            f"{type(model).__name__} does not declare its input size: pass "
            "source=ModelSource(name, input_size=(3, 224, 224))"
        )
    return input_size


def declared_size(model: nn.Module, source: ModelSource | None) -> tuple[int, ...] | None:
    """Return the shape of one input without the batch, or None."""
    return (source and source.input_size) or declared_input_size(model)


def _check_classes(data: Data, model: nn.Module, source: ModelSource | None) -> None:
    input_size = declared_size(model, source)
    if data.classes is None or input_size is None:
        return
    output = dry_run(model, torch.zeros(1, *input_size, device=device_of(model))).output
    logits = next((leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)), None)
    if logits is not None and logits.dim() == 2 and logits.shape[1] != data.classes:
        raise GhostifyError(
            f"{data.name} has {data.classes} classes, but the network has {logits.shape[1]}: build "
            "it for as many, or drop the labels with labels=False"
        )
