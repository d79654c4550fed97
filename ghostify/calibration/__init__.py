"""Images to calibrate with: from what the user has to batches that the model takes."""

from ghostify.calibration.batches import as_batches
from ghostify.calibration.folder import Loaded, load_images
from ghostify.calibration.holdout import held_out, images_in
from ghostify.calibration.preprocessing import Preprocessing, preprocessing_of

__all__ = [
    "Loaded",
    "Preprocessing",
    "as_batches",
    "held_out",
    "images_in",
    "load_images",
    "preprocessing_of",
]
