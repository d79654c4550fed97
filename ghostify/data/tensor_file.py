"""Images in one tensor in a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from ghostify.data.input_matching import describe, read_inputs
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line

TENSOR_SUFFIXES = (".pt", ".pth", ".safetensors", ".npy")


def read_tensor(path: Path, example: Tensor) -> Tensor:
    """Read a tensor ``(N, C, H, W)`` that fits ``example``. No pickled code is run.

    Raises:
        GhostifyError: if the file cannot be read, holds anything but one such tensor, or holds
            integers or values that are not finite.
    """
    content = _load(path)
    tensors = list(content.values()) if isinstance(content, Mapping) else [content]
    if len(tensors) != 1 or not isinstance(tensors[0], Tensor) or tensors[0].dim() != 4:
        raise GhostifyError(f"{path} holds {describe(content)}: one tensor (N, C, H, W) is needed")
    (inputs,) = read_inputs(tensors[0], example, str(path))
    images: Tensor = inputs.values[0]
    return images


def _load(path: Path) -> Any:
    suffix = path.suffix.lower()
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
