"""One image file, decoded, resized and cropped."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ghostify.types import GhostifyError

_MODES = {1: "L", 3: "RGB"}
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def mode_of(channels: int) -> str:
    """PIL's name for images of so many channels.

    Raises:
        GhostifyError: if image files have another number.
    """
    if channels not in _MODES:
        raise GhostifyError(
            f"image files have 1 or 3 channels, the model takes {channels}: "
            "give a file with a tensor (N, C, H, W)"
        )
    return _MODES[channels]


def read_picture(
    path: Path, input_size: tuple[int, ...], interpolation: str, crop: float
) -> Tensor:
    """``(C, H, W)`` in [0, 1]: the centre of the image, upright.

    Raises:
        Exception: whatever decoders raise if the file is broken.
    """
    image = decode(path, mode_of(input_size[0]))
    return pixels(centre(image, input_size[1:], interpolation, crop))


def decode(path: Path, mode: str) -> Image.Image:
    """The image upright, in PIL's ``mode``.

    Raises:
        Exception: whatever decoders raise if the file is broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as opened:
            return _eight_bits(ImageOps.exif_transpose(opened)).convert(mode)


def centre(
    image: Image.Image, size: tuple[int, ...], interpolation: str, crop: float
) -> Image.Image:
    """The centre of ``size`` (H, W), after resizing so that it is ``crop`` of the shorter side."""
    height, width = size
    image = image.resize(_covering(image.size, (width, height), crop), _FILTERS[interpolation])
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))


def pixels(image: Image.Image) -> Tensor:
    """``(C, H, W)`` in [0, 1], of an image of 8 bits."""
    numbers = np.array(image)
    return torch.from_numpy(numbers).view(*numbers.shape[:2], -1).permute(2, 0, 1) / 255


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits to 8, which PIL would cut off instead of scaling."""
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))


def _covering(size: tuple[int, int], target: tuple[int, int], crop: float) -> tuple[int, int]:
    """Size in the same proportions of which ``target`` is ``crop``, along the tighter side."""
    least = [_floor(side / crop) for side in target]
    scale = max(wanted / side for wanted, side in zip(least, size, strict=True))
    width, height = (
        max(wanted, _floor(side * scale)) for wanted, side in zip(least, size, strict=True)
    )
    return width, height


def _floor(value: float) -> int:
    """Rounded down, with room for an error in the last digits."""
    return int(value + 1e-6)
