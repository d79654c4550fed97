"""Records that are attached to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self


class Attachment:
    """Mixin for data that is stored as an attribute of a model."""

    __slots__ = ()

    def attach(self, model: Any) -> None:
        """Attach this record to a model, in place of an earlier one."""
        setattr(model, self._attribute(), self)

    @staticmethod
    def remove_all(model: Any) -> None:
        """Remove all records from a model."""
        own = vars(model)
        for name in [name for name, value in own.items() if isinstance(value, Attachment)]:
            del own[name]

    @classmethod
    def find(cls, model: Any) -> Self | None:
        """Return the record of a model, or None."""
        found = getattr(model, cls._attribute(), None)
        return found if isinstance(found, cls) else None

    @classmethod
    def _attribute(cls) -> str:
        return f"_ghostify_{cls.__name__.lower()}"


@dataclass(frozen=True)
class DeploymentReport(Attachment):
    """What `deploy` has folded in a network, and what it has left, by module name.

    Attributes:
        folded_norms: BatchNorms folded into the layer before them.
        remaining_norms: BatchNorms that stay, because another layer reads their input too or the
            layer before them cannot absorb them.
        folded_orders: Ghost modules whose output order is folded into the layers that read it.
        remaining_orders: Ghost modules that still permute their outputs.
    """

    folded_norms: tuple[str, ...] = ()
    remaining_norms: tuple[str, ...] = ()
    folded_orders: tuple[str, ...] = ()
    remaining_orders: tuple[str, ...] = ()
