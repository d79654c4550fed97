"""Labelled and unlabelled images to train on and to be scored on."""

from ghostify.data.batches import split_labels
from ghostify.data.loading import Data, set_epoch
from ghostify.data.opening import open_data
from ghostify.data.sources import SOURCES

__all__ = ["SOURCES", "Data", "open_data", "set_epoch", "split_labels"]
