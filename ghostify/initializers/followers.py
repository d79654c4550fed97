"""Which batch norm alone reads a layer's maps, so that it can take up their bias."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ghostify.dry_run import Passage, dry_run
from ghostify.spec import Example


def followers(model: nn.Module, example: Example) -> dict[str, str]:
    """For each convolution or linear layer that feeds one batch norm and nothing else, its name.

    The batch norm must have running statistics, and no other input.
    """
    outcome = dry_run(model, example, watch=_Readers)
    watch = outcome.watch
    watch.read(tree_leaves(outcome.output), reader="")
    feeds: dict[str, set[str]] = defaultdict(set)
    for layer, readers in watch.readers.items():
        for reader in readers:
            feeds[reader].add(layer)
    found = {}
    for layer, readers in watch.readers.items():
        reader = next(iter(readers))
        if layer and len(readers) == 1 and reader and feeds[reader] == {layer}:
            found[layer] = reader
    return found


class _Readers(Passage):
    """Sees who reads what a layer has made.

    Attributes:
        readers: by the name of a layer (empty for all else that is normalised), the names of
            batch norms, or an empty name for anything else.
    """

    def __init__(self, replica: nn.Module) -> None:
        super().__init__(replica)
        self.readers: dict[str, set[str]] = defaultdict(set)
        self._made: dict[int, tuple[str, Tensor]] = {}

    def __enter__(self) -> _Readers:
        super().__enter__()
        self._open.enter_context(_Functions(self))
        return self

    def left(self, module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        if isinstance(module, (nn.Conv2d, nn.Linear)) and isinstance(result, Tensor):
            self._made[id(result)] = self.names[module], result

    def called(self, function: Any, values: list[Any], result: Any) -> None:
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            return  # reading a shape is no use of the values
        reader = ""
        if function is F.batch_norm and self.stack and _absorbs(self.stack[-1]):
            reader = self.names.get(self.stack[-1], "")
            values = values[:1]
        self.read(values, reader)

    def read(self, values: list[Any], reader: str) -> None:
        """Something named ``reader`` has used these values."""
        for value in values:
            layer, _ = self._made.get(id(value), ("", None))
            if layer or reader:
                self.readers[layer].add(reader)


class _Functions(TorchFunctionMode):
    def __init__(self, watch: _Readers) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        self.watch.called(function, tree_leaves((args, kwargs)), result)
        return result


def _absorbs(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None
