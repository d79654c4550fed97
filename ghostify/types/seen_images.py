"""Which images a converted network was fitted to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from ghostify.types.attachment import Attachment
from ghostify.types.errors import GhostifyError
from ghostify.types.serialization import Serializable

MOST = 512
"""Number of images that are remembered."""

_DIGITS = 16


@dataclass(frozen=True)
class SeenImages(Attachment, Serializable):
    """Images that a network was calibrated or trained on, to recognize them wherever they are.

    Attributes:
        fingerprints: 16 hexadecimal digits for each image, ascending; of many images, the 512 with
            the smallest ones.
    """

    fingerprints: str

    def __post_init__(self) -> None:
        if re.fullmatch(rf"([0-9a-f]{{{_DIGITS}}})+", self.fingerprints) is None:
            raise GhostifyError(f"`fingerprints` must hold {_DIGITS} hexadecimal digits an image")

    @classmethod
    def of(cls, fingerprints: Iterable[str]) -> Self:
        """Return the record of images by their fingerprints."""
        return cls("".join(sorted(set(fingerprints))[:MOST]))

    def __iter__(self) -> Iterator[str]:
        places = range(0, len(self.fingerprints), _DIGITS)
        return (self.fingerprints[place : place + _DIGITS] for place in places)
