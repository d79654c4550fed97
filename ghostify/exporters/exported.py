"""What an export has made, and how it was verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exported:
    """A file that gives what the network gives.

    Attributes:
        path: of the file; others may lie beside it.
        to: its form.
        batch: the size of batch that it takes, or None for any.
        inputs: how many inputs it was verified on.
        max_abs_error: largest difference of any output number.
        max_relative_error: largest difference over the largest number of the same output.
        size: bytes of all files that were written.
        note: why the size of the batch is fixed, where it could not be left open.
    """

    path: Path
    to: str
    batch: int | None
    inputs: int
    max_abs_error: float
    max_relative_error: float
    size: int
    note: str = ""

    def __str__(self) -> str:
        batch = "any batch" if self.batch is None else f"batch {self.batch}"
        return (
            f"{self.path}: {self.to}, {batch}; verified on {self.inputs} inputs, largest error "
            f"{self.max_abs_error:.1e} absolute, {self.max_relative_error:.1e} relative"
        )
