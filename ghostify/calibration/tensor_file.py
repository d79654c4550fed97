"""A file that holds inputs ready-made, in one tensor."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ghostify.calibration.inputs import read_inputs
from ghostify.calibration.shapes import describe
from ghostify.spec import GhostifyError
from ghostify.spec.errors import first_line

SUFFIXES = (".pt", ".pth", ".safetensors", ".npy")


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
    if suffix not in SUFFIXES:
        raise GhostifyError(
            f"{path} is neither a folder of images nor a tensor ({', '.join(SUFFIXES)})"
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
