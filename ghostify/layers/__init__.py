"""The networks' building blocks: tensors in, tensors out."""

from ghostify.layers.cheap import CheapOperation
from ghostify.layers.ghost import GhostModule

__all__ = ["CheapOperation", "GhostModule"]
