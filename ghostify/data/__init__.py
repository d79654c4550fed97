"""Labelled and unlabelled images to train on and to be scored on."""

from ghostify.data.batches import split_labels
from ghostify.data.calibration import as_batches
from ghostify.data.image_folder import Loaded, load_images
from ghostify.data.loaders import Data, set_epoch
from ghostify.data.open_data import open_data
from ghostify.data.preprocessing import Preprocessing, preprocessing_of
from ghostify.data.sources import SOURCES
from ghostify.data.splits import held_out, images_in

__all__ = [
    "SOURCES",
    "Data",
    "Loaded",
    "Preprocessing",
    "as_batches",
    "held_out",
    "images_in",
    "load_images",
    "open_data",
    "preprocessing_of",
    "set_epoch",
    "split_labels",
]
