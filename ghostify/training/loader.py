"""Sharded data loading that resumes mid-epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader

from ghostify.data import set_epoch, split_labels
from ghostify.data.rng import seed_of, set_generator_states
from ghostify.types import Example, GhostifyError, RecoverySettings
from ghostify.types.errors import first_line

if TYPE_CHECKING:
    from accelerate import Accelerator

Batch = tuple[Example, Tensor | None]


class ShardedLoader:
    """Batches on the device; each process gets an equal share of every batch.

    The result of a training does not depend on the number of processes. Order and augmentation are
    functions of seed and epoch. Accelerate's DataLoaderShard is unwrapped: it loads a batch ahead,
    so that a checkpoint would hold the generator states of the next batch.

    Args:
        data: a DataLoader, or any iterable that can be iterated repeatedly.
        even: whether all processes get shares of the same size. Images are repeated for that, or in
            plain iterables left out.
    """

    def __init__(
        self, data: Any, accelerator: Accelerator, settings: RecoverySettings, *, even: bool = True
    ) -> None:
        self._data: Any = data
        self._accelerator, self._settings, self._even = accelerator, settings, even
        self._loader = _shard(data, accelerator, even)

    def __len__(self) -> int:
        """Return the number of batches per epoch, if the data has a length."""
        return len(self._loader)

    @property
    def whole_length(self) -> int | None:
        """Batches per epoch before they are divided among processes; None for a stream."""
        try:
            return len(self._data)
        except TypeError:
            return None

    def epoch(
        self, number: int, start: int = 0, states: dict[str, Any] | None = None
    ) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            start: first batch. Earlier ones are skipped without loading them where order and
                augmentation depend on the epoch alone, and loaded and dropped elsewhere.
            states: generator states to restore before batch ``start``.
        """
        self._seed(number)
        loader = self._loader
        if isinstance(loader, DataLoader):
            loader.generator = getattr(self._data, "generator", None)
            if start and hasattr(self._data.sampler, "set_epoch"):
                from accelerate import skip_first_batches

                loader, start = skip_first_batches(loader, start), 0
        batches = iter(loader)
        for _ in islice(batches, start):
            pass
        if states is not None:
            set_generator_states(states)
        divide = self._loader is self._data and self._accelerator.num_processes > 1
        for batch in batches:
            yield self._prepared(batch, divide=divide)

    def first(self) -> Batch:
        """Return the first batch of the first epoch, whole in every process."""
        self._seed(0)
        for batch in self._data:
            return self._prepared(batch, divide=False)
        raise GhostifyError("`data` is empty")

    def _seed(self, epoch: int) -> None:
        from accelerate.utils import set_seed

        set_seed(seed_of(self._settings.seed, epoch))
        set_epoch(self._data, epoch, self._settings.seed)

    def _prepared(self, batch: Any, *, divide: bool) -> Batch:
        """Return inputs and labels on the device; ``divide`` keeps this process's share."""
        accelerator, processes = self._accelerator, self._accelerator.num_processes

        def prepare(tensor: Tensor) -> Tensor:
            if divide and self._even:
                tensor = tensor[: len(tensor) // processes * processes]
            if divide:
                tensor = tensor.tensor_split(processes)[accelerator.process_index]
            tensor = tensor.to(accelerator.device, non_blocking=True)
            if self._settings.channels_last and tensor.dim() == 4:
                return tensor.contiguous(memory_format=torch.channels_last)
            return tensor

        return tree_map_only(Tensor, prepare, split_labels(batch))  # type: ignore[no-any-return]


def check_batches(data: Any, name: str = "data") -> None:
    """Raise GhostifyError if it does not hold batches, or cannot be iterated repeatedly."""
    if _is_one_batch(data) or isinstance(data, Iterator) or not isinstance(data, Iterable):
        raise GhostifyError(
            f"`{name}` (a {type(data).__name__}) must be a DataLoader or a list of batches, of "
            "images or of pairs of images and labels"
        )


def _is_one_batch(data: Any) -> bool:
    """Whether it is images, or a pair of images and labels."""
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(t, Tensor) for t in data):
        images, labels = data
        return bool(images.dim() != labels.dim())
    return isinstance(data, Tensor)


def _shard(data: Any, accelerator: Accelerator, even: bool) -> Any:
    """Return a loader of this process's share, or ``data`` itself where it cannot be divided."""
    divisible = isinstance(data, DataLoader) and data.batch_sampler is not None
    if accelerator.num_processes == 1 or not divisible:
        return data
    from accelerate.data_loader import prepare_data_loader

    try:
        sharded = prepare_data_loader(
            data,
            num_processes=accelerator.num_processes,
            process_index=accelerator.process_index,
            split_batches=even,
            even_batches=even,
        )
    except ValueError as error:
        raise GhostifyError(f"`data` cannot be divided: {first_line(error)}") from error
    return sharded.base_dataloader
