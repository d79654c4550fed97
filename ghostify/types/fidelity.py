"""How much of a network its conversion has kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError


@dataclass(frozen=True)
class Agreement:
    """Outputs of the converted network beside the original's, on the same images.

    Attributes:
        images: how many.
        relative_error: squared error of the outputs over their square.
        top1: share of images with the same most likely class; None where outputs are no logits.
        kl: Kullback-Leibler divergence from the original's probabilities, in nats an image.
    """

    images: int
    relative_error: float
    top1: float | None = None
    kl: float | None = None


@dataclass(frozen=True)
class Fidelity(Attachment):
    """What an initializer kept.

    Attributes:
        init: its name.
        residuals: by site, the error of its maps over their variance, each map weighted by what
            it does to the output. Of the filters, not of maps, where no data was given.
        images: the calibration images it fitted to.
        agreement: on images held out from the fit.
        notes: what the user should know.
    """

    _attribute: ClassVar[str] = "_ghostify_fidelity"

    init: str
    residuals: Mapping[str, float] = field(default_factory=dict)
    images: int = 0
    agreement: Agreement | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self) | {"notes": list(self.notes)}

    @classmethod
    def from_dict(cls, data: Any) -> Fidelity:
        """Read what `to_dict` wrote.

        Raises:
            GhostifyError: if it is something else.
        """
        try:
            entries = dict(data)
            agreement = entries.pop("agreement")
            residuals = {site: float(error) for site, error in entries.pop("residuals").items()}
            return cls(
                residuals=residuals,
                agreement=agreement and Agreement(**agreement),
                notes=tuple(entries.pop("notes")),
                **entries,
            )
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise GhostifyError(f"not a record of fidelity: {error}") from error
