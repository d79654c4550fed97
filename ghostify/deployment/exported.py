"""What an export has written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ghostify.report.metric_texts import describe_score
from ghostify.types import Outputs, Score


@dataclass(frozen=True)
class Exported:
    """A verified export.

    Attributes:
        path: the file; others may be next to it.
        to: name of the format.
        batch: the fixed batch size; None if any works.
        inputs: number of inputs on which it was verified; of INT8, held-out images.
        max_abs_error: largest absolute error of an output.
        max_relative_error: largest error of an output over its largest value.
        size: bytes of all files written.
        note: why the batch size is fixed, if the format supports any.
        calibrated: number of images that INT8 was calibrated with; 0 if the file is float32.
        score: of INT8, on the held-out images with the float32 network as teacher.
        outputs: of INT8, what the outputs were taken for.
    """

    path: Path
    to: str
    batch: int | None
    inputs: int
    max_abs_error: float
    max_relative_error: float
    size: int = 0
    note: str = ""
    calibrated: int = 0
    score: Score | None = None
    outputs: Outputs | None = None

    def __str__(self) -> str:
        batch = "any batch" if self.batch is None else f"batch {self.batch}"
        if self.score is not None:
            return (
                f"{self.path}: {self.to} INT8, {batch}; calibrated on {self.calibrated} images, "
                f"verified on {self.inputs} others: {describe_score(self.score)}"
            )
        return (
            f"{self.path}: {self.to}, {batch}; verified on {self.inputs} inputs, largest error "
            f"{self.max_abs_error:.1e} absolute, {self.max_relative_error:.1e} relative"
        )
