"""What a compression found, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ghostify.report.compression import Compression
from ghostify.report.timing import Timing
from ghostify.types import Trial
from ghostify.types.serialization import Serializable

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Record(Serializable):
    """A compression, and how it was made.

    Attributes:
        title: the network and its task.
        command: what made it.
        minutes: time that was given.
        compression: what was tried.
        timing: latency of the original and the saved network.
    """

    title: str
    command: str
    minutes: float
    compression: Compression
    timing: Timing

    @property
    def fitted(self) -> Trial | None:
        """The saved network before it was trained."""
        share = self.compression.best.share
        found = (t for t in self.compression.tried if t.share == share and not t.is_trained)
        return next(found, None)


def read(folder: Path) -> dict[str, Record]:
    """Return the records of a folder by name."""
    return {file.stem: Record.load(file) for file in sorted(folder.glob("*.json"))}
