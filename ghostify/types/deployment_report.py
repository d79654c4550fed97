"""The report that `deploy` attaches to a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ghostify.types.attachment import Attachment


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

    _attribute: ClassVar[str] = "_ghostify_deployment"

    folded_norms: tuple[str, ...] = ()
    remaining_norms: tuple[str, ...] = ()
    folded_orders: tuple[str, ...] = ()
    remaining_orders: tuple[str, ...] = ()
