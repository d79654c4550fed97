"""Batches to calibrate with."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ghostify.data.as_batches import as_batches
from ghostify.data.datasets import EvaluationDataset
from ghostify.data.image_files import find_images, image_suffixes
from ghostify.data.images import Images, images_of_files
from ghostify.data.open_data import data_from_code, evaluation_transform, input_size_of, is_code
from ghostify.data.preprocessing import Preprocessing
from ghostify.data.sources import SOURCES, open_source
from ghostify.data.tensor_file import TENSOR_SUFFIXES, read_tensor
from ghostify.io.progress import progress_bar
from ghostify.types import Example, GhostifyError, ModelSource
from ghostify.types.progress import ShowProgress


@dataclass(frozen=True)
class Calibration:
    """Calibration data of `open_calibration`.

    Attributes:
        batches: what to call the network with, in the form of `as_batches`.
        skipped: files and folders that were skipped, with the reason for each.
    """

    batches: list[Example]
    skipped: Mapping[str, str] = field(default_factory=dict)


def open_calibration(
    data: str | Path,
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
        data: a folder, all subfolders of which are read; an image; a file (.pt, .pth, .safetensors
            or .npy) with one preprocessed tensor ``(N, C, H, W)``; or a dataset or a function as in
            `open_data`, of which training images are taken.
        model: the network that the images are for.
        source: as in `open_data`.
        images: how many to use at most. A folder gives the same number from each subfolder.
        batch_size: images per batch, if a function does not return batches.
        seed: decides which images are used.
        data_root: as in `open_data`.
        preprocessing: overrides what the model or its library declares.
        progress: True for a bar, False for none, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if there are no images, none can be read, or an argument is out of range.
    """
    for name, value in (("images", images), ("batch_size", batch_size)):
        if value < 1:
            raise GhostifyError(f"{name} (={value}) must be at least 1")
    path = Path(data)
    example = torch.empty(1, *input_size_of(model, source))
    if is_code(data):
        opened = data_from_code(str(data))
        batches = as_batches(opened, example, batch_size=batch_size, images=images)
        return Calibration(batches, opened.skipped())
    if path.is_file() and path.suffix.lower() in TENSOR_SUFFIXES:
        tensor = read_tensor(path, example)
        if len(tensor) > images:
            order = torch.randperm(len(tensor), generator=torch.Generator().manual_seed(seed))
            tensor = tensor[order[:images].sort().values]
        return Calibration(list(torch.split(tensor, batch_size)))
    transform = evaluation_transform(data, model, source, preprocessing)
    found, skipped = _open_images(data, data_root)
    dataset = EvaluationDataset(found.select(choose(found.names, images, seed)), transform)
    inputs: list[Tensor] = []
    with progress_bar(f"reading {data}", progress) as report:
        for index in range(len(dataset)):
            sample = dataset[index]
            if sample is not None:
                inputs.append(sample)
            report(index + 1, len(dataset))
    if not inputs:
        dataset.check()
    starts = range(0, len(inputs), batch_size)
    batches = [torch.stack(inputs[start : start + batch_size]) for start in starts]
    return Calibration(batches, skipped | dataset.skipped())


def _open_images(data: str | Path, data_root: Path | None) -> tuple[Images, dict[str, str]]:
    """Return images without labels, and what was skipped."""
    path = Path(data)
    if str(data) in SOURCES:
        return open_source(data, data_root).train.without_labels(), {}
    if path.is_file() and path.suffix.lower() in image_suffixes():
        return images_of_files([path], path.parent), {}
    if not path.is_dir():
        raise GhostifyError(
            f"calibration (={str(data)!r}) must be a folder of images, a file with a tensor "
            f"({', '.join(TENSOR_SUFFIXES)}), {', '.join(SOURCES)} or file.py:function"
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
    rounds = []
    for place, group in enumerate(groups):
        draw.shuffle(group)
        rounds += [(number, place, index) for number, index in enumerate(group)]
    return sorted(index for _, _, index in sorted(rounds)[:count])
