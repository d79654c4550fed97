"""Batches to calibrate with."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.data.as_batches import as_batches
from ghostify.data.datasets import EvaluationDataset
from ghostify.data.loaders import Data
from ghostify.data.open_data import (
    HELD_OUT,
    declared_size,
    evaluation_transform,
    input_size_of,
    source_of,
)
from ghostify.data.sources import ImageSource, open_source
from ghostify.data.split import is_map_style, split
from ghostify.data.tensors import TensorImages
from ghostify.io.progress import progress_bar
from ghostify.types import Example, GhostifyError, ModelSource, Preprocessing
from ghostify.types.progress import ShowProgress


@dataclass(frozen=True)
class Calibration:
    """Batches to calibrate with.

    Attributes:
        batches: what to call the network with.
        skipped: the reason for each file that was skipped.
        preprocessing: what was done to the images, in one line.
        dataset: the images, by which they are recognized later; None for those of a function.
    """

    batches: list[Example]
    skipped: Mapping[str, str] = field(default_factory=dict)
    preprocessing: str = ""
    dataset: EvaluationDataset | TensorImages | None = None

    def __iter__(self) -> Iterator[Example]:
        return iter(self.batches)


def open_calibration(
    calibration: str | Path,
    model: nn.Module,
    source: ModelSource | None = None,
    *,
    images: int = 256,
    batch_size: int = 16,
    seed: int = 0,
    evaluation: bool = False,
    data_root: Path | None = None,
    preprocessing: Preprocessing | None = None,
    progress: ShowProgress = True,
) -> Calibration:
    """Open calibration images with the preprocessing of `open_data`, without augmentation.

    Args:
        calibration: what `open_data` takes. Training images are used: those of ``train``, or all
            but the tenth that `open_data` holds out.
        model: the network that the images are for.
        source: as in `open_data`.
        images: how many to use at most. A folder gives the same number from each subfolder.
        batch_size: images per batch, if a function does not return batches.
        seed: decides which images are used.
        evaluation: use the images of the validation split instead, or all if there is none.
        data_root, preprocessing: as in `open_data`.
        progress: True for a bar, False for none, or a function that is called with each `Progress`.

    Raises:
        GhostifyError: if there are no images, none can be read, or an argument is out of range.
    """
    for name, value in {"images": images, "batch_size": batch_size}.items():
        if value < 1:
            raise GhostifyError(f"`{name}` (={value}) must be at least 1")
    size = declared_size(model, source)
    found = open_source(calibration, data_root, size)
    if isinstance(found, Data):
        batches = found.validation if evaluation and found.validation is not None else found
        example = torch.empty(1, *input_size_of(model, source))
        used = as_batches(spread(batches, images), example, batch_size=batch_size, images=images)
        return Calibration(used, found.skipped(), found.preprocessing)
    part = found.hold_out(1 if evaluation else HELD_OUT)[evaluation]
    if not len(part):
        raise GhostifyError(
            f"{calibration} has validation images only: name the folder of images itself"
        )
    if isinstance(part, TensorImages):
        if len(part) > images:
            order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
            part = part.select(order[:images].sort().values.tolist())
        return Calibration(list(torch.split(part.images, batch_size)), {}, str(part), part)
    assert isinstance(found, ImageSource)
    transform = evaluation_transform(calibration, part, model, source, preprocessing)
    chosen = part.without_labels().select(choose(part.names, images, seed))
    dataset = EvaluationDataset(chosen, transform)
    inputs: list[Tensor] = []
    with progress_bar(f"reading {calibration}", progress) as report:
        for index in range(len(dataset)):
            sample = dataset[index]
            inputs += [] if sample is None else [sample]
            report(index + 1, len(dataset))
    if not inputs:
        dataset.check()
    batches = list(torch.split(torch.stack(inputs), batch_size))
    return Calibration(batches, {**found.skipped, **dataset.skipped()}, str(transform), dataset)


def spread(data: Any, images: int) -> Any:
    """Return images from all parts of a loader, which may be in the order of classes."""
    loader: Any = data.calibration() if isinstance(data, Data) else data
    every = len(loader.dataset) // images if is_map_style(loader) else 1
    return split(loader, every)[1] if every > 1 else data


def calibration_batches(
    calibration: Any, model: nn.Module, example: Example, *, evaluation: bool = False
) -> list[Example]:
    """Return batches in the structure of ``example``, of data or of the name of a source."""
    return as_batches(
        opened_calibration(calibration, model, example, evaluation=evaluation), example
    )


def opened_calibration(
    calibration: Any, model: nn.Module, example: Example, *, evaluation: bool = False
) -> Any:
    """Return ``calibration``, or what `open_calibration` makes of it if it names a source."""
    if not isinstance(calibration, str | Path):
        return calibration
    return open_calibration(
        calibration, model, source_of(example), evaluation=evaluation, progress=False
    )


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
