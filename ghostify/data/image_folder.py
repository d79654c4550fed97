"""Images from a folder, as the model was trained to see them."""

from __future__ import annotations

import math
import os
import pickle
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import UnidentifiedImageError
from safetensors.torch import load_file
from torch import Tensor

from ghostify.data.input_matching import describe, read_inputs
from ghostify.data.transforms import mode_of, read_picture
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Loaded:
    """Images from files.

    Attributes:
        images: ``(N, C, H, W)``, float32, normalised.
        skipped: files that could not be read, each as ``name: reason``.
    """

    images: Tensor
    skipped: tuple[str, ...] = ()


def load_images(
    path: str | Path,
    *,
    input_size: tuple[int, ...],
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str = "bicubic",
    crop: float = 0.875,
    limit: int = 256,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Images of a folder and its subfolders, or those of a file that holds them ready-made.

    Images are resized so that the centre crop of ``input_size`` is ``crop`` of their shorter
    side, scaled to [0, 1] and normalised. Of more than ``limit``, as many are taken from each
    subfolder as from any other. A file (.pt, .pth, .safetensors or .npy) holds one tensor
    ``(N, C, H, W)``, which is what the model takes.

    Args:
        path: the folder or the file.
        input_size: ``(C, H, W)``.
        mean: of each channel in [0, 1].
        std: of each channel in [0, 1].
        interpolation: ``bicubic`` or ``bilinear``.
        crop: above 0, at most 1.
        limit: how many images to take at most.
        seed: decides which.
        progress: called with the number of files read, and of all.

    Raises:
        GhostifyError: if there are no images, none can be read, or an argument is out of range.
    """
    path = Path(path)
    _check(input_size, mean, std, interpolation, crop, limit)
    if not path.exists():
        raise GhostifyError(f"no file or folder {path} with calibration images")
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        return Loaded(_some(read_images(path, input_size), limit, seed))
    mode_of(input_size[0])
    root, files = (path, image_files(path)) if path.is_dir() else (path.parent, [path])
    if not files:
        raise GhostifyError(f"{path} holds no images ({', '.join(SUFFIXES)})")
    chosen = choose(files, limit, seed)
    images, skipped = torch.empty(len(chosen), *input_size), list[str]()
    for number, file in enumerate(chosen):
        try:
            images[number - len(skipped)] = read_picture(file, input_size, interpolation, crop)
        except Exception as error:  # decoders raise all kinds over broken files
            skipped.append(f"{file.relative_to(root)}: {_reason(error)}")
        if progress is not None:
            progress(number + 1, len(chosen))
    if len(skipped) == len(chosen):
        raise GhostifyError(f"no image of {path} can be read, first {skipped[0]}")
    return Loaded(_normalised(images[: len(chosen) - len(skipped)], mean, std), tuple(skipped))


def image_files(folder: Path) -> list[Path]:
    """All images below ``folder`` in alphabetical order, without hidden ones."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def choose(files: list[Path], limit: int, seed: int) -> list[Path]:
    """At most ``limit`` of ``files``, the same number from each folder as far as it has them."""
    if len(files) <= limit:
        return files
    folders: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        folders[file.parent].append(file)
    draw = random.Random(seed)
    groups = list(folders.values())
    draw.shuffle(groups)
    turns = []
    for place, group in enumerate(groups):
        draw.shuffle(group)
        turns += [(turn, place, file) for turn, file in enumerate(group)]
    return sorted(file for _, _, file in sorted(turns)[:limit])


def _normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """``images`` themselves, without a copy."""
    shape = (-1, 1, 1)
    return images.sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))


def _some(images: Tensor, limit: int, seed: int) -> Tensor:
    if len(images) <= limit:
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order[:limit].sort().values]


def _check(
    input_size: tuple[int, ...],
    mean: Sequence[float],
    std: Sequence[float],
    interpolation: str,
    crop: float,
    limit: int,
) -> None:
    if len(input_size) != 3:
        shape = "x".join(map(str, input_size))
        raise GhostifyError(f"images are channels x height x width, the model's input is {shape}")
    for name, numbers in (("mean", mean), ("std", std)):
        if len(numbers) != input_size[0]:
            raise GhostifyError(f"{name}: {len(numbers)} numbers for {input_size[0]} channels")
    if not all(number > 0 for number in std):
        raise GhostifyError("std: give numbers above 0")
    if interpolation not in ("bicubic", "bilinear"):
        raise GhostifyError(f"interpolation={interpolation!r}: give bicubic or bilinear")
    if not 0 < crop <= 1 or math.isnan(crop):
        raise GhostifyError(f"crop={crop}: give a number above 0, at most 1")
    if limit < 1:
        raise GhostifyError(f"limit={limit}: give 1 or more")


def _reason(error: Exception) -> str:
    return "not an image" if isinstance(error, UnidentifiedImageError) else first_line(error)


SUFFIXES_tensor_file = (".pt", ".pth", ".safetensors", ".npy")


def read_images(path: Path, input_size: tuple[int, ...]) -> Tensor:
    """``(N, C, H, W)``, float32; height and width are as the file has them.

    Raises:
        GhostifyError: if the file cannot be read, holds anything else than one such tensor, or
            one of integers or of values that are not finite.
    """
    content = _read(path)
    tensors = list(content.values()) if isinstance(content, Mapping) else [content]
    if len(tensors) != 1 or not isinstance(tensors[0], Tensor):
        raise GhostifyError(f"{path} holds {describe(content)}: one tensor (N, C, H, W) is needed")
    if tensors[0].dim() != 4:
        raise GhostifyError(f"{path} holds {describe(tensors[0])}: (N, C, H, W) is needed")
    (inputs,) = read_inputs(tensors[0], torch.empty(1, *input_size), str(path))
    images: Tensor = inputs.values[0]
    return images


def _read(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES_tensor_file:
        raise GhostifyError(
            f"{path} is neither a folder of images nor a tensor ({', '.join(SUFFIXES_tensor_file)})"
        )
    try:
        if suffix == ".npy":
            return torch.from_numpy(np.load(path, allow_pickle=False))
        if suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise GhostifyError(
            f"{path} holds more than tensors, or is damaged: save the tensor alone"
        ) from error
    except Exception as error:  # each format has its own for damaged files
        raise GhostifyError(f"{path} cannot be read: {first_line(error)}") from error
