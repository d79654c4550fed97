"""Read files of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ghostify.data.as_batches import read_inputs
from ghostify.data.batches import LABEL_NAMES
from ghostify.data.tensors import TensorImages
from ghostify.models.foreign_tensors import check_dense, read_tensors
from ghostify.types import GhostifyError
from ghostify.types.errors import first_line
from ghostify.types.model_source import describe

TENSOR_SUFFIXES = (".pt", ".pth", ".safetensors", ".npy")


def read_tensor_images(path: Path, input_size: tuple[int, ...] | None) -> TensorImages:
    """Read a file with one tensor ``(N, C, H, W)``, or with images and labels by name.

    No pickled code is run.

    Args:
        input_size: shape of one input. Height and width may differ. Default: any.

    Raises:
        GhostifyError: if the file cannot be read, or holds something else.
    """
    if path.suffix.lower() != ".npy":
        content = read_tensors(path)
    else:
        try:
            content = torch.from_numpy(np.load(path, allow_pickle=False))
        except Exception as error:  # damaged files raise exceptions of all kinds
            raise GhostifyError(f"{path} cannot be read: {first_line(error)}") from error
    named = dict(content) if isinstance(content, Mapping) else {"images": content}
    labels = next((named.pop(name) for name in LABEL_NAMES if name in named), None)
    images = next(iter(named.values()), None)
    if len(named) != 1 or not isinstance(images, Tensor) or images.dim() != 4:
        raise GhostifyError(
            f"{path} holds {describe(content)}: one tensor (N, C, H, W) is needed, perhaps with "
            "labels by that name"
        )
    check_dense(images, f"{path}: images")
    if labels is not None:
        if not isinstance(labels, Tensor) or labels.shape[:1] != images.shape[:1]:
            raise GhostifyError(
                f"{path} holds {describe(content)}: as many labels as images are needed"
            )
        check_dense(labels, f"{path}: labels")
        if labels.is_complex() or not labels.isfinite().all():
            raise GhostifyError(f"{path}: labels must be finite real numbers")
    example = torch.empty(1, *(input_size or images.shape[1:]))
    (inputs,) = read_inputs(images, example, str(path))
    return TensorImages(inputs.values[0], labels)
