"""Records that are attached to a model."""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Attachment:
    """Mixin for data that is stored as an attribute of a model."""

    __slots__ = ()
    _attribute: ClassVar[str]

    def attach(self, model: Any) -> None:
        """Attach this record to a model, in place of an earlier one."""
        setattr(model, self._attribute, self)

    @staticmethod
    def remove_all(model: Any) -> None:
        """Remove all records from a model."""
        own = vars(model)
        for name in [name for name, value in own.items() if isinstance(value, Attachment)]:
            del own[name]

    @classmethod
    def find(cls, model: Any) -> Self | None:
        """Return the record of a model, or None."""
        found = getattr(model, cls._attribute, None)
        return found if isinstance(found, cls) else None
