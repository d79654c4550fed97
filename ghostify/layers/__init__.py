"""The networks' building blocks: tensors in, tensors out."""

from ghostify.layers.affine import Affine
from ghostify.layers.attention import AttendedGhost, DFCAttention
from ghostify.layers.bottleneck import GhostBottleneck
from ghostify.layers.branches import BranchedBottleneck, BranchedGhost
from ghostify.layers.cheap import CheapOperation
from ghostify.layers.excitation import SqueezeExcite
from ghostify.layers.ghost import GhostModule
from ghostify.layers.inference import InferenceGhost
from ghostify.layers.parts import kept_apart

__all__ = [
    "Affine",
    "AttendedGhost",
    "BranchedBottleneck",
    "BranchedGhost",
    "CheapOperation",
    "DFCAttention",
    "GhostBottleneck",
    "GhostModule",
    "InferenceGhost",
    "SqueezeExcite",
    "kept_apart",
]
