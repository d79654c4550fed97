"""Nouns that stay with the model they speak of."""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Attachment:
    """Plain data that is left on a model, as an attribute, and found there again."""

    __slots__ = ()
    _attribute: ClassVar[str]

    def attach(self, model: Any) -> None:
        """Leave it on the model that it speaks of."""
        setattr(model, self._attribute, self)

    @staticmethod
    def remove_all(model: Any) -> None:
        """Take all off that was left on an earlier state of ``model``."""
        own = vars(model)
        for name in [name for name, value in own.items() if isinstance(value, Attachment)]:
            del own[name]

    @classmethod
    def find(cls, model: Any) -> Self | None:
        """That of ``model``, if it has one."""
        found = getattr(model, cls._attribute, None)
        return found if isinstance(found, cls) else None
