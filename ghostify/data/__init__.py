"""Training, evaluation and calibration images."""

from ghostify.data.as_batches import as_batches
from ghostify.data.batches import hold_out_batches, images_in, split_labels
from ghostify.data.calibration import (
    Calibration,
    calibration_batches,
    open_calibration,
    opened_calibration,
)
from ghostify.data.fingerprints import remember_images
from ghostify.data.images import summarize_skipped
from ghostify.data.loaders import Data, set_epoch
from ghostify.data.open_data import open_data, opened
from ghostify.data.open_evaluation import open_evaluation, opened_for_evaluation

__all__ = [
    "Calibration",
    "Data",
    "as_batches",
    "calibration_batches",
    "hold_out_batches",
    "images_in",
    "open_calibration",
    "open_data",
    "open_evaluation",
    "opened",
    "opened_calibration",
    "opened_for_evaluation",
    "remember_images",
    "set_epoch",
    "split_labels",
    "summarize_skipped",
]
