"""Images in one tensor in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ghostify.data.input_matching import describe, read_inputs
from ghostify.models.checkpoint import read_tensors
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
    if path.suffix.lower() != ".npy":
        return read_tensors(path)
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise GhostifyError(f"{path} cannot be read: {first_line(error)}") from error
