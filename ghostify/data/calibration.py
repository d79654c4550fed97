"""Batches to calibrate with."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ghostify.data.as_batches import as_batches, read_inputs
from ghostify.data.datasets import EvaluationDataset
from ghostify.data.images import Images, find_images, image_suffixes, images_of_files
from ghostify.data.open_data import data_from_code, evaluation_transform, input_size_of, is_code
from ghostify.data.sources import SOURCES, open_source
from ghostify.io.progress import progress_bar
from ghostify.models.checkpoint import read_tensors
from ghostify.types import Example, GhostifyError, ModelSource, Preprocessing
from ghostify.types.errors import first_line
from ghostify.types.model_source import describe
from ghostify.types.progress import ShowProgress

_TENSOR_SUFFIXES = (".pt", ".pth", ".safetensors", ".npy")


@dataclass(frozen=True)
class Calibration:
    """Batches to calibrate with.

    Attributes:
        batches: what to call the network with.
        skipped: the reason for each file that was skipped.
        preprocessing: what was done to the images, in one line.
    """

    batches: list[Example]
    skipped: Mapping[str, str] = field(default_factory=dict)
    preprocessing: str = ""


def open_calibration(
    calibration: str | Path,
    model: nn.Module,
    source: ModelSource | None = None,
    *,
    images: int = 256,
    batch_size: int = 16,
    seed: int = 0,
    data_root: Path | None = None,
    preprocessing: Preprocessing | None = None,
    progress: ShowProgress = True,
) -> Calibration:
    """Open calibration images with the preprocessing of `open_data`, without augmentation.

    Args:
        calibration: a folder, all subfolders of which are read; an image; a file (.pt, .pth,
            .safetensors or .npy) with one preprocessed tensor ``(N, C, H, W)``; or a dataset or a
            function as in `open_data`, of which training images are taken.
        model: the network that the images are for.
        source: as in `open_data`.
        images: how many to use at most. A folder gives the same number from each subfolder.
        batch_size: images per batch, if a function does not return batches.
        seed: decides which images are used.
        data_root, preprocessing: as in `open_data`.
        progress: True for a bar, False for none, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if there are no images, none can be read, or an argument is out of range.
    """
    for name, value in {"images": images, "batch_size": batch_size}.items():
        if value < 1:
            raise GhostifyError(f"`{name}` (={value}) must be at least 1")
    path = Path(calibration)
    example = torch.empty(1, *input_size_of(model, source))
    if is_code(calibration):
        opened = data_from_code(str(calibration))
        batches = as_batches(opened, example, batch_size=batch_size, images=images)
        return Calibration(batches, opened.skipped(), opened.preprocessing)
    if path.is_file() and path.suffix.lower() in _TENSOR_SUFFIXES:
        tensor = read_tensor(path, example)
        if len(tensor) > images:
            order = torch.randperm(len(tensor), generator=torch.Generator().manual_seed(seed))
            tensor = tensor[order[:images].sort().values]
        size = "x".join(map(str, tensor.shape[1:]))
        return Calibration(
            list(torch.split(tensor, batch_size)), preprocessing=f"as in the file, {size}"
        )
    found, skipped = _open_images(calibration, data_root)
    transform = evaluation_transform(calibration, found, model, source, preprocessing)
    dataset = EvaluationDataset(found.select(choose(found.names, images, seed)), transform)
    inputs: list[Tensor] = []
    with progress_bar(f"reading {calibration}", progress) as report:
        for index in range(len(dataset)):
            sample = dataset[index]
            inputs += [] if sample is None else [sample]
            report(index + 1, len(dataset))
    if not inputs:
        dataset.check()
    batches = list(torch.split(torch.stack(inputs), batch_size))
    return Calibration(batches, skipped | dataset.skipped(), str(transform))


def read_tensor(path: Path, example: Tensor) -> Tensor:
    """Read a tensor ``(N, C, H, W)`` that fits ``example``. No pickled code is run."""
    if path.suffix.lower() != ".npy":
        content = read_tensors(path)
    else:
        try:
            content = torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise GhostifyError(f"{path} cannot be read: {first_line(error)}") from error
    tensors = list(content.values()) if isinstance(content, Mapping) else [content]
    if len(tensors) != 1 or not isinstance(tensors[0], Tensor) or tensors[0].dim() != 4:
        raise GhostifyError(f"{path} holds {describe(content)}: one tensor (N, C, H, W) is needed")
    (inputs,) = read_inputs(tensors[0], example, str(path))
    return inputs.values[0]  # type: ignore[no-any-return]


def _open_images(data: str | Path, data_root: Path | None) -> tuple[Images, dict[str, str]]:
    """Return images without labels, and what was skipped."""
    path = Path(data)
    if str(data) in SOURCES:
        return open_source(data, data_root).train.without_labels(), {}
    if path.is_file() and path.suffix.lower() in image_suffixes():
        return images_of_files([path], path.parent), {}
    if not path.is_dir():
        raise GhostifyError(
            f"`calibration` (={str(data)!r}) must be a folder of images, a file with a tensor "
            f"({', '.join(_TENSOR_SUFFIXES)}), {', '.join(SOURCES)} or file.py:function"
        )
    files, skipped = find_images(path)
    return images_of_files(files, path), skipped


def choose(names: Sequence[str], count: int, seed: int) -> list[int]:
    """Choose ``count`` images, the same number from each folder as far as it has them."""
    if len(names) <= count:
        return list(range(len(names)))
    folders: dict[Path, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        folders[Path(name).parent].append(index)
    draw = random.Random(seed)
    groups = list(folders.values())
    draw.shuffle(groups)
    for group in groups:
        draw.shuffle(group)
    in_turn = chain.from_iterable(zip_longest(*groups))
    return sorted(islice((index for index in in_turn if index is not None), count))
