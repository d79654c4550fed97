"""What was done to a converted network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ghostify.types.attachment import Attachment


@dataclass(frozen=True)
class Lineage(Attachment):
    """What was done to a converted network: ``converted``, ``recovered``, ``recovered 2``.

    Attributes:
        steps: a name for the network after each step; the last one is its own.
    """

    steps: tuple[str, ...] = ("converted",)

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return the lineage of a model; by default, it was converted."""
        return cls.find(model) or cls()

    @property
    def name(self) -> str:
        """The name of the network as it is now."""
        return self.steps[-1]

    def then(self, step: str) -> Self:
        """Return the lineage after one more step, numbered from the second time."""
        times = 1 + sum(name.partition(" ")[0] == step for name in self.steps)
        return type(self)((*self.steps, step if times == 1 else f"{step} {times}"))
