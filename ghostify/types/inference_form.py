"""What the inference form of a network has folded away, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ghostify.types.attachment import Attachment


@dataclass(frozen=True)
class InferenceForm(Attachment):
    """Left on a deployed network.

    Attributes:
        folded: batch norms that are now in the layers before them, by name.
        norms_left: batch norms still there: another layer reads their input, or the layer before
            them cannot take them up.
        orders_folded: Ghost modules whose output order is now in the layers behind them.
        orders_left: Ghost modules that still put their outputs in order.
    """

    _attribute: ClassVar[str] = "_ghostify_inference"

    folded: tuple[str, ...] = ()
    norms_left: tuple[str, ...] = ()
    orders_folded: tuple[str, ...] = ()
    orders_left: tuple[str, ...] = ()
