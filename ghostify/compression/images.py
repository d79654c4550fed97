"""Which images a compression uses for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ghostify.data import Data, split_labels
from ghostify.data.as_batches import as_batches
from ghostify.data.batches import first_images
from ghostify.data.calibration import spread
from ghostify.training.held_out import divide
from ghostify.types import Example

_CALIBRATION = 256


@dataclass(frozen=True)
class Images:
    """The images of a compression.

    Attributes:
        example: an input.
        training: batches to train on.
        calibration: batches of inputs, of up to 256 training images.
        validation: held-out batches that choose between networks.
        test: held-out batches that choose nothing; None if there are too few images.
    """

    example: Example
    training: Any
    calibration: list[Example]
    validation: Any
    test: Any | None

    @classmethod
    def of(cls, data: Any, example: Example | None, device: torch.device) -> Images:
        """Divide data; the arguments are those of `compress`. The example is on ``device``."""
        training, held_out = divide(data, None)
        if example is None:
            example = first_images(split_labels(next(iter(training)))[0], 1)
        example = tree_map_only(Tensor, lambda tensor: tensor.to(device), example)
        whole = data if isinstance(data, Data) else training
        calibration = as_batches(spread(whole, _CALIBRATION), example, images=_CALIBRATION)
        return cls(example, training, calibration, held_out.selecting, held_out.reporting)
