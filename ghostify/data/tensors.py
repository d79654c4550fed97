"""Images that are tensors already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ghostify.data.images import held_out_indices


@dataclass(frozen=True)
class TensorImages(Dataset[Any]):
    """Preprocessed images ``(N, C, H, W)``, alone or with labels ``(N, ...)``."""

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return (
            self.images[index] if self.labels is None else (self.images[index], self.labels[index])
        )

    def __str__(self) -> str:
        return f"as in the file, {'x'.join(map(str, self.images.shape[1:]))}"

    def select(self, indices: Sequence[int]) -> TensorImages:
        """Return the images at ``indices``, in that order."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        return TensorImages(
            self.images[chosen], None if self.labels is None else self.labels[chosen]
        )

    def hold_out(self, share: float) -> tuple[TensorImages, TensorImages]:
        """Split off the same ``share`` of each class, as `held_out_indices` does."""
        labels = self.labels
        by_class = labels is not None and labels.dim() == 1 and not labels.is_floating_point()
        classes = labels.tolist() if labels is not None and by_class else [0] * len(self)
        kept, held = held_out_indices(classes, share)
        return self.select(kept), self.select(held)

    def without_labels(self) -> TensorImages:
        return TensorImages(self.images)
