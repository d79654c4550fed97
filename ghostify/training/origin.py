"""What a training is made of: a checkpoint resumes no other training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from ghostify.models.identity import tensors_digest
from ghostify.training.loader import ShardedLoader
from ghostify.types import RecoverySettings
from ghostify.types.serialization import Serializable

_FREE = ("checkpoint_minutes",)
"""Settings that do not change the weights."""


@dataclass(frozen=True)
class Origin(Serializable):
    """What decides the weights that a training ends with.

    Attributes:
        student: digest of the weights of the network as given.
        teacher: digest of the teacher's weights.
        settings: the settings as given, before a learning rate is chosen.
        stages: number of stages of a progressive training.
        outputs: the kinds of the outputs.
        data: digest of the data, as of `data_digest`.
    """

    student: str
    teacher: str
    settings: RecoverySettings
    stages: int | None = None
    outputs: tuple[str, ...] = ()
    data: str = ""

    def difference(self, recorded: Origin) -> str | None:
        """Return in which way this is not the training that was recorded; None if it is."""
        for name, wanted in recorded._arguments().items():
            if (found := self._arguments()[name]) != wanted:
                rule = "left out" if wanted is None else repr(wanted)
                return f"`{name}` (={found!r}) must be {rule}"
        if self.student != recorded.student:
            return "the network to train has other weights"
        if self.teacher != recorded.teacher:
            return "the teacher has other weights"
        if self.data != recorded.data:
            return "`data` holds other images"
        return None if self.outputs == recorded.outputs else "`outputs` are of another kind"

    def _arguments(self) -> dict[str, Any]:
        """Return the values that decide the weights, by the names of the arguments."""
        names = [entry.name for entry in fields(self.settings) if entry.name not in _FREE]
        return {"stages": self.stages, **{name: getattr(self.settings, name) for name in names}}


def data_digest(loaders: Iterable[ShardedLoader]) -> str:
    """Return the SHA-256 of the first batch of each loader, and of the number of its batches.

    It is the same in all processes, and for any number of them.
    """
    tensors: dict[str, Tensor] = {}
    for place, loader in enumerate(loaders):
        leaves = [leaf for leaf in tree_leaves(loader.first()) if isinstance(leaf, Tensor)]
        tensors |= {
            f"{place}/{loader.whole_length}/{number}": leaf for number, leaf in enumerate(leaves)
        }
    return tensors_digest(tensors)
