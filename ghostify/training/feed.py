"""Batches of an epoch: for each process its part, in an order that seed and epoch decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader

from ghostify.data import set_epoch, split_labels
from ghostify.data.rng import seed_all, set_generator_states
from ghostify.types import Example, GhostifyError, RecoverySettings

if TYPE_CHECKING:
    from accelerate import Accelerator

Batch = tuple[Example, Tensor | None]

_STRIDE = 1_000_003
"""Between the seeds of two epochs: further than people's seeds are apart."""


class ShardedLoader:
    """Batches on a device, and how to begin in the midst of an epoch.

    A batch is that of all processes together, each of which gets an equal part: what is learnt
    does not depend on how many there are.

    Args:
        data: a DataLoader, or any iterable that can be gone through again and again.
        even: whether all processes get parts of one size, for which some images come twice, or in
            lists of batches not at all.

    Raises:
        GhostifyError: if ``data`` cannot be gone through again.
    """

    def __init__(
        self,
        data: Iterable[Any],
        accelerator: Accelerator,
        settings: RecoverySettings,
        *,
        even: bool = True,
    ) -> None:
        if isinstance(data, Iterator) or not isinstance(data, Iterable):
            raise GhostifyError(f"data is a {type(data).__name__}: give a DataLoader or a list")
        self._data = data
        self._accelerator = accelerator
        self._settings = settings
        self._even = even
        self._loader = _part_of(data, accelerator, even)

    def __len__(self) -> int:
        """Batches of an epoch.

        Raises:
            TypeError: if the data does not know.
        """
        if not isinstance(self._loader, Sized):
            raise TypeError("the data has no length")
        return len(self._loader)

    def epoch(
        self, number: int, start: int = 0, states: dict[str, Any] | None = None
    ) -> Iterator[Batch]:
        """The batches of one epoch.

        Args:
            start: the batch to begin with; those before are skipped where the order and the
                augmentation are functions of the epoch, and drawn and dropped elsewhere.
            states: of the generators, when the batches before ``start`` had been learnt from.
        """
        seed_all(self._settings.seed + _STRIDE * number)
        set_epoch(self._data, number)
        loader = self._loader
        if isinstance(loader, DataLoader):
            loader.generator = getattr(self._data, "generator", None)
            if start and hasattr(loader.sampler, "set_epoch"):
                loader, start = _skipping(loader, start), 0
        batches = iter(loader)
        for _ in islice(batches, start):
            pass
        if states is not None:
            set_generator_states(states)
        for batch in batches:
            yield self._ready(batch)

    def first(self) -> Batch:
        """The first batch of the first epoch: the whole of it, in every process.

        Raises:
            GhostifyError: if there is none.
        """
        seed_all(self._settings.seed)
        set_epoch(self._data, 0)
        for batch in self._data:
            return tree_map_only(Tensor, self._placed, split_labels(batch))  # type: ignore[no-any-return]
        raise GhostifyError("the data is empty")

    def _ready(self, batch: Any) -> Batch:
        inputs, labels = split_labels(batch)
        if self._loader is self._data and self._accelerator.num_processes > 1:
            inputs, labels = tree_map_only(Tensor, self._own, (inputs, labels))
        return tree_map_only(Tensor, self._placed, (inputs, labels))  # type: ignore[no-any-return]

    def _own(self, tensor: Tensor) -> Tensor:
        """The part of this process of a batch that all have read."""
        processes, rank = self._accelerator.num_processes, self._accelerator.process_index
        least, rest = divmod(len(tensor), processes)
        sizes = [least + (not self._even and place < rest) for place in range(processes)]
        return tensor[sum(sizes[:rank]) :][: sizes[rank]]

    def _placed(self, tensor: Tensor) -> Tensor:
        tensor = tensor.to(self._accelerator.device, non_blocking=True)
        if self._settings.channels_last and tensor.dim() == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor


def _part_of(data: Any, accelerator: Accelerator, even: bool) -> Any:
    """A loader of what this process needs, so that no more is read; or ``data`` itself."""
    divisible = isinstance(data, DataLoader) and data.batch_sampler is not None
    if accelerator.num_processes == 1 or not divisible:
        return data
    from accelerate.data_loader import BatchSamplerShard

    processes = accelerator.num_processes
    if even and (data.batch_size or 0) % processes:
        raise GhostifyError(
            f"batches of {data.batch_size} cannot be divided among {processes} processes: give a "
            f"multiple of {processes}"
        )
    part = BatchSamplerShard(
        data.batch_sampler,
        num_processes=processes,
        process_index=accelerator.process_index,
        split_batches=even,
        even_batches=even,
    )
    return _like(data, part)


def _skipping(loader: Any, batches: int) -> Any:
    from accelerate.data_loader import SkipBatchSampler

    return _like(loader, SkipBatchSampler(loader.batch_sampler, skip_batches=batches))


def _like(loader: Any, batch_sampler: Any) -> Any:
    """The same loader, by another sampler of batches."""
    return DataLoader(
        loader.dataset,
        batch_sampler=batch_sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
