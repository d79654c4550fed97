"""What the inference form of a network has folded away, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ATTRIBUTE = "_ghostify_inference"


@dataclass(frozen=True)
class InferenceForm:
    """Left on a deployed network.

    Attributes:
        folded: batch norms that are now in the layers before them, by name.
        norms_left: batch norms still there: another layer reads their input, or the layer before
            them cannot take them up.
        orders_folded: Ghost modules whose output order is now in the layers behind them.
        orders_left: Ghost modules that still put their outputs in order.
    """

    folded: tuple[str, ...] = ()
    norms_left: tuple[str, ...] = ()
    orders_folded: tuple[str, ...] = ()
    orders_left: tuple[str, ...] = ()

    def attach(self, model: Any) -> None:
        """Leave it on the model that it speaks of."""
        setattr(model, _ATTRIBUTE, self)

    @classmethod
    def find(cls, model: Any) -> InferenceForm | None:
        """That of ``model``, if it has been deployed."""
        found = getattr(model, _ATTRIBUTE, None)
        return found if isinstance(found, cls) else None
