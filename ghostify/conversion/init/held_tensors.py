"""Track the tensors that a forward pass still holds, and move them to files."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.conversion.init.scratch import scratch


class HeldTensors(TorchFunctionMode):
    """Records the results of torch functions, except parameters and buffers of ``model``."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._results: list[weakref.ref[Tensor]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        leaves = [result] if isinstance(result, Tensor) else tree_leaves(result)
        self._results += [weakref.ref(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
        return result

    def bytes_in_memory(self) -> int:
        return sum(tensors[0].untyped_storage().nbytes() for tensors in self._in_memory())

    def move_to_files(self) -> None:
        """Move all tensors on the CPU to temporary files, in place."""
        for tensors in self._in_memory():
            storage = tensors[0].untyped_storage()
            if storage.device.type == "cpu":
                file = scratch((storage.nbytes(),), torch.uint8).untyped_storage()
                file.copy_(storage, False)
                for tensor in tensors:
                    tensor.set_(file, tensor.storage_offset(), tensor.size(), tensor.stride())

    def _in_memory(self) -> list[list[Tensor]]:
        """The tensors, grouped by the storage that they share."""
        alive = [tensor for ref in self._results if (tensor := ref()) is not None]
        self._results = [weakref.ref(tensor) for tensor in alive]
        lasting = (*self.model.parameters(), *self.model.buffers())
        excluded = {t.untyped_storage().data_ptr() for t in lasting} | {0}
        groups = defaultdict(list)
        for tensor in alive:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in excluded and storage.filename is None:
                groups[storage.data_ptr()].append(tensor)
        return list(groups.values())
